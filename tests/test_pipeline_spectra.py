"""The whole way of a spectrum, from request to frame: what must not matter does not, what must matter does."""

import io

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.base import parallel
from elvis_cli.focalplane.imager import PARTS
from elvis_cli.instrument import registry
from elvis_cli.optics import make_psf
from tests.conftest import closure_only

SPECTRA = {
    "slit": ("metis", "lss_m_scao", 1, {"x0": 950, "y0": 900, "nx": 150, "ny": 140}),
    "ifu": ("metis", "lms_scao", 1, {"x0": 950, "y0": 900, "nx": 150, "ny": 140}),
    "echelle": ("crires2", "spec_ngs", 2, {"x0": 950, "y0": 1180, "nx": 150, "ny": 140}),
}
DRAWN_TWICE = [pytest.param(kind, marks=closure_only) if kind == "slit" else kind for kind in SPECTRA]
"""The slices of the integral field take the way of the long slit."""
CELL = {"x0": 37, "y0": 61, "nx": 70, "ny": 50}
"""Of the window, across a border of the blocks of rows that threads share."""


def document(kind, **elvis_block):
    name, mode, chip, window = SPECTRA[kind]
    return {**registry.load(name).example(mode), "elvis": {"chips": [chip], "window": window, **elvis_block}}


def shaped(kind, product):
    """Return the frames of a request with all kinds of light, in one chip's window."""
    made = document(
        kind, product=product, catalogue={"x": [0, 0.1], "y": [0.02, 0], "mag": [14, 15], "radius": [0, 0.1]}
    )
    made["target"]["brightness"]["mag"] = 14
    return made


def images(data):
    with fits.open(io.BytesIO(data)) as hdus:
        return [hdu.data.copy() for hdu in hdus if hdu.is_image and hdu.data is not None]


@pytest.mark.parametrize("kind", DRAWN_TWICE)
def test_threads_do_not_change_a_byte(kind, render):
    try:
        parallel.set_threads(1)
        one = render(shaped(kind, "raw"))
        parallel.set_threads(5)
        make_psf.RECENT.clear()
        assert render(shaped(kind, "raw")) == one
    finally:
        parallel.set_threads(0)


@pytest.mark.parametrize("kind", DRAWN_TWICE)
def test_a_window_is_a_cut_of_the_noiseless_frame(kind, render):
    whole = shaped(kind, "expected")
    part = shaped(kind, "expected")
    window = part["elvis"]["window"]
    part["elvis"]["window"] = {**CELL, "x0": window["x0"] + CELL["x0"], "y0": window["y0"] + CELL["y0"]}
    cut = np.s_[CELL["y0"] : CELL["y0"] + CELL["ny"], CELL["x0"] : CELL["x0"] + CELL["nx"]]
    for small, large in zip(images(render(part)), images(render(whole)), strict=True):
        np.testing.assert_array_equal(small, large[cut])


def test_a_chip_alone_is_the_chip_among_others(render):
    among, alone = shaped("echelle", "raw"), shaped("echelle", "raw")
    among["elvis"]["chips"] = [1, 2, 3]
    one, two, _ = images(render(among))
    np.testing.assert_array_equal(two, images(render(alone))[0])
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("kind", SPECTRA)
def test_parts_of_the_light_add_up(kind, ready):
    made = ready(shaped(kind, "expected"))
    chip, window = made.setup.detector.chip(made.setup.frame.chips[0]), made.setup.frame.window
    parts = [made.renderer.illuminate(chip, window, frozenset({part})).astype(float) for part in sorted(PARTS)]
    for part in parts:
        assert np.isfinite(part).all()
        assert part.min() >= 0
        assert part.max() > 0
    np.testing.assert_allclose(sum(parts), made.renderer.illuminate(chip, window), rtol=1e-5)
