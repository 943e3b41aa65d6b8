"""What the atmosphere leaves in the wavefront behind adaptive optics.

Spectra are W(f) in nm2 m2, spatial frequencies f in 1/m. Directions are arcsec in the field.

Residual spectra follow Jolissaint, Veran & Conan 2006 (JOSA A 23, 382) and Neichel et al. 2020 (TIPTOP): inside the
corrected disc f < f_c the spectra of servo lag, anisoplanatism, aliasing and noise add up, outside it the
atmosphere is untouched (fitting error). The disc has the area of the square |fx|, |fy| < 1/2 pitch, as a deformable
mirror corrects as many modes as it has actuators.

The lasers of LTAO, MCAO and GLAO stand about the field centre, and what they cannot tell, image motion, natural guide
stars do (`elvis_cli.optics.ao.tilt`).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.errors import ElvisError
from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.psf_model import AoPsf
from elvis_cli.model.telescope import Telescope
from elvis_cli.optics.ao.loop import Loop
from elvis_cli.optics.ao.tilt import Tilt, light, part
from elvis_cli.optics.ao.tomography import ANGLES, RADII, Tomography, nodes
from elvis_cli.optics.ao.wavefront import Wavefront, integral
from elvis_cli.sky.turbulence import REFERENCE, Real, air, fitting

ALIASING = {"sh": 0.073, "pyramid": 0.02}
"""Aliased variance, rad2, over (d/r0)^(5/3): Rigaut et al. 1998 (SPIE 3353, 1038) for the Shack-Hartmann; a
pyramid has about a quarter of it (Verinaud 2004, Opt. Comm. 233, 27)."""
SODIUM = 90e3
"""Height of the laser guide stars at zenith, m."""


class Corrected:
    """The error budget of adaptive optics; `towards` gives it for one direction."""

    def __init__(self, psf: AoPsf, telescope: Telescope, atmosphere: Atmosphere, diameter: float) -> None:
        """``diameter`` (m) is that of the pupil.

        Raises
        ------
        ElvisError
            There is no such kind of adaptive optics.
        """
        if psf.system.kind not in ("scao", "ltao", "mcao", "glao"):
            raise ElvisError(f"no adaptive optics of the kind {psf.system.kind!r}: scao, ltao, mcao, glao")
        self.psf, self.telescope = psf, telescope
        atmosphere = replace(atmosphere, airmass=atmosphere.airmass**psf.airmass_power)
        self.system = system = psf.system
        self.air = air(atmosphere)
        self.diameter = diameter
        self.guide = np.asarray(psf.guide, float)
        self.loop = Loop(system.rate, system.gain, system.delay)
        self.sensor = self.telescope.diameter / system.subapertures
        pitches = system.dm_pitches or (system.pitch,)
        cutoffs = 1.0 / (math.sqrt(math.pi) * np.maximum(pitches, self.sensor))
        self.cutoff = float(cutoffs.max())
        # shifts reach the pupil's diameter: no copy of the covariance may come that near
        self.df = 1.0 / max(2.0 * diameter, min(3.0 * self.air.outer_scale, 160.0))
        axis = np.arange(math.ceil(self.cutoff / self.df) + 1) * self.df
        self.fx, self.fy = axis, axis[:, None]
        self.f = np.hypot(self.fx, self.fy)
        self.inside = np.clip((self.cutoff - self.f) / self.df + 0.5, 0.0, 1.0)
        self.turbulence = self.air.spectrum(self.f)
        shift, uncorrected = fitting(self.cutoff, self.air, 1.5 * diameter)
        self.fitting = shift, uncorrected
        # per layer, on a radial table: indexing is faster than 35 interpolations over the plane
        self.radius = np.arange(int(self.f.max() / self.df * 4) + 2) * (self.df / 4)
        self.at = np.rint(self.f / (self.df / 4)).astype(np.intp)
        lag, follow = self.loop.averaged(self.radius * self.air.wind[:, None])
        self.lag = self.air.weight @ lag
        self.follow = self.air.weight[:, None] * follow
        self.blur = np.ones_like(self.follow)
        self.common = self._common()
        self.tilt: Tilt | None = None
        self.tomography: Tomography | None = None
        if system.lasers:
            self.tilt = Tilt(system, self.air, diameter, self.telescope.area, self._stars())
            untilted = 1.0 - part(math.pi * diameter * self.radius)
            self.lag, self.follow = self.lag * untilted, self.follow * untilted
        if system.lasers == 1 and system.kind == "ltao":
            # the cone: light from the laser crosses a layer nearer to the axis, by up to height / SODIUM
            lever = self.air.height * diameter / (2 * math.sqrt(2.0) * SODIUM * atmosphere.airmass)
            self.blur = np.exp(-((math.pi * lever[:, None] * self.radius) ** 2))
        elif system.kind != "scao":
            at = nodes(self.cutoff)
            seen = self._noise(at, np.zeros_like(at)) / self.air.spectrum(at)
            self.tomography = Tomography(system, self.air, cutoffs, seen)
            ring = np.minimum((self.f / self.cutoff * RADII).astype(np.intp), RADII - 1) * ANGLES
            turn = (np.arctan2(self.fy, self.fx) / math.pi * ANGLES).astype(np.intp)
            self.polar = ring + turn, ring + (ANGLES - 1 - turn)

    def towards(self, position: Floats) -> Wavefront:
        """Return the residual wavefront of a star at ``position`` (x, y), arcsec in the field."""
        if self.tomography is None:
            lost = self._angular((position - self.guide) * self.psf.distance_weight if self.tilt is None else position)
        else:
            fraction = self.tomography.lost(position).ravel()
            follow = self.follow.sum(axis=0)[self.at]
            lost = tuple(follow * fraction[polar] for polar in self.polar)
        atmosphere = self.lag[self.at] * self.turbulence
        plus, minus = (self.inside * (atmosphere + part * self.turbulence + self.common) for part in lost)
        plus[0, 0] = minus[0, 0] = 0.0  # piston
        shift, outside = self.fitting
        variance = integral(plus, minus, self.df) + 0.5 * float(outside[-1])
        motion = 0.0 if self.tilt is None else self.tilt.towards(position)
        jitter = math.sqrt((self.system.jitter * 1e-3) ** 2 + motion)
        return Wavefront(shift, outside, (plus, minus), self.df, variance, jitter)

    def _angular(self, position: Floats) -> tuple[Floats, Floats]:
        """Return the lost fraction sum_l w_l 2 (1 - cos(2 pi h_l f theta)) of each frequency (Fusco et al. 2000)."""
        shift = 2 * math.pi * ARCSEC * self.air.height[:, None] * np.asarray(position)
        plus, minus = np.zeros_like(self.f), np.zeros_like(self.f)
        if not shift.any() and self.tilt is None:
            return plus, minus
        for (x, y), follow, blur in zip(shift, self.follow, self.blur, strict=True):
            keep, same = 2.0 * follow[self.at], blur[self.at]
            cos = np.cos(x * self.fx) * np.cos(y * self.fy)
            sin = np.sin(x * self.fx) * np.sin(y * self.fy)
            plus += keep * (1.0 - same * (cos - sin))
            minus += keep * (1.0 - same * (cos + sin))
        return plus, minus

    def _stars(self) -> Floats:
        """Return x, y (arcsec) and magnitude of the natural guide stars, (n, 3)."""
        if self.psf.guide_stars:
            return np.array(self.psf.guide_stars, float)
        place = np.array(self.system.stars or ((0.0, 0.0, 0.0),), float)
        return np.asarray(place + np.array([*self.guide, self.psf.guide_star_mag]))

    def _common(self) -> Floats:
        """Return the spectrum of what does not depend on the direction: noise, aliasing, other residual errors."""
        system = self.system
        flat = self.inside / (math.pi * self.cutoff**2)
        aliased = ALIASING[system.wfs] * (self.sensor / self.air.r0) ** (5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
        # polishing and alignment errors: most of them of low order
        knee = 2.0 / self.telescope.diameter
        other = self.inside / (self.f**2 + knee**2)
        other *= system.residual**2 / integral(other, other, self.df)
        common = aliased * flat + other
        if system.kind != "scao" and not (system.kind == "ltao" and system.lasers == 1):
            return np.asarray(common)  # the noise is the tomography's
        noise = self._noise(self.fx, self.fy)
        with np.errstate(invalid="ignore"):
            noise = noise * self.turbulence / (noise + self.turbulence)  # a loop is not let make things worse
        noise[0, 0] = 0.0
        return np.asarray(common + noise)

    def _noise(self, fx: Real, fy: Real) -> Floats:
        """Return the spectrum of one wavefront sensor's noise after the loop, nm2 m2."""
        system, sensor = self.system, self.sensor
        scale = (system.wfs_wavelength * 1e3 / (2 * math.pi)) ** 2
        photons = system.laser_photons
        if not system.lasers:
            photons = light(system, self.psf.guide_star_mag) * sensor**2 / system.rate
        average = (np.sinc(sensor * fx) * np.sinc(sensor * fy)) ** 2
        if system.wfs == "pyramid":
            bend = system.modulation / self.telescope.diameter
            slope = [2 / math.pi * np.arcsin(np.minimum(f / bend, 1.0)) if bend else np.ones_like(f) for f in (fx, fy)]
            # residual phase blurs the spot on the pyramid's tip: optical gain (Deo et al. 2019)
            optical_gain = max(0.01, math.exp(-0.25 * float(self.fitting[1][-1]) / scale))
            variance = (4 * (system.wfs_ron / photons) ** 2 + system.excess_noise / photons) / optical_gain**2
        else:
            slope = [2 * math.pi * sensor * f for f in (fx, fy)]
            variance = self._centroid(photons)
        with np.errstate(divide="ignore"):
            spectrum = variance * sensor**2 * self.loop.noise_gain * scale / ((slope[0] ** 2 + slope[1] ** 2) * average)
        return np.asarray(spectrum)

    def _centroid(self, photons: float) -> float:
        """Return the variance of a Shack-Hartmann slope, rad2 across the sub-aperture (Thomas et al. 2006)."""
        system = self.system
        diffraction = system.wfs_wavelength * 1e-6 / self.sensor / ARCSEC
        blur = 0.976 * REFERENCE * 1e-9 / self.air.r0 / ARCSEC * (system.wfs_wavelength / 0.5) ** -0.2
        spot = math.hypot(system.laser_spot if system.lasers else min(blur, 3.0), diffraction) / diffraction
        window = 2.0 * max(spot, 2.0)
        read = math.pi**2 / 3 * (system.wfs_ron / photons) ** 2 * window**4 / spot**2
        return read + system.excess_noise * math.pi**2 / (2 * math.log(2)) / photons * spot**2
