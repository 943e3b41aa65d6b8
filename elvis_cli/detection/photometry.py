"""Sources, completeness, injected stars and light curves of images, as columns of tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.detection import apertures, sources
from elvis_cli.detection.image_file import MeasuredImage
from elvis_cli.errors import RequestError, ResourceError

UNITS = {"X": "pixel", "Y": "pixel", "RA": "deg", "DEC": "deg", "MAG": "mag", "MAG_ERR": "mag", "MJD": "d"}
APERTURE_FWHM = 1.5
STAMP_FWHM = 12.0
"""Half the side of the stamp of a PSF, FWHM."""


def detect(image: MeasuredImage, threshold: float = 5.0, radius: float | None = None) -> dict[str, Any]:
    """Return the columns of the sources of an image; X, Y from 1; FLUX in a circle of ``radius`` pixels (1.5 FWHM)."""
    found = sources.find(image.sci, image.err, image.good, image.fwhm, threshold, image.correlation)
    columns = measure(image, np.stack([found.x, found.y], axis=1), radius)
    return {"NUMBER": np.arange(1, found.x.size + 1), **columns, "SNR": found.significance}


def measure(
    image: MeasuredImage,
    places: Floats,
    radius: float | None = None,
    psf: bool = False,
    ring: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Return aperture photometry at places (pixels from 0, (n, 2)), or by a fit of the PSF of the image's stars.

    The sky of apertures is taken in ``ring`` (inner, outer radius, pixels), by default 4 to 6 radii. MAG is that of all
    the light of a point source where the header has a curve of growth, else that of FLUX.
    """
    r = radius or max(APERTURE_FWHM * image.fwhm, 1.5)
    ring = ring or (4 * r, 6 * r)
    factor = image.correlation.at(r if not psf else image.fwhm)
    x, y = np.asarray(places[:, 0], float), np.asarray(places[:, 1], float)
    if psf:
        flux, error, x, y = fit_psf(image, x, y)
        error = error * factor
    else:
        each = apertures.measure(image.sci, image.err, image.good, x, y, r, ring, correlation=factor)
        flux, error = each.flux, each.error
    growth = image.growth
    correction = growth.correction(r, ring) if growth is not None and not psf else 0.0
    columns: dict[str, Any] = {"X": x + 1.0, "Y": y + 1.0}
    if image.wcs is not None:
        ra, dec = image.wcs.all_pix2world(x, y, 0) if x.size else (np.zeros(0), np.zeros(0))
        columns |= {"RA": np.asarray(ra), "DEC": np.asarray(dec)}
    columns |= {"FLUX": flux, "FLUX_ERR": error}
    if image.zero is not None:
        positive = np.where(flux > 0, flux, np.nan)
        columns |= {
            "MAG": image.zero - 2.5 * np.log10(positive) + correction,
            "MAG_ERR": 2.5 / np.log(10) * error / positive,
        }
    return columns


def empirical_psf(image: MeasuredImage) -> Image:
    """Return the PSF of the image's bright, lone stars: a stamp of odd side, centred.

    Its light within 1.5 FWHM is that of the header's curve of growth, so that a star of flux 1 has the flux that the
    zero point belongs to: behind adaptive optics much of it is outside of the stamp. Without a curve its sum is 1.

    Raises
    ------
    ResourceError
        There is no star of 50 sigma whose stamp is in the image.
    """
    from scipy.ndimage import shift

    found = sources.find(image.sci, image.err, image.good, image.fwhm, 50.0)
    half = max(round(STAMP_FWHM * image.fwhm / 2), 5)
    stamps: list[Floats] = []
    places = np.stack([found.x, found.y], axis=1)
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) if len(places) < 2000 else np.zeros((0, 0))
    lone = int(np.sum(np.sum(apart < 1.5 * half, axis=1) == 1))  # without any, the brightest has to do
    for x, y in zip(found.x, found.y, strict=True):
        i, j = round(float(x)), round(float(y))
        near = np.hypot(found.x - x, found.y - y)
        part = (slice(j - half, j + half + 1), slice(i - half, i + half + 1))
        alone = np.sum(near < 1.5 * half) == 1 or lone == 0
        if (
            j < half
            or i < half
            or not alone
            or image.sci[part].shape != (2 * half + 1,) * 2
            or not image.good[part].all()
        ):
            continue
        stamp = shift(image.sci[part].astype(float), (j - y, i - x), order=3, mode="nearest")
        edge = np.concatenate([stamp[0], stamp[-1], stamp[:, 0], stamp[:, -1]])
        stamp -= np.median(edge)
        stamps.append(stamp / stamp.sum())
        if len(stamps) == 10:
            break
    if not stamps:
        raise ResourceError("no star of 50 sigma, alone and away from the border, to take the PSF from")
    middle = np.median(stamps, axis=0)
    psf: Image = np.asarray(middle / middle.sum(), np.float32)
    if image.growth is None:
        return psf
    radius, centre = APERTURE_FWHM * image.fwhm, np.array([float(half)])
    inside = apertures.measure(psf, np.zeros_like(psf), np.ones(psf.shape, np.bool_), centre, centre, radius).flux[0]
    return np.asarray(psf * (image.growth.at(radius) / inside), np.float32)


