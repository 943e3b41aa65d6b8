"""A night of HAWK-I through ESO's own recipes, from `elvis ob | elvis batch` and without a header edited.

Darks, twilight flats, a standard field and jittered science. The recipes want tables besides, which are made up here
(photometric calibration, maps of the reddening, which is none) or made of the request (the catalogue of the field).
Reference of what they want: their manual pages (`esorex --man-page`) and the classification rules hawki.oca.
"""

from __future__ import annotations

import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from tests.clients.programs import program, table
from tests.conftest import run

RECIPES = "/usr/lib/x86_64-linux-gnu/cpl/plugins"
PLACE = (150.0, -30.0)
GAIN = {"CHIP1.INT1": 1.705, "CHIP2.INT1": 1.87, "CHIP3.INT1": 1.735, "CHIP4.INT1": 2.11}
"""electrons/ADU: Kissler-Patig et al. 2008, table 3."""
READ_NOISE = 12.0
"""electrons."""


def stars(number: int) -> dict[str, list[float]]:
    """Return a catalogue about PLACE: ra, dec (deg), mag."""
    random = np.random.default_rng(1)
    dec = PLACE[1] + random.uniform(-0.09, 0.09, number)
    ra = PLACE[0] + random.uniform(-0.09, 0.09, number) / np.cos(np.radians(PLACE[1]))
    return {"ra": ra.tolist(), "dec": dec.tolist(), "mag": random.uniform(13.5, 17.5, number).tolist()}


def block(number: int, template: str, acquisition: str = "", **parameters: Any) -> dict[str, Any]:
    """Return an Observing Block of p2 with one template, all of the same DIT and filter."""
    parameters = {"DET.DIT": 10, "DET.NDIT": 1, "INS.FILT.NAME": "Ks", **parameters}
    listed = [{"name": name, "value": value} for name, value in parameters.items()]
    templates = [{"templateName": acquisition, "parameters": []}] if acquisition else []
    return {
        "obId": number,
        "name": template,
        "target": {"name": "FIELD", "ra": "10:00:00.000", "dec": "-30:00:00.00"},
        "templates": [*templates, {"templateName": template, "parameters": listed}],
    }


def blocks(science: int) -> list[dict[str, Any]]:
    """Return the night; ``science`` is the number of its frames."""
    acquisition = "HAWKI_img_acq_Preset"
    offsets = {"SEQ.OFFSET1.LIST": "10 -25 5 20", "SEQ.OFFSET2.LIST": "5 10 -25 15"}
    jitter = {"SEQ.NOFFSET": science, "SEQ.JITTER.WIDTH": 60}
    return [
        block(1, "HAWKI_img_cal_TwFlats", **{"SEQ.NEXPO": 5}),
        block(2, "HAWKI_img_cal_StandardStar", acquisition, **offsets),
        block(3, "HAWKI_img_obs_AutoJitter", acquisition, **jitter),
        block(4, "HAWKI_img_cal_Darks", **{"SEQ.NEXPO": 3}),
    ]


def expose(folder: Path, night: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, list[Path]]:
    """Return the files of a night by DPR TYPE."""
    defaults = folder / "request.json"
    defaults.write_text(json.dumps(request))
    planned = run("ob", "--request", str(defaults), stdin="\n".join(map(json.dumps, night)))
    assert planned.code == 0, planned.err
    made = run("batch", "--outdir", str(folder / "raw"), stdin=planned.out.decode())
    assert made.code == 0, made.err
    files: dict[str, list[Path]] = {}
    for path in sorted((folder / "raw").glob("*.fits")):
        files.setdefault(str(fits.getval(path, "ESO DPR TYPE")), []).append(path)
    return files


