"""An instrument: plugin data and a request -> Setup."""
