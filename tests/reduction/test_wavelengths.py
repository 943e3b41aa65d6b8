"""Wavelengths by an arc of every spectroscopic mode, from a layout that is off, against the map of the frame."""

import io
import json

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, chip_calibration, fibres, layout, line_polynomial, raw, wavelength
from elvis_cli.request import parse
from tests.conftest import changed, closure_only, run

LRS, HRS = ({"instrument/RESOLUTION": name} for name in ("lrs", "hrs"))
MXU = {"x": [0.0, -12.0, 8.0], "y": [0.0, 20.0, -24.0], "length": [12.0, 10.0, 10.0], "width": [1.0, 1.3, 1.0]}
MODES = {
    "METIS L": ("metis", "lss_l_scao", {}, (0, 0, 2048, 2048)),
    "METIS M": ("metis", "lss_m_scao", {}, (0, 0, 2048, 2048)),
    "METIS N": ("metis", "lss_n_scao", {}, (0, 0, 2048, 2048)),
    "METIS LMS": ("metis", "lms_scao", {}, (0, 0, 2048, 2048), {"instrument/INS.WLEN.CEN": 4.73}),
    "ERIS NIX": ("eris", "lss_ngs", {}, (0, 0, 2048, 2048)),
    "ERIS SPIFFIER": ("eris", "ifs_ngs", {}, (0, 0, 2048, 2048)),
    "FORS2 LSS": ("fors", "lss", {}, (0, 0, 2048, 1024)),
    "FORS2 MXU": ("fors", "mxu", {"mask": MXU}, (0, 0, 2048, 1024)),
    "FORS2 MOS": ("fors", "mos_nopol", {}, (0, 0, 2048, 1024)),
    "X-shooter UVB": ("xshooter", "slit", {"arm": "uvb"}, (0, 0, 2048, 3000)),
    "X-shooter VIS": ("xshooter", "slit", {"arm": "vis"}, (0, 0, 2048, 4000)),
    "X-shooter NIR": ("xshooter", "slit", {"arm": "nir"}, (0, 0, 2048, 1100)),
    "ANDES U": ("andes", "seeing", {"arm": "u"}, (0, 3400, 9216, 1300)),
    "ANDES B": ("andes", "seeing", {"arm": "b"}, (0, 3400, 9216, 1100)),
    "ANDES V": ("andes", "seeing", {"arm": "v"}, (0, 3400, 9216, 1000)),
    "ANDES R": ("andes", "seeing", {"arm": "r"}, (0, 3400, 9216, 1100)),
    "ANDES IZ": ("andes", "seeing", {"arm": "iz"}, (0, 3400, 9216, 1000)),
    "ANDES Y": ("andes", "seeing", {"arm": "y"}, (0, 1500, 4096, 700)),
    "ANDES J": ("andes", "seeing", {"arm": "j"}, (0, 1500, 4096, 700)),
    "ANDES H": ("andes", "seeing", {"arm": "h"}, (0, 1500, 4096, 700)),
    "ANDES IFU": ("andes", "ifu", {"arm": "j"}, (0, 1500, 4096, 700)),
    "MOSAIC near-infrared": ("mosaic", "mos_nir", {}, (0, 1960, 4096, 120)),
    "MOSAIC visible": ("mosaic", "mos_vis", {}, (0, 5780, 6144, 364)),
    "MOSAIC visible, high resolution": ("mosaic", "mos_vis_hr", {}, (0, 5780, 6144, 364)),
    "MOSAIC units": ("mosaic", "mifu", {}, (0, 1120, 4096, 300)),
    "4MOST LRS blue": ("fourmost", "unique", {"arm": "blue"}, (0, 3000, 6144, 140), LRS),
    "4MOST LRS green": ("fourmost", "unique", {"arm": "green"}, (0, 3000, 6144, 140), LRS),
    "4MOST LRS red": ("fourmost", "unique", {"arm": "red"}, (0, 3000, 6144, 140), LRS),
    "4MOST HRS blue": ("fourmost", "unique", {"arm": "blue"}, (0, 3000, 6144, 140), HRS),
    "4MOST HRS green": ("fourmost", "unique", {"arm": "green"}, (0, 3000, 6144, 140), HRS),
    "4MOST HRS red": ("fourmost", "unique", {"arm": "red"}, (0, 3000, 6144, 140), HRS),
    "HARPS": ("harps", "unique", {"arm": "harps"}, (735, 0, 400, 4096)),
    "NIRPS": ("harps", "unique", {"arm": "nirps"}, (0, 1700, 4088, 400)),
    "CRIRES2": ("crires2", "spec_ngs", {}, (0, 0, 2048, 2048)),
    "UVES red": ("uves", "red_slit_std", {}, (0, 0, 2048, 2048)),
    "UVES blue": ("uves", "blue_slit_std", {}, (0, 0, 2048, 3000)),
    "MICADO": ("micado", "lss_4mas_scao", {}, (2000, 0, 900, 4096)),
    "HARMONI": ("harmoni", "ifs_noao", {}, (0, 0, 700, 4096)),
}
"""Instrument, mode, block, window of the first chip: whole along the dispersion."""
LIMIT = {"CRIRES2": 0.03}
"""Pixels, rms; 0.05 of all others."""
SHIFT, STRETCH = 1.3, {"METIS L": 0.0, "METIS LMS": 0.0}
"""Pixels by which the layout is off, everywhere and at its ends: a laser or two tell no stretch, 0.3 of all others."""