def fit_psf(image: MeasuredImage, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return flux, its error, x and y of stars, fitted with the image's own PSF in groups of neighbours (photutils)."""
    import warnings

    from astropy.table import Table
    from photutils.psf import ImagePSF, PSFPhotometry, SourceGrouper

    psf = empirical_psf(image)
    model = ImagePSF(psf)
    size = 2 * max(round(1.5 * image.fwhm), 2) + 1
    start = apertures.measure(image.sci, image.err, image.good, x, y, max(image.fwhm, 1.5)).flux
    table = Table({"x": x, "y": y, "flux": np.maximum(start, 1e-3)})
    fit = PSFPhotometry(
        model, (size, size), grouper=SourceGrouper(1.5 * image.fwhm), aperture_radius=max(image.fwhm, 1.5)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fit(
            image.sci.astype(float),
            mask=~image.good,
            error=np.maximum(image.err, 1e-30).astype(float),
            init_params=table,
        )
    result.sort("id")
    return tuple(np.asarray(result[name], float) for name in ("flux_fit", "flux_err", "x_fit", "y_fit"))  # type: ignore[return-value]


def add_stars(sci: Image, psf: Image, x: Floats, y: Floats, flux: Floats) -> Image:
    """Return an image with stars of ``flux`` added at x, y (pixels from 0): the PSF shifted by cubic interpolation."""
    from scipy.ndimage import shift

    out, half = sci.copy(), psf.shape[0] // 2
    ny, nx = sci.shape
    for cx, cy, total in zip(x, y, flux, strict=True):
        i, j = round(float(cx)), round(float(cy))
        stamp = total * shift(psf.astype(float), (cy - j, cx - i), order=3)
        y0, y1, x0, x1 = max(j - half, 0), min(j + half + 1, ny), max(i - half, 0), min(i + half + 1, nx)
        if y0 < y1 and x0 < x1:
            out[y0:y1, x0:x1] += stamp[y0 - j + half : y1 - j + half, x0 - i + half : x1 - i + half]
    return out


def random_places(image: MeasuredImage, count: int, seed: int) -> Floats:
    """Return ``count`` places (pixels from 0, (n, 2)) on good pixels, 5 FWHM from the border and from each other.

    Fewer where there is no room.

    Raises
    ------
    RequestError
        The image is smaller than the borders.
    """
    random, margin = np.random.default_rng(seed), 5.0 * image.fwhm
    ny, nx = image.sci.shape
    if min(nx, ny) <= 2.0 * margin + 1.0:
        raise RequestError(
            "", f"the image has {nx} x {ny} pixels: too few for stars of a FWHM of {image.fwhm:g} pixels"
        )
    places = np.empty((0, 2))
    for _ in range(50 * count):
        x, y = random.uniform(margin, nx - 1 - margin), random.uniform(margin, ny - 1 - margin)
        part = image.good[int(y - margin) : int(y + margin) + 1, int(x - margin) : int(x + margin) + 1]
        if part.all() and np.all(np.hypot(*(places - (x, y)).T) > margin):
            places = np.append(places, [(x, y)], axis=0)
        if len(places) == count:
            break
    return places


def recovered(found: Floats, places: Floats, reach: float) -> Any:
    """Return which places (n, 2) have a source of ``found`` (m, 2) within ``reach`` pixels: (n,) of bool.

    What has no place (NaN) has no source.
    """
    from scipy.spatial import cKDTree

    result, known = np.zeros(len(places), bool), np.isfinite(places).all(axis=1)
    if len(found) and known.any():
        result[known] = cKDTree(found).query(places[known])[0] < reach
    return result


def completeness(image: MeasuredImage, flux: float, count: int, seed: int, threshold: float = 5.0) -> float:
    """Return the fraction of stars of ``flux`` (image units, all light) at random places that are found again."""
    psf = empirical_psf(image)
    places = random_places(image, count, seed)
    sci = add_stars(image.sci, psf, places[:, 0], places[:, 1], np.full(len(places), flux))
    found = sources.find(sci, image.err, image.good, image.fwhm, threshold, image.correlation)
    return float(np.mean(recovered(np.stack([found.x, found.y], axis=1), places, image.fwhm)))
