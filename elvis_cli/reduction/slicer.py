"""Spectra of image slicers: the object fills all slices, whose light is added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.reduction import bundle, extract
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.object_place import Place
from elvis_cli.reduction.strip_pixels import Pixels


def whole_slice(strip: Strip, pixels: Pixels, sky: Floats, sky_err: Floats | float = 0.0) -> Spectrum:
    """Return the spectrum of all light of a slice: box and optimal extraction along its length.

    ``sky`` (n, m), whose error is ``sky_err`` (n,), is already subtracted from the pixels.
    """
    slit = strip.slit
    place = Place(np.full(strip.row.size, slit.offset), slit.length / 2)
    return extract.extract(strip, pixels, sky, place, slit.length / 2 + strip.scale, sky_err)


def together(slices: Sequence[Spectrum]) -> Spectrum:
    """Return the spectrum of the slices of one order: each weighted by its share of the light, and the sum of boxes."""
    optimal = bundle.together([_one(one, n, one.flux, one.err) for n, one in enumerate(slices)])
    plain = bundle.together([_one(one, n, one.box, one.box_err) for n, one in enumerate(slices)])
    return replace(optimal, box=plain.box, box_err=plain.box_err, aperture=1)


def _one(slice_: Spectrum, number: int, flux: Floats, err: Floats) -> FibreSpectrum:
    """Return a slice's spectrum with this flux as that of a fibre that overlaps with no other."""
    known = {key.name: getattr(slice_, key.name) for key in fields(Spectrum)}
    information = np.divide(1.0, np.square(err), out=np.zeros_like(err), where=err > 0)[:, None]
    own = known | {"flux": flux, "err": err, "sky_err": np.zeros_like(err)}  # slices have no sky in common
    return FibreSpectrum(**own, trace=number, information=information)
