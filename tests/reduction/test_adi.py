"""Angular differential imaging: companions come back where they were, noise is what theory says."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.reduction import adi
from tests.conftest import run

SCALE = 0.00547
FWHM = 3.4
SIZE = 151
MIDDLE = SIZE // 2


def gaussian(size: int, x: float = 0.0, y: float = 0.0) -> Image:
    offset = np.arange(size) - size // 2
    return np.asarray(np.exp(-4 * math.log(2) * ((offset - x) ** 2 + (offset[:, None] - y) ** 2) / FWHM**2), np.float32)


def matrix(angle: float) -> Floats:
    """Return East and North from pixels for a position angle of +y, deg; x is West at 0."""
    sin, cos = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    return SCALE * np.array([[-cos, sin], [sin, cos]])


def sequence(noise: float, speckles: float, angles: Floats, seed: int = 1) -> adi.Sequence:
    """Return a star that stands still, speckles that are others in each exposure, and noise of pixels."""
    rng = np.random.default_rng(seed)
    n = len(angles)
    star = 1e5 * gaussian(SIZE) + 50.0 * np.abs(rng.normal(size=(SIZE, SIZE)))
    frames = star + noise * rng.normal(size=(n, SIZE, SIZE))
    if speckles:
        from scipy import ndimage

        own = np.array([ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), FWHM / 2.355) for _ in range(n)])
        frames += speckles * own / own.std()
    return adi.Sequence(frames.astype(np.float32), np.array([matrix(a) for a in angles]), np.zeros(n), SCALE)


@pytest.mark.parametrize(("noise", "speckles"), [(30.0, 0.0), (1.0, 40.0)])
def test_the_curve_is_that_of_independent_frames(noise: float, speckles: float) -> None:
    """The noise of an aperture falls with the root of the number of exposures; the median subtracts a little of it."""
    angles = np.linspace(-40.0, 40.0, 40)
    data = sequence(noise, speckles, angles)
    image = adi.residual(data)
    curve = adi.contrast(data, image, gaussian(25), FWHM, np.ones_like)
    pixels = np.hypot(*np.mgrid[-8:9, -8:9])
    disc = np.clip(FWHM / 2 + 0.5 - pixels, 0.0, 1.0)
    one = noise * math.sqrt((disc**2).sum())
    if speckles:  # correlated like the image of a point
        sums = [float((frame[MIDDLE - 68 : MIDDLE - 51, 30:47] * disc).sum()) for frame in data.frames]
        many = [
            float((frame[y - 8 : y + 9, x - 8 : x + 9] * disc).sum())
            for frame in data.frames - data.frames.mean(axis=0)
            for y in range(20, 140, 16) for x in range(20, 140, 16)
        ]  # fmt: skip
        assert len(sums) == 40
        one = float(np.std(many))
    expected = 5.0 * one / math.sqrt(len(angles))
    far = curve.radius > 0.15
    assert np.median(curve.limit[far] / expected) == pytest.approx(1.0, rel=0.3)
    assert (curve.throughput[far] > 0.85).all()
    assert curve.throughput[0] < curve.throughput[-1]  # near the star the field turns too little


def test_few_images_are_in_memory_beside_the_exposures() -> None:
    data = sequence(1.0, 0.0, np.linspace(0.0, 60.0, 100))
    adi.residual(sequence(1.0, 0.0, np.zeros(3)))  # whose modules are not counted
    tracemalloc.start()
    adi.residual(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 0.6 * data.frames.nbytes


def test_companions_come_back_where_they_were() -> None:
    """North up, East left, within a tenth of a pixel; what is put in is found again."""
    data = sequence(1.0, 0.0, np.linspace(100.0, 160.0, 15))
    put = adi.inject(data, gaussian(25), [(0.2, 70.0, 500.0)])
    image = adi.residual(put)
    x, y = -0.2 / SCALE * math.sin(math.radians(70.0)), 0.2 / SCALE * math.cos(math.radians(70.0))
    near = image[MIDDLE + round(y) - 3 : MIDDLE + round(y) + 4, MIDDLE + round(x) - 3 : MIDDLE + round(x) + 4]
    offset = np.arange(-3, 4)
    cx, cy = (near * offset).sum() / near.sum() + round(x), (near * offset[:, None]).sum() / near.sum() + round(y)
    assert math.hypot(cx - x, cy - y) < 0.1
    curve = adi.contrast(put, image, gaussian(25), FWHM, np.ones_like)
    outer = [one for one in curve.companions if one.radius > 0.1]
    assert all(one.offset < 0.1 for one in outer)
    assert all(one.found == pytest.approx(one.flux, rel=0.3) for one in outer)


def test_arcs_within_an_exposure() -> None:
    """A long exposure spreads a companion; the middle stays."""
    data = adi.Sequence(np.zeros((1, SIZE, SIZE), np.float32), matrix(0.0)[None], np.array([12.0]), SCALE)
    image = adi.inject(data, gaussian(25), [(0.25, 0.0, 1.0)]).frames[0]
    assert image.max() < 0.8
    assert image.sum() == pytest.approx(gaussian(25).sum(), rel=0.01)
    offset = np.arange(SIZE) - MIDDLE
    assert (image * offset).sum() / image.sum() == pytest.approx(0.0, abs=0.05)


def test_a_sequence_of_metis_is_reduced(tmp_path: Path) -> None:
    """Raw frames of the vortex, a dark, a flat and the star beside the mask give a residual map and contrasts."""
    window = {"x0": 944, "y0": 944, "nx": 160, "ny": 160}
    lines = []
    for n, angle in enumerate((0.0, 20.0, 40.0, 60.0)):
        at = math.radians(80.0 - angle)
        stars = {"x": [0.0, -0.2 * math.sin(at)], "y": [0.0, 0.2 * math.cos(at)], "mag": [5.0, 12.0]}
        pointing = {"ra": 81.5, "dec": -5.0, "position_angle": angle}
        lines.append(
            {"catalogue": stars, "pointing": pointing, "exposure": n + 1, "date": f"2026-01-01T04:{10 + n}:00"}
        )
    far = {"id": "METIS_img_lm_vc_obs_FixedSkyOffset", "name": "psf", "start": "2026-01-01T04:00:00", "nexp": 1,
           "expno": 1, "category": "CALIB", "type": "PSF,OFFAXIS", "tech": "IMAGE,LM"}  # fmt: skip
    lines += [
        {"calibration": "dark", "date": "2026-01-01T05:00:00"},
        {"calibration": "flat", "date": "2026-01-01T05:10:00"},
    ]
    lines.append({"offset": [0.2, 0.0], "template": far, "date": "2026-01-01T04:00:00", "nd": "ND_OD3"})
    for n, block in enumerate(lines):
        nd = block.pop("nd", "open")
        document = {
            "instrument": {"name": "metis", "ins_configuration": "img_lm_cvc", "INS.FILT2.NAME": nd},
            "target": {"brightness": {"magband": "L", "mag": 5}},
            "elvis": {"window": window, "seed": 4, **block},
        }  # fmt: skip
        assert run("-o", str(tmp_path / f"{n}.fits"), stdin=json.dumps(document)).code == 0
    names = [{"status": "made", "file": str(one)} for one in sorted(tmp_path.glob("*.fits"))]
    lines = [*names, {"status": "failed", "file": None}]
    made = run("reduce", "-", "-o", str(tmp_path / "out"), stdin="\n".join(json.dumps(one) for one in lines))
    assert made.code == 0, made.err
    assert "requests of the batch that failed: 1" in made.err
    products = {json.loads(line)["kind"]: json.loads(line)["file"] for line in made.out.decode().splitlines()}
    with fits.open(products["adi"]) as file:
        snr, scale = file["SNR"].data, file["SNR"].header["CD2_2"] * 3600.0
        y, x = np.unravel_index(int(np.argmax(snr)), snr.shape)
        east, north = -(x - snr.shape[1] // 2) * scale, (y - snr.shape[0] // 2) * scale
        assert math.hypot(east, north) == pytest.approx(0.2, abs=0.008)
        assert math.degrees(math.atan2(east, north)) == pytest.approx(80.0, abs=2.5)
    with fits.open(products["contrast"]) as file:
        star, curve = file[0].header["ESO QC STAR"], file["CONTRAST"].data
        assert star == pytest.approx(1.9e8, rel=0.3)  # 7.57e8 electrons/s of HEEPS, a quarter of it in the aperture
        assert (curve["CONTRAST"][2:] < 1e-3).all()
        assert len(file["INJECTED"].data) >= 2
