"""Products of every imaging mode against the noiseless frame: light, errors, places, magnitudes, keywords.

``make closure`` runs it (some minutes); each row is printed. The request of a mode has 16 stars in a window of
256 x 256 pixels; `elvis --product reduced` renders dithers, standard and calibrations, and reduces them.
"""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.detection import apertures, image_file, photometry, sources
from elvis_cli.focalplane.geometry import field_to_pixel, nearest_chip, pixel_to_field
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, product_file, raw, recipe, sdp, sky
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.grid import wcs_of
from elvis_cli.reduction.image_options import ImageOptions
from elvis_cli.reduction.requests import documents, render
from elvis_cli.request import parse

pytestmark = pytest.mark.skipif(not os.environ.get("ELVIS_CLOSURE"), reason="make closure")
SIZE = 256
WIDE = 3 * SIZE
"""Window of modes without adaptive optics on its fine pixels: a FWHM of 45 pixels."""
STARS = 16
MIN_PLACES = 40
"""Free of stars and haloes, from which on completeness is asked for."""
BRIGHT = 5
NIGHTS = int(os.environ.get("ELVIS_CLOSURE_NIGHTS", "8"))
"""Draws of the noise of the science exposures: 128 pulls, whose rms is known to 0.06."""
DRAWS = 16
"""Of the noise in the sky of the noiseless frame."""
PULL = 0.15
"""That the rms of the pulls may differ from 1: 0.1, and its own error."""
MODES = {
    "micado img_4mas_scao": (19.0, 0.0),
    "micado img_4mas_mcao": (20.0, 0.0),
    "micado img_1.5mas_scao": (19.0, 180.0),
    "micado img_1.5mas_mcao": (19.0, 0.0),
    "hawki img_noao": (15.5, 20.0),
    "hawki img_glao": (15.5, 180.0),
    "metis img_lm_scao": (13.0, 20.0),
    "metis img_n_scao": (7.0, 0.0),
    "eris img_noao": (11.5, 0.0),
    "eris img_ngs": (15.0, 20.0),
    "eris img_lgs": (15.0, 0.0),
    "fors img_nopol": (19.5, 180.0),
    "euclid-vis img_long": (20.0, 20.0),
    "euclid-vis img_short": (18.0, 0.0),
}
"""By mode: magnitude of the brightest star, position angle (deg)."""


