"""Processor time of an echelle's frame beside PyEchelle (PyPI), which traces each photon, for the same electrons.

Both draw the upper red chip of UVES at 580 nm, 4096 x 2048 pixels and the same orders: whole processes, one thread, of
a star of V = 12 in EXPOSURE seconds, with a signal-to-noise ratio of about 50 in a column of an order. PyEchelle's time
grows with the electrons, that of ELVIS does not: with 100 s the ratio is 13.
PyEchelle gets the traces of the plugin as transformations, a slit, a Gaussian PSF and a flat spectrum; no sky, no
bias structure, no cosmic rays. It runs in an environment of its own.

    python -m tests.bench.echelle
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests.bench import measure

PYECHELLE = ("pyechelle==0.4.2",)
ONE_THREAD = {"ELVIS_THREADS": "1"}
EXPOSURE = 300
"""s."""
ASKED = 20
"""Times less processor time than PyEchelle."""
SAMPLES = 200
"""Of an order, between which PyEchelle's transformations are interpolated."""
SCRIPT = """
import json, sys
import numpy as np
from pyechelle.CCD import CCD
from pyechelle.optics import AffineTransformation, TransformationSet
from pyechelle.simulator import Simulator
from pyechelle.sources import ConstantPhotonFlux
from pyechelle.spectrograph import SimpleSpectrograph
from pyechelle.telescope import Telescope

job = json.load(open(sys.argv[1]))
class Uves(SimpleSpectrograph):
    def __init__(self):
        super().__init__("UVES")
        self._ccd = {1: CCD(4096, 2048, pixelsize=15.0)}
        self._fibershape = "rectangular"
        self._orders = {1: {1: [int(order) for order in job["orders"]]}}
        self._sets = {}
        for order, rows in job["orders"].items():
            # the slit, 0..1 along both axes: its width along the dispersion, its length across
            places = [AffineTransformation(0.0, job["width"], job["length"], 0.0, x, y, w) for w, x, y in rows]
            self._sets[int(order)] = TransformationSet(places)
    def get_transformation(self, wavelength, order, fiber=1, ccd_index=1):
        return self._sets[order].get_affine_transformations(wavelength)
    def get_psf(self, wavelength, order, fiber=1, ccd_index=1):
        from pyechelle.optics import PSF
        one = lambda w: PSF(w, self.gauss_map(11, sigma_x=3.0, sigma_y=3.0), 3.0)
        waves = np.linspace(*self.get_wavelength_range(order), 20)
        return [one(w) for w in waves] if wavelength is None else one(wavelength)
    def get_wavelength_range(self, order=None, fiber=None, ccd_index=None):
        rows = job["orders"][str(order)]
        return rows[0][0], rows[-1][0]

spectrograph = Uves()
angstrom = sum(rows[-1][0] - rows[0][0] for rows in job["orders"].values()) * 1e4
simulator = Simulator(spectrograph)
simulator.set_ccd(1)
simulator.set_fibers([1])
simulator.set_telescope(Telescope(8.2, 1.0))
simulator.set_sources([ConstantPhotonFlux(job["electrons"] / angstrom)])
simulator.set_exposure_time(1.0)
simulator.set_output(sys.argv[2], overwrite=True)
print("photons", simulator.run())
"""


def main() -> None:
    """Print the table."""
    measure.head(__doc__)
    document = registry.load("uves").example("red_slit_std")
    document["instrument"]["DET2.READ.SPEED"] = "225kHz,1x1,low"
    document["timesnr"]["DET2.WIN1.UIT1"] = EXPOSURE
    document["elvis"], document["output"] = {"chips": [1]}, {}
    text = json.dumps(document)
    setup = pipeline.configure(parse.read(text))
    chip, detector, slit = setup.detector.chip(1), setup.detector, setup.spectrograph.apertures[0]
    chip_pixels = detector.nx * detector.ny
    orders = {}
    for trace in setup.spectrograph.traces:
        wave = np.linspace(*trace.wave, SAMPLES)
        x, y = to_pixels(*trace.place(wave, np.zeros(SAMPLES)), chip, detector)
        if np.any((x > 0) & (x < detector.nx)):
            orders[trace.order] = [[float(w), float(a), float(b)] for w, a, b in zip(wave, y, x, strict=True)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "request.json").write_text(text)
        measure.elvis(folder / "request.json", folder / "elvis.fits", ONE_THREAD)  # fills the caches
        floor = measure.floor()
        own = measure.elvis(folder / "request.json", folder / "elvis.fits", ONE_THREAD)
        expected = io.BytesIO()
        pipeline.render(parse.read(json.dumps(document | {"elvis": {"chips": [1], "product": "expected"}})), expected)
        expected.seek(0)
        with fits.open(expected) as file:
            electrons = float(file[1].data.sum(dtype=float)) * setup.exposure.dit
        width, length = slit.width / setup.spectrograph.dispersion_scale, slit.length / setup.optics.pixel_scale
        job = {"orders": orders, "width": width, "length": length, "electrons": electrons}
        (folder / "job.json").write_text(json.dumps(job))
        (folder / "run.py").write_text(SCRIPT)
        measure.row(f"UVES 580 nm, upper chip, {electrons:.3g} electrons: ELVIS", own, floor.of(chip_pixels))
        with measure.skipping("    PyEchelle"), (folder / "said").open("w+") as said:
            python = measure.peer("pyechelle", *PYECHELLE)
            argv = [python, *(str(folder / each) for each in ("run.py", "job.json", "out.fits"))]
            other = measure.watch(argv, ONE_THREAD, stdout=said)
            said.seek(0)
            traced = float(said.read().split("photons")[-1])
            times = other.cpu / own.cpu * electrons / traced
            remark = f"for {traced:.3g} photons: {times:.0f} times ELVIS for as many (asked {ASKED})"
            measure.row("    PyEchelle", other, floor.of(chip_pixels), remark)


if __name__ == "__main__":
    main()
