"""Observing Blocks: what is observed, where the telescope looks, how long, and in which order."""
