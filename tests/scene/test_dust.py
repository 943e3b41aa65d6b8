import numpy as np
import pytest

from elvis_cli.scene import bands, dust
from tests.each import each


@each(
    ("x", "published"),
    [  # 1/um, A/E(B-V) for R_V = 3.1: Fitzpatrick (1999), Table 3
        (0.377, 0.265),
        (0.820, 0.829),
        (1.667, 2.688),
        (1.828, 3.055),
        (2.141, 3.806),
        (2.433, 4.315),
        (3.704, 6.265),
        (3.846, 6.591),
    ],
)
def test_fitzpatricks_table(x, published):
    assert dust.curve(np.array([1 / x]))[0] * 3.1 == pytest.approx(published, abs=1.5e-3)


@each(
    ("name", "published"),
    {  # A_b / E(B-V) of Schlafly & Finkbeiner (2011, Table 6, R_V = 3.1), a star of 7000 K
        "sdss_u": 4.239,
        "sdss_g": 3.303,
        "4MOST_Johnson_V": 2.742,
        "sdss_r": 2.285,
        "sdss_i": 1.698,
        "sdss_z": 1.263,
    }.items(),
)
def test_extinction_through_bands(name, published):
    """Their table is scaled to E(B-V) of the dust map, so it is compared by its ratio to V."""

    def dimming(band_name):
        band = bands.load(band_name)
        wave, star = bands.table("Pickles/F2V")
        density = wave * star
        reddened = density * 10 ** (-0.04 * dust.curve(wave))
        return -25 * np.log10(band.integral(wave, reddened) / band.integral(wave, density))

    assert dimming(name) / dimming("4MOST_Johnson_V") == pytest.approx(published / 2.742, rel=0.015)


def test_one_magnitude_of_av_is_one_magnitude_in_v():
    band = bands.load("V")
    wave, vega = bands.table("Vega")
    dimmed = vega * wave * 10 ** (-0.4 * dust.curve(wave))
    assert -2.5 * np.log10(band.integral(wave, dimmed) / band.integral(wave, vega * wave)) == pytest.approx(
        1.0, abs=0.03
    )


def test_the_two_curves_meet():
    below, above = dust.curve(np.array([2.7, 2.7000001]))
    assert below == pytest.approx(above, rel=0.01)


def test_silicates():
    """Gordon et al. (2021): silicate bands near 10 and 20 um stand out of a power law of 0.366 lambda^-1.48."""
    wave = np.linspace(8, 15, 701)
    extinction = dust.curve(wave)
    assert 9.4 < wave[extinction.argmax()] < 10.1
    assert extinction.max() == pytest.approx(0.081, abs=0.003)
    assert dust.curve(np.array([4.0]))[0] == pytest.approx(0.366 * 4.0**-1.48, rel=0.06)


def test_finite_everywhere():
    curve = dust.curve(np.geomspace(0.01, 1000, 500))
    assert np.isfinite(curve).all()
    assert (curve > 0).all()