def recipe(folder: Path, name: str, frames: list[tuple[Path, str]], *options: str) -> Path:
    """Return the folder with the products of a recipe; ``frames`` are files and their tags."""
    esorex = program("esorex", "esorex", "cpl-plugin-hawki")
    if not Path(RECIPES).exists():
        pytest.skip(f"the recipes are not in {RECIPES}")
    out = folder / name
    out.mkdir()
    (out / "frames.sof").write_text("".join(f"{path} {tag}\n" for path, tag in frames))
    command = [esorex, f"--recipe-dir={RECIPES}", "--msg-level=warning", "--log-level=off", name, *options]
    done = subprocess.run([*command, "frames.sof"], cwd=out, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
    assert [line for line in said if "RADECSYS" not in line] == []  # a keyword of the recipes' own
    return out


def tables(folder: Path, catalogue: dict[str, list[float]]) -> list[tuple[Path, str]]:
    """Return what the recipes want besides frames, and the tags."""
    size, (ra, dec, mag) = len(catalogue["ra"]), (np.array(catalogue[name]) for name in ("ra", "dec", "mag"))
    columns = [fits.Column("RA", "D", "deg", array=ra), fits.Column("Dec", "D", "deg", array=dec)]
    for band in "JHK":
        columns.append(fits.Column(f"{band}mag", "E", array=mag))
        columns.append(fits.Column(f"e_{band}mag", "E", array=np.full(size, 0.01)))
    primary, field = fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="local")
    primary.header["CATNAME"] = "local"
    fits.HDUList([primary, field]).writeto(folder / "field.fits")
    words = {"filter_name": "Ks", "coleq_columns": "Kmag,Jmag", "coleq_errcols": "e_Kmag,e_Jmag", "coleq_coefs": "1,0"}
    numbers = {"atm_extcoef": 0.05, "mag_offset": 0, "gal_extcoef": 0, "default_zp": 25, "default_zp_err": 0.1}
    columns = [fits.Column(name, f"{len(word)}A", array=[word]) for name, word in words.items()]
    columns += [fits.Column(name, "E", array=[number]) for name, number in numbers.items()]
    photometry = fits.BinTableHDU.from_columns(columns, name="local")
    photometry.header["PHOTOSYS"] = "Vega"
    fits.HDUList([fits.PrimaryHDU(), photometry]).writeto(folder / "photometry.fits")
    found = [
        (folder / "photometry.fits", "PHOTCAL_TAB"),
        (folder / "field.fits", "MASTER_LOCAL_CATALOGUE_ASTROM"),
        (folder / "field.fits", "MASTER_LOCAL_CATALOGUE_PHOTOM"),
    ]
    for pole, name in ((1, "NORTH"), (-1, "SOUTH")):
        reddening = fits.PrimaryHDU(np.zeros((4096, 4096), np.float32))
        reddening.header["LAM_NSGP"], reddening.header["LAM_SCAL"] = pole, 2048.0
        reddening.writeto(folder / f"{name}.fits")
        found.append((folder / f"{name}.fits", f"SCHLEGEL_MAP_{name}"))
    return found


def noise(folder: Path) -> list[tuple[object, ...]]:
    """Return rows of read noise and gain that hawki_detector_noise found."""
    rows: list[tuple[object, ...]] = []
    for row in fits.getdata(folder / "readgain.fits"):
        name, gain = row["EXTNAME"].strip(), GAIN[row["EXTNAME"].strip()]
        rows.append(("hawki_detector_noise", f"RON {name}, ADU", float(row["READNOISE"]), READ_NOISE / gain, 0.03))
        rows.append(("hawki_detector_noise", f"gain {name}, e/ADU", float(row["GAIN"]), gain, 0.03))
    return rows


def plate_error(product: Path, raw: list[Path]) -> float:
    """Return how far (pixel) the solution of one frame is off at the worst star of TRUTH."""
    errors = []
    with fits.open(product) as solved, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keywords that the recipes write
        name = solved[0].header["ARCFILE"]
        truth = fits.getdata(next(path for path in raw if path.name == name), "TRUTH")
        for hdu in solved[1:]:
            on = truth[truth["CHIP"] == int(hdu.name[4])]
            x, y = WCS(hdu.header).wcs_world2pix(on["RA"], on["DEC"], 1)
            errors.append(np.hypot(x - on["X"], y - on["Y"]).max())
    return float(np.max(errors))


def zero_point_error(product: Path, raw: Path) -> float:
    """Return the zero point of a product less that of TRUTH, mag; the largest of its extensions."""
    with fits.open(raw) as hdus:
        truth, dit = hdus["TRUTH"].data, hdus[0].header["ESO DET DIT"]
    rate = truth["ELECTRONS"] / np.mean(list(GAIN.values())) / dit  # the recipes bring all chips to one gain
    expected = np.median(truth["MAG"] + 2.5 * np.log10(rate))
    with fits.open(product) as hdus:
        errors = [hdu.header["ESO QC MAGZPT"] - expected for hdu in hdus[1:]]
    return float(max(errors, key=abs))


