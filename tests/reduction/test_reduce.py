"""Raw frames of a small window to a product: photometry, astrometry, errors, provenance, identities."""

import hashlib
import io
import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.detection import apertures, sources
from elvis_cli.reduction import sdp
from elvis_cli.request import parse
from tests.conftest import MICADO, changed, run

RA, DEC = 67.91, -18.2
BOX = ((0.0, 0.0), (0.05, 0.03), (-0.04, 0.05), (-0.05, -0.03))


def document(offset=(0.0, 0.0), number=1, **elvis):
    """A request for one dither of nine stars of Ks 17.5 to 20 about the field's centre."""
    x, y = np.meshgrid([-0.25, 0.0, 0.25], [-0.25, 0.0, 0.25])
    stars = {
        "ra": (RA + x.ravel() / 3600 / np.cos(np.radians(DEC))).tolist(),
        "dec": (DEC + y.ravel() / 3600).tolist(),
        "mag": np.linspace(17.5, 20, 9).tolist(),
    }
    pointing = {
        "ra": RA + offset[0] / 3600 / np.cos(np.radians(DEC)),
        "dec": DEC + offset[1] / 3600,
        "position_angle": 20.0,
    }
    block = {
        "window": {"x0": 1920, "y0": 1920, "nx": 256, "ny": 256},
        "pointing": pointing,
        "date": f"2026-01-01T04:{number:02d}:00",
        "exposure": number,
        "truth": True,
    }
    if "calibration" not in elvis:
        block["catalogue"] = stars
    return changed(MICADO, {"timesnr/DET.DIT": 10, "timesnr/DET.NDIT": 2, "elvis": block | elvis})


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Four dithers, three darks, three flats."""
    folder = tmp_path_factory.mktemp("raw")
    requests = [document(offset, n) for n, offset in enumerate(BOX, 1)]
    requests += [document(number=n, calibration="dark") for n in (11, 12, 13)]
    requests += [document(number=n, calibration="flat") for n in (21, 22, 23)]
    for number, request in enumerate(requests):
        request["sky"]["almanac"] = {"targetName": "nine stars"}
        (folder / f"{number:02d}.fits").write_bytes(run(stdin=json.dumps(request)).out)
    return folder


def reduce(folder, *argv, files=None):
    """Return the path of the image of a reduction."""
    out = folder / "products"
    result = run("reduce", *map(str, files or sorted(folder.glob("*.fits"))), "-o", str(out), *argv)
    assert result.code == 0, result.err
    return Path(json.loads(result.out.splitlines()[0])["file"])


@pytest.fixture(scope="module")
def product(raw):
    return reduce(raw)


@pytest.fixture(scope="module")
def measured(product):
    """Return SCI, ERR, the stars' places (0-based), the expected frame of the first pointing, the places there."""
    expected = run("--product", "expected", stdin=json.dumps(document())).out
    (product.parent / "expected.fits").write_bytes(expected)
    with fits.open(product.parent / "expected.fits") as hdus, fits.open(product) as reduced:
        truth, image = hdus["TRUTH"].data, np.ascontiguousarray(hdus[1].data, dtype=np.float32)
        sci, err = (np.ascontiguousarray(reduced[name].data, dtype=np.float32) for name in ("SCI", "ERR"))
        x, y = WCS(reduced["SCI"].header).all_world2pix(truth["RA"], truth["DEC"], 0)
        factor = reduced["ERR"].header["ESO QC CORRFAC"]
        return sci, err, (x, y), image, (truth["X"] - 1.0, truth["Y"] - 1.0), factor


def test_fluxes_are_those_of_the_noiseless_frame(measured):
    sci, err, places, image, expected_places, factor = measured
    good = np.ones(sci.shape, bool), np.ones(image.shape, bool)
    got = apertures.measure(sci, err, good[0], *places, 6.0, (15, 25), correlation=factor)
    want = apertures.measure(image, np.zeros_like(image), good[1], *expected_places, 6.0, (15, 25))
    assert np.median(got.flux / want.flux) == pytest.approx(1.0, abs=0.008)  # linear: no DETLIN frames here
    assert np.std(got.flux / want.flux) < 0.02


