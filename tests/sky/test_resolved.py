"""The sky's lines: places and depths of published ones, and averages that stay those of the table of R = 6000."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.base.spectral_grid import bin_edges, grid
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.request import SkyConditions
from elvis_cli.scene import photospheres
from elvis_cli.sky import local, resolved
from tests.each import each

PARANAL = Site("Paranal", -24.627, -70.405, 2640.0, 287.116, 740.0, 0.1)
ZENITH = SkyConditions(airmass=1.0, pwv=2.5, fli=0.0)

# nm (vacuum), smallest transmission and equivalent width (pm) between the neighbouring maxima, at airmass 1 and 2.5 mm
# of water: HITRAN2020 below 1.78 um, the solar FTS atlas above (see PROVENANCE.md, air.npy).
LINES = [
    (628.0837, 0.418, 1.87), (693.1510, 0.292, 3.01), (769.7957, 0.430, 2.81), (723.4896, 0.274, 9.32),
    (975.6503, 0.268, 15.18), (1261.1340, 0.251, 7.36), (1571.4068, 0.255, 15.56), (1650.9588, 0.294, 20.88),
    (2040.9781, 0.369, 23.53), (2349.2907, 0.390, 25.79), (2397.3445, 0.306, 56.58), (4719.4320, 0.267, 41.79),
]  # fmt: skip


def line(wave, transmission, near):
    """Return place (um), transmission and equivalent width (pm) of the line at ``near`` um."""
    i = int(np.argmin(np.where(np.abs(wave / near - 1) < 5e-6, transmission, np.inf)))
    a = b = i
    while transmission[a - 1] >= transmission[a]:
        a -= 1
    while transmission[b + 1] >= transmission[b]:
        b += 1
    level = np.interp(wave[a : b + 1], wave[[a, b]], transmission[[a, b]])
    return wave[i], transmission[i], np.trapezoid(1 - transmission[a : b + 1] / level, wave[a : b + 1]) * 1e6


@each(("nm", "least", "width"), LINES)
def test_lines_of_the_air_are_where_and_as_deep_as_published(nm, least, width):
    near = nm * 1e-3
    sky = resolved.resolve(ZENITH, PARANAL, near * 0.995, near * 1.005)
    parts = local.components(ZENITH, PARANAL, grid(near * 0.995, near * 1.005))
    wave, water, dry = resolved._depths(near * 0.995, near * 1.005, parts)
    place, transmission, found = line(wave, np.exp(-dry - 2.5 * water), near)
    assert abs(place / near - 1) * 3e5 < 0.5
    assert transmission == pytest.approx(least, abs=0.01)
    assert found == pytest.approx(width, rel=0.02)
    # The fit to the table moves no line, and changes it by what the two models differ.
    place, _, found = line(sky.wave, sky.transmission, near)
    assert abs(place / near - 1) * 3e5 < 0.5
    assert found == pytest.approx(width, rel=0.1)


@each(
    ("low", "high"),
    [
        (0.39, 0.5),
        (0.6, 0.7),
        (0.9, 1.0),
        (1.2, 1.35),
        (1.5, 1.7),
        (2.0, 2.4),
        (3.5, 4.0),
        (4.6, 5.2),
        (5.2, 5.6),
        (9, 11),
    ],
)
@pytest.mark.parametrize("conditions", [ZENITH, SkyConditions(airmass=1.6, pwv=5.0, fli=0.7)])
def test_averages_are_those_of_the_table(low, high, conditions):
    sky = resolved.resolve(conditions, PARANAL, low, high)
    wave = grid(low, high)
    coarse = local.load(conditions, PARANAL, wave)
    edges = bin_edges(wave)
    inner = slice(3, -3)
    fine = sky.transmitted(edges)[inner]
    assert sky.transmission.min() >= 0.0
    assert sky.transmission.max() <= 1.0
    # each bin is met, but for those whose depths have no power: there the table is opaque
    usable = coarse.transmission[inner] > 0.01
    assert fine[usable] == pytest.approx(coarse.transmission[inner][usable], rel=1e-3)
    assert np.abs(fine - coarse.transmission[inner])[~usable].max(initial=0.0) < 1.5e-3
    assert fine.mean() == pytest.approx(coarse.transmission[inner].mean(), rel=1e-3)
    width = np.diff(edges)
    bright, expected = sky.emitted(edges) * width, coarse.emission * width
    assert bright.min() >= 0.0
    # A line may lie in the bin beside that which has its light.
    assert bright[2:-2].sum() == pytest.approx(expected[2:-2].sum(), rel=5e-3)


def test_oh_lines_are_narrow_and_where_the_list_has_them():
    """Rousselot et al. (2000): 1.61283, 1.61289 um part in two at high resolution, and have the light of the table."""
    sky = resolved.resolve(ZENITH, PARANAL, 1.58, 1.65)
    edges = np.exp(np.arange(np.log(1.6120), np.log(1.6137), 1e-6))
    middle = (edges[1:] + edges[:-1]) / 2
    light = sky.emitted(edges) * np.diff(edges)
    for place in (1.6128294, 1.6128923):
        near = np.abs(middle / place - 1) < 1e-5
        assert np.average(middle[near], weights=light[near]) == pytest.approx(place, rel=5e-7)
    coarse = local.components(ZENITH, PARANAL, grid(1.6120, 1.6137))
    whole = np.sum(coarse.lines * np.diff(bin_edges(coarse.wave)))
    inside = np.abs(middle / 1.61286 - 1) < 4e-5
    assert light[inside].sum() == pytest.approx(whole, rel=0.1)


def test_oxygen_glows_at_the_places_where_it_absorbs():
    sky = resolved.resolve(ZENITH, PARANAL, 1.24, 1.30)
    inside = (sky.line_wave > 1.2605) & (sky.line_wave < 1.2617)
    brightest = sky.line_wave[inside][np.argmax(sky.line_photons[inside])]
    assert np.min(sky.transmission[np.abs(sky.wave - brightest) < 2e-6]) < 0.5


def test_moonlight_has_the_lines_of_the_sun():
    moonlit = replace(ZENITH, fli=1.0, moon_distance=30.0, moon_altitude=60.0)
    edges = np.linspace(0.5885, 0.5903, 3601)
    dark, bright = (resolved.resolve(c, PARANAL, 0.585, 0.593).emitted(edges) for c in (ZENITH, moonlit))
    moon = bright - dark
    for sodium in (0.5891583, 0.5897558):
        near = np.abs((edges[1:] + edges[:-1]) / 2 - sodium) < 2e-6
        assert moon[near].min() < 0.25 * np.median(moon)


@each(
    ("nm", "residual"),
    [(589.1583, 0.07), (616.3887, 0.19), (630.3253, 0.30), (676.9642, 0.39), (854.4449, 0.19), (880.9194, 0.32),
     (1083.0068, 0.33), (1502.9117, 0.38), (1565.2792, 0.73), (1672.3543, 0.51)],
)  # fmt: skip
def test_lines_of_the_sun_are_where_they_are_measured(nm, residual):
    """Toon (2010): centroids of the cores, nm in vacuum, and what is left of the continuum."""
    place = nm * 1e-3
    wave, flux = photospheres._flux(((photospheres.SUN, 1.0),), True, place * 0.999, place * 1.001)
    fine = place * (1 + np.linspace(-6, 6, 1201) / 3e5)
    depth = np.interp(fine, wave, 1 - flux)
    core = depth > 0.65 * (1 - residual)
    assert (np.average(fine[core], weights=depth[core]) / place - 1) * 3e5 == pytest.approx(0.0, abs=0.3)
    assert depth.max() == pytest.approx(1 - residual, abs=0.015)
