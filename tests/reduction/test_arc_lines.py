"""Lines of an arc: few of them, blended ones, and what is fitted to them."""

import json

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import layout, wavelength
from elvis_cli.request import parse


def test_a_dip_is_no_line():
    """X-shooter's window without lines was moved by 12 pixels, as far as lines are looked for."""
    x = np.arange(200.0)
    line = np.exp(-0.5 * np.square((x - 60.3) / 1.5))
    place, _ = wavelength._centroids(10.0 + line - np.roll(line, 60), np.array([60.0, 120.0]), 3.5)
    assert place[0] == pytest.approx(60.3, abs=0.01)
    assert np.isnan(place[1])


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.8])
def test_a_neighbour_does_not_move_a_line(fraction):
    """The centroid of a line with a neighbour is compared with that of both in the list's strengths."""
    setup = pipeline.configure(parse.read(json.dumps(registry.load("metis").example("lss_m_scao"))))
    (strip,) = layout.of_chip(setup, setup.detector.chips[0].extname, (200, 400, 875, 701)).strips
    at = strip.middle(strip.slit.offset)
    rows, light = np.array([200.0, 200.0 + 1.4 * strip.line_width]), np.array([1.0, fraction])
    spectrum = wavelength._drawn(rows + 0.4, 1e3 * light, strip.line_width, at.size)
    cut = [(strip.slit.offset, spectrum, np.ones(at.size), at)]
    wave = np.interp(rows, np.arange(at.size), at)
    order = np.argsort(wave)
    seen = wavelength._lines(0, strip, cut, wave[order], light[order], 0)
    assert seen.away == pytest.approx(0.4, abs=0.002)
    assert (seen.away.size > 0) == (fraction < 0.5)  # one that is moved by a tenth of its width is left out


def test_few_lines_lead_to_few_terms():
    """Six lines with noise ask for a shift alone as a rule, six that are stretched for a slope."""
    rng = np.random.default_rng(1)
    u = np.linspace(-0.9, 0.9, 6)
    design = np.stack([u**n for n in range(4)], axis=1)
    assert np.mean([wavelength._terms(design, rng.normal(size=6) + 9.0) == 1 for _ in range(100)]) > 0.8
    assert np.mean([wavelength._terms(design, rng.normal(size=6) + 9.0 + 20 * u) == 2 for _ in range(100)]) > 0.8


def test_a_scale_that_changes_along_an_order_leaves_its_pixels_whole():
    """Of X-shooter's infrared chip no line was seen: places of three pixels that four see here and there."""
    document = registry.load("xshooter").example("slit")
    document["elvis"] = {"arm": "nir"}
    setup = pipeline.configure(parse.read(json.dumps(document)))
    chip = layout.of_chip(setup, "NIR", (2048, 1100, 1, 1))
    dark = np.zeros((2048, 1100), np.float32)
    for strip in chip.strips:
        _, _, error, _ = wavelength._spectra(strip, dark, dark + 1)[3]
        assert np.mean(np.isfinite(error)) > 0.9
