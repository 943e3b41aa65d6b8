"""The sky of fibres: what those see that have no object, times each fibre's light of the lamp."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.slit_sky import spline

FAINT = 0.1
"""Part of a bundle's fibres that tells the level of the sky first."""
SAME = 0.05
"""Relative difference of fibres that see the same sky."""
CALM = 101
"""Pixels over which the sky between lines is the same, where few fibres see it."""
LINE = 4.0
"""Sigma above that level of a pixel of a line."""
WINGS = 4
"""Pixels to either side that belong to it."""
ENOUGH = 3
"""Fibres from which the sky is one curve through all of them."""
SHARP = 0.5
"""Of the light that a line has at least in the pixels beside its brightest: with less it is a cosmic ray."""


def subtract(fibres: Sequence[FibreSpectrum], seen: Sequence[str], line_width: float) -> str:
    """Subtract the sky of the sky fibres from the spectra of one order, in place; return how, "" if there are none.

    ``line_width`` is the FWHM of a line, pixels.
    """
    seeing = [one for one in fibres if not one.bad.all()]
    sky = [one for one in seeing if seen[one.aperture - 1] == "sky"]
    either = [one for one in seeing if seen[one.aperture - 1] == "either"]
    if not sky and len(either) > 2 * ENOUGH:
        sky = _faintest(either)
    if not sky:
        return ""
    reference = sky[len(sky) // 2]
    grid = np.sort(reference.wave)

    def scale(one: FibreSpectrum) -> Floats:
        """Return the flux (n,) for a density of 1, which all fibres have in common."""
        assert one.blaze is not None
        return one.width * np.maximum(one.blaze / one.width, 1e-6 * float(np.max(one.blaze / one.width)))

    at, value, var, bad = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (np.interp(one.wave, grid, np.arange(grid.size)), one.flux / scale(one),
                 np.square(one.err / scale(one)), one.bad)
                for one in sky
            ), strict=True,
        )
    )  # fmt: skip
    several = len(sky) >= ENOUGH
    if several:
        curve, error = spline(at, value, var, ~bad)
    else:
        order = np.argsort(at, kind="stable")
        at, value, var = at[order], *_calm(value[order], var[order], line_width)
    for one in fibres:
        place, factor = np.interp(one.wave, grid, np.arange(grid.size)), scale(one)
        if several:
            level, noise = curve(place), error(place)
        else:
            level, noise = np.interp(place, at, value), np.sqrt(np.interp(place, at, var))
        one.sky = level * factor
        one.flux = one.flux - one.sky
        one.sky_err = one.box_sky_err = noise * factor
        one.err = np.hypot(one.err, one.sky_err)
        one.box, one.box_err = one.flux, one.err
    return f"{len(sky)} fibres"


def _calm(value: Floats, var: Floats, line_width: float) -> tuple[Floats, Floats]:
    """Return the sky of few fibres and its variance, (n,): a running median but for the lines that stand out of it.

    The noise of one sky fibre would be as large as that of the object's. Cosmic rays are no lines.
    """
    from scipy.ndimage import maximum_filter1d, median_filter

    level = median_filter(value, CALM, mode="reflect")
    bright = (value - level > LINE * np.sqrt(var)) & ~_rays(value - level, np.sqrt(var), line_width)
    line = maximum_filter1d(bright.astype(np.uint8), 2 * WINGS + 1) > 0
    return np.where(line, value, level), np.where(line, var, var * np.pi / 2 / CALM)


def _rays(excess: Floats, noise: Floats, line_width: float) -> NDArray[np.bool_]:
    """Return which pixels (n,) are peaks that are sharper than a line, with the pixels beside them.

    A line's light falls to no less than exp(-8 ln 2 / width^2) from its brightest pixel to the next.
    """
    least = SHARP * math.exp(-8.0 * math.log(2.0) / line_width**2)
    padded, errors = np.pad(excess, 1), np.pad(noise, 1, "edge")
    faint = np.minimum(padded[:-2], padded[2:])
    peak = (excess >= np.maximum(padded[:-2], padded[2:])) & (excess > LINE * noise)
    sharp = peak & (least * excess - faint > LINE * np.hypot(least * noise, np.maximum(errors[:-2], errors[2:])))
    return np.asarray(np.convolve(sharp, np.ones(3), "same") > 0)


def _faintest(fibres: Sequence[FibreSpectrum]) -> list[FibreSpectrum]:
    """Return the fibres that see the sky alone: as bright as the faintest, relative to the lamp."""
    lamps = [np.ones_like(one.flux) if one.blaze is None else np.maximum(one.blaze, 1e-30) for one in fibres]
    ratio = np.array([float(np.median(one.flux / lamp)) for one, lamp in zip(fibres, lamps, strict=True)])
    noise = np.array([float(np.median(one.err / lamp)) for one, lamp in zip(fibres, lamps, strict=True)])
    noise = noise / np.sqrt([one.flux.size for one in fibres])
    level = float(np.median(np.sort(ratio)[: max(math.ceil(FAINT * ratio.size), ENOUGH)]))
    for _ in range(10):  # from the faintest, which noise made so, to the middle of all that are alike
        alike = np.abs(ratio - level) <= 5 * noise + SAME * abs(level)
        level = float(np.median(ratio[alike]))
    return [one for one, same in zip(fibres, alike, strict=True) if same]
