"""Calibrations of a setting, made once, and the photometry of an epoch: by the code of `elvis reduce` and `photom`."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.detection.image_file import MeasuredImage
from elvis_cli.errors import ResourceError
from elvis_cli.observatory.lightcurve import ZERO_POINT
from elvis_cli.observatory.measure import epoch
from elvis_cli.observatory.source import Source

MAGNITUDE = 16.0
"""Of the target of the calibrations; it matters to nothing but the number of exposures."""
STANDARD_FRAMES = 5
STANDARD_LEVEL = 0.3
"""Brightest pixel of the standard stars of the zero point, of the level at which pixels saturate."""
MAX_PEAK = 3e4
"""Electrons of that pixel, if the detector never saturates."""
APERTURE_FWHM = 1.0
RING_FWHM = 2.5, 4.0
"""Where the sky about a source is taken."""
STAMP = "stamp"
SHAPE_SIGMA = 5.0
MIN_EPOCHS = 5
Stamp = tuple[NDArray[np.float32], NDArray[np.float32]]
MIN_RING = 3.0
"""Pixels between the radii of the ring."""


@dataclass(frozen=True, eq=False)
class NightCalibration:
    """Masters of the chip, image quality and zero point of a setting in one weather."""

    chip: str
    masters: Any
    fwhm: float
    """Pixels."""
    size: int
    """Side of the window, pixels."""
    files: Any
    """`associate.FileSet` of the exposure of the standard star and its calibrations."""
    dithered: bool = False
    zero: float = 0.0
    """Magnitude of a star of which the aperture, less the sky of the ring, has 1 electron/s."""

    @property
    def radii(self) -> tuple[float, float, float]:
        """Radius of the aperture and of the ring of sky, pixels, within the window."""
        fwhm, most = self.fwhm, self.size / 2.0 - 3.0
        outer = min(RING_FWHM[1] * fwhm, most)
        inner = min(RING_FWHM[0] * fwhm, outer - MIN_RING)
        return max(min(APERTURE_FWHM * fwhm, inner - 1.0), 1.5), inner, outer


def isotime(mjd: float) -> str:
    """Return a time as ISO 8601, milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=round(mjd * 86_400_000))
    return moment.isoformat(timespec="milliseconds")


@lru_cache(maxsize=32)
def calibrate(document: str, date: str, seed: int, dithered: bool = False) -> NightCalibration:
    """Return the calibration of a request, as JSON without a magnitude, place and date, taken on ``date``.

    Biases or darks, flats, linearity and a standard star are rendered and reduced as `elvis reduce` does. The zero
    point then is that of stars of the target's spectrum in the aperture and on the pixels of the target: neither
    colours, nor the part of the light outside, nor the flat's noise are left in it.

    Raises
    ------
    ResourceError
        The standard star gives no zero point.
    """
    from elvis_cli.reduction import associate, master, raw, recipe, requests
    from elvis_cli.reduction.image_options import ImageOptions
    from elvis_cli.request import parse

    base = json.loads(document)
    base["target"]["brightness"]["mag"] = MAGNITUDE
    base["elvis"] |= {"date": date, "seed": seed, "pointing": {"ra": PLACE.ra, "dec": PLACE.dec}}
    documents = requests.documents(parse.read(json.dumps(base)))
    (files, *_) = associate.associate(raw.open_all(list(requests.render(documents))))
    (chip,) = files.science[0].chips
    product = recipe.reduce(files, ImageOptions(allow_missing=True))
    if product.zero is None:
        raise ResourceError(f"the standard star gives no zero point: {'; '.join(product.notes)}")
    masters = master.make(chip, files, files.science[0].read(chip)[1])
    size = int(base["elvis"]["window"]["nx"])
    night = NightCalibration(chip, masters, product.zero.fwhm, size, files, dithered)
    most = STANDARD_LEVEL * product.chips[0].treatment.saturation
    if not math.isfinite(most):
        most = MAX_PEAK / files.science[0].dit
    mag = round(product.zero.vega - 2.5 * math.log10(most / product.zero.brightest), 2)
    base["target"]["brightness"]["mag"] = mag
    stars = []
    for n in range(STANDARD_FRAMES):
        base["elvis"] |= {"seed": seed + 1 + n, "date": isotime(_mjd(date) + (n + 1) / 24.0)}
        (file,) = requests.render([base])
        stars.append(reduce_epoch(file, PLACE, night, "")["mag"])
    return replace(night, zero=mag - float(np.median(stars)))


PLACE = Source("STANDARD", 150.0, -25.0)
_EPOCH = datetime(1858, 11, 17)


