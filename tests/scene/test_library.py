"""What shines in the field: every scene by name, catalogues on the sky, images, motion, and what contradicts itself."""

from __future__ import annotations

import inspect
import math
from importlib import import_module

import numpy as np
import pytest
from astropy.wcs import WCS

from elvis_cli.base.geometry import deproject, project
from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import NamedScene
from elvis_cli.request.payload import pack
from elvis_cli.scene import library
from elvis_cli.scene.component import Component, Galaxies, Picture, Points, Profile
from tests.each import each

SCENES = list(library.scenes())
WHOLE = ["globular-cluster", "clumpy-galaxy", "protoplanetary-disc"]
"""Those whose parts add up to the target's brightness."""


def light(components: tuple[Component, ...]) -> float:
    """Return the sum of all magnitudes."""
    flux = 0.0
    for component in components:
        mags = component.shape.mag if isinstance(component.shape, Points | Galaxies) else component.brightness.mag
        flux += float(np.sum(10.0 ** (-0.4 * np.asarray(mags))))
    return -2.5 * math.log10(flux)


def image(pixels: np.ndarray, **more: float) -> dict[str, object]:
    return {"data": pack(pixels.astype("<f4").tobytes()), "shape": list(pixels.shape), "scale": 0.01, **more}


@each("name", SCENES)
def test_parameters_are_those_of_the_schema(name):
    generator = import_module(f"elvis_cli.scene.generators.{name.replace('-', '_')}").components
    keywords = [p for p in inspect.signature(generator).parameters.values() if p.kind is p.KEYWORD_ONLY]
    described = library.parameters(name)
    assert [p.name for p in keywords] == [p.name for p in sorted(keywords, key=lambda p: p.default is not p.empty)]
    assert {p.name for p in keywords} == set(described)
    assert {p.name for p in keywords if p.default is p.empty} == {n for n, s in described.items() if "default" in s}
    for key, schema in described.items():
        numeric = schema.get("type") in ("number", "integer")
        assert schema["description"], key
        assert not numeric or {"maximum", "minimum", "exclusiveMinimum"} & set(schema) > {"maximum"}, key


@each("name", WHOLE)
@each("band", ["K", "J"])
def test_the_whole_is_as_bright_as_the_target(request_with, name, band):
    made = library.components(request_with(mag=17.25, band=band, scene={"name": name}))
    assert light(made) == pytest.approx(17.25, abs=1e-9)


@each("name", SCENES)
def test_scenes_follow_the_seed_and_nothing_else(request_with, name):
    def made(**elvis):
        parts = library.components(request_with(scene={"name": name}, **elvis))
        return [(c.name, c.seds, c.brightness, c.shape.x, c.shape.y, getattr(c.shape, "mag", 0)) for c in parts]

    same = made(seed=3)
    for a, b in zip(same, made(seed=3, exposure=7, chips=[2]), strict=True):
        assert a[:3] == b[:3]
        assert all(np.array_equal(p, q) for p, q in zip(a[3:], b[3:], strict=True))
    random = name in ("globular-cluster", "clumpy-galaxy", "moving-target", "galactic-field")
    changed = any(
        not np.array_equal(p, q)
        for a, b in zip(same, made(seed=4), strict=True)
        for p, q in zip(a[3:], b[3:], strict=True)
    )
    assert changed == random


@each("name", SCENES)
def test_scenes_stand_at_the_targets_place_and_turn_with_the_sky(request_with, name):
    scene = {"name": name, **({"longitude": 0, "latitude": 90} if name == "galactic-field" else {})}
    here = library.components(request_with(scene=scene))
    there = library.components(request_with(scene=scene, offset=[3.0, -2.0]))
    pointing = {"ra": 10.0, "dec": -30.0, "position_angle": 90.0}
    turned = library.components(request_with(scene=scene, pointing=pointing))
    for a, b, c in zip(here, there, turned, strict=True):
        assert np.allclose(np.subtract(b.shape.x, a.shape.x), 3.0, atol=1e-9)
        assert np.allclose(np.subtract(b.shape.y, a.shape.y), -2.0, atol=1e-9)
        if name != "star-grid":  # which shows the instrument, not the sky
            # +y looks East: what was West (+x) is now at -y, what was North (+y) at +x
            assert np.allclose(c.shape.x, a.shape.y, atol=1e-9)
            assert np.allclose(c.shape.y, -np.asarray(a.shape.x), atol=1e-9)


class TestTarget:
    def test_point(self, request_with):
        (made,) = library.components(request_with(mag=12.0, offset=[0.5, 0.25]))
        assert (made.shape.x.tolist(), made.shape.y.tolist(), made.shape.mag.tolist()) == ([0.5], [0.25], [12.0])

    def test_sersic_turns_from_north_through_east(self, request_with):
        shape = {"morphologytype": "extended", "extendedtype": "sersic", "radius": 2.0, "ellipticity": 0.5, "angle": 90}
        (made,) = library.components(request_with(target={"morphology": shape}))
        assert isinstance(made.shape, Profile)
        assert made.shape.sersic.angle == pytest.approx(math.pi)  # East is -x

    def test_infinite_is_not_a_component(self, request_with):
        infinite = {"morphology": {"morphologytype": "extended", "extendedtype": "infinite"}}
        assert library.components(request_with(target=infinite)) == ()


