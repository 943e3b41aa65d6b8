"""Telescope and instrument: throughput, pupil, adaptive optics, point-spread function."""
