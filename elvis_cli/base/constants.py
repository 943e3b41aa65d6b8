"""Constants of nature: exact, or exact but for rounding, in the SI of 2019 (BIPM 2019; CODATA 2018); units."""

import math

PLANCK = 6.62607015e-34
"""J s."""
LIGHT = 299792458.0
"""m/s."""
BOLTZMANN = 1.380649e-23
"""J/K."""
FIRST_RADIATION = 1.191042972e8
"""2 h c^2, W um4 / (m2 sr)."""
SECOND_RADIATION = 14387.768775
"""h c / k, um K."""
AB_FLUX = 3631e-26
"""f_nu of magnitude 0 (AB), W/m2/Hz (Oke & Gunn 1983, ApJ 266, 713)."""
ARCSEC = math.pi / 648000.0
"""rad."""
ARCSEC2 = ARCSEC**2
"""sr per arcsec2."""
