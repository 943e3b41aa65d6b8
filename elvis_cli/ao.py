"""What the atmosphere leaves in the wavefront, with and without adaptive optics, as a structure function in nm2.

Path differences do not depend on the wavelength, so that one structure function serves all of them:
D(rad2) = (2 pi / lambda)^2 D(nm2). Spectra are W(f) in nm2 m2, spatial frequencies f in 1/m, shifts rho in m.

Residual spectra follow Jolissaint, Veran & Conan 2006 (JOSA A 23, 382) and Neichel et al. 2020 (TIPTOP): inside the
corrected disc f < f_c the spectra of servo lag, anisoplanatism, aliasing and noise add up, outside it the
atmosphere is untouched (fitting error). The disc has the area of the square |fx|, |fy| < 1/2 pitch, as a deformable
mirror corrects as many modes as it has actuators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from elvis_cli.errors import ElvisError
from elvis_cli.instrument import AoSystem, Floats, Setup, Telescope
from elvis_cli.turbulence import ARCSEC, REFERENCE, Air, Real, air, fitting, von_karman

ALIASING = {"sh": 0.073, "pyramid": 0.02}
"""Aliased variance, rad2, over (d/r0)^(5/3): Rigaut et al. 1998 (SPIE 3353, 1038) for the Shack-Hartmann; a
pyramid has about a quarter of it (Verinaud 2004, Opt. Comm. 233, 27)."""
SODIUM = 90e3
"""Height of the laser guide stars at zenith, m."""
TOMOGRAPHY = {"mcao": 0.6, "ltao": 0.1, "glao": 1.0}
"""Lever arm of the tomographic error on axis in units of the asterism's radius, see `Corrected._lever`.

MCAO: chosen with OFF_AXIS so that the Strehl at 2.2 um runs as TIPTOP's for MORFEO (0.60 on axis, 0.605, 0.55, 0.45
and 0.33 at 10, 20, 30 and 45 arcsec), within 0.04. LTAO: an assumption, between SCAO and HARMONI's published off-axis
figures. GLAO: the definition.
"""
OFF_AXIS = 1.65
"""The same at the asterism's radius from the axis, MCAO; inside it falls with the power 1.5 of the distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Wavefront:
    """The second moments of a residual wavefront."""

    shift: Floats
    """m, ascending from 0: abscissa of ``isotropic``."""
    isotropic: Floats
    """Structure function of the part that is the same in all directions, nm2."""
    spectrum: tuple[Floats, Floats] | None = None
    """The rest: W at (fx, fy) = (i, j) df and at (i, -j) df, as (j, i) arrays, nm2 m2."""
    df: float = 0.0
    """1/m."""
    variance: float = math.inf
    """All that is left of the wavefront error, nm2."""
    jitter: float = 0.0
    """Image motion on top of it, arcsec rms per axis."""

    def structure(self, rho: Floats) -> tuple[Real, Real | None]:
        """Return the parts e, o of D(rho[i], rho[j]) = e + o and D(rho[i], -rho[j]) = e - o, as (j, i) arrays, nm2.

        ``rho`` is in m; o is None where it vanishes.
        """
        even = np.interp(np.hypot(rho, rho[:, None]), self.shift, self.isotropic).astype(np.float32)
        if self.spectrum is None:
            return even, None
        plus, minus = self.spectrum
        weight = quadrant_weights(len(plus), self.df)
        phase = 2 * math.pi * self.df * np.outer(np.arange(len(plus)), rho)
        cos, sin = ((weight[:, None] * wave).astype(np.float32) for wave in (np.cos(phase), np.sin(phase)))
        mean, half = ((0.5 * part).astype(np.float32) for part in (plus + minus, plus - minus))
        even += np.float32(2.0 * integral(mean, mean, self.df)) - 2.0 * product(product(cos.T, mean), cos)
        return even, 2.0 * product(product(sin.T, half), sin) if half.any() else None


def quadrant_weights(size: int, step: float) -> Floats:
    """Return the weights along one axis of a symmetric function that is given at (i, j) and (i, -j) ``step``."""
    weight = np.full(size, 2.0 * step)
    weight[0] = step  # both quadrants hold the axes
    return weight


def integral(plus: Real, minus: Real, step: float) -> float:
    """Return the integral over the plane of a symmetric function, given at (i, j) ``step`` and (i, -j) ``step``."""
    weight = quadrant_weights(len(plus), step)
    return 0.5 * float(np.sum(weight[:, None] * weight * (plus + minus)))