def test_a_night_goes_through_all_recipes(tmp_path):
    program("esorex", "esorex", "cpl-plugin-hawki")
    catalogue = stars(1500)
    raw = expose(tmp_path, blocks(5), {"elvis": {"catalogue": catalogue}})
    assert {name: len(files) for name, files in raw.items()} == {"FLAT": 5, "STD": 4, "OBJECT": 5, "DARK": 3}
    tagged = {kind: [(path, tag) for path in raw[kind]] for kind, tag in (
        ("DARK", "DARK"), ("FLAT", "FLAT_TWILIGHT"), ("STD", "STD"), ("OBJECT", "OBJECT")
    )}  # fmt: skip
    dark = recipe(tmp_path, "hawki_dark_combine", tagged["DARK"]) / "darkcomb.fits"
    rows: list[tuple[object, ...]] = []
    with fits.open(dark) as hdus:
        for hdu in hdus[1:]:
            rows.append(("hawki_dark_combine", f"level {hdu.name}, ADU", hdu.header["ESO QC DARK MED"], 0.0, 0.1))
    rows += noise(recipe(tmp_path, "hawki_detector_noise", tagged["DARK"][:2] + tagged["FLAT"][:2]))
    flat = recipe(tmp_path, "hawki_twilight_flat_combine", [*tagged["FLAT"], (dark, "MASTER_DARK")])
    with fits.open(flat / "twilightcomb.fits") as hdus:
        for hdu in hdus[1:]:
            rms, ratio = hdu.header["ESO QC FLATRMS"], hdu.header["ESO QC FLUX RATIO"]
            rows.append(("hawki_twilight_flat_combine", f"pixel rms {hdu.name}", rms, 0.01, 0.1))
            rows.append(("hawki_twilight_flat_combine", f"brightest / faintest {hdu.name}", ratio, 1.2, 0.1))
    masters = [
        (dark, "MASTER_DARK"),
        (flat / "twilightcomb.fits", "MASTER_TWILIGHT_FLAT"),
        (flat / "twilightconf.fits", "MASTER_CONF"),
        (tmp_path / "hawki_detector_noise" / "readgain.fits", "MASTER_READGAIN"),
        *tables(tmp_path, catalogue),
    ]
    standard = recipe(tmp_path, "hawki_standard_process", [*tagged["STD"], *masters])
    science = recipe(tmp_path, "hawki_science_process", [*tagged["OBJECT"], *masters])
    for name, folder, kind, photometric in (
        ("hawki_standard_process", standard, "STD", "exp_[0-9].fits"),
        ("hawki_science_process", science, "OBJECT", "stack_[0-9].fits"),
    ):
        frames = sorted(folder.glob("exp_[0-9].fits"))
        assert len(frames) == len(raw[kind])
        worst = max(plate_error(path, raw[kind]) for path in frames)
        rows.append((name, "largest error of the plate solution, pixel", worst, 0.0, 0.3))
        worst = max((zero_point_error(path, raw[kind][0]) for path in folder.glob(photometric)), key=abs)
        rows.append((name, "zero point less that of TRUTH, mag", worst, 0.0, 0.03))
    table("ESO's HAWK-I recipes", ("recipe", "quantity", "found", "put in"), [row[:4] for row in rows])
    wrong = [row for row in rows if abs(row[2] - row[3]) > row[4] * (abs(row[3]) or 1.0)]  # type: ignore[operator,arg-type]
    assert wrong == []


def test_windowed_frames_give_darks_gain_and_read_noise(tmp_path):
    window = {"window": {"x0": 800, "y0": 800, "nx": 512, "ny": 512}}
    raw = expose(tmp_path, [blocks(1)[0], blocks(1)[3]], {"elvis": window})
    darks, flats = ([(path, tag) for path in raw[kind]] for kind, tag in (("DARK", "DARK"), ("FLAT", "FLAT_TWILIGHT")))
    recipe(tmp_path, "hawki_dark_combine", darks)
    rows = noise(recipe(tmp_path, "hawki_detector_noise", darks[:2] + flats[:2]))
    table("windows", ("recipe", "quantity", "found", "put in"), [row[:4] for row in rows])
    assert [row for row in rows if abs(row[2] / row[3] - 1.0) > row[4]] == []  # type: ignore[operator]


