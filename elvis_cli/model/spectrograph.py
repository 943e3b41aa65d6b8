"""What a spectrograph is: apertures that cut the sky, and traces that say where their light falls on the focal plane.

A plugin describes one in the table ``[spectrograph]`` of its instrument.toml (see the README of `elvis_instruments`);
`elvis_cli.focalplane` renders it. Slits, image slicers and fibre bundles differ in their apertures only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.curve import Curve
from elvis_cli.base.geometry import Coordinate, rotate
from elvis_cli.model.calibration import Lamp

SIGMA = math.sqrt(8.0 * math.log(2.0))
"""FWHM of a Gaussian over its standard deviation."""
PLACES = 9
"""Along a trace, where its resolving power is looked at."""


@dataclass(frozen=True, slots=True)
class Aperture:
    """A slit, one slice of an image slicer, or one fibre; lengths are arcsec on the sky."""

    x: float
    y: float
    """Centre in the field: +x West, +y North at position angle 0."""
    length: float
    """Along the aperture, the coordinate s of its traces; that of the image of a fibre."""
    width: float
    """Across, in the direction of dispersion; that of the image of a fibre. What stands 90 deg beyond +s, at +x for an
    angle of 0, falls where redder light of the middle does, in all traces."""
    angle: float = 0.0
    """From the field's +y axis to +s, deg, towards +x."""
    offset: float = 0.0
    """s at the centre."""
    fibre: bool = False
    """Round, and scrambling: its image does not remember where in it the light fell."""
    diameter: float = 0.0
    """Of a fibre, arcsec on the sky; 0 = as wide as its image."""
    places: tuple[float, ...] = ()
    """s of each image of a fibre whose light is shared by several in the slit; () = one, at ``offset``."""
    transmission: float = 1.0
    """Of this fibre, relative to what all have in common."""
    slope: float = 0.0
    """Of a tilted slit: how far its middle moves across for each unit along; its width is that across."""
    feed: str = "sky"
    """What a fibre sees: the sky, or the spectrograph's reference lamp (lamp), or nothing (dark)."""
    stretch: Curve | None = None
    """Of the image of a fibre: its width at a wavelength relative to ``width``; None = 1 everywhere."""

    @property
    def images(self) -> tuple[float, ...]:
        """The place s of each image in the slit, arcsec."""
        return self.places or (self.offset,)

    @property
    def extent(self) -> tuple[float, float]:
        """Width and length on the sky, arcsec."""
        round_ = self.diameter or self.width
        return (round_, round_) if self.fibre else (self.width, self.length)

    def within(self, x: Coordinate, y: Coordinate) -> tuple[Coordinate, Coordinate]:
        """Return how far places in the field (arcsec) are from the centre, across and along."""
        return rotate(x - self.x, y - self.y, self.angle)


@cache
def disc_profile(width: float, blur: float) -> tuple[Floats, Floats]:
    """Return the projection of an evenly lit disc, blurred: places (n,) from the middle and the light per unit (sum 1).

    ``width`` is the diameter of the disc and ``blur`` the FWHM of a Gaussian, both in pixels.
    """
    reach = width / 2 + 3.0 * blur + 1.0
    x = np.linspace(-reach, reach, 4001)
    step = x[1] - x[0]
    light = np.sqrt(np.maximum((width / 2) ** 2 - x**2, 0.0)) if width > 4 * step else np.exp(-((x / step) ** 2))
    if blur > 0.0:
        light = np.convolve(light, np.exp(-0.5 * (x * SIGMA / blur) ** 2), "same")
    return x, light / (light.sum() * step)


def disc_width(width: float, blur: float) -> float:
    """Return the FWHM (pixels) of `disc_profile`."""
    x, light = disc_profile(width, blur)
    above = np.flatnonzero(light >= light.max() / 2)
    return float(x[above[-1]] - x[above[0]])


