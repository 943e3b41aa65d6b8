"""Lines of stars: averages that stay those of the template, rotation, macroturbulence, the choice of spectra."""

from __future__ import annotations

import numpy as np
import pytest

from elvis_cli.model.request import Brightness, Sed, Target
from elvis_cli.scene import photospheres, spectrum

STAR = Target(sed=Sed(catalog="Pickles", id="K0III"), brightness=Brightness("mag", 8.0, "K"))


def test_a_type_of_its_own_is_not_mixed():
    for row, (_, temperature, gravity) in enumerate(photospheres.STARS):
        assert photospheres.mixture(temperature, gravity) == ((row, 1.0),)


def test_between_two_types_both_have_a_part():
    (first, a), (second, b) = photospheres.mixture(6150.0, 4.4)
    assert {photospheres.STARS[first][0], photospheres.STARS[second][0]} == {"G2V", "F5V"}
    assert a + b == pytest.approx(1.0)


def test_lines_do_not_change_what_the_template_resolves():
    edges = 2.0 * np.exp(np.arange(0.0, 0.15, 5e-3))
    smooth, lined = (spectrum.between(STAR, edges, lines) for lines in (False, True))
    assert lined / smooth == pytest.approx(np.ones(smooth.size), abs=0.004)
    assert np.sum(lined * np.diff(edges)) == pytest.approx(np.sum(smooth * np.diff(edges)), rel=1e-3)


@pytest.mark.parametrize("vsini", [10.0, 30.0])
def test_rotation_widens_lines_and_keeps_their_light(vsini):
    """The profile's half width at the base is v sin i (Gray 2005, section 18)."""
    slow = photospheres.ratio(5777.0, 4.44, 1.55, 1.60, 0.0, 0.0)[1]
    fast = photospheres.ratio(5777.0, 4.44, 1.55, 1.60, vsini, 0.0)[1]
    assert fast.mean() == pytest.approx(slow.mean(), rel=1e-4)
    assert fast.std() < 0.8 * slow.std()
    kernel = photospheres._rotation(vsini)
    x = np.arange(kernel.size) - kernel.size // 2
    assert kernel[np.abs(x) > vsini].sum() == 0.0
    assert kernel.sum() == pytest.approx(1.0)


def test_velocities_move_the_lines():
    """Of 30 km/s, by cross-correlation with the same star at rest."""
    edges = 1.55 * np.exp(np.arange(0.0, 0.04, 1e-6))
    rest = spectrum.between(STAR, edges, lines=True)
    moved = spectrum.between(Target(sed=spectrum.moving(STAR.sed, 30.0), brightness=STAR.brightness), edges, lines=True)
    lags = np.arange(60, 141)
    product = [np.corrcoef(rest[200:-200], moved[200 + n : -200 + n])[0, 1] for n in lags]
    best = lags[int(np.argmax(product))] * 1e-6 * 299792.458
    assert best == pytest.approx(30.0, abs=0.3)


def test_what_is_not_computed_is_said():
    assert "those of atoms" in photospheres.notes(3500.0, 4.8)[0]
    assert "no hotter star" in photospheres.notes(30000.0, 4.0)[0]
    assert photospheres.notes(5777.0, 4.44) == ()
    assert photospheres.described(5777.0, 4.44) == "the Sun, R = 150000, to 5.45 um"
