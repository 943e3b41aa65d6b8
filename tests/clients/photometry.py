"""source-extractor, photutils, STILTS, fitsverify and astropy read frames of every imager and agree with their TRUTH.

Stars lie on a grid of the window, far from each other, each at another place within its pixel. Positions agree within
0.05 pixel, magnitudes within 0.02: the flux in an aperture over the fraction of a star's light that the table
PSF_ENCIRCLED of the frame gives for it.
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
from astropy.table import Table
from astropy.wcs import WCS

from elvis_cli.focalplane.geometry import field_to_pixel, nearest_chip, pixel_to_field
from elvis_cli.instrument import registry
from elvis_cli.pipeline import configure
from elvis_cli.request import parse
from tests.clients.programs import package, program, table
from tests.conftest import run

SIZE, STEP = 640, 128
IMAGERS = {
    "micado img_4mas_scao": (20.0, 12),
    "hawki img_noao": (15.0, 16),
    "hawki img_glao": (15.0, 16),
    "fors img_nopol": (20.0, 12),
    "metis img_lm_scao": (11.0, 24),
    "eris img_ngs": (15.0, 20),
    "euclid-vis img_long": (19.0, 12),
}
"""By imager: magnitude of the stars, diameter (pixel) of the aperture. The sky is in a ring 2 to 3 times as wide."""
ALONE = ("micado img_4mas_scao", "eris img_ngs")
"""Modes whose adaptive optics are worse a few arcsec from the target, for which PSF_ENCIRCLED holds: one star there."""
LEFT_OUT = ["hot_pixels", "dead_pixels", "cosmic_rays", "nonlinearity", "brighter_fatter", "cti"]
"""Stages that the reduction would undo before the photometry."""
RING = (2.0, 3.0)
POSITION, MAGNITUDE = 0.05, 0.02


class Field:
    """A frame with stars, and the parts of it that the programs compare with."""

    def __init__(self, path: Path, aperture: int) -> None:
        self.path, self.aperture = path, aperture
        with fits.open(path) as hdus:
            self.hdu = next(n for n, hdu in enumerate(hdus) if "ESO DET WIN1 STRX" in hdu.header)
            self.header, self.pixels = hdus[self.hdu].header.copy(), hdus[self.hdu].data.astype(float)
            self.truth, self.light = Table(hdus["TRUTH"].data), Table(hdus["PSF_ENCIRCLED"].data)
        if "QUADID" in self.header:  # X and Y are of the chip: the extension is of a quadrant, turned
            x, y = WCS(self.header).wcs_world2pix(self.truth["RA"], self.truth["DEC"], 1)
            self.truth["X"], self.truth["Y"] = x, y
            rows, columns = self.pixels.shape
            self.truth = self.truth[(x > STEP / 4) & (x < columns - STEP / 4) & (y > STEP / 4) & (y < rows - STEP / 4)]
        self.gain = next(float(self.header[f"ESO DET {chip} GAIN"]) for chip in ("CHIP", "CHIP1")
                         if f"ESO DET {chip} GAIN" in self.header)  # fmt: skip

    def diameters(self) -> tuple[float, float, float]:
        """Return the aperture's diameter and those of the ring, pixel."""
        return self.aperture, RING[0] * self.aperture, RING[1] * self.aperture

    def net(self, sums: np.ndarray) -> np.ndarray:
        """Return what an aperture has more than the ring; ``sums`` (n, 3) are those within the three diameters."""
        small, inner, outer = self.diameters()
        area = small**2 / (outer**2 - inner**2)
        return np.asarray(sums[:, 0] - (sums[:, 2] - sums[:, 1]) * area)

    def errors(self, x: np.ndarray, y: np.ndarray, sums: np.ndarray) -> tuple[float, float]:
        """Return the medians of the distances (pixel) and of the magnitudes' errors; x, y are 1-based.

        Of several detections of one star the brightest counts: bright rings are split where there is next to no noise.
        """
        bright = np.argsort(-sums[:, 0], kind="stable")
        x, y, sums = x[bright], y[bright], sums[bright]
        nearest = np.hypot(x - np.array(self.truth["X"])[:, None], y - np.array(self.truth["Y"])[:, None])
        star = nearest.argmin(axis=0)
        match = np.flatnonzero(nearest.min(axis=0) < 2.0)
        match = match[np.sort(np.unique(star[match], return_index=True)[1])]
        assert match.size >= 0.9 * len(self.truth)
        dx, dy = x[match] - self.truth["X"][star[match]], y[match] - self.truth["Y"][star[match]]
        fraction = self.net(np.interp(self.diameters(), self.light["DIAMETER"], self.light["ENCIRCLED"])[None])
        electrons = self.net(sums[match]) * self.gain
        mags = -2.5 * np.log10(electrons / (self.truth["ELECTRONS"][star[match]] * fraction))
        return float(max(abs(np.median(dx)), abs(np.median(dy)))), float(np.median(mags))