def test_places_are_those_of_the_catalogue(measured):
    sci, _, (x, y), image, (u, v), _ = measured
    got = sources.centre(sci, x, y, 3.0) - np.stack([x, y], axis=1)
    want = sources.centre(image - np.median(image), u, v, 3.0) - np.stack([u, v], axis=1)
    assert np.abs(np.mean(got - want, axis=0)).max() < 0.02
    assert np.std(got - want) < 0.02


def test_every_product_has_the_keywords_of_its_category(product):
    for path in product.parent.glob("MICADO*.fits"):
        with fits.open(path, checksum=True) as hdus:
            assert sdp.validate(hdus) == [], path.name


def test_the_validator_finds_what_is_missing(product):
    with fits.open(product) as hdus:
        del hdus[0].header["PROG_ID"]
        del hdus["SCI"].header["PIXNOISE"]
        hdus["ERR"].header["HDUCLAS3"] = "MSE"
        hdus["SCI"].header["HDUVERS"] = "SDP version 1"
        hdus[0].header["REFERENC"] = "in preparation"
        hdus[0].header["MJD-END"] = 0.0
        del hdus["DQ"].header["DATASUM"]
        hdus["SCI"].header["CDELT1"] = 1.0
        faults = " / ".join(sdp.validate(hdus))
    wrong = ("PROG_ID", "PIXNOISE", "HDUCLAS3", "HDUVERS", "REFERENC", "MJD-END", "DQ: DATASUM", "CDELT1")
    assert all(name in faults for name in wrong)


def test_references_are_empty_or_published():
    assert all(sdp.REFERENCE.fullmatch(text) for text in ("", "2022ApJS..258...10L", "10.3847/1538-4365/ac332a"))
    assert not sdp.REFERENCE.fullmatch("Smith 2022")


def test_provenance_names_every_raw_file(product, raw):
    header = fits.getheader(product)
    names = {fits.getheader(path)["ARCFILE"] for path in raw.glob("*.fits")}
    science = {header[f"PROV{n}"] for n in range(1, 5)}
    calibrations = {card.value for card in header.cards if "CAL" in card.keyword and card.keyword.endswith("NAME")}
    assert len(science) == header["NCOMBINE"] == 4
    assert science | calibrations == names


def test_the_order_of_the_files_and_their_names_do_not_matter(product, raw, tmp_path):
    for number, path in enumerate(sorted(raw.glob("*.fits"), reverse=True)):
        shutil.copy(path, tmp_path / f"copy{number}.fits")
    again = reduce(tmp_path)
    assert again.read_bytes() == product.read_bytes()


def test_two_halves_are_the_whole_within_their_noise(product, raw, tmp_path):
    calibrations = [path for path in sorted(raw.glob("*.fits")) if int(path.stem) > 3]
    fluxes, errors = [], []
    stars = document()["elvis"]["catalogue"]
    for n, science in enumerate((range(4), (0, 2), (1, 3))):
        files = [raw / f"{number:02d}.fits" for number in science] + calibrations
        result = run("reduce", *map(str, files), "-o", str(tmp_path / str(n)))
        assert result.code == 0, result.err
        with fits.open(json.loads(result.out.splitlines()[0])["file"]) as hdus:
            sci, err = (np.ascontiguousarray(hdus[name].data, dtype=np.float32) for name in ("SCI", "ERR"))
            places = WCS(hdus["SCI"].header).all_world2pix(stars["ra"], stars["dec"], 0)
            factor = hdus["ERR"].header["ESO QC CORRFAC"]
        each = apertures.measure(sci, err, err > 0, *places, 4.0, (15, 25), correlation=factor)
        fluxes.append(each.flux)
        errors.append(each.error)
    (whole, one, other), (_, a, b) = fluxes, errors
    assert np.median((one + other) / 2 / whole) == pytest.approx(1.0, abs=0.005)
    assert np.sqrt(np.mean(((one - other) / np.hypot(a, b)) ** 2)) < 1.6  # nine stars: 1 +- 0.24, and sub-percent terms


