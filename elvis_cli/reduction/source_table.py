"""The table of the sources of a product: places, fluxes, magnitudes."""

from __future__ import annotations

from typing import Any

import numpy as np

from elvis_cli.detection import apertures
from elvis_cli.product.fits import ELECTRONS, Table
from elvis_cli.reduction.chip_image import ChipImage
from elvis_cli.reduction.combine import UNSEEN
from elvis_cli.reduction.recipe import ImageProduct

APERTURE_FWHM = 1.5
"""Radius of the aperture of fluxes, FWHM."""
NAME = "SOURCES"


def table(product: ImageProduct) -> Table:
    """Return a row for each source of 5 sigma; X, Y count from 1.

    FLUX is electron/s in an aperture of 1.5 FWHM, MAG all the light of a point source: with the aperture correction of
    the standard star, if there is one.
    """
    rows = [_rows(product, chip) for chip in product.chips]
    columns = {key: np.concatenate([each[key] for each in rows]) for key in rows[0]}
    count = len(columns["X"])
    return Table(
        NAME,
        {"NUMBER": np.arange(1, count + 1, dtype=np.int32), **columns},
        {"X": "pixel", "Y": "pixel", "RA": "deg", "DEC": "deg", "FLUX": f"{ELECTRONS}/s", "FLUX_ERR": f"{ELECTRONS}/s",
         "MAG": "mag", "MAG_ERR": "mag"},
    )  # fmt: skip


def _rows(product: ImageProduct, chip: ChipImage) -> dict[str, Any]:
    found, radius = chip.found, max(APERTURE_FWHM * chip.fwhm, 1.5)
    good = (chip.stack.dq & UNSEEN) == 0
    ring = (4.0 * radius, 6.0 * radius)
    each = apertures.measure(
        chip.stack.sci, chip.stack.err, good, found.x, found.y, radius, ring, correlation=chip.correlation.at(radius)
    )
    ra, dec = chip.grid.wcs.all_pix2world(found.x, found.y, 0) if found.x.size else (np.zeros(0), np.zeros(0))
    positive = np.where(each.flux > 0, each.flux, np.nan)
    zero = product.zero
    magnitudes = np.full(found.x.size, np.nan)
    if zero is not None:
        magnitudes = zero.vega - 2.5 * np.log10(positive) + zero.correction(radius, chip.fwhm, ring)
    return {
        "CHIP": np.full(found.x.size, product.chips.index(chip) + 1, np.int32),
        "X": found.x + 1.0,
        "Y": found.y + 1.0,
        "RA": np.asarray(ra, np.float64),
        "DEC": np.asarray(dec, np.float64),
        "FLUX": each.flux,
        "FLUX_ERR": each.error,
        "MAG": magnitudes,
        "MAG_ERR": 2.5 / np.log(10) * each.error / positive,
        "SNR": found.significance,
        "FRACTION": each.fraction,
    }
