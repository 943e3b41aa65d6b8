"""Spectra of fibres on the planes of a cube, all orders at once: counts over the efficiencies that the flat tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import voxels
from elvis_cli.kernels.fibre_extraction import BAND
from elvis_cli.reduction import merge
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.cube import LEAST_COVERED
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.frame import NO_DATA, Flags


@dataclass(slots=True, eq=False)
class FibrePlanes:
    """Light of the fibres of a bundle on the planes of a cube, relative to that of a mean fibre: (fibres, planes)."""

    sci: Floats
    square: Floats
    """Variance of a plane."""
    shared: Floats
    """Part that a plane adds to the variance of a sum of many planes."""
    sky_err: Floats
    """Error of the sky, which all fibres share."""
    correlation: Floats
    """Coefficients (neighbours, fibres, planes) of errors with those of the next fibres in the slit."""
    good: NDArray[np.bool_]
    flags: Flags
    """Of the pixels that are missing in a plane."""


def efficiencies(found: Sequence[FibreSpectrum]) -> list[Floats]:
    """Return the efficiency (n,) of each spectrum's pixels, by the flat: its fibre's and, of several orders, the blaze.

    A mean fibre has 1 where each order is brightest. It is NaN where the flat does not light a fibre.
    """
    if any(one.blaze is None for one in found):
        return [np.ones_like(one.flux) for one in found]
    lamps = [np.asarray(one.blaze / one.width) for one in found]  # type: ignore[operator]
    groups = [[n for n, one in enumerate(found) if one.order == order] for order in {one.order for one in found}]
    means, levels = [], np.full(len(found), math.nan)
    for own in groups:
        main = max(own, key=lambda n: np.count_nonzero(lamps[n]))
        relative = [_ratio(found[n], lamps[n], found[main], lamps[main]) for n in own]
        mean = float(np.nanmean(relative))
        levels[own] = np.divide(relative, mean)
        means.append(replace(found[main], blaze=mean * np.asarray(found[main].blaze)))
    made: list[Floats] = [np.full(one.flux.shape, level) for one, level in zip(found, levels, strict=True)]
    if len(groups) > 1:  # one envelope for all fibres, of which a window may cut each at another wavelength
        for own, mean_, factor in zip(groups, means, merge.blaze_factors(means), strict=True):
            assert factor is not None
            assert mean_.blaze is not None
            order = np.argsort(mean_.wave)
            envelope = (factor * mean_.blaze / mean_.width)[order]
            for n in own:
                made[n] = lamps[n] / np.interp(found[n].wave, mean_.wave[order], envelope)
    return [np.where(lamp > merge.FAINT * lamp.max(), each, math.nan) for each, lamp in zip(made, lamps, strict=True)]


def _ratio(one: FibreSpectrum, lamp: Floats, main: FibreSpectrum, reference: Floats) -> float:
    """Return the lamp's light in a fibre over that in another, where both see the same wavelengths, else NaN."""
    order = np.argsort(main.wave)
    known = np.interp(one.wave, main.wave[order], reference[order], left=0.0, right=0.0)
    lit = (known > merge.FAINT * reference.max()) & (lamp > 0)
    return float(np.median(lamp[lit] / known[lit])) if lit.any() else math.nan


def spread(
    grid: CubeGrid, apertures: Sequence[int], found: Sequence[FibreSpectrum], efficiencies: Sequence[Floats]
) -> FibrePlanes:
    """Return the light of some fibres on the planes of a grid: the counts of all orders over their efficiencies."""
    total, weight, square, shared, efficiency, common = np.zeros((6, len(apertures), grid.shape[0]))
    correlation = np.zeros((BAND, len(apertures), grid.shape[0]))
    missing = np.zeros((len(apertures), grid.shape[0]), np.uint32)
    for one, light in zip(found, efficiencies, strict=True):
        lit = np.isfinite(light)
        if one.aperture not in apertures or not lit.any():
            continue
        n, thick = apertures.index(one.aperture), one.width / grid.step[0]
        boxes = np.full((one.wave.size, 6), 0.5, np.float32)
        boxes[:, 0], boxes[:, 1:3], boxes[:, 3] = (one.wave - grid.first[0]) / grid.step[0], 0.0, thick / 2
        var = np.maximum(np.square(one.err) - np.square(one.sky_err), 0.0) / np.square(thick)
        known = one.flags if one.flags.size else np.zeros(one.wave.size, np.uint32)
        flags = np.where(one.bad | ~lit, np.where(one.bad & (known > 0), known, NO_DATA), 0).astype(np.uint32)
        sums = [np.zeros((grid.shape[0], 1, 1), np.float32) for _ in range(4)]
        values = (one.flux / thick).astype(np.float32), var.astype(np.float32), flags
        reasons = np.zeros(sums[0].shape, np.uint32)
        voxels.deposit(boxes, *values, 1.0, *sums, reasons, 0, grid.shape[0])
        missing[n] |= reasons[:, 0, 0]
        own, covered, own_square, own_shared = (part[:, 0, 0] for part in sums)
        order = np.flatnonzero(lit)[np.argsort(one.wave[lit])]

        def at(each: Floats, wave: Floats = one.wave[order], order: NDArray[np.int64] = order) -> Floats:
            return np.interp(grid.wave, wave, each[order])

        total[n] += own
        weight[n] += covered
        square[n] += own_square
        shared[n] += own_shared * at(one.joint)
        efficiency[n] += covered * at(light)
        common[n] += covered * at(one.sky_err / thick)
        for step, each in enumerate(one.correlation.T):
            correlation[step, n] += own_square * at(each)
    correlation /= np.where(square > 0, square, np.inf)
    good = (weight > LEAST_COVERED) & (efficiency > merge.FAINT)
    safe = np.where(good, efficiency, np.inf)
    return FibrePlanes(total / safe, square / safe**2, shared / safe**2, common / safe, correlation, good, missing)
