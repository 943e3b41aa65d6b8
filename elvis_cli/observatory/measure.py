"""A source measured on an image, as `elvis photom` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.detection import image_file, photometry
from elvis_cli.detection.image_file import MeasuredImage
from elvis_cli.observatory.lightcurve import MAG_PER_RELATIVE_FLUX, ZERO_POINT
from elvis_cli.observatory.source import Source

MIN_GOOD = 0.9
"""Part of the pixels about a source that must be good, else the epoch is flagged."""


def measure(file: bytes, source: Source, radius: float | None = None) -> dict[str, Any] | None:
    """Return the epoch of a source on a FITS file; None if it is on none of its images."""
    for image in image_file.read(file):
        if image.wcs is None:
            continue
        x, y = image.wcs.all_world2pix([source.ra], [source.dec], 0)
        ny, nx = image.sci.shape
        if 0 <= x[0] <= nx - 1 and 0 <= y[0] <= ny - 1:
            return epoch(image, np.array([[x[0], y[0]]]), radius)
    return None


def epoch(
    image: MeasuredImage,
    place: NDArray[np.float64],
    radius: float | None = None,
    ring: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Return a row of photometry of one place (pixels from 0, (1, 2)).

    ``ring`` is where the sky is taken, inner and outer radius (pixels).

    Fluxes are microjansky where the image has a zero point, else in its unit.
    """
    head = image.primary
    begin = float(head.get("MJD-OBS", np.nan))
    exptime = float(head.get("EXPTIME", np.nan))
    end = float(head.get("MJD-END", begin + (exptime if np.isfinite(exptime) else 0.0) / 86400.0))
    columns = photometry.measure(image, place, radius, ring=ring)
    zero = image.zero if image.zero is not None else ZERO_POINT
    if image.zero is not None and columns["FLUX"][0] > 0.0:  # with the light outside the aperture, if that is known
        zero = float(columns["MAG"][0] + 2.5 * np.log10(columns["FLUX"][0]))
    scale = 10.0 ** (-0.4 * (zero - ZERO_POINT))
    flux, error = float(columns["FLUX"][0]) * scale, float(columns["FLUX_ERR"][0]) * scale
    x, y = (round(float(value)) for value in place[0])
    reach = max(2, round(1.5 * image.fwhm))
    near = image.good[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
    positive = flux if flux > 0 else np.nan
    return {
        "mjd": (begin + end) / 2.0,
        "exptime": exptime,
        "flux": flux,
        "fluxerr": error,
        "mag": ZERO_POINT - 2.5 * np.log10(positive),
        "magerr": MAG_PER_RELATIVE_FLUX * error / positive,
        "filter": str(head.get("FILTER", "")),
        "flag": int(near.size == 0 or near.mean() < MIN_GOOD),
        "ra": float(columns["RA"][0]) if "RA" in columns else np.nan,
        "dec": float(columns["DEC"][0]) if "DEC" in columns else np.nan,
    }


def table_of(rows: Sequence[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Return rows as columns, sorted by time."""
    ordered = sorted(rows, key=lambda row: row["mjd"])
    if not ordered:
        return {}
    return {key: np.array([row[key] for row in ordered], np.int32 if key == "flag" else None) for key in ordered[0]}
