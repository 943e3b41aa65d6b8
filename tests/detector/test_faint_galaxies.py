import numpy as np
import pytest

from elvis_cli.detector.faint_galaxies import Parameters, draw

TABLE = {
    "bright": 25, "faint": 28, "slope": 0.36, "density": 40, "zero_point": 25.5, "fwhm": 3, "pixel": 0.1
}  # fmt: skip


def test_counts_rise_with_the_slope():
    mag = draw((8000, 8000), Parameters(**TABLE), np.random.default_rng(1))[2]
    assert len(mag) == pytest.approx(Parameters(**TABLE).number(8000**2), rel=4.5 / len(mag) ** 0.5)
    counts, edges = np.histogram(mag, bins=np.linspace(25, 28, 7))
    slope = np.polyfit(edges[:-1], np.log10(counts), 1, w=counts**0.5)[0]
    assert slope == pytest.approx(0.36, abs=0.01)


def test_mean_light_is_the_integral_of_the_counts(expose):
    frame = expose(np.zeros((1800, 1800)), dit=100, stages={"faint_galaxies": TABLE}, elvis_block={"stages": ()})
    expected = Parameters(**TABLE).surface() * 100
    number = Parameters(**TABLE).number(1800**2)
    assert frame.mean(dtype=float) == pytest.approx(expected, rel=6 / number**0.5)
    mag = np.linspace(25, 28, 10001)
    light = 40 / 3600 * 0.1**2 * 10 ** (0.36 * (mag - 25)) * 10 ** (-0.4 * (mag - 25.5)) * 100
    assert expected == pytest.approx((light[1:] + light[:-1]).sum() / 2 * (mag[1] - mag[0]), rel=1e-6)


def test_they_stay_from_exposure_to_exposure_and_in_windows(expose):
    change = {"dit": 10, "stages": {"faint_galaxies": TABLE}}
    full = expose(np.zeros((600, 600)), **change, elvis_block={"stages": ()})
    np.testing.assert_array_equal(
        full, expose(np.zeros((600, 600)), **change, elvis_block={"stages": (), "exposure": 2})
    )
    cut = expose(np.zeros((200, 200)), x0=100, y0=150, **change, elvis_block={"stages": ()})
    np.testing.assert_allclose(cut[20:-20, 20:-20], full[170:330, 120:280], atol=1e-5)
