"""Stars of the Milky Way: counts by place as published, colours, dust, coordinates, seeds."""

import math

import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.scene import library
from elvis_cli.scene.generators import galactic_field


def published(longitude, latitude, magnitude):
    """Return stars per square degree to a V magnitude (Bahcall & Soneira 1980, Appendix B; good to 15 %)."""
    along, up = math.radians(longitude), math.radians(latitude)
    mu = min(max(0.0075 * (magnitude - 12) + 0.03, 0.03), 0.09)
    gamma = min(max(0.04 * (12 - magnitude) + 0.36, 0.04), 0.36)
    towards = math.cos(up) * math.cos(along)
    path = math.sin(up) * (1 - mu * math.cos(up) / math.sin(up) * math.cos(along))
    m, n = magnitude - 15.75, magnitude - 17.5
    disc = 925 * 10 ** (0.035 * m) / (1 + 10 ** (-0.132 * m)) ** 3.0 / path ** (3 - 5 * gamma)
    spheroid = 1050 * 10 ** (0.087 * n) / (1 + 10 ** (-0.18 * n)) ** 2.5 / (1 - towards) ** (1.45 - 0.2 * towards)
    return disc + spheroid


@pytest.mark.parametrize("place", [(0, 90), (0, 60), (180, 45), (90, 30), (270, -50)])
@pytest.mark.parametrize("magnitude", [18, 20, 22, 25])
def test_counts_are_those_of_bahcall_and_soneira(place, magnitude):
    counts = galactic_field.counts(*place, 1.5, 40.0)
    distance = np.sqrt(galactic_field.DISTANCES[1:] * galactic_field.DISTANCES[:-1])
    dust = galactic_field.column(distance, place[1], 1.5)
    apparent = galactic_field.MAGNITUDES[:, None] + galactic_field.modulus(distance) + dust
    part = np.clip((magnitude - apparent) / galactic_field.BIN + 0.5, 0, 1)
    assert float((counts * part).sum()) == pytest.approx(published(*map(abs, place), magnitude), rel=0.25)


def stars(request_with, band="K", seed=0, **parameters):
    scene = {"name": "galactic-field", "field": 600.0, "faintest": 22.0, **parameters}
    (component,) = library.components(request_with(mag=20.0, band=band, scene=scene, seed=seed))
    return component


def test_a_field_holds_the_expected_number_of_stars_and_the_seed_changes_them(request_with):
    shape = stars(request_with).shape
    expected = galactic_field.counts(0.0, 90.0, 1.5, 22.0).sum() / 36.0
    assert shape.x.size == pytest.approx(expected, rel=0.25)
    assert np.abs(shape.x).max() <= 300.0
    assert np.array_equal(stars(request_with).shape.mag, shape.mag)
    assert not np.array_equal(stars(request_with, seed=5).shape.mag[:5], shape.mag[:5])


def test_coordinates_are_those_of_the_pointing(request_with):
    pointing = {"ra": 266.405, "dec": -28.936, "position_angle": 0}
    made = galactic_field.direction(request_with(pointing=pointing, scene={"name": "galactic-field"}), None, None)
    assert made == (0.0, 0.0)
    for dec in (-5.391, -5.380):  # Orion, and a dither of 40 arcsec
        orion = request_with(pointing={"ra": 83.822, "dec": dec, "position_angle": 0}, scene={"name": "galactic-field"})
        assert galactic_field.direction(orion, None, None) == (209.0, -19.0)  # 209.01, -19.38


def test_faint_red_dwarfs_are_brighter_in_the_infrared(request_with):
    """V - K of the field is about 1.5 for spheroid dwarfs of 6000 K and 5 for M dwarfs."""
    visual, infrared = (stars(request_with, band=band).shape.mag for band in ("V", "K"))
    assert visual.max() <= 22.0 + 0.01
    colour = visual - infrared
    assert 1.0 < np.percentile(colour, 5) < 2.2
    assert 3.5 < np.percentile(colour, 90) < 6.5


def test_dust_reddens_and_takes_stars_away(request_with):
    clear, dusty = (stars(request_with, longitude=90, latitude=25, extinction=a) for a in (0.0, 6.0))
    assert dusty.shape.x.size < 0.8 * clear.shape.x.size
    assert {sed.extinction_av for sed in clear.seds} == {0.0}
    assert max(sed.extinction_av for sed in dusty.seds) == pytest.approx(0.6 / math.sin(math.radians(25)), abs=0.13)


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"longitude": 10}, "/elvis/scene/latitude"),
        ({"latitude": 1, "longitude": 0, "field": 36000}, "/elvis/scene/field"),
    ],
)
def test_what_cannot_be_is_refused(request_with, parameters, pointer):
    with pytest.raises(RequestError) as caught:
        stars(request_with, **parameters)
    assert caught.value.details["pointer"] == pointer