def test_the_raw_files_stay_as_they_are(raw, tmp_path):
    files = sorted(raw.glob("*.fits"))
    before = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    assert run("reduce", *map(str, files), "-o", str(tmp_path)).code == 0
    assert [hashlib.sha256(path.read_bytes()).digest() for path in files] == before


@pytest.mark.parametrize("angle", [0.0, 180.0])
def test_frames_without_noise_give_the_expected_image(angle, tmp_path):
    """No noise, no flaws of the detector: the product is the noiseless frame to a per mille, places to 0.01 pixel."""
    setup = pipeline.configure(parse.read(json.dumps(document())))
    requests = []
    for n, offset in enumerate(BOX, 1):
        each = document(offset, n)
        each["elvis"]["pointing"]["position_angle"] = angle
        requests.append(each)
    requests += [document(number=11, calibration="dark"), document(number=21, calibration="flat")]
    keep = ("stars", "thermal", "background", "gain", "adc")
    for number, request in enumerate(requests):
        request["elvis"]["skip"] = [stage for stage in setup.detector.stages if stage not in keep]
        (tmp_path / f"{number:02d}.fits").write_bytes(run(stdin=json.dumps(request)).out)
    product = reduce(tmp_path)
    out = run("--product", "expected", stdin=json.dumps(requests[0])).out
    with fits.open(io.BytesIO(out)) as hdus, fits.open(product) as reduced:
        truth, image = hdus["TRUTH"].data, np.ascontiguousarray(hdus[1].data, dtype=np.float32)
        sci = np.ascontiguousarray(reduced["SCI"].data, dtype=np.float32)
        at = WCS(reduced["SCI"].header).all_world2pix(truth["RA"], truth["DEC"], 0)
    there = truth["X"] - 1.0, truth["Y"] - 1.0
    good = np.ones(sci.shape, bool), np.ones(image.shape, bool)
    got = apertures.measure(sci, np.zeros_like(sci), good[0], *at, 6.0, (15, 25))
    want = apertures.measure(image, np.zeros_like(image), good[1], *there, 6.0, (15, 25))
    assert np.median(got.flux / want.flux) == pytest.approx(1.0, abs=0.001)
    assert got.flux / want.flux == pytest.approx(1.0, abs=0.006)  # the faintest has the rounding to whole ADU
    moved = sources.centre(sci, *at, 3.0) - np.stack(at, axis=1)
    moved -= sources.centre(image - np.median(image), *there, 3.0) - np.stack(there, axis=1)
    assert np.abs(moved).max() < 0.01


def test_threads_do_not_change_the_bytes(product, raw, tmp_path):
    shutil.copytree(raw, tmp_path / "raw", ignore=shutil.ignore_patterns("products"))
    assert run("--threads", "1", "reduce", *map(str, (tmp_path / "raw").glob("*.fits")), "-o", str(tmp_path)).code == 0
    assert (tmp_path / product.name).read_bytes() == product.read_bytes()


def test_pixels_without_weight_are_flagged(product):
    with fits.open(product) as hdus, fits.open(str(product).replace("_image", "_weight")) as weight:
        dq, none = hdus["DQ"].data, weight["WEIGHT"].data == 0
        assert np.array_equal((dq & 32) > 0, none)
        assert np.all(hdus["SCI"].data[none] == 0)
        assert np.all(hdus["ERR"].data[~none] > 0)


def test_bad_pixels_and_cosmic_rays_leave_flags_and_no_holes(product):
    dq = fits.getdata(product, "DQ")[40:-40, 40:-40]
    assert 0.002 < np.mean((dq & 3) > 0) < 0.02  # 0.2 % of the pixels, in each of four dithers
    assert np.mean((dq & 32) > 0) == 0.0


def test_a_missing_calibration_is_named(raw):
    files = [str(path) for path in sorted(raw.glob("*.fits")) if "FLAT" not in fits.getval(path, "ESO DPR TYPE")]
    result = run("reduce", *files, "-o", str(raw / "none"))
    assert result.code == 69
    assert all(words in result.err for words in ("no flat", "FILT2 NAME = Ks", "there is none", "--allow-missing"))
    assert not list((raw / "none").glob("*"))
    allowed = run("reduce", *files, "-o", str(raw / "none"), "--allow-missing")
    assert allowed.code == 0
    assert fits.getheader(json.loads(allowed.out.splitlines()[0])["file"])["ESO PRO MISSING"] == "flat"


