"""Planck's law."""

import numpy as np
import pytest

from elvis_cli.base import black_body
from elvis_cli.base.constants import LIGHT, PLANCK

WAVE = np.geomspace(0.05, 1000, 100_001)
"""um."""


def test_stefan_and_wien() -> None:
    radiance = black_body.radiance(WAVE, 5772.0)
    assert np.pi * np.trapezoid(radiance, WAVE) == pytest.approx(5.670374e-8 * 5772.0**4, rel=1e-4)
    assert WAVE[radiance.argmax()] * 5772.0 == pytest.approx(2897.77, rel=1e-3)


def test_a_photon_has_its_energy() -> None:
    wave = WAVE[WAVE > 1.0]
    energy = black_body.photon_radiance(wave, 285.0) * PLANCK * LIGHT / (wave * 1e-6)
    np.testing.assert_allclose(energy, black_body.radiance(wave, 285.0), rtol=1e-7)


@pytest.mark.filterwarnings("error")
def test_nothing_comes_from_the_cold_side() -> None:
    assert black_body.radiance(np.array([0.3]), 3.0)[0] == 0.0
    assert black_body.photon_radiance(np.array([0.3]), 3.0)[0] == 0.0