def _mjd(date: str) -> float:
    return (datetime.fromisoformat(date) - _EPOCH) / timedelta(days=1)


def reduce_epoch(file: bytes, source: Source, night: NightCalibration, band: str) -> dict[str, Any]:
    """Return the photometry of a source on a raw frame, as a row of a table."""
    from elvis_cli.reduction import calibrate as reduction
    from elvis_cli.reduction import cosmics, raw, sky

    (one,) = raw.open_all([file])
    frame = reduction.calibrate(one, night.chip, night.masters)
    own = frame.var.copy()
    sky.subtract([frame], [sky.objects(frame)], night.masters.flat_var)
    if not night.dithered:  # always the same pixels: what the flat leaves there does not scatter from epoch to epoch
        frame.var = own
    cosmics.flag_single(frame)
    header, primary = frame.header, one.header.copy()
    header["MAGZPT"] = night.zero
    header["HIERARCH ESO QC FWHM"] = night.fwhm
    good = frame.good
    sci = np.where(good, frame.sci, np.float32(0.0))
    image = MeasuredImage(night.chip, sci, np.sqrt(frame.var), good, header, primary)
    x, y = image.wcs.all_world2pix([source.ra], [source.dec], 0)
    radius, *ring = night.radii
    row = {**epoch(image, np.array([[x[0], y[0]]]), radius, (ring[0], ring[1])), "filter": band}
    row[STAMP] = _stamp(image, float(x[0]), float(y[0]), radius)
    if not night.dithered:
        error = _error(image, float(x[0]), float(y[0]), radius, (ring[0], ring[1]))
        row["magerr"] *= error * 10.0 ** (-0.4 * (night.zero - ZERO_POINT)) / row["fluxerr"]
        row["fluxerr"] = error * 10.0 ** (-0.4 * (night.zero - ZERO_POINT))
    return row


def product_of(file: bytes, night: NightCalibration) -> bytes:
    """Return the product of a raw frame alone, as `elvis reduce` makes it with the calibrations of the night."""
    from elvis_cli.reduction import product_file, raw, recipe
    from elvis_cli.reduction.image_options import ImageOptions

    own = replace(night.files, science=raw.open_all([file]))
    out = io.BytesIO()
    product_file.write_image(recipe.reduce(own, ImageOptions(allow_missing=True)), out)
    return out.getvalue()


def _stamp(image: MeasuredImage, x: float, y: float, radius: float) -> Stamp:
    """Return the pixels about a source and their errors."""
    reach, i, j = math.ceil(radius), round(x), round(y)
    part = (slice(max(j - reach, 0), j + reach + 1), slice(max(i - reach, 0), i + reach + 1))
    return image.sci[part].copy(), image.err[part].copy()


def flag_by_shape(rows: Sequence[dict[str, Any]]) -> None:
    """Flag epochs with a pixel that is not of the source's image, in place: cosmic rays; take the images away.

    A pixel is not if it is 5 sigma above the median image of all epochs, which the sky's level and the flux scale.
    Below five epochs nothing is told apart.
    """
    stamps: list[Stamp] = [row.pop(STAMP) for row in rows]
    shapes = {sci.shape for sci, _ in stamps}
    if len(rows) < MIN_EPOCHS or len(shapes) > 1:
        return
    flux = np.array([max(row["flux"], 0.0) for row in rows])
    sci, err = (np.stack([stamp[n] for stamp in stamps]) for n in (0, 1))
    typical = float(np.median(flux)) or 1.0
    middle = np.median(sci, axis=0)
    residual = sci - middle * (flux / typical)[:, None, None]
    residual -= np.median(residual, axis=(1, 2), keepdims=True)
    for row, one, sigma in zip(rows, residual, err, strict=True):
        row["flag"] = int(row["flag"] or bool((one > SHAPE_SIGMA * sigma).any()))


def _error(image: MeasuredImage, x: float, y: float, radius: float, ring: tuple[float, float]) -> float:
    """Return the error of an aperture above the sky of a ring, from the errors of the pixels alone."""
    rows, columns = np.indices(image.sci.shape)
    distance = np.hypot(columns - x, rows - y)
    area = np.pi * radius**2
    var = np.square(image.err.astype(np.float64))
    inside = var[(distance <= radius) & image.good]
    around = var[(distance >= ring[0]) & (distance < ring[1]) & image.good]
    own = inside.mean() * area if inside.size else 0.0
    return float(np.sqrt(own + (area**2 * around.mean() / around.size if around.size else 0.0)))