class TestCatalogue:
    def test_projection_is_that_of_fits(self):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (
            ["RA---TAN", "DEC--TAN"],
            [359.9, -75.0],
            [0, 0],
            [1, 1],
        )
        rng = np.random.default_rng(1)
        ra, dec = 359.9 + rng.uniform(-3, 3, 500), -75.0 + rng.uniform(-0.5, 0.5, 500)
        plane = wcs.wcs_world2pix(ra, dec, 0)
        east, north = project(ra, dec, 359.9, -75.0)
        assert np.allclose(east / 3600, plane[0] + 1, atol=1e-10)
        assert np.allclose(north / 3600, plane[1] + 1, atol=1e-10)
        back = deproject(east, north, 359.9, -75.0)
        assert np.allclose((back[0] - ra + 180) % 360, 180, atol=1e-10)
        assert np.allclose(back[1], dec, atol=1e-10)
        assert np.all((back[0] >= 0) & (back[0] < 360))

    def test_what_is_behind_has_no_place(self):
        east, north = project(np.array([180.0]), np.array([0.0]), 0.0, 0.0)
        assert np.isnan([east[0], north[0]]).all()

    @pytest.mark.parametrize(("angle", "x", "y"), [(0, -10.0, 0.0), (90, 0.0, 10.0)])
    def test_east_is_left_of_north(self, request_with, angle, x, y):
        pointing = {"ra": 40.0, "dec": 0.0, "position_angle": angle}
        stars = {"ra": [40.0 + 10 / 3600], "dec": [0.0], "mag": [20.0]}
        (made,) = library.components(request_with(catalogue=stars, pointing=pointing, offset=[5.0, 5.0]))
        assert made.shape.x[0] == pytest.approx(x, abs=1e-6)
        assert made.shape.y[0] == pytest.approx(y, abs=1e-6)

    def test_temperatures_get_spectra(self, request_with):
        stars = {"x": [0] * 5, "y": [0] * 5, "mag": [20] * 5, "temperature": [5770, 150, 2500, 9700, 80000]}
        (made,) = library.components(request_with(catalogue=stars))
        seds = [made.seds[n] for n in made.shape.sed]
        assert [(s.kind, s.catalog, s.id) for s in (seds[0], seds[2], seds[3])] == [
            ("template", "Pickles", "G2V"),
            ("template", "PHOENIX", "2500:4.5"),
            ("template", "Pickles", "A0V"),
        ]
        assert [(s.kind, s.temperature) for s in (seds[1], seds[4])] == [("blackbody", 150.0), ("blackbody", 80000.0)]

    def test_many_temperatures_share_few_spectra(self, request_with):
        n = 20_000
        stars = {"x": [0] * n, "y": [0] * n, "mag": [20] * n, "temperature": np.linspace(2000, 50000, n).tolist()}
        (made,) = library.components(request_with(catalogue=stars))
        assert 25 < len(made.seds) < 60

    def test_spectra_by_name(self, request_with):
        names = ["MARCS:5750:4.5", "Pickles:K:2:V", "MARCS:5750:4.5"]
        stars = {"x": [0, 1, 2], "y": [0, 1, 2], "mag": [20, 21, 22], "sed": names}
        dusty = {"sed": {"extinctionav": 1.5}}
        (made,) = library.components(request_with(catalogue=stars, target=dusty))
        assert made.shape.sed.tolist() == [0, 1, 0]
        assert [(s.catalog, s.id) for s in made.seds] == [("MARCS", "5750:4.5"), ("Pickles", "K:2:V")]
        assert all(s.extinction_av == 1.5 for s in made.seds)

    @pytest.mark.parametrize(
        ("columns", "pointer"),
        [
            ({"sed": ["Pickles:G:2:V", "Pickels:G:2:V"]}, "/elvis/catalogue/sed/1"),
            ({"sed": ["MARCS:hot", "MARCS:5750:4.5"]}, "/elvis/catalogue/sed/0"),
        ],
    )
    def test_unknown_spectra(self, request_with, columns, pointer):
        with pytest.raises(RequestError) as caught:
            library.components(request_with(catalogue={"x": [0, 1], "y": [0, 1], "mag": [20, 21], **columns}))
        assert caught.value.details["pointer"] == pointer

    def test_stars_behind_the_telescope(self, request_with):
        stars = {"ra": [10, 200], "dec": [0, 0], "mag": [20, 20]}
        with pytest.raises(RequestError) as caught:
            library.components(request_with(catalogue=stars, pointing={"ra": 10, "dec": 0}))
        assert caught.value.details["pointer"] == "/elvis/catalogue/ra/1"


