"""From pixel values to brightness on 0..1: limits from robust statistics, and four curves between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.preview.stretch_kind import StretchKind

Float32 = NDArray[np.float32]

_WHITE_LEVEL = 0.6
"""Of the brightest peak, above which all is white."""
_DARK_QUANTILE, _BRIGHT_QUANTILE = 0.02, 0.9995
"""Shares of the pixels of spectra that are darker than where no light is, and than the star."""
_LINEAR_PART = 0.3
"""Of the middle pixel of spectra, up to where they are linear: a bright sky keeps its contrast."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A monotonic map of [low, high] onto [0, 1]."""

    kind: StretchKind
    low: float
    high: float
    soft: float
    """Where asinh turns from linear to logarithmic, above ``low`` (Lupton et al. 1999, AJ 118, 1406)."""

    def level(self, values: Float32) -> Float32:
        """Return ``values`` on 0..1; NaN stays NaN."""
        low, high, soft = (np.float32(v) for v in (self.low, self.high, self.soft))
        values = values.clip(low, high)
        if self.kind is StretchKind.LOG:
            ratio = np.maximum(values / low, np.float32(1.0))
            level: Float32 = np.log(ratio) / np.float32(math.log(self.high / self.low))
        elif self.kind is StretchKind.ASINH:
            level = np.arcsinh((values - low) / soft) / np.float32(math.asinh((self.high - self.low) / self.soft))
        else:
            level = (values - low) / (high - low)
        level = level.clip(0.0, 1.0)
        return np.sqrt(level) if self.kind is StretchKind.SQRT else level

    def value(self, level: float) -> float:
        """Return the pixel value that has this level."""
        span = self.high - self.low
        if self.kind is StretchKind.LOG:
            return self.low * math.exp(level * math.log(self.high / self.low))
        if self.kind is StretchKind.ASINH:
            return self.low + self.soft * math.sinh(level * math.asinh(span / self.soft))
        return self.low + span * (level**2 if self.kind is StretchKind.SQRT else level)


def fit(
    image: Float32,
    kind: StretchKind,
    limits: tuple[float, float] | str | None = None,
    pixel: int = 1,
    below: float = 2.0,
    *,
    spectra: bool = False,
) -> Stretch:
    """Return the stretch that shows ``image`` (2-D, NaN where there is nothing) well.

    ``limits`` are the values of black and white, "zscale", or None: from ``below`` sigma below the sky to the peak of
    the brightest thing (log), to most of it (asinh: its core is white), or to the brightest half per cent.
    These lie within the data.
    ``pixel`` is the size of a detector pixel in ``image``: what is narrower than two does not count as the brightest
    thing, so that hot pixels and cosmic rays do not set the scale. Most pixels of ``spectra`` may hold light, of any
    brightness: their noise is what neighbours differ by, and black is that of the darkest.
    """
    values = image[np.isfinite(image)].astype(np.float64)
    if values.size == 0:
        values = np.zeros(1)
    deep, sky, bright = np.quantile(values, (0.1587, 0.5, 0.995))
    noise, middle = float(sky - deep), sky
    if spectra:
        noise = _roughness(image, pixel)
        sky = np.quantile(values, _DARK_QUANTILE) + 2.0 * noise
    if limits == "zscale":
        low, high = zscale(values)
    elif isinstance(limits, tuple):
        low, high = limits
    elif kind in (StretchKind.ASINH, StretchKind.LOG):
        low = max(sky - below * noise, values.min())
        peak = (np.quantile(values, _BRIGHT_QUANTILE) if spectra else _peak(image, pixel, float(sky))) - sky
        high = sky + max(_WHITE_LEVEL * peak if kind is StretchKind.ASINH and not spectra else peak, 20.0 * noise)
    else:
        low, high = max(sky - below * noise, values.min()), max(bright, sky + 5.0 * noise)
    if limits is None:  # the noise is overestimated where the commonest level is not the sky, as with charge injection
        high = min(high, values.max())
    if kind is StretchKind.LOG and low < 1e-30:  # no sky worth the name: noise about zero, or the wings of a PSF
        positive = values[values > 0.0]
        faint = float(np.quantile(positive, 0.02)) if positive.size else 1.0
        high = max(high, faint)
        low = max(faint, 0.5 * noise if deep < 0.0 else 0.0, 1e-7 * high, 1e-30)
        high = max(high, low)
    least = max(1e-6 * max(abs(low), abs(high)), 1e-30)  # float32 tells no finer
    if not high - low >= least:
        low, high = low - 0.5 * least, high + 0.5 * least
    faintest = max(_LINEAR_PART * (middle - low), 1e-3 * (high - low)) if spectra else 1e-5 * (high - low)
    soft = min(max(3.0 * noise, faintest), high - low)
    return Stretch(kind, float(low), float(high), float(soft))


def zscale(values: NDArray[np.float64], contrast: float = 0.25, samples: int = 1000) -> tuple[float, float]:
    """Return the limits of IRAF's zscale: a line fitted to the sorted values, its slope divided by ``contrast``."""
    stride = int(max(1.0, values.size / samples))
    ordered = np.sort(values[::stride][:samples])
    count = ordered.size
    low, high = float(ordered[0]), float(ordered[-1])
    least, grow = max(5, int(count * 0.5)), max(1, int(count * 0.01))
    index = np.arange(count)
    good = np.ones(count, dtype=bool)
    kept, before, line = count, count + 1, np.zeros(2)
    for _ in range(5):
        if kept >= before or kept < least:
            break
        line = np.polyfit(index[good], ordered[good], 1)
        flat = ordered - np.polyval(line, index)
        far = np.abs(flat) > 2.5 * flat[good].std()
        good = ~np.convolve(far, np.ones(grow, dtype=bool), mode="same")
        kept, before = int(good.sum()), kept
    if kept >= least:
        slope = float(line[0]) / contrast if contrast > 0.0 else float(line[0])
        middle, centre = float(np.median(ordered)), (count - 1) // 2
        low, high = max(low, middle - (centre - 1) * slope), min(high, middle + (count - centre) * slope)
    return low, high


def _roughness(image: Float32, pixel: int) -> float:
    """Return the noise, from the differences of neighbours along the axis where they are less."""
    found = []
    for along in (image, image.T):
        steps = np.abs(along[pixel::pixel] - along[:-pixel:pixel])
        if np.isfinite(steps).any():
            found.append(float(np.nanmedian(steps)) / (0.6745 * math.sqrt(2.0)))
    return min(found, default=0.0)


def _peak(image: Float32, pixel: int, least: float) -> float:
    """Return the highest value that a square of 2 x 2 detector pixels reaches everywhere."""
    filled = np.where(np.isfinite(image), image, np.float32(least))
    if min(filled.shape) <= 2 * pixel:
        return float(filled.max())
    pairs = np.minimum(filled[pixel:], filled[:-pixel])
    return float(np.minimum(pairs[:, pixel:], pairs[:, :-pixel]).max())
