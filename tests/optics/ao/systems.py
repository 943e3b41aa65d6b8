"""Adaptive-optics systems as the parameter files of TIPTOP 1.6.0 describe them, and the figures that it computes.

Photon counts are per sub-aperture and frame, so that a guide star of magnitude 0 brings just those. Residuals are the
files' own extra errors and the rms of their static maps (M1 44 nm, HARMONI 112, MORFEO 66), in quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from elvis_cli.model.atmosphere import Turbulence
from elvis_cli.model.psf_model import AoPsf
from elvis_cli.model.setup import Setup
from elvis_cli.model.telescope import AoSystem, Telescope
from tests import setups

PARANAL = (30.0, 140.0, 281.0, 562.0, 1125.0, 2250.0, 4500.0, 7750.0, 11000.0, 14000.0)
PARANAL_WEIGHT = (0.59, 0.02, 0.04, 0.06, 0.01, 0.05, 0.09, 0.04, 0.05, 0.05)
SLOW = (6.6, 5.9, 5.1, 4.5, 5.1, 8.3, 16.3, 10.2, 14.3, 17.5)
"""m/s, in the files of ERIS, SPHERE and HARMONI."""
FAST = (6.6, 5.9, 5.1, 4.5, 5.1, 8.3, 16.3, 30.2, 34.3, 17.5)
"""m/s, in that of MUSE."""
HARMONI_HEIGHT = (83.2, 243.3, 710.5, 2735.6, 5583.7, 8599.2, 11599.0, 14221.1, 17219.0, 21912.9)
HARMONI_WEIGHT = (0.439, 0.147, 0.1142, 0.056, 0.03683, 0.0442, 0.0527, 0.0794, 0.01829, 0.012939)
SIX = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)


def elt(diameter: float) -> Telescope:
    """Return the ELT as an annulus with six arms."""
    return Telescope("ELT", 978.0, diameter, 0.283 * diameter, 0.3, SIX)


def vlt(inner: float, diameter: float = 8.0) -> Telescope:
    """Return a bare annulus."""
    return Telescope("VLT", 49.0, diameter, inner * diameter, 0.0, ())


@dataclass(frozen=True)
class System:
    """One system in one atmosphere."""

    telescope: Telescope
    ao: AoSystem
    seeing: float
    airmass: float
    wave: float
    """um."""
    pixel: float
    """arcsec."""
    turbulence: Turbulence | None = None
    """None: the profile of the fixture's site."""
    radius: tuple[float, ...] = (0.0,)
    """arcsec from the axis."""
    strehl: tuple[float, ...] = ()
    fwhm: float | None = None
    """mas."""

    def setup(self, base: Setup) -> Setup:
        """Return ``base`` with this system."""
        return setups.change(
            base,
            telescope=self.telescope,
            psf=AoPsf(self.ao, guide_star_mag=0.0),
            seeing=self.seeing,
            turbulence=self.turbulence or base.atmosphere.turbulence,
            pixel_scale=self.pixel,
        )


def scao(
    telescope: Telescope, wfs: str, sub: int, wave: float, pitch: float, photons: float, *loop: float, **more: object
) -> AoSystem:
    """Return a system with one natural guide star; ``loop`` is rate, gain, delay, RON, excess noise, modulation."""
    rate, gain, delay, ron, excess, modulation = loop
    zero = photons * rate / (telescope.diameter / sub) ** 2
    common: dict[str, Any] = {"residual": 0.0, "jitter": 0.0, **more}
    return AoSystem("scao", wfs, sub, wave, pitch, rate, gain, delay, zero, 1.0, ron, excess, modulation, **common)


def lasers(
    kind: str,
    telescope: Telescope,
    sub: int,
    pitch: float,
    photons: float,
    count: int,
    radius: float,
    *loop: float,
    stars: tuple[tuple[float, float, float], ...] = (),
    low: tuple[float, float, float],
    **more: object,
) -> AoSystem:
    """Return a system with laser guide stars; ``loop`` is rate, gain, delay, RON, excess noise of their sensors.

    ``low`` is the photons per frame, rate and wavelength of a natural guide star's sensor with the whole pupil.
    """
    rate, gain, delay, ron, excess = loop
    seen, low_rate, low_wave = low
    common: dict[str, Any] = {"residual": 0.0, "jitter": 0.0, "laser_spot": 1.5, **more}
    return AoSystem(
        kind,
        "sh",
        sub,
        0.589,
        pitch,
        rate,
        gain,
        delay,
        seen * low_rate / telescope.area,
        1.0,
        ron,
        excess,
        0.0,
        asterism_radius=radius,
        lasers=count,
        laser_photons=photons,
        tiptilt_rate=low_rate,
        tiptilt_wavelength=low_wave,
        stars=stars,
        **common,
    )


def profile(height: tuple[float, ...], weight: tuple[float, ...], wind: tuple[float, ...], l0: float) -> Turbulence:
    """Return a profile with its weights normalised."""
    return Turbulence(height, tuple(w / sum(weight) for w in weight), wind, l0)