class TestImage:
    def test_it_is_the_picture(self, request_with):
        pixels = np.arange(6.0).reshape(2, 3)
        (made,) = library.components(
            request_with(image=image(pixels, position_angle=30.0), pointing={"ra": 0, "dec": 0, "position_angle": 10})
        )
        assert isinstance(made.shape, Picture)
        assert np.array_equal(made.shape.image, pixels)
        assert (made.shape.scale, made.shape.angle) == (0.01, 20.0)

    def test_elements_without_a_number_are_dark_and_negative_ones_count(self, request_with):
        request = request_with(image=image(np.array([[1.0, -2.0], [np.nan, 3.0]])))
        assert any("1 element" in line for line in request.warnings)
        assert library.components(request)[0].shape.image.tolist() == [[1.0, -2.0], [0.0, 3.0]]

    @pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.full((2, 2), -1.0), np.full((2, 2), np.nan)])
    def test_darkness_is_refused(self, request_with, pixels):
        with pytest.raises(RequestError, match="holds no light"):
            request_with(image=image(pixels))

    def test_data_must_fill_the_shape(self, request_with):
        for shape in ([2, 3], [1, 3]):
            with pytest.raises(RequestError, match="/elvis/image/data"):
                request_with(image={**image(np.ones((2, 2))), "shape": shape})


class TestMotion:
    def test_velocity_is_on_the_sky(self, request_with):
        (made,) = library.components(request_with(motion={"rate": 3600, "angle": 90}))
        assert made.motion == pytest.approx((-1.0, 0.0))  # East is -x
        turned = {"ra": 0, "dec": 0, "position_angle": 90}
        (made,) = library.components(request_with(motion={"rate": 3600, "angle": 90}, pointing=turned))
        assert made.motion == pytest.approx((0.0, 1.0))

    def test_the_target_moves_among_the_stars_of_a_catalogue(self, request_with):
        stars = {"x": [0, 1], "y": [0, 1], "mag": [20, 21]}
        target, fixed = library.components(request_with(catalogue=stars, motion={"rate": 30, "angle": 0}))
        assert (target.name, fixed.name) == ("target", "star")
        assert (target.motion != (0, 0), fixed.motion) == (True, (0.0, 0.0))

    def test_without_motion_a_catalogue_stands_alone(self, request_with):
        stars = {"x": [0, 1], "y": [0, 1], "mag": [20, 21]}
        assert [c.name for c in library.components(request_with(catalogue=stars))] == ["star"]

    def test_moving_target_does_the_same(self, request_with):
        one, stars = library.components(request_with(scene={"name": "moving-target", "rate": 12, "angle": 33}))
        (other,) = library.components(request_with(motion={"rate": 12, "angle": 33}))
        assert one.motion == pytest.approx(other.motion)
        assert stars.motion == (0.0, 0.0)


EXTENDED = {"morphology": {"morphologytype": "extended", "extendedtype": "sersic"}}
INFINITE = {"morphology": {"morphologytype": "extended", "extendedtype": "infinite"}}
LINE = {"sed": {"sedtype": "emissionline"}, "brightness": {"brightnesstype": "flux", "flux": 1e-18}}
STARS = {"x": [0], "y": [0], "mag": [20]}


@each(
    ("given", "pointer"),
    [
        ({"scene": {"name": "star-grid"}, "image": image(np.ones((2, 2)))}, "/elvis/image"),
        ({"scene": {"name": "star-grid"}, "target": EXTENDED}, "/elvis/scene"),
        ({"image": image(np.ones((2, 2))), "target": EXTENDED}, "/elvis/image"),
        ({"catalogue": STARS, "target": EXTENDED}, "/elvis/catalogue"),
        ({"catalogue": STARS, "target": INFINITE}, "/elvis/catalogue"),
        ({"catalogue": STARS, "target": LINE}, "/elvis/catalogue"),
        ({"scene": {"name": "star-grid"}, "target": LINE}, "/elvis/scene"),
        ({"scene": {"name": "moving-target"}, "motion": {"rate": 1, "angle": 1}}, "/elvis/motion"),
        ({"motion": {"rate": 1, "angle": 1}, "target": INFINITE}, "/elvis/motion"),
        ({"scene": {"name": "globular-cluster", "core_radius": 40}}, "/elvis/scene/tidal_radius"),
        ({"scene": {"name": "protoplanetary-disc", "inner_radius": 2}}, "/elvis/scene/outer_radius"),
        ({"scene": {"name": "clumpy-galaxy", "clump_size": [9, 3]}}, "/elvis/scene/clump_size"),
    ],
)
def test_contradictions_are_refused(request_with, given, pointer):
    with pytest.raises(RequestError) as caught:
        library.components(request_with(**given))
    assert caught.value.details["pointer"] == pointer


def test_an_extended_target_may_move(request_with):
    (made,) = library.components(request_with(scene={"name": "moving-target", "stars": 0}, target=EXTENDED))
    assert isinstance(made.shape, Profile)
    assert made.motion != (0.0, 0.0)


def test_defaults_need_not_be_given(request_with):
    given = {key: p["default"] for key, p in library.parameters("companions").items()}
    request = request_with()
    bare = library.generate(request, NamedScene("companions"))
    full = library.generate(request, NamedScene("companions", given))
    assert [c.shape.mag.tolist() for c in bare] == [c.shape.mag.tolist() for c in full]
