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
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from elvis_cli.errors import ElvisError
from elvis_cli.instrument import AoSystem, Floats, Setup, Telescope

Stack = NDArray[np.float32]

ARCSEC = math.pi / 648000.0
"""rad."""
REFERENCE = 500.0
"""Wavelength of seeing and r0, nm."""
KOLMOGOROV = 0.0229
"""Of the phase spectrum in rad2 m2, KOLMOGOROV r0^(-5/3) f^(-11/3)."""
ALIASING = {"sh": 0.073, "pyramid": 0.02}
"""Aliased variance, rad2, over (d/r0)^(5/3): Rigaut et al. 1998 (SPIE 3353, 1038) for the Shack-Hartmann; a
pyramid has about a quarter of it (Verinaud 2004, Opt. Comm. 233, 27)."""
SODIUM = 90e3
"""Height of the laser guide stars at zenith, m."""
TOMOGRAPHY = {"mcao": 0.6, "ltao": 0.1, "glao": 1.0}
"""Lever arm of the tomographic error on axis in units of the asterism's radius, see `Corrected._lever`. For MCAO it
is chosen with OFF_AXIS so that the Strehl at 2.2 um runs as TIPTOP's for MORFEO (0.60 on axis, 0.605, 0.55, 0.45 and
0.33 at 10, 20, 30 and 45 arcsec), within 0.04; for LTAO so that it agrees with HARMONI's; in GLAO it is the definition."""
OFF_AXIS = 1.65
"""The same at the asterism's radius from the axis, MCAO; inside it falls with the power 1.5 of the distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """The turbulence along the line of sight."""

    r0: float
    """Fried's parameter at REFERENCE, m."""
    outer_scale: float
    """m."""
    height: Floats
    """Distance of each layer, m."""
    weight: Floats
    wind: Floats
    """m/s."""

    def spectrum(self, f: Floats) -> Floats:
        """Return the von Karman spectrum W(f) of the path difference, nm2 m2."""
        scale = KOLMOGOROV * self.r0 ** (-5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
        return np.asarray(scale * (f * f + self.outer_scale**-2) ** (-11 / 6))


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

    def structure(self, rho: Floats) -> tuple[Stack, Stack | None]:
        """Return the parts e, o of D(rho[i], rho[j]) = e + o and D(rho[i], -rho[j]) = e - o, as (j, i) arrays, nm2.

        ``rho`` is in m; o is None where it vanishes.
        """
        even = np.interp(np.hypot(rho, rho[:, None]), self.shift, self.isotropic).astype(np.float32)
        if self.spectrum is None:
            return even, None
        plus, minus = self.spectrum
        weight = quadrant_weight(len(plus), self.df)
        phase = 2 * math.pi * self.df * np.outer(np.arange(len(plus)), rho)
        cos, sin = ((weight[:, None] * wave).astype(np.float32) for wave in (np.cos(phase), np.sin(phase)))
        mean, half = ((0.5 * part).astype(np.float32) for part in (plus + minus, plus - minus))
        even += np.float32(2.0 * (weight @ mean @ weight)) - 2.0 * (cos.T @ mean @ cos)
        return even, 2.0 * (sin.T @ half @ sin) if half.any() else None


def quadrant_weight(size: int, step: float = 1.0) -> Floats:
    """Return w so that w @ (a + b) @ w / 2 is the integral over the plane of a symmetric function.

    It is given as a at (i, j) ``step`` and b at (i, -j) ``step``; both hold half of the axes.
    """
    weight = np.full(size, 2.0 * step)
    weight[0] = step
    return weight


def air(setup: Setup, airmass: float) -> Air:
    """Return the turbulence on the line of sight: r0 = 0.976 lambda / seeing X^(-3/5), layers X times as far."""
    turbulence = setup.turbulence
    r0 = 0.976 * REFERENCE * 1e-9 / (setup.seeing * ARCSEC) * airmass**-0.6
    height = np.array(turbulence.height) * airmass
    return Air(r0, turbulence.outer_scale, height, np.array(turbulence.weight), np.array(turbulence.wind))


def seeing_limited(atmosphere: Air, longest: float) -> Wavefront:
    """Return the uncorrected wavefront, for shifts up to ``longest`` m (von Karman)."""
    shift = np.concatenate(([0.0], np.geomspace(1e-4, longest, 1500)))
    return Wavefront(shift, von_karman(shift, atmosphere))


def von_karman(shift: Floats, atmosphere: Air) -> Floats:
    """Return the von Karman structure function at ``shift`` m, nm2 (Conan 2000; 6.88 (rho/r0)^(5/3) for L0 = inf)."""
    scale = (atmosphere.outer_scale / atmosphere.r0) ** (5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
    constant = math.gamma(11 / 6) * 2 ** (1 / 6) / math.pi ** (8 / 3) * (24 / 5 * math.gamma(6 / 5)) ** (5 / 6)
    x = 2 * math.pi * np.asarray(shift) / atmosphere.outer_scale
    # x^(5/6) K_5/6(x): the difference of two power series near 0, asymptotic beyond
    nu = 5 / 6
    at_zero = 2 ** (nu - 1) * math.gamma(nu)
    near = np.minimum(x, 9.0)
    quarter = near * near / 4
    first, second = np.ones_like(x) / math.gamma(1 - nu), np.ones_like(x) / math.gamma(1 + nu)
    lower, upper = np.zeros_like(x), np.zeros_like(x)
    for k in range(1, 60):  # without the first term of the lower series: it is the value at 0
        upper += second
        first, second = first * quarter / (k * (k - nu)), second * quarter / (k * (k + nu))
        lower += first
    factor = math.pi / (2 * math.sin(nu * math.pi))
    fall = factor * (2**nu * lower - near ** (2 * nu) * 2**-nu * upper)
    far = np.maximum(x, 9.0)
    tail = np.ones_like(x)
    term = np.ones_like(x)
    for k in range(1, 7):
        term = term * (4 * nu * nu - (2 * k - 1) ** 2) / (8 * k * far)
        tail += term
    tail *= np.sqrt(math.pi / 2) * far ** (nu - 0.5) * np.exp(-far)
    return np.asarray(scale * constant * np.where(x < 9.0, -fall, at_zero - tail))


@lru_cache(maxsize=2)
def _uncorrected(limit: float) -> tuple[Floats, Floats]:
    """Return x in [0, limit] and u(x) = x^(5/3) int_x^inf t^(-8/3) (1 - J0(t)) dt, of which `fitting` is made."""
    # t = s^3 takes the cusp t^(-2/3) at the origin away: t^(-8/3) (1 - J0(t)) dt = 3 s^(-6) (1 - J0(s^3)) ds
    points = int(max(2000.0, 10.0 * limit))
    s = np.linspace(0.0, limit ** (1 / 3), points)
    t = s**3
    fall = one_minus_bessel(t[1:])
    density = np.concatenate(([0.75], 3.0 * fall / s[1:] ** 6))
    rest = np.concatenate((np.cumsum((density[1:] + density[:-1])[::-1])[::-1] * (s[1] / 2), [0.0]))
    return t, t ** (5 / 3) * (rest + 0.6 * limit ** (-5 / 3))


def one_minus_bessel(x: Floats) -> Floats:
    """Return 1 - J0(x), x > 0, to 1e-7 (Abramowitz & Stegun 1964, 9.4.1 and 9.4.3)."""
    u = np.minimum(x / 3.0, 1.0) ** 2
    small = u * (2.2499997 - u * (1.2656208 - u * (0.3163866 - u * (0.0444479 - u * (0.0039444 - u * 0.0002100)))))
    v = np.minimum(3.0 / x, 1.0)
    amplitude = np.polyval([0.00014476, -0.00072805, 0.00137237, -0.00009512, -0.00552740, -0.00000077, 0.79788456], v)
    angle = np.polyval([0.00013558, -0.00029333, -0.00054125, 0.00262573, -0.00003954, -0.04166397, -0.78539816], v)
    return np.where(x < 3.0, small, 1.0 - amplitude * np.cos(x + angle) / np.sqrt(x))


def fitting(cutoff: float, atmosphere: Air, longest: float) -> tuple[Floats, Floats]:
    """Return shifts (m) up to ``longest`` and the structure function (nm2) of all turbulence with f > cutoff (1/m).

    Kolmogorov's law: the outer scale has no part in it. Its limit is twice 0.2741 (1 / (2 cutoff r0))^(5/3) rad2.
    """
    x, u = _uncorrected(round(2 * math.pi * cutoff * longest, 3))
    scale = KOLMOGOROV * atmosphere.r0 ** (-5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
    return x / (2 * math.pi * cutoff), 4 * math.pi * scale * cutoff ** (-5 / 3) * u


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
        weight = quadrant_weight(len(plus), self.df)
        shift, outside = self.fitting
        variance = 0.5 * float(weight @ (plus + minus) @ weight) + 0.5 * float(outside[-1])
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
        weight = quadrant_weight(len(self.f), self.df)
        other *= system.residual**2 / float(weight @ other @ weight)
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
            light = system.zero_point * 10 ** (-0.4 * magnitude) * system.wfs_throughput
            photons = light * sensor**2 / system.rate
        average = (np.sinc(sensor * self.fx) * np.sinc(sensor * self.fy)) ** 2
        if system.wfs == "pyramid":
            bend = system.modulation / telescope.diameter
            slope = [
                2 / math.pi * np.arcsin(np.minimum(f / bend, 1.0)) if bend else np.ones_like(f) for f in (self.fx, self.fy)
            ]
            # residual phase blurs the spot on the pyramid's tip: optical gain (Deo et al. 2019)
            optical_gain = math.exp(-0.25 * float(self.fitting[1][-1]) / scale)
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
        light = system.zero_point * 10 ** (-0.4 * magnitude) * system.wfs_throughput
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
