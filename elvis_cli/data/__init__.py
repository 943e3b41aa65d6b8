"""Compact tables with provenance; see build.py."""