def stars_of(path: Path, catalogue: dict[str, list[float]], scale: dict[str, float]) -> dict[str, np.ndarray]:
    """Return rows x, y (pixel), RA, Dec (deg), light of the stars by chip: in 12 pixels, times ``scale``."""
    from elvis_cli.detection import apertures, sources

    found = {}
    with fits.open(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keywords that the recipes write
        for hdu in hdus[1:]:
            if hdu.header.get("HDUCLAS2", "DATA") != "DATA" or not hdu.is_image or hdu.data is None:
                continue
            chip, wcs = hdu.name[:5], WCS(hdu.header)
            image = np.ascontiguousarray(hdu.data, dtype=np.float32)
            image = image - np.float32(np.median(image[image != 0]))
            x, y = wcs.all_world2pix(catalogue["ra"], catalogue["dec"], 0)
            inside = (x > 120) & (y > 120) & (x < image.shape[1] - 120) & (y < image.shape[0] - 120)
            place = sources.centre(image, x[inside], y[inside], 4.0)
            good = np.isfinite(image)
            flux = apertures.measure(image, np.ones_like(image), good, *place.T, 12.0, (20.0, 30.0)).flux
            rows = np.full((len(catalogue["ra"]), 5), np.nan)
            rows[inside] = np.stack([*place.T, *wcs.all_pix2world(*place.T, 0), flux * scale[chip]], axis=1)
            found[chip] = rows
    return found


def test_the_recipes_and_elvis_reduce_agree(tmp_path):
    program("esorex", "esorex", "cpl-plugin-hawki")
    catalogue = stars(300)
    night = blocks(3)  # hawki_science_process takes 45 processor seconds for each exposure
    raw = expose(tmp_path, [night[0], night[2], night[3]], {"elvis": {"catalogue": catalogue}})
    files = [str(path) for group in raw.values() for path in group]
    (tmp_path / "tables").mkdir()
    static = [f"--static={tag}={path}" for path, tag in tables(tmp_path / "tables", catalogue)]
    theirs = run("reduce", "--recipes", "esorex", *files, "-o", str(tmp_path / "eso"), *static)
    assert theirs.code == 0, theirs.err
    ours = run("reduce", *files, "-o", str(tmp_path / "elvis"))
    assert ours.code == 0, ours.err
    agree(
        next((tmp_path / "eso").glob("*_stack_1.fits")),
        next((tmp_path / "elvis").glob("*_image.fits")),
        catalogue,
        10.0,
    )


def agree(theirs: Path, ours: Path, catalogue: dict[str, list[float]], dit: float) -> None:
    """Compare light (2 %) and places (0.2 pixel) of the stars in both products.

    The recipes bring all chips to one gain and leave ADU of one integration. Their single exposures are right to 0.02
    pixel (medians), before and after the plate fit. The plate of their stack is 0.3 to 0.4 pixel off: it has no
    distortion (no PV cards), and
    one scale for all chips. A linear transformation of each chip is taken out, which leaves 0.01 pixel, and the
    distance with it is printed too.
    """
    unit = dict.fromkeys(("CHIP1", "CHIP2", "CHIP3", "CHIP4"), float(np.mean(list(GAIN.values()))) / dit)
    eso, own = stars_of(theirs, catalogue, unit), stars_of(ours, catalogue, dict.fromkeys(unit, 1.0))
    rows = []
    bright = np.array(catalogue["mag"]) < 16.5
    for chip in sorted(own):
        both = np.isfinite(eso[chip][:, 0]) & np.isfinite(own[chip][:, 0]) & bright
        a, b = eso[chip][both], own[chip][both]
        away = np.stack([(a[:, 2] - b[:, 2]) * np.cos(np.radians(PLACE[1])), a[:, 3] - b[:, 3]]) * 3600 / 0.106
        design = np.stack([np.ones(len(b)), b[:, 0], b[:, 1]], axis=1)
        rest = away.T - design @ np.linalg.lstsq(design, away.T, rcond=None)[0]
        distance = (float(np.median(np.hypot(*each))) for each in (rest.T, away))
        rows.append((chip, int(both.sum()), float(np.median(a[:, 4] / b[:, 4])), *distance))
    table("ESO's recipes against elvis reduce", ("chip", "stars", "light", "distance, pixel", "with its plate"), rows)
    assert all(row[1] > 20 for row in rows)
    assert [row for row in rows if abs(row[2] - 1.0) > 0.02 or row[3] > 0.2] == []
