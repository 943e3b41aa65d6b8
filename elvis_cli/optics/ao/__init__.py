"""Adaptive optics: the wavefront error that they leave."""
