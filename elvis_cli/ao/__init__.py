"""Adaptive optics: what they leave of a wavefront."""
