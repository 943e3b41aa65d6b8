"""Observing Blocks -> the exposures of a night, each a complete request."""
