"""The photometric bands of the ETC: curves and zero points. Importing it loads no numpy: the schema imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elvis_cli.base import npy
from elvis_cli.base.constants import AB_FLUX, LIGHT, PLANCK
from elvis_cli.errors import choice_error

if TYPE_CHECKING:
    from elvis_cli.base.arrays import Floats

ESO_ZERO_POINTS = {
    "U": 4.18023e-9,
    "B": 6.60085e-9,
    "V": 3.60994e-9,
    "R": 2.28665e-9,
    "I": 1.22603e-9,
    "Y": 5.973e-10,
    "J": 3.12e-10,
    "H": 1.14e-10,
    "K": 3.94e-11,
    "L": 4.83e-12,
    "M": 2.04e-12,
    "N": 1.23e-13,
    "Q": 6.8e-15,
}
"""f_lambda of magnitude 0 (Vega), erg/s/cm2/Angstrom (ESO SkyCalc help, "Magnitudes").

Vega's measured spectrum through the same curves gives 0.88 (U), 0.91 (R), 0.93 (I), 0.85 (N) and 0.95-1.06 of these;
the ETC's own are kept because requests are written for it.
"""

NAMES: tuple[str, ...] = (
    *ESO_ZERO_POINTS,
    *("gaia_GBP", "gaia_G", "gaia_GRP"),
    *(f"sdss_{b}" for b in "ugriz"),
    *(f"DECam_{b}" for b in "griz"),
    *(f"lsst_{b}" for b in "ugrizy"),
    *(f"VISTA_{b}" for b in ("Y", "Z", "J", "H", "Ks")),
    *("4MOST_Johnson_B", "4MOST_Johnson_V", "4MOST_Cousins_R", "4MOST_Cousins_I"),
)
"""Every band of the ETC's forms, with Q, which only one of them has."""

_STAND_INS = {
    "Y": ("VISTA_Y", "ESO's curve of band Y is not available: that of VISTA Y is used with ESO's zero point"),
    **{
        f"4MOST_{system}_{letter}": (f"bessell_{letter}", f"band 4MOST_{system}_{letter} is that of Bessell (1990)")
        for system, letter in (("Johnson", "B"), ("Johnson", "V"), ("Cousins", "R"), ("Cousins", "I"))
    },
}
_Q_BAND = (17.0, 23.0)

PHOTONS = 1e-6 / (PLANCK * LIGHT)
"""Photons per joule and um of wavelength."""

_DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A photometric band."""

    name: str
    wave: Floats
    """um, ascending, (n,)."""
    value: Floats
    """Response per photon, peak 1, (n,); zero outside."""
    notes: tuple[str, ...] = ()

    def integral(self, wave: Floats, density: Floats) -> float:
        """Return the photons/s/m2 that the band counts of ``density`` (photon/s/m2/um) tabulated at ``wave`` (um).

        Both are linear between their points, so that no feature of either falls between the points of the other.
        """
        import numpy as np

        inside = (wave > self.wave[0]) & (wave < self.wave[-1])
        both = np.sort(np.concatenate([self.wave, wave[inside]]))
        product = np.interp(both, wave, density, left=0.0, right=0.0) * np.interp(both, self.wave, self.value)
        return float(np.trapezoid(product, both))

    def zero_point(self, system: str) -> float:
        """Return the photons/s/m2 that the band counts of a source of magnitude 0; ``system`` is vega or AB.

        Vega: ESO's f_lambda where the ETC has one, else Vega itself (CALSPEC alpha_lyr_stis_011), 0 in every band.
        """
        import numpy as np

        if system.casefold() == "ab":
            return float(np.trapezoid(self.value * AB_FLUX / PLANCK / self.wave, self.wave))
        if self.name in ESO_ZERO_POINTS:
            # 1 erg/s/cm2/Angstrom is 10 W/m2/um.
            flux = 10.0 * ESO_ZERO_POINTS[self.name]
            return float(np.trapezoid(self.value * flux * PHOTONS * self.wave, self.wave))
        wave, vega = table("Vega")
        return self.integral(wave, vega * PHOTONS * wave)


def load(name: str) -> Band:
    """Return one band.

    Raises
    ------
    RequestError
        There is no such band.
    """
    import numpy as np

    if name not in NAMES:
        raise choice_error("/target/brightness/magband", name, NAMES)
    if name == "Q":
        note = (
            f"no curve of band Q is available: a box of {_Q_BAND[0]:g}-{_Q_BAND[1]:g} um is used with ESO's zero point"
        )
        return Band(name, np.linspace(*_Q_BAND, 61), np.ones(61), (note,))
    stored, *notes = _STAND_INS.get(name, (name,))
    index = npy.load(_DATA / "bands_index.npy")
    (row,) = index[index["name"] == stored]
    curve = npy.load(_DATA / "bands.npy")[:, row["offset"] : row["offset"] + row["length"]]
    wave, value = curve.astype(float)
    return Band(name, wave, value, tuple(notes))


def table(key: str) -> tuple[Floats, Floats]:
    """Return a shipped spectrum: wavelength (um) even in its logarithm, and f_lambda.

    Vega's is in W/m2/um, that of all others has mean 1.
    """
    import numpy as np

    index = npy.load(_DATA / "spectra_index.npy")
    (row,) = index[index["name"] == key]
    flux = npy.load(_DATA / "spectra.npy", mapped=True)[row["offset"] : row["offset"] + row["length"]]
    return np.exp((row["first"] + np.arange(len(flux))) / row["density"]), flux.astype(float)