def test_in_memory_the_bytes_are_those_by_way_of_files(tmp_path):
    request = document()
    request["elvis"] = {"window": {"x0": 1984, "y0": 1984, "nx": 128, "ny": 128}}
    request["timesnr"] = {"DET.DIT": 10, "DET.NDIT": 3}
    memory = run("--product", "reduced", stdin=json.dumps(request))
    assert memory.code == 0, memory.err
    lines = run("reduce", "--requests", stdin=json.dumps(request)).out.splitlines()
    for number, line in enumerate(lines):
        (tmp_path / f"{number}.fits").write_bytes(run(stdin=line).out)
    product = reduce(tmp_path)
    assert product.read_bytes() == memory.out
    with fits.open(product) as hdus:
        assert sdp.validate(hdus) == []
        assert hdus[0].header["FLUXCAL"] == "ABSOLUTE"
        assert hdus[0].header["ABMAGSAT"] < 20.5 < hdus[0].header["ABMAGLIM"]
        assert 0.05 < hdus[0].header["STREHL"] < 1.0
        assert hdus[0].header["TEXPTIME"] == 30.0  # the integrations of the request, shared by the dithers
    star = fits.getdata(str(product).replace("_image", "_sources"))[0]
    assert star["MAG"] == pytest.approx(20.0, abs=0.02)
    kinds = {json.loads(line)["elvis"].get("calibration") for line in lines}
    assert kinds == {None, "dark", "flat", "detlin", "std"}


def test_the_plan_is_json_and_writes_nothing(raw, tmp_path):
    result = run("reduce", "--plan", *map(str, raw.glob("*.fits")))
    plan = json.loads(result.out)
    assert [len(plan[kind]) for kind in ("science", "dark", "flat", "standard", "missing")] == [4, 3, 3, 0, 0]


def test_a_worker_of_a_cluster_writes_the_same_bytes(raw, product, tmp_path):
    from elvis_cli.reduction import product_task, products
    from elvis_cli.reduction.image_options import ImageOptions
    from elvis_cli.reduction.spectrum_options import SpectrumOptions

    options = products.Options(ImageOptions(None, 1.0, False, False, None, False), SpectrumOptions())
    (task,) = product_task.tasks(sorted(raw.glob("*.fits")), 1, options, tmp_path)
    written = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(task)).do(None, None)))
    assert written.failure is None
    assert [Path(line["file"]).read_bytes() for line in written.files] == [
        product.with_name(Path(line["file"]).name).read_bytes() for line in written.files
    ]
    elsewhere = replace(task, folder=tmp_path / "nowhere")
    failure = pickle.loads(pickle.dumps(elsewhere.do(None, None))).failure
    assert (failure.exit_code, "must be shared" in failure.message) == (74, True)


def test_a_cluster_reduces_to_the_same_bytes(raw, product, tmp_path):
    pytest.importorskip("distributed")
    script = tmp_path / "cluster.py"
    script.write_text(
        "import sys; from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:\n"
        "        print(cluster.scheduler_address, flush=True); sys.stdin.read()\n"
    )
    argv = [sys.executable, str(script)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as scheduler:
        address = scheduler.stdout.readline().strip()
        files = [str(path) for path in sorted(raw.glob("*.fits"))]
        made = run("reduce", *files, "-o", str(tmp_path / "products"), "--cluster", address)
        scheduler.stdin.close()
    assert made.code == 0, made.err
    path = Path(json.loads(made.out.splitlines()[0])["file"])
    assert path.read_bytes() == product.read_bytes()


def test_a_cluster_neither_plans_nor_runs_other_recipes(raw):
    for more in (["--plan"], ["-o", "nowhere", "--recipes", "esorex"]):
        refused = run("reduce", str(raw / "01.fits"), "--cluster", "tcp://127.0.0.1:1", *more)
        assert (refused.code, refused.out) == (2, b"")
