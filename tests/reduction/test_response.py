"""The response by a standard star: smooth, whatever part of it the air's lines fill."""

import numpy as np
import pytest

from elvis_cli.reduction import flux_standard
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.scene.standards import StandardStar

STAR = StandardStar("star", None, None, "K", 5.0, "vega", 0.0, "Pickles:A0V", "")


class Lines:
    """An atmosphere whose lines fill two thirds of the pixels of 100, by half of the light."""

    def transmission(self, aperture, wave):
        pixel = np.arange(wave.size)
        return np.where((pixel >= 450) & (pixel < 550) & (pixel % 3 > 0), 0.5, 0.99)


@pytest.mark.parametrize("power", [None, 1.0])
def test_lines_of_the_air_are_no_part_of_the_response(power):
    wave = np.linspace(2.2, 2.22, 1000)
    width = np.gradient(wave)
    counts = 1e18 * flux_standard.flux_density(STAR, wave) * width * Lines().transmission(1, wave)
    nought = np.zeros_like(wave)
    one = Spectrum(1, 1, wave, width, counts, 1e-3 * counts, counts, counts, nought, nought > 0, 0, width)
    response = flux_standard.measure([one], STAR, lines=Lines(), power=power).at(one)
    expected = np.full(wave.size, 1e-18 / 0.99)
    if power:  # the star's own pixels take the lines out
        expected = 1e-18 / Lines().transmission(1, wave)
    assert response / expected == pytest.approx(np.ones(wave.size), abs=0.01)
