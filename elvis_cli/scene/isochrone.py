"""An old, metal-poor population of stars: initial mass function, and magnitude, temperature and gravity by mass.

The isochrone is MIST v1.2 (Choi et al. 2016, ApJ 823, 102; Dotter 2016, ApJS 222, 8), 12 Gyr, [Fe/H] = -1.35,
v/v_crit = 0.4, thinned to straight lines; M_V comes from its PS1 magnitudes g and r as V = r + 0.006 + 0.474 (g - r)
(Tonry et al. 2012, ApJ 750, 99, Table 6). It goes from 0.106 Msun to the end of core helium burning; white dwarfs are
left out (fainter than M_V = 10) and so are the last 10 Myr on the asymptotic branch.
"""

from __future__ import annotations

import numpy as np

from elvis_cli.base.arrays import Floats

# Initial mass (Msun), log Teff (K), log g (cgs), M_g, M_r (PS1, AB).
_TABLE = np.array([
    (0.10584, 3.5403, 5.321, 13.834, 12.396),
    (0.12775, 3.5571, 5.254, 13.051, 11.707),
    (0.15411, 3.5746, 5.179, 12.239, 10.994),
    (0.18410, 3.5838, 5.124, 11.704, 10.515),
    (0.21342, 3.5893, 5.077, 11.304, 10.149),
    (0.25480, 3.5929, 5.027, 10.905, 9.773),
    (0.30233, 3.5965, 4.986, 10.537, 9.427),
    (0.36078, 3.6043, 4.946, 10.083, 9.019),
    (0.40060, 3.6135, 4.904, 9.672, 8.668),
    (0.45583, 3.6326, 4.838, 8.978, 8.096),
    (0.50221, 3.6560, 4.787, 8.283, 7.542),
    (0.55354, 3.6880, 4.738, 7.492, 6.908),
    (0.60479, 3.7217, 4.691, 6.773, 6.312),
    (0.61848, 3.7304, 4.677, 6.594, 6.163),
    (0.68660, 3.7723, 4.578, 5.704, 5.403),
    (0.71193, 3.7857, 4.521, 5.361, 5.099),
    (0.73636, 3.7970, 4.448, 5.010, 4.779),
    (0.75485, 3.8052, 4.373, 4.696, 4.489),
    (0.77480, 3.8120, 4.260, 4.300, 4.113),
    (0.78278, 3.8128, 4.191, 4.105, 3.923),
    (0.79063, 3.8100, 4.094, 3.881, 3.694),
    (0.79494, 3.8041, 4.009, 3.732, 3.530),
    (0.79778, 3.7953, 3.925, 3.619, 3.395),
    (0.79934, 3.7871, 3.860, 3.552, 3.306),
    (0.80815, 3.7213, 3.032, 2.315, 1.873),
    (0.80867, 3.7183, 2.940, 2.127, 1.674),
    (0.80932, 3.7136, 2.801, 1.846, 1.376),
    (0.80983, 3.7086, 2.660, 1.568, 1.080),
    (0.81018, 3.7041, 2.542, 1.339, 0.835),
    (0.81057, 3.6974, 2.375, 1.025, 0.494),
    (0.81091, 3.6893, 2.182, 0.674, 0.109),
    (0.811899, 3.6205, 0.805, -1.377, -2.341),
    (0.811965, 3.5967, 0.390, -1.768, -2.931),
    (0.811966, 3.7465, 2.515, 0.699, 0.346),
    (0.81232, 3.7490, 2.530, 0.700, 0.356),
    (0.81313, 3.7578, 2.560, 0.656, 0.341),
    (0.81350, 3.7505, 2.505, 0.617, 0.278),
    (0.81373, 3.7305, 2.334, 0.470, 0.062),
]).T  # fmt: skip
_BREAK_MASS = 0.5


def masses(uniform: Floats) -> Floats:
    """Return initial masses (Msun) for numbers between 0 and 1: Kroupa (2001, MNRAS 322, 231, eq. 2).

    dN/dm is proportional to m^-1.3 below 0.5 Msun and m^-2.3 above, within the isochrone.
    """
    low, high = _TABLE[0, 0], _TABLE[0, -1]
    below = (low**-0.3 - _BREAK_MASS**-0.3) / 0.3
    above = _BREAK_MASS * (_BREAK_MASS**-1.3 - high**-1.3) / 1.3
    count = uniform * (below + above)
    light = (low**-0.3 - 0.3 * np.minimum(count, below)) ** (-1 / 0.3)
    heavy = (_BREAK_MASS**-1.3 - 1.3 / _BREAK_MASS * np.maximum(count - below, 0.0)) ** (-1 / 1.3)
    return np.asarray(np.where(count < below, light, heavy))


def present_properties(mass: Floats) -> tuple[Floats, Floats, Floats]:
    """Return M_V, effective temperature (K) and log g (cgs) of stars of initial ``mass`` (Msun)."""
    initial, log_t, log_g, green, red = _TABLE
    visual = red + 0.006 + 0.474 * (green - red)
    return np.interp(mass, initial, visual), 10.0 ** np.interp(mass, initial, log_t), np.interp(mass, initial, log_g)
