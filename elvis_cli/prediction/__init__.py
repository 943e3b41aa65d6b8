"""The ETC's answer: signal-to-noise ratio, number of integrations, series and tables."""
