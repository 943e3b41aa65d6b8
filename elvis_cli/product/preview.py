"""A picture of a frame: the chips at their places on the sky, East left and North up, as a PNG.

For looking at, not for measuring: pixels are averaged to the size of the picture and stretched by asinh
(Lupton et al. 1999, AJ 118, 1406) from the sky to the brightest stars.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from elvis_cli.errors import RequestError, ResourceError, UsageError

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]

_COLOURS = np.array(
    [
        (4, 6, 18),
        (27, 14, 68),
        (76, 14, 108),
        (122, 28, 109),
        (166, 45, 96),
        (208, 69, 70),
        (238, 106, 37),
        (251, 156, 9),
        (247, 210, 64),
        (252, 255, 200),
    ]
)
"""From the sky to the stars: dark blue, violet, orange, pale yellow."""
_GAP = (44, 47, 54)
_INK = (226, 228, 233)
_STRIP = 28
"""Height of the label, pixels."""
_SMALL = 320
"""Width of the narrowest picture; frames smaller than this are enlarged by a whole factor."""


@dataclass(frozen=True, slots=True)
class _Box:
    """The picture's place on the sky, arcsec from the pointing, and its scale."""

    east: float
    north: float
    """Of the upper left corner."""
    width: int
    height: int
    scale: float
    """arcsec per pixel of the picture."""


def png(source: bytes | str | os.PathLike[str], out: BinaryIO, max_size: int = 1024) -> None:
    """Write a PNG of a FITS file (its bytes, or a path) to ``out``, the sky at most ``max_size`` pixels wide and high.

    Raises
    ------
    UsageError
        ``max_size`` is below 64.
    ResourceError
        There is no such file.
    RequestError
        It is not a FITS file with a celestial image.
    """
    if max_size < 64:
        raise UsageError(f"a preview of {max_size} pixels is too small: at least 64")
    try:
        with fits.open(BytesIO(source) if isinstance(source, bytes) else source) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2 and "CD1_1" in hdu.header]
            images = [hdu for hdu in images if hdu.name != "SNR_MAP"]  # it lies on the frame
            if not images:
                raise RequestError("", "the FITS file holds no image with celestial coordinates")
            box = _box([hdu.header for hdu in images], max_size)
            canvas = np.full((box.height, box.width), np.nan, dtype=np.float32)
            for hdu in images:
                _place(canvas, box, hdu)
            words = _label(hdus[0].header)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ResourceError(f"cannot read {error.filename}: {error.strerror}") from error
    except OSError as error:
        raise RequestError("", f"not a FITS file: {error}") from error
    except (KeyError, TypeError, ValueError, fits.VerifyError) as error:
        raise RequestError("", f"a damaged FITS file: {type(error).__name__}: {error}") from error
    _draw(canvas, box.scale, words).save(out, format="PNG")


def stretch(image: Float32) -> Float32:
    """Return ``image`` on 0..1, asinh from just below the sky to the brightest 0.05 %; NaN stays NaN."""
    values = image[np.isfinite(image)]
    if values.size == 0:
        return image
    sky = float(np.median(values))
    noise = 1.4826 * float(np.median(np.abs(values - sky)))
    top = float(np.quantile(values, 0.9995))
    if noise <= 0.0:
        noise = max((top - sky) / 100.0, 1e-6 * max(abs(sky), 1e-30))
    low, soft = sky - 2.0 * noise, 4.0 * noise
    top = max(top, low + 3.0 * soft)
    level: Float32 = np.arcsinh((image - low) / soft) / math.asinh((top - low) / soft)
    return level.clip(0.0, 1.0)


def _matrix(header: fits.Header) -> Floats:
    """Return (2, 2): offset in (East, North), arcsec, of one pixel along x and y."""
    return 3600.0 * np.array([[header[f"CD{i}_{j}"] for j in (1, 2)] for i in (1, 2)], dtype=float)