def disc_peak(width: float, blur: float) -> float:
    """Return the greatest part of the light of `disc_profile` that falls into one pixel."""
    x, light = disc_profile(width, blur)
    return float(light[np.abs(x) <= 0.5].sum() * (x[1] - x[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One order of one aperture on the focal plane.

    x = sum_ij X[i, j] u^i w^j mm, likewise y, with u = (wavelength - l0) / lw (um) and w = (s - s0) / sw (arcsec).
    """

    order: int
    aperture: int
    """Index into the spectrograph's apertures."""
    wave: tuple[float, float]
    """um: from where to where there is light."""
    l0: float
    lw: float
    s0: float
    sw: float
    x: Floats
    y: Floats
    """Coefficients (i, j), mm; the focal plane of the Setup's chips."""
    efficiency: Curve
    """Of this order alone, blaze and grating: 0..1; the Setup's surfaces hold what all orders share."""

    @property
    def along_rows(self) -> bool:
        """Return whether wavelength runs along y of the focal plane rather than along x."""
        x, y = (abs(float(c[1, 0])) if c.shape[0] > 1 else 0.0 for c in (self.x, self.y))
        return y > x

    def place(self, wave: NDArray[np.float64], s: NDArray[np.float64]) -> tuple[Floats, Floats]:
        """Return x, y (mm) of light of ``wave`` (um) at ``s`` (arcsec)."""
        u, w = (wave - self.l0) / self.lw, (s - self.s0) / self.sw
        polynomial = np.polynomial.polynomial.polyval2d
        return np.asarray(polynomial(u, w, self.x), float), np.asarray(polynomial(u, w, self.y), float)

    def dispersion(self, wave: Floats, s: float, pixel: float) -> Floats:
        """Return um per pixel (of ``pixel`` mm) at ``wave`` (n,) um and ``s`` arcsec."""
        step, places = 1e-4 * (self.wave[1] - self.wave[0]), np.full(wave.size, s)
        (x0, y0), (x1, y1) = self.place(wave - step, places), self.place(wave + step, places)
        return np.asarray(2 * step * pixel / np.hypot(x1 - x0, y1 - y0))


@dataclass(frozen=True, slots=True, eq=False)
class Polarimeter:
    """A beam splitter before the aperture: two images of the sky, moved apart along it."""

    stokes: str
    """The parameter that it measures: Q, U or V."""
    separation: Curve
    """Between the beams, arcsec along the aperture, over wavelength, um."""
    signs: tuple[int, ...]
    """Of each sub-exposure, whose first is number 1: the upper beam has (1 + sign p) / 2 of a source's light."""
    subexposure: int = 1
    polarisation: float = 0.0
    """p: the parameter over the intensity of all sources."""

    @property
    def sign(self) -> int:
        """Return that of this sub-exposure."""
        return self.signs[self.subexposure - 1]

    def beams(self, wave: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the fraction of the light and the shift along the aperture (arcsec) of the upper and lower beam."""
        half, p = float(self.separation.at(np.array([wave]))[0]) / 2, self.sign * self.polarisation
        return ((1.0 + p) / 2, half), ((1.0 - p) / 2, -half)


@dataclass(frozen=True, slots=True, eq=False)
class Spectrograph:
    """Everything between the focal plane of the telescope and that of the detector."""

    apertures: tuple[Aperture, ...]
    traces: tuple[Trace, ...]
    dispersion_scale: float
    """arcsec of an aperture's width on one (binned) pixel along the dispersion."""
    blur: float = 0.0
    """FWHM of the spectrograph's own image of a point, (binned) pixels."""
    adc: float = 0.0
    """Part of the differential refraction that is corrected: 0 none, 1 all."""
    reference: float = 0.0
    """Wavelength (um) that the guiding keeps in the middle of the aperture; 0 = middle of the band."""
    kind: str = "slit"
    """slit, ifu, echelle or mos."""
    lamps: tuple[Lamp, ...] = ()
    """The reference lamp, which shines into fibres while others see the sky."""
    fill: float = 0.0
    """Part of the full well that it fills in the brightest pixel."""
    cell: str = ""
    """Name of the absorption cell (`elvis_cli.light.cells`) that the light of the sky passes; "" = none."""
    coupling: Curve | None = None
    """Fraction of a centred star's light that a fibre takes; None = as much as the PSF has inside it."""
    polarimeter: Polarimeter | None = None

    def beams(self, aperture: Aperture, wave: float) -> tuple[tuple[float, Aperture], ...]:
        """Return where an aperture stands in the sky as each beam shows it, and the beam's fraction of the light."""
        if self.polarimeter is None:
            return ((1.0, aperture),)
        parts = []
        for fraction, shift in self.polarimeter.beams(wave):
            x, y = rotate(0.0, -shift, -aperture.angle)
            parts.append((fraction, replace(aperture, x=aperture.x + x, y=aperture.y + y)))
        return tuple(parts)

    def beam_reach(self, band: tuple[float, float]) -> float:
        """Return the largest shift of a beam within a ``band`` (um), arcsec; 0 without a polarimeter."""
        if self.polarimeter is None:
            return 0.0
        return max(abs(shift) for wave in band for _, shift in self.polarimeter.beams(wave))

    @property
    def sliced(self) -> bool:
        """Return whether the light of one field is in many slices: an integral field's, or an image slicer's."""
        several = len(self.apertures) > 1 and self.kind != "mos" and not self.apertures[0].fibre
        return self.kind == "ifu" or (several and self.polarimeter is None)

    def line_width(self, aperture: Aperture) -> float:
        """Return the FWHM (pixels) of a line: the image of an aperture, blurred."""
        if aperture.fibre:
            return disc_width(aperture.width / self.dispersion_scale, self.blur)
        width, blur = aperture.width / self.dispersion_scale, self.blur
        if blur <= 0.0 or width <= 0.0:
            return max(width, blur)
        scale = blur / SIGMA * math.sqrt(2.0)

        def light(x: float) -> float:
            return math.erf((x + width / 2) / scale) - math.erf((x - width / 2) / scale)

        low, high = 0.0, width + blur
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if light(middle) > light(0.0) / 2 else (low, middle)
        return low + high

    def line_widths(self, aperture: Aperture, wave: Floats) -> Floats:
        """Return the FWHM (pixels) of lines at ``wave`` (n,) um, linear between the aperture's points of stretch."""
        if aperture.stretch is None:
            return np.full(wave.size, self.line_width(aperture))
        known = [self.line_width(replace(aperture, width=aperture.width * v)) for v in aperture.stretch.value]
        return Curve(aperture.stretch.wave, np.array(known)).at(wave)

    def near(self, place: tuple[float, float], reach: float) -> list[int]:
        """Return the traces, by index, of the apertures within ``reach`` (arcsec) of a place, or of the nearest."""

        def gap(aperture: Aperture) -> float:
            across, along = aperture.within(*place)
            width, length = aperture.extent
            return max(abs(across) - width / 2, abs(along) - length / 2)

        middle = sum(self.traces[0].wave) / 2
        gaps = [min(gap(seen) for _, seen in self.beams(aperture, middle)) for aperture in self.apertures]
        distance = max(reach, min(gaps))
        return [number for number, trace in enumerate(self.traces) if gaps[trace.aperture] <= distance]

    def resolving_power(self, band: tuple[float, float], pixel: float) -> float:
        """Return that of the aperture's own image, median of all traces: a point sharper than the aperture does better.

        ``band`` is the range in um that is looked at, ``pixel`` the side of a pixel in mm.
        """
        powers = []
        distinct = {(id(trace.x), self.apertures[trace.aperture].width): trace for trace in self.traces}
        for trace in distinct.values() if self.apertures[0].fibre else self.traces:
            wave = np.linspace(max(trace.wave[0], band[0]), min(trace.wave[1], band[1]), PLACES)
            aperture = self.apertures[trace.aperture]
            powers.append(wave / (trace.dispersion(wave, aperture.offset, pixel) * self.line_widths(aperture, wave)))
        return float(np.median(powers))