def expose(folder: Path, imager: str, mag: float, aperture: int) -> Field:
    """Return a window about the target's place with stars on a grid, not quite regular."""
    instrument, mode = imager.split()
    document: dict[str, Any] = registry.load(instrument).example(mode)
    setup = configure(parse.read(json.dumps(document)))
    chip = nearest_chip(setup, 0.0, 0.0)
    middle = field_to_pixel(setup, chip, 0.0, 0.0)
    limits = setup.detector.nx - SIZE, setup.detector.ny - SIZE
    corner = [min(max(round(at) - SIZE // 2, 0), limit) for at, limit in zip(middle, limits, strict=True)]
    line = np.arange(STEP / 2, SIZE, STEP) if imager not in ALONE else np.array([SIZE / 2])
    x, y = (axis.ravel() + np.random.default_rng(5).uniform(-3, 3, axis.size) for axis in np.meshgrid(line, line))
    fx, fy = pixel_to_field(setup, chip, x + corner[0], y + corner[1])
    document["output"] = {"psf": {"psf": True}}
    document["elvis"] = {
        "window": {"x0": corner[0], "y0": corner[1], "nx": SIZE, "ny": SIZE},
        "chips": [chip.id],
        "catalogue": {"x": fx.tolist(), "y": fy.tolist(), "mag": [mag] * x.size},
        "skip": [stage for stage in LEFT_OUT if stage in setup.detector.stages],
    }
    path = folder / f"{instrument}.fits"
    made = run("-o", str(path), stdin=json.dumps(document))
    assert made.code == 0, made.err
    return Field(path, aperture)


def source_extractor(field: Field) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y (1-based) and the sums in the three apertures."""
    sextractor, out = program("source-extractor"), field.path.with_suffix(".cat")
    parameters = field.path.with_suffix(".param")
    parameters.write_text("XWIN_IMAGE\nYWIN_IMAGE\nFLUX_APER(3)\n")
    sky = float(np.median(field.pixels))
    options = {
        "CATALOG_NAME": out, "CATALOG_TYPE": "FITS_1.0", "PARAMETERS_NAME": parameters, "FILTER": "N",
        "DETECT_THRESH": 20, "DETECT_MINAREA": 4, "GAIN": field.gain, "BACK_TYPE": "MANUAL", "BACK_VALUE": sky,
        "PHOT_APERTURES": ",".join(map(str, field.diameters())), "SATUR_LEVEL": 1e9, "VERBOSE_TYPE": "QUIET",
        "CLEAN": "N", "MASK_TYPE": "NONE",
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
    command = [sextractor, f"{field.path}[{field.hdu}]", "-c", "/usr/share/source-extractor/default.sex", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = fits.getdata(out)
    return found["XWIN_IMAGE"], found["YWIN_IMAGE"], found["FLUX_APER"]


def photutils(field: Field) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y (1-based) and the sums in the three apertures."""
    package("photutils")
    from photutils.aperture import CircularAperture, aperture_photometry
    from photutils.centroids import centroid_2dg, centroid_sources
    from photutils.detection import find_peaks

    image = field.pixels - np.median(field.pixels)
    noise = 1.4826 * np.median(np.abs(image))
    peaks = find_peaks(image, 20 * noise, box_size=STEP // 2 + 1, border_width=STEP // 4)
    x, y = centroid_sources(image, peaks["x_peak"], peaks["y_peak"], box_size=11, centroid_func=centroid_2dg)
    places = list(zip(x, y, strict=True))
    sums = aperture_photometry(image, [CircularAperture(places, d / 2) for d in field.diameters()])
    return x + 1.0, y + 1.0, np.stack([np.array(sums[f"aperture_sum_{n}"]) for n in range(3)], axis=1)


@pytest.mark.filterwarnings("ignore")
def test_programs_agree_with_truth(tmp_path):
    rows: list[tuple[object, ...]] = []
    for imager, (mag, aperture) in IMAGERS.items():
        field = expose(tmp_path, imager, mag, aperture)
        rows += [(client.__name__, imager, *field.errors(*client(field))) for client in (source_extractor, photutils)]
        x, y = WCS(field.header).wcs_world2pix(field.truth["RA"], field.truth["DEC"], 1)
        rows.append(("astropy WCS", imager, float(np.hypot(x - field.truth["X"], y - field.truth["Y"]).max()), 0.0))
    table("clients against TRUTH", ("client", "imager", "position, pixel", "magnitude"), rows)
    assert [row for row in rows if row[2] > POSITION or abs(row[3]) > MAGNITUDE] == []  # type: ignore[operator,arg-type]


def test_stilts_reads_truth_without_a_word(tmp_path):
    stilts = program("stilts")
    field = expose(tmp_path, "hawki img_noao", *IMAGERS["hawki img_noao"])
    command = [stilts, "tpipe", f"in={field.path}#TRUTH", "cmd=keepcols 'ra dec mag'", "omode=out", "ofmt=csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(field.truth) + 1
    first = np.array(lines[1].split(","), float)
    assert first == pytest.approx([field.truth[name][0] for name in ("RA", "DEC", "MAG")])


def test_fitsverify_and_astropy_have_nothing_to_say_of_5000_stars(tmp_path):
    fitsverify = program("fitsverify")
    random = np.random.default_rng(1)
    document = registry.load("fors").example()
    axes = {axis: random.uniform(-100, 100, 5000).tolist() for axis in "xy"}
    flags = {"signals": ["obstarget"], "snr": ["snr", "noise_components"], "throughput": ["totalinclsky"]}
    document["output"] = {group: dict.fromkeys(names, True) for group, names in flags.items()}
    document["elvis"] = {"catalogue": {**axes, "mag": [20.0] * 5000}}
    path = tmp_path / "frame.fits"
    made = run("-o", str(path), stdin=json.dumps(document))
    assert made.code == 0, made.err
    done = subprocess.run([fitsverify, str(path)], capture_output=True, text=True, check=False)
    assert "0 warning(s) and 0 error(s)" in done.stdout
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path) as hdus:
            for n, hdu in enumerate(hdus):
                if isinstance(hdu, fits.BinTableHDU):
                    Table.read(path, hdu=n)


def chopped(folder: Path, mag: float, aperture: int) -> Field:
    """Return METIS's N band after the subtraction of the chopped and nodded halves, as a frame of half A at nod A."""
    document = registry.load("metis").example("img_n_scao")
    setup = configure(parse.read(json.dumps(document)))
    chip = nearest_chip(setup, 0.0, 0.0)
    corner = [round(at) - SIZE // 2 for at in field_to_pixel(setup, chip, 0.0, 0.0)]
    document["output"] = {"psf": {"psf": True}}
    document["target"]["brightness"]["mag"] = mag
    document["elvis"] = {
        "window": {"x0": corner[0], "y0": corner[1], "nx": SIZE, "ny": SIZE},
        "catalogue": {"x": [0.0123], "y": [-0.0057], "mag": [mag]},
        "skip": [stage for stage in LEFT_OUT if stage in setup.detector.stages],
    }
    (folder / "defaults.json").write_text(json.dumps({key: document[key] for key in ("target", "output", "elvis")}))
    template = {"templateName": "METIS_img_n_obs_AutoChopNod", "parameters": [{"name": "SEQ.NABCYCLES", "value": 1}]}
    target = {"name": "STAR", "ra": "10:00:00.000", "dec": "-30:00:00.00"}
    block = {"obId": 1, "name": "N", "target": target, "templates": [template]}
    planned = run("ob", "--steady", "--request", str(folder / "defaults.json"), stdin=json.dumps(block))
    assert planned.code == 0, planned.err
    made = run("batch", "--outdir", str(folder / "chopped"), stdin=planned.out.decode())
    assert made.code == 0, made.err
    halves: dict[str, Path] = {}
    for path in (folder / "chopped").glob("*.fits"):
        header = fits.getheader(path)
        halves[header["ESO SEQ NODPOS"] + header["ESO SEQ CHOP POS"]] = path
    field = Field(halves["AA"], aperture)
    pixels = {half: fits.getdata(path, field.hdu).astype(float) for half, path in halves.items()}
    field.pixels = ((pixels["AA"] - pixels["AB"]) - (pixels["BA"] - pixels["BB"])) / 2.0
    field.path = folder / "difference.fits"
    hdus = [fits.PrimaryHDU() for _ in range(field.hdu + 1)]
    fits.HDUList([hdus[0], *(fits.ImageHDU(field.pixels.astype(np.float32), field.header) for _ in hdus[1:])]).writeto(
        field.path
    )
    return field


@pytest.mark.filterwarnings("ignore")
def test_chopped_and_nodded_frames_of_metis_agree_with_truth(tmp_path):
    field = chopped(tmp_path, 3.0, 40)
    rows = [
        (client.__name__, "metis img_n_scao", *field.errors(*client(field))) for client in (source_extractor, photutils)
    ]
    table("clients against TRUTH, after subtraction", ("client", "imager", "position, pixel", "magnitude"), rows)
    assert [row for row in rows if row[2] > POSITION or abs(row[3]) > MAGNITUDE] == []