def document(imager: str, mag: float, angle: float) -> dict[str, Any]:
    """Return the request of a mode: 16 stars, each 0.15 mag fainter than the one before it."""
    instrument, mode = imager.split()
    size, stars = (WIDE, 4) if imager == "eris img_noao" else (SIZE, STARS)
    made = registry.load(instrument).example(mode)
    setup = pipeline.configure(parse.read(json.dumps(made)))
    chip = nearest_chip(setup, 0.0, 0.0)
    middle = field_to_pixel(setup, chip, 0.0, 0.0)
    limits = setup.detector.nx - size, setup.detector.ny - size
    corner = [min(max(round(at) - size // 2, 0), limit) for at, limit in zip(middle, limits, strict=True)]
    side = round(stars**0.5)
    line = size / 2 + size * np.linspace(-0.32, 0.32, side) * (1.0 if side > 2 else 0.6)
    x, y = (axis.ravel() + np.random.default_rng(5).uniform(-3, 3, stars) for axis in np.meshgrid(line, line))
    fx, fy = pixel_to_field(setup, chip, x + corner[0], y + corner[1])
    made["output"] = {}
    time, count = made["timesnr"]
    made["timesnr"] = {time: made["timesnr"][time], count: max(int(made["timesnr"][count]), 10)}
    made["elvis"] = {
        "window": {"x0": corner[0], "y0": corner[1], "nx": size, "ny": size},
        "chips": [chip.id],
        "pointing": {"ra": 150.0, "dec": -30.0, "position_angle": angle},
        "catalogue": {"x": fx.tolist(), "y": fy.tolist(), "mag": (mag + 0.15 * np.arange(stars)).tolist()},
    }
    return made


def expected(request: dict[str, Any]) -> Any:
    """Return the noiseless frame (electron/s) with its header, and the table TRUTH."""
    out = io.BytesIO()
    block = {**request["elvis"], "product": "expected", "truth": True}
    pipeline.render(parse.read(json.dumps({**request, "elvis": block})), out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        hdu = next(hdu for hdu in hdus if "ESO DET WIN1 STRX" in hdu.header)
        return np.ascontiguousarray(hdu.data, dtype=np.float32), hdu.header.copy(), hdus["TRUTH"].data.copy()


def completeness(image: Any, flux: float, chip: Any) -> tuple[float, int]:
    """Return the part of stars of a flux that are found where no star or halo is, and how many were put there.

    Negative images of chopped exposures are no such places.
    """
    frame = Frame(chip.stack.sci, np.square(chip.stack.err), (~image.good).astype(np.uint32), None)
    mask = sky.objects(frame) | sky.objects(replace(frame, sci=-frame.sci))
    found, psf = [], photometry.empirical_psf(image)
    for seed in range(4):
        places = photometry.random_places(image, 100, seed)
        places = places[~mask[tuple(np.rint(places).astype(int).T[::-1])]]
        # as much brighter as the place is seen by fewer dithers than the median of the image
        local = sources.filtered(image.err, image.fwhm)[tuple(np.rint(places).astype(int).T[::-1])]
        sci = photometry.add_stars(image.sci, psf, *places.T, flux * local / np.median(image.err[image.good]))
        again = sources.find(sci, image.err, image.good, image.fwhm, 5.0, image.correlation)
        found += photometry.recovered(np.stack([again.x, again.y], axis=1), places, image.fwhm).tolist()
    return float(np.mean(found)) if found else 0.0, len(found)


def nights(lines: list[dict[str, Any]], files: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the files of further nights: other noise in the science exposures, the same calibrations."""
    science = [n for n, line in enumerate(lines) if not line["elvis"].get("calibration")]
    for night in range(1, NIGHTS):
        again = copy.deepcopy([lines[n] for n in science])
        for line in again:
            line["elvis"]["exposure"] = line["elvis"].get("exposure", 1) + 1000 * night
        made = list(files)
        for n, file in zip(science, render(again), strict=True):
            made[n] = file
        yield made


def noiseless(image: Any, x: Any, y: Any, radius: float, ring: tuple[float, float], noise: float) -> Any:
    """Return the fluxes on a noiseless image above the sky that a ring tells if pixels have ``noise``.

    Without noise the clipping of the ring leaves out the rings of diffraction that noise hides.
    """
    good, random = np.isfinite(image), np.random.default_rng(1)
    plain = apertures.measure(image, np.zeros_like(image), good, x, y, radius, ring)
    skies = []
    for _ in range(DRAWS):
        noisy = image + np.float32(noise) * random.standard_normal(image.shape, np.float32)
        skies.append(apertures.measure(noisy, np.zeros_like(image), good, x, y, radius, ring).sky)
    return replace(plain, flux=plain.flux + (plain.sky - np.mean(skies, axis=0)) * np.pi * radius**2)


def of_dithers(lines: list[dict[str, Any]], truth: Any, radius: float, ring: tuple[float, float], noise: float) -> Any:
    """Return the mean of the noiseless fluxes in each dither: the PSF of adaptive optics is not the same in all.

    Chopped exposures that do not see the stars are left out.
    """
    science = (line for line in lines if not line["elvis"].get("calibration"))
    fluxes = []
    for line in {json.dumps(line["elvis"]["pointing"]): line for line in science}.values():
        image, header, _ = expected(line)
        at = wcs_of(header).all_world2pix(truth["RA"], truth["DEC"], 0)
        if not 0 <= np.mean(at) <= max(image.shape):
            continue
        fluxes.append(noiseless(image, *at, radius, ring, noise))
    return replace(fluxes[0], flux=np.mean([each.flux for each in fluxes], axis=0))


def pulls_of(chip: Any, truth: Any, want: Any, radius: float, ring: tuple[float, float]) -> Any:
    """Return (reduced - expected) / error of the stars in a combined chip, less the ratio that they share."""
    at = chip.grid.wcs.all_world2pix(truth["RA"], truth["DEC"], 0)
    good = (chip.stack.dq & 32) == 0
    got = apertures.measure(chip.stack.sci, chip.stack.err, good, *at, radius, ring, chip.correlation.at(radius))
    ratio = np.average(got.flux / want.flux, weights=np.square(want.flux / got.error))
    return (got.flux / ratio - want.flux) / got.error


def brightest(product: Any) -> Any:
    """Return the chip with most sources."""
    return max(product.chips, key=lambda each: each.found.x.size)


def verified(path: Path) -> str:
    """Return what fitsverify says against a file, "" if it has nothing to say or is not installed."""
    program = shutil.which("fitsverify")
    if program is None:
        return ""
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    return "" if "0 warning(s) and 0 error(s)" in done.stdout else done.stdout


@pytest.mark.parametrize("imager", MODES)
def test_the_product_of_a_mode(imager: str, tmp_path: Path) -> None:
    request = parse.read(json.dumps(document(imager, *MODES[imager])))
    lines = documents(request)
    files = [*render(lines)]
    product = recipe.reduce(associate.associate(raw.open_all(files))[0], ImageOptions())
    folder = Path(os.environ.get("ELVIS_CLOSURE_FOLDER", tmp_path))
    faults = []
    for kind, writer in product_file.WRITERS.items():
        path = folder / f"{imager.replace(' ', '_')}_{kind}.fits"
        with path.open("wb") as file:
            writer(product, file)
        with fits.open(path, checksum=True) as hdus:
            faults += [f"{kind}: {fault}" for fault in sdp.validate(hdus)]
        faults += [f"{kind}: {verified(path)}"] if verified(path) else []
    image, header, truth = expected(lines[0])
    chip = brightest(product)
    sci, err, good = chip.stack.sci, chip.stack.err, (chip.stack.dq & 32) == 0
    there = wcs_of(header).all_world2pix(truth["RA"], truth["DEC"], 0)
    at = chip.grid.wcs.all_world2pix(truth["RA"], truth["DEC"], 0)
    radius = max(1.5 * chip.fwhm, 3.0)
    inner = max(min(3.0 * radius, 18.0), 1.2 * radius)
    ring = (inner, inner + max(8.0, 0.4 * radius))
    noise = float(np.median(err[good]))
    want = of_dithers(lines, truth, radius, ring, noise)
    got = apertures.measure(sci, err, good, *at, radius, ring, correlation=chip.correlation.at(radius))
    ratio = got.flux / want.flux
    pulls = [pulls_of(chip, truth, want, radius, ring)]
    for night in nights(lines, files):
        again = recipe.reduce(associate.associate(raw.open_all(night))[0], ImageOptions())
        pulls.append(pulls_of(brightest(again), truth, want, radius, ring))
    level = np.float32(np.median(image))
    moved = sources.centre(sci, *at, chip.fwhm) - np.stack(at, axis=1)
    moved = moved - (sources.centre(image - level, *there, chip.fwhm) - np.stack(there, axis=1))
    rms, systematic = float(np.std(moved[:BRIGHT])), float(np.abs(np.median(moved, axis=0)).max())
    spread = np.percentile(pulls, 84.1) - np.percentile(pulls, 15.9)
    fixed = float(np.std(np.mean(pulls, axis=0)))
    snr = got.flux / got.error
    freedom = np.size(pulls) * (1 - 1 / len(truth))
    rms_pull = float((np.sum(np.square(pulls)) / freedom) ** 0.5)
    row = [
        f"{imager:24}", f"fwhm {chip.fwhm:.2f}", f"flux {np.median(ratio):.4f}", f"rms {np.std(ratio):.4f}",
        f"S/N {snr.max():.0f} to {snr.min():.0f}",
        f"pull {spread / 2:.2f} (rms {rms_pull:.2f} +- {(2 * freedom) ** -0.5:.2f}, of stars' means {fixed:.2f})",
        f"place {systematic:.4f}", f"bright {rms:.4f}",
    ]  # fmt: skip
    if product.zero is not None:
        curve = product.zero.correction(radius, chip.fwhm, ring)
        mags = product.zero.vega - 2.5 * np.log10(got.flux) + curve
        # in the system and for the colour of the standard, which gave so many electrons
        frame, where, star = expected(next(line for line in lines if line["elvis"].get("calibration") == "std"))
        mags -= star["MAG"][0] - 2.5 * np.log10(truth["ELECTRONS"] / star["ELECTRONS"][0])
        # away from the axis of adaptive optics less of the light is in the core; rings of diffraction are clipped from
        # the sky of the standard as far as from that of the stars
        alike = noise * float(star["ELECTRONS"][0] / np.median(truth["ELECTRONS"]))
        own = noiseless(frame, *wcs_of(where).all_world2pix(star["RA"], star["DEC"], 0), radius, ring, alike)
        parts = want.flux / truth["ELECTRONS"] * star["ELECTRONS"][0] / own.flux[0]
        field = float(np.median(-2.5 * np.log10(parts)))
        mags -= field
        row.append(f"mag {np.median(mags):+.4f} +- {product.zero.error:.4f} (field {field:+.4f}; {product.zero.star})")
        made = image_file.read(folder / f"{imager.replace(' ', '_')}_image.fits")[product.chips.index(chip)]
        limit = 10 ** (0.4 * (product.zero.ab - made.primary["ABMAGLIM"]))
        found, number = completeness(made, limit, chip)
        row.append(f"found {found:.2f} of {number} at {made.primary['ABMAGLIM']:.2f}")
    print("\n" + "  ".join(row), *product.notes, *faults, sep="\n    ")
    assert faults == []
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)
    assert rms_pull == pytest.approx(1.0, abs=PULL)
    assert systematic < 0.02
    assert product.zero is not None
    assert abs(np.median(mags)) < 0.01 + 3 * product.zero.error
    assert number < MIN_PLACES or found == pytest.approx(0.5, abs=0.1)
