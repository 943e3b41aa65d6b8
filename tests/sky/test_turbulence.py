"""Structure functions against closed forms and published numbers."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from elvis_cli.instrument import registry
from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.request import parse
from elvis_cli.sky import turbulence

RADIAN = (turbulence.REFERENCE / (2 * math.pi)) ** 2  # nm2 in one rad2


@pytest.fixture(scope="module")
def atmosphere() -> Callable[..., Atmosphere]:
    """Return a function: the air above Armazones, median profile, of a zenith seeing and an airmass."""
    plugin = registry.load("micado")
    usual = plugin.configure(parse.read(json.dumps(plugin.example()))).atmosphere
    assert usual.turbulence.name == "median"
    return lambda seeing=0.67, airmass=1.0: replace(usual, seeing=seeing, airmass=airmass)


def test_r0_follows_seeing_and_airmass(atmosphere) -> None:
    assert turbulence.air(atmosphere(0.641)).r0 == pytest.approx(0.157, abs=1e-3)
    slant = turbulence.air(atmosphere(0.641, airmass=2.0))
    assert slant.r0 == pytest.approx(0.157 * 2**-0.6, abs=1e-3)
    assert slant.height[0] == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("profile", "seeing", "theta0", "tau0"),
    [("median", 0.641, 2.30, 5.35), ("q1", 0.430, 2.80, 8.08), ("q4", 1.038, 2.15, 3.11)],
)
def test_profiles_give_the_published_angles_and_times(atmosphere, profile, seeing, theta0, tau0) -> None:
    from importlib.resources import files
    from tomllib import loads

    text = files("elvis_instruments").joinpath("_sites", "armazones_turbulence.toml").read_text("utf-8")
    layers = loads(text)["profiles"][profile]
    r0 = turbulence.air(atmosphere(seeing)).r0
    weight = np.array(layers["weight"])
    height = (weight @ np.array(layers["height"]) ** (5 / 3)) ** 0.6
    wind = (weight @ np.array(layers["wind"]) ** (5 / 3)) ** 0.6
    assert weight.sum() == pytest.approx(1.0, abs=1e-3)
    assert 0.314 * r0 / height / turbulence.ARCSEC == pytest.approx(theta0, rel=0.01)
    assert 314 * r0 / wind == pytest.approx(tau0, rel=0.01)


def test_von_karman_agrees_with_the_bessel_function(atmosphere) -> None:
    air = turbulence.air(atmosphere())
    shift = np.geomspace(0.01, 100.0, 60)
    x = 2 * np.pi * shift / air.outer_scale
    variance = 0.0863 * (air.outer_scale / air.r0) ** (5 / 3)
    rest = 1 - 2 ** (1 / 6) / math.gamma(5 / 6) * x ** (5 / 6) * special.kv(5 / 6, x)
    np.testing.assert_allclose(turbulence.von_karman(shift, air), 2 * variance * rest * RADIAN, rtol=3e-3)


def test_without_outer_scale_it_is_kolmogorovs_law(atmosphere) -> None:
    air = replace(turbulence.air(atmosphere()), outer_scale=1e7)
    shift = np.array([0.05, 0.3, 2.0])
    np.testing.assert_allclose(
        turbulence.von_karman(shift, air), 6.88 * (shift / air.r0) ** (5 / 3) * RADIAN, rtol=0.01
    )


def test_spectrum_and_structure_function_belong_together(atmosphere) -> None:
    air = turbulence.air(atmosphere())
    f = np.geomspace(1e-5, 200.0, 200_000)
    for shift in (0.3, 3.0, 30.0):
        integrand = 4 * np.pi * f * air.spectrum(f) * (1 - special.j0(2 * np.pi * f * shift))
        expected = np.trapezoid(integrand, f)
        assert turbulence.von_karman(np.array([shift]), air)[0] == pytest.approx(expected, rel=5e-3)


def test_fitting_error_of_a_disc_of_frequencies(atmosphere) -> None:
    """0.2741 (d/r0)^(5/3) rad2 outside f < 1/2d; near 0 Kolmogorov's law less the gradient of what is left out."""
    air = turbulence.air(atmosphere())
    shift, found = turbulence.fitting(1.0, air, 60.0)
    assert found[-1] / 2 == pytest.approx(0.2741 * (0.5 / air.r0) ** (5 / 3) * RADIAN, rel=2e-3)
    near = np.array([0.002, 0.005])
    left_out = 12 * math.pi**3 * 0.0229 * near**2 * air.r0 ** (-5 / 3)
    expected = (6.88 * (near / air.r0) ** (5 / 3) - left_out) * RADIAN
    np.testing.assert_allclose(np.interp(near, shift, found), expected, rtol=0.01)


def test_bessel_function() -> None:
    x = np.geomspace(1e-3, 400.0, 500)
    np.testing.assert_allclose(turbulence.one_minus_bessel(x), 1 - special.j0(x), atol=1e-7)
    np.testing.assert_allclose(turbulence.one_minus_bessel(x[:100]), 1 - special.j0(x[:100]), rtol=1e-6)