PARANAL_SLOW, PARANAL_FAST = (profile(PARANAL, PARANAL_WEIGHT, wind, 22.0) for wind in (SLOW, FAST))
SEC30, SEC24 = 1.1547, 1.0946
ELT, HARMONI, VLT, SOUL = elt(38.5), elt(39.0), vlt(0.16), vlt(0.111, 8.222)

SYSTEMS = {
    "MICADO": System(
        ELT,
        scao(ELT, "pyramid", 96, 0.7, 0.5, 280, 500, 0.4, 2, 0.3, 2, 5, residual=77.7, jitter=6.0 / 2.355),
        0.644, 1.0, 2.2, 0.004, None, (0.0,), (0.610,), 13.2,
    ),
    "METIS": System(
        ELT,
        scao(ELT, "pyramid", 90, 2.2, 0.5, 280, 1000, 0.4, 2, 0.3, 2, 4, residual=77.7, jitter=6.0 / 2.355),
        0.644, 1.0, 3.7, 0.0054, None, (0.0,), (0.861,), 20.5,
    ),
    "HARMONI SCAO": System(
        HARMONI,
        scao(HARMONI, "pyramid", 100, 0.95, 0.38, 500, 500, 0.5, 1, 0, 1, 3, residual=112.0),
        0.65, SEC30, 2.2, 0.004, None, (0.0,), (0.816,), 12.0,
    ),
    "ERIS NGS": System(
        VLT,
        scao(VLT, "sh", 40, 0.75, 0.2, 100, 1000, 0.3, 3, 0.2, 2, 0),
        0.8, SEC30, 1.65, 0.013, PARANAL_SLOW, (0.0,), (0.892,), 44.1,
    ),
    "SPHERE": System(
        VLT,
        scao(VLT, "sh", 40, 0.7, 0.2, 20, 1380, 0.3, 3, 0.2, 2, 0),
        0.7, SEC30, 1.65, 0.012, PARANAL_SLOW, (0.0,), (0.928,), 43.7,
    ),
    "SOUL": System(
        SOUL,
        scao(SOUL, "pyramid", 40, 0.75, 0.275, 10, 1700, 0.3, 3, 0, 2, 3),
        0.8, SEC30, 2.15, 0.015,
        profile((119.0, 837.0, 3045.0, 12780.0), (0.70, 0.06, 0.14, 0.10), (5.0, 10.0, 30.0, 20.0), 40.0),
        (0.0,), (0.902,), 56.2,
    ),
    "ERIS LGS": System(
        VLT,
        lasers("ltao", VLT, 40, 0.2, 100, 1, 0.0, 1000, 0.3, 3, 0.2, 2, low=(1600, 500, 0.75), laser_spot=0.8),
        0.8, SEC30, 1.65, 0.013, PARANAL_SLOW, (0.0,), (0.578,), 44.9,
    ),
    "HARMONI LTAO": System(
        HARMONI,
        lasers(
            "ltao", HARMONI, 74, 0.37, 500, 6, 34.0, 500, 0.5, 1, 3, 1, low=(1000, 500, 0.85),
            stars=((0.0, 0.0, 0.0), (10.0, 0.0, 0.0)), tiptilt_ron=1.0, residual=112.0, laser_spot=0.8,
        ),
        0.65, SEC30, 2.2, 0.004, profile(HARMONI_HEIGHT, HARMONI_WEIGHT, SLOW, 25.0),
        (5.0, 10.0, 15.0), (0.64, 0.41, 0.23),
    ),
    "MORFEO": System(
        ELT,
        lasers(
            "mcao", ELT, 68, 0.5, 300, 6, 45.0, 500, 0.25, 3, 3, 1, low=(155400, 250, 1.65),
            stars=((-49.7, -44.3, 0.0), (61.8, -49.7, 5.6), (-19.8, 66.1, 3.8)),
            residual=114.0, jitter=2.53 / 2.355, laser_spot=2.5,
            dm_heights=(600.0, 6500.0, 17500.0), dm_pitches=(0.5, 1.4, 1.4),
        ),
        0.641, SEC30, 2.2, 0.004, None, (0.0, 10.0, 20.0, 30.0, 45.0), (0.60, 0.605, 0.55, 0.45, 0.33), 12.2,
    ),
    "MUSE NFM": System(
        VLT,
        lasers(
            "ltao", VLT, 40, 0.222, 200, 4, 7.5, 1000, 0.5, 2, 0.8, 2, low=(800, 200, 1.4),
            tiptilt_ron=0.7, residual=156.0, jitter=25.0 / 2.355,
        ),
        0.67, SEC24, 0.85, 0.0125, replace(PARANAL_FAST, outer_scale=27.44), (0.0,), (0.093,),
    ),
    "GRAAL": System(
        VLT,
        lasers(
            "glao", VLT, 40, 0.24, 100, 4, 330.0, 1000, 0.4, 2, 1, 1, low=(1600, 500, 0.75), residual=120.0,
            # the telescope and the tilt of the high layers, which the tip-tilt star beside the field does not tell
            jitter=90.0,
        ),
        0.8, 1.0, 2.15, 0.106, PARANAL_SLOW, (0.0,), (),
    ),
}  # fmt: skip