def _box(headers: list[fits.Header], max_size: int) -> _Box:
    """Return the smallest picture that holds every image."""
    places = []
    for h in headers:
        x, y = (np.array([0.5, h[f"NAXIS{axis}"] + 0.5]) - h[f"CRPIX{axis}"] for axis in (1, 2))
        places.append(np.stack(np.meshgrid(x, y), axis=-1).reshape(4, 2) @ _matrix(h).T)
    corners = np.concatenate(places)
    native = math.sqrt(abs(float(np.linalg.det(_matrix(headers[0])))))
    size = corners.max(axis=0) - corners.min(axis=0)
    longest = float(size.max()) / native
    scale = native * longest / max_size if longest > max_size else native / max(1, int(_SMALL / longest))
    width, height = (max(1, round(float(length) / scale)) for length in size)
    return _Box(float(corners[:, 0].max()), float(corners[:, 1].max()), width, height, scale)


def _place(canvas: Float32, box: _Box, hdu: fits.ImageHDU) -> None:
    """Put one image on the canvas, averaged to about its scale."""
    header, matrix = hdu.header, _matrix(hdu.header)
    step = max(1, int(box.scale / math.sqrt(abs(float(np.linalg.det(matrix))))))
    step = min(step, *hdu.shape)
    ny, nx = (length // step for length in hdu.shape)
    data = np.asarray(hdu.data[: ny * step, : nx * step], dtype=np.float32)
    data = data.reshape(ny, step, nx, step).mean(axis=(1, 3))
    east = box.east - (np.arange(box.width) + 0.5) * box.scale
    north = box.north - (np.arange(box.height)[:, None] + 0.5) * box.scale
    inverse = np.linalg.inv(matrix)
    x = inverse[0, 0] * east + inverse[0, 1] * north + header["CRPIX1"] - 0.5
    y = inverse[1, 0] * east + inverse[1, 1] * north + header["CRPIX2"] - 0.5
    column, row = (np.floor(axis / step).astype(np.int64) for axis in (x, y))
    inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    canvas[inside] = data[row[inside], column[inside]]


def _label(header: fits.Header) -> str:
    """Return what was observed, how, for how long."""
    filters = [str(value) for key, value in header.items() if key.startswith("ESO INS FILT") and key.endswith("NAME")]
    words = [
        header.get("INSTRUME"),
        header.get("OBJECT"),
        " ".join(dict.fromkeys(filters)),
        f"{header.get('ESO DET NDIT', 1)} x {header.get('ESO DET DIT', header.get('EXPTIME', 0)):g} s",
    ]
    if header.get("SIMULATED"):
        words.append("simulated")
    return "  |  ".join(str(word) for word in words if word)


def _draw(canvas: Float32, scale: float, words: str) -> Image.Image:
    """Return the coloured canvas above its label and a scale bar."""
    height, width = canvas.shape
    anchors = np.linspace(0.0, 255.0, len(_COLOURS))
    colours = np.stack([np.interp(np.arange(256), anchors, _COLOURS[:, i]) for i in range(3)], axis=1)
    level = stretch(canvas)
    empty = np.isnan(level)
    rgb = colours[(np.where(empty, 0.0, level) * 255.0 + 0.5).astype(np.uint8)]
    rgb[empty] = _GAP
    picture = Image.new("RGB", (max(width, _SMALL), height + _STRIP), _GAP)
    picture.paste(Image.fromarray(rgb.round().astype(np.uint8)), ((picture.width - width) // 2, 0))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    middle = height + _STRIP // 2
    length, text = _scale_bar(width * scale / 6.0)
    bar = max(2, round(length / scale))
    right = picture.width - 10
    draw.line([(right - bar, middle + 7), (right, middle + 7)], fill=_INK, width=2)
    draw.text((right, middle - 4), text, fill=_INK, font=font, anchor="rm")
    space = right - max(bar, int(draw.textlength(text, font=font))) - 30
    while words and draw.textlength(words, font=font) > space:
        words = words[:-1]
    draw.text((10, middle), words, fill=_INK, font=font, anchor="lm")
    return picture


def _scale_bar(longest: float) -> tuple[float, str]:
    """Return the longest 1, 2 or 5 times a power of ten not above ``longest`` (arcsec), and its name."""
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(factor * power for factor in (1.0, 2.0, 5.0) if factor * power <= longest * 1.000001)
    if length >= 60.0:
        return length, f"{length / 60.0:g} arcmin"
    return length, f"{length:g} arcsec" if length >= 0.1 else f"{length * 1000.0:g} mas"