def product(a: Real, b: Real) -> Real:
    """Return the matrix product a b, a few rows of ``a`` at a time.

    BLAS shares large products between threads, and rounding then depends on their number; below 2^18
    multiplications it does not (OpenBLAS, interface/gemm.c), and nothing is lost by the wait for other threads.
    """
    rows = max(1, (1 << 18) // (a.shape[1] * b.shape[1]))
    whole = len(a) // rows * rows
    parts = np.ascontiguousarray(a[:whole]).reshape(-1, rows, a.shape[1]) @ b
    return np.concatenate([parts.reshape(whole, b.shape[1]), a[whole:] @ b])


def seeing_limited(atmosphere: Air, longest: float) -> Wavefront:
    """Return the uncorrected wavefront, for shifts up to ``longest`` m (von Karman)."""
    shift = np.concatenate(([0.0], np.geomspace(1e-4, longest, 1500)))
    return Wavefront(shift, von_karman(shift, atmosphere))


class Loop:
    """An integrator with gain and delay (frames) at ``rate`` Hz: what of a disturbance remains, and of noise passes.

    h = g z^delay / (1 - z), z = exp(-2 pi i nu / rate); rejection 1 / (1 + h), closed loop h / (1 + h).
    """

    def __init__(self, system: AoSystem) -> None:
        self.rate, self.gain, self.delay = system.rate, system.gain, system.delay
        nu = (np.arange(512) + 0.5) / 1024 * self.rate
        self.noise_gain = float(np.mean(np.abs(1.0 - self.rejection(nu)) ** 2))

    def rejection(self, nu: Floats) -> Floats:
        """Return the (complex) rejection at the temporal frequencies ``nu``, Hz."""
        z = np.exp(-2j * math.pi * nu / self.rate)
        return np.asarray((1.0 - z) / (1.0 - z + self.gain * z**self.delay))

    def averaged(self, nu: Floats) -> tuple[Floats, Floats]:
        """Return the mean of |rejection|^2 and of the closed loop's real part for wind from all directions.

        ``nu`` is wind speed times spatial frequency, Hz: along the wind nu, across it 0.
        """
        across = np.cos((np.arange(16) + 0.5) * math.pi / 32)
        table = np.linspace(0.0, float(nu.max()), 200)
        rejection = self.rejection(table[:, None] * across)
        lag, follow = (np.abs(rejection) ** 2).mean(axis=1), 1.0 - rejection.real.mean(axis=1)
        return np.interp(nu, table, lag), np.interp(nu, table, follow)


class Corrected:
    """The error budget of a Setup's adaptive optics; `towards` gives it for one direction."""

    def __init__(self, setup: Setup, airmass: float, diameter: float) -> None:
        if setup.ao is None or setup.ao.kind not in ("scao", "ltao", "mcao", "glao"):
            raise ElvisError(f"no adaptive optics of the kind {setup.ao and setup.ao.kind!r}: scao, ltao, mcao, glao")
        self.system = system = setup.ao
        self.air = air(setup, airmass)
        self.airmass = airmass
        self.diameter = diameter
        self.loop = Loop(system)
        pitches = system.dm_pitches or (system.pitch,)
        sensor = setup.telescope.diameter / system.subapertures
        cutoffs = 1.0 / (math.sqrt(math.pi) * np.maximum(pitches, sensor))
        self.cutoff = float(cutoffs.max())
        # shifts reach the pupil's diameter: no copy of the covariance may come that near
        self.df = 1.0 / max(2.0 * diameter, min(3.0 * self.air.outer_scale, 160.0))
        axis = np.arange(math.ceil(self.cutoff / self.df) + 1) * self.df
        self.fx, self.fy = axis, axis[:, None]
        self.f = np.hypot(self.fx, self.fy)
        self.inside = np.clip((self.cutoff - self.f) / self.df + 0.5, 0.0, 1.0)
        self.turbulence = self.air.spectrum(self.f)
        self.mirror = np.abs(self.air.height[:, None] - np.array(system.dm_heights)).argmin(axis=1)
        self.corrects = cutoffs[np.minimum(self.mirror, len(cutoffs) - 1)]
        shift, uncorrected = fitting(self.cutoff, self.air, 1.5 * diameter)
        self.fitting = shift, uncorrected
        self.common = self._common(setup)
        # per layer, on a radial table: indexing is faster than 35 interpolations over the plane
        self.radius = np.arange(int(self.f.max() / self.df * 4) + 2) * (self.df / 4)
        self.jitter = math.hypot(system.jitter * 1e-3, self._tilt_noise(setup.telescope, setup.guide_star_mag))
        self.at = np.rint(self.f / (self.df / 4)).astype(np.intp)
        lag, follow = self.loop.averaged(self.radius * self.air.wind[:, None])
        reached = np.clip((self.corrects[:, None] - self.radius) / self.df + 0.5, 0.0, 1.0)
        self.lag = (self.air.weight[:, None] * (reached * lag + 1.0 - reached)).sum(axis=0)
        self.follow = self.air.weight[:, None] * reached * follow

    def towards(self, position: Floats) -> Wavefront:
        """Return the residual wavefront of a star at ``position`` arcsec (x, y) from the guide star or asterism."""
        if self.system.kind == "scao" or (self.system.kind == "ltao" and not self.system.lasers):
            lost = self._angular(position)
        else:
            lost = self._tomographic(float(np.hypot(*position)))
        atmosphere = self.lag[self.at] * self.turbulence
        plus, minus = (self.inside * (atmosphere + part * self.turbulence + self.common) for part in lost)
        plus[0, 0] = minus[0, 0] = 0.0  # piston
        shift, outside = self.fitting
        variance = integral(plus, minus, self.df) + 0.5 * float(outside[-1])
        return Wavefront(shift, outside, (plus, minus), self.df, variance, self._jitter_towards(position))

    def _angular(self, position: Floats) -> tuple[Floats, Floats]:
        """Return the lost fraction sum_l w_l 2 (1 - cos(2 pi h_l f theta)) of each frequency (Fusco et al. 2000)."""
        shift = 2 * math.pi * ARCSEC * self.air.height[:, None] * np.asarray(position)
        plus, minus = np.zeros_like(self.f), np.zeros_like(self.f)
        if not shift.any():
            return plus, minus
        for (x, y), follow in zip(shift, self.follow, strict=True):
            keep = 2.0 * follow[self.at]
            cos = np.cos(x * self.fx) * np.cos(y * self.fy)
            sin = np.sin(x * self.fx) * np.sin(y * self.fy)
            plus += keep * (1.0 - (cos - sin))
            minus += keep * (1.0 - (cos + sin))
        return plus, minus

    def _tomographic(self, off_axis: float) -> tuple[Floats, Floats]:
        """Return the lost fraction where several guide stars or a near one see each layer from elsewhere.

        A layer is known as it stands a rms distance a (the lever arm) away: w_l 2 (1 - exp(-(pi f a)^2)), the mean
        of the angular formula over random directions, but never more than no correction at all.
        """
        lever = self._lever(off_axis)
        lost = 2.0 * (1.0 - np.exp(-((math.pi * lever[:, None] * self.radius) ** 2)))
        if self.system.kind != "ltao":
            lost = lost / (1.0 + lost / 2)
        fraction = (self.follow * lost).sum(axis=0)[self.at]
        return fraction, fraction

    def _lever(self, off_axis: float) -> Floats:
        """Return the lever arm of each layer, m."""
        system, height = self.system, self.air.height
        radius = TOMOGRAPHY[system.kind] * system.asterism_radius
        if system.kind == "mcao":
            height = np.abs(height - np.array(system.dm_heights)[self.mirror])
            outwards = OFF_AXIS * (off_axis / system.asterism_radius) ** 1.5
            radius = math.hypot(radius, outwards * system.asterism_radius)
        elif system.kind == "ltao" and system.lasers == 1:
            # the cone: light from the laser crosses the layer nearer to the axis, by up to height / SODIUM
            radius = self.diameter / (2 * math.sqrt(2.0) * SODIUM * self.airmass * ARCSEC)
        return np.asarray(height * radius * ARCSEC)

    def _common(self, setup: Setup) -> Floats:
        """Return the spectrum of what does not depend on the direction: noise, aliasing, other residual errors."""
        system, telescope = self.system, setup.telescope
        sensor = telescope.diameter / system.subapertures
        flat = self.inside / (math.pi * self.cutoff**2)
        aliased = ALIASING[system.wfs] * (sensor / self.air.r0) ** (5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
        # polishing and alignment errors: most of them of low order
        knee = 2.0 / telescope.diameter
        other = self.inside / (self.f**2 + knee**2)
        other *= system.residual**2 / integral(other, other, self.df)
        noise = self._noise(telescope, setup.guide_star_mag)
        with np.errstate(invalid="ignore"):
            noise = noise * self.turbulence / (noise + self.turbulence)  # a loop is not let make things worse
        noise[0, 0] = 0.0
        return np.asarray(noise + aliased * flat + other)

    def _noise(self, telescope: Telescope, magnitude: float) -> Floats:
        """Return the spectrum of the wavefront sensor's noise after the loop, nm2 m2."""
        system = self.system
        sensor = telescope.diameter / system.subapertures
        scale = (system.wfs_wavelength * 1e3 / (2 * math.pi)) ** 2
        if system.lasers:
            photons = system.laser_photons * system.lasers
        else:
            light = _light(system, magnitude)
            photons = light * sensor**2 / system.rate
        average = (np.sinc(sensor * self.fx) * np.sinc(sensor * self.fy)) ** 2
        if system.wfs == "pyramid":
            bend = system.modulation / telescope.diameter
            slope = [
                2 / math.pi * np.arcsin(np.minimum(f / bend, 1.0)) if bend else np.ones_like(f)
                for f in (self.fx, self.fy)
            ]
            # residual phase blurs the spot on the pyramid's tip: optical gain (Deo et al. 2019)
            optical_gain = max(0.01, math.exp(-0.25 * float(self.fitting[1][-1]) / scale))
            variance = (4 * (system.wfs_ron / photons) ** 2 + system.excess_noise / photons) / optical_gain**2
        else:
            slope = [2 * math.pi * sensor * f for f in (self.fx, self.fy)]
            variance = self._centroid(photons, sensor)
        with np.errstate(divide="ignore"):
            spectrum = variance * sensor**2 * self.loop.noise_gain * scale / ((slope[0] ** 2 + slope[1] ** 2) * average)
        return np.asarray(spectrum)

    def _centroid(self, photons: float, sensor: float) -> float:
        """Return the variance of a Shack-Hartmann slope, rad2 across the sub-aperture (Thomas et al. 2006)."""
        system = self.system
        diffraction = system.wfs_wavelength * 1e-6 / sensor / ARCSEC
        blur = 0.976 * REFERENCE * 1e-9 / self.air.r0 / ARCSEC * (system.wfs_wavelength / 0.5) ** -0.2
        spot = math.hypot(system.laser_spot if system.lasers else min(blur, 3.0), diffraction) / diffraction
        window = 2.0 * max(spot, 2.0)
        read = math.pi**2 / 3 * (system.wfs_ron / photons) ** 2 * window**4 / spot**2
        return read + system.excess_noise * math.pi**2 / (2 * math.log(2)) / photons * spot**2

    def _tilt_noise(self, telescope: Telescope, magnitude: float) -> float:
        """Return the image motion (arcsec) that the noise of a natural guide star beside the lasers makes.

        A centroid is good to 3 pi/16 lambda/D over the signal-to-noise ratio (Tyler & Fried 1982).
        """
        system = self.system
        if not system.lasers:
            return 0.0
        light = _light(system, magnitude)
        photons = light * telescope.area / system.tiptilt_rate
        noise = 1.0 / photons + 4 * (system.wfs_ron / photons) ** 2
        width = 3 * math.pi / 16 * system.tiptilt_wavelength * 1e-6 / telescope.diameter / ARCSEC
        made = width**2 * noise * self.loop.noise_gain
        return math.sqrt(made / (1.0 + made / self._tilt(np.ones_like(self.radius))))

    def _tilt(self, fraction: Floats) -> float:
        """Return the variance (arcsec2, per axis) of ``fraction`` (on the radial table) of the atmosphere's tilt.

        The filter 16 (J2(u)/u)^2, u = pi D f, of both tilts (Noll 1976) is u^2/4 exp(-u^2/6) to a few per cent.
        """
        u = math.pi * self.diameter * self.radius
        density = self.air.spectrum(self.radius) * u**2 / 4 * np.exp(-(u**2) / 6) * fraction
        per_axis = math.pi * float((density * self.radius).sum()) * self.df / 4  # nm2, half of 2 pi f df
        return per_axis * (4e-9 / self.diameter / ARCSEC) ** 2

    def _jitter_towards(self, position: Floats) -> float:
        """Return the image motion (arcsec rms per axis), with the tilt anisoplanatism of LTAO's natural guide star."""
        if self.system.kind != "ltao" or not self.system.lasers:
            return self.jitter
        lever = math.pi * self.air.height * float(np.hypot(*position)) * ARCSEC
        lost = 2.0 * (1.0 - np.exp(-((lever[:, None] * self.radius) ** 2)))
        return math.sqrt(self.jitter**2 + self._tilt((self.air.weight[:, None] * lost).sum(axis=0)))


def _light(system: AoSystem, magnitude: float) -> float:
    """Return the photons/s/m2 that a natural guide star sends to its sensor."""
    return system.zero_point * math.pow(10.0, -0.4 * min(magnitude, 60.0)) * system.wfs_throughput
