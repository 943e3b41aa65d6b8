"""Rebuild the shipped tables; not in the wheel."""
