"""Measurements on images: sources, apertures, PSF fits, light curves, injected stars."""
