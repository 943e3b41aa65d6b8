"""One module for each change of the tables; a released one is never changed."""
