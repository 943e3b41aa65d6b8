"""Sources through sky and optics, as rates of electrons: the photon budget, the composed scene, lamps."""