def night(name, mode, block, window, changes=None):
    """Yield the raw files of a target with its map of wavelengths, and of its calibrations."""
    document = changed(registry.load(name).example(mode), changes or {}) | {"output": {}}
    places = dict(zip(("x0", "y0", "nx", "ny"), window, strict=True))
    setup = pipeline.configure(parse.read(json.dumps(document | {"elvis": block})))
    dark = "dark" if setup.detector.kind == "ir" else "bias"
    for n, kind in enumerate([None, dark, dark, "flat", "flat", "arc"]):
        own = {"chips": [1], "window": places, "date": f"2026-01-01T04:{n:02d}:00", "exposure": n + 1}
        own |= {"calibration": kind} if kind else {"wavemap": True}
        made = run("--seed", str(n), stdin=json.dumps(document | {"elvis": block | own}))
        assert made.code == 0, made.err
        yield made.out


@closure_only
@pytest.mark.parametrize("case", MODES)
def test_wavelengths_are_those_of_the_frame(case, monkeypatch):
    true_layout = layout.of_chip

    def moved(*of):
        chip = true_layout(*of)
        for strip in chip.strips:
            away = SHIFT + STRETCH.get(case, 0.3) * line_polynomial.unit(strip)
            wavelength._move(strip, np.broadcast_to(away[:, None], strip.s.shape))
        return chip

    monkeypatch.setattr(layout, "of_chip", moved)
    made = list(night(*MODES[case]))
    (files,) = [each for each in associate.associate(raw.open_all(made)) if each.science]
    setup, name = layout.configure(files.science[0], "arc"), files.science[0].chips[0]
    notes = []
    measure = fibres.measure if setup.spectrograph.apertures[0].fibre else chip_calibration.measure
    chip = measure(files, name, setup, notes)
    assert chip.solution is not None, notes
    with fits.open(io.BytesIO(made[0])) as hdus:
        true, order, aperture = (chip.layout.turn(hdus[key].data) for key in ("WAVE", "ORDER", "APERTURE"))
    away = []
    for strip in chip.layout.strips:
        own = strip.inside & (strip.cut(order) == strip.order) & (strip.cut(aperture) == strip.aperture)
        pixels = (strip.wave - strip.cut(true)) / strip.dispersion()
        away.append(pixels[own])
    away = np.concatenate(away)
    rms = np.sqrt(np.mean(np.square(away)))
    print(f"{case}: wave {rms:.4f} max {np.abs(away).max():.3f} mean {away.mean():+.4f} of {chip.solution.lines} lines")
    assert rms < LIMIT.get(case, 0.05)
