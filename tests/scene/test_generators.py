"""The shapes of the scenes: King's profile, segregation, clumps in pc, rings and gaps, places of companions."""

import math

import numpy as np
import pytest

from elvis_cli.model.request import Brightness, Sed, Target
from elvis_cli.scene import isochrone, library, spectrum, starlight
from elvis_cli.scene.bands import load
from elvis_cli.scene.component import Picture, Points
from elvis_cli.scene.cosmology import kpc_per_arcsec
from elvis_cli.scene.generators import globular_cluster, protoplanetary_disc


def cluster(request_with, **parameters):
    (made,) = library.components(request_with(scene={"name": "globular-cluster", "stars": 100_000, **parameters}))
    return made


class TestCluster:
    def test_stars_follow_kings_profile(self):
        """Against the integral of the surface density itself (King 1962, eq. 14)."""
        core, tidal = 1.5, 40.0
        radius = np.linspace(0.0, tidal, 200_001)
        density = (1 / np.sqrt(1 + (radius / core) ** 2) - 1 / math.sqrt(1 + (tidal / core) ** 2)) ** 2
        number = np.concatenate(([0.0], np.cumsum((density * radius)[1:] + (density * radius)[:-1])))
        assert globular_cluster.inside(radius, core, tidal) == pytest.approx(number / number[-1], abs=1e-6)

    def test_half_of_the_stars_are_within_the_half_number_radius(self, request_with):
        made = cluster(request_with, core_radius=1.0, tidal_radius=30.0, segregation=0.0)
        radius = np.hypot(made.shape.x, made.shape.y)
        grid = np.linspace(0, 30, 30001)
        half = np.interp(0.5, globular_cluster.inside(grid, 1.0, 30.0), grid)
        assert np.median(radius) == pytest.approx(half, rel=0.015)
        assert radius.max() <= 30.0

    def test_velocities_spread_as_asked_for_and_move_no_star(self, request_with):
        fast, slow = (cluster(request_with, dispersion=v).shape for v in (18.0, 0.0))
        assert np.std(fast.velocity) == pytest.approx(18.0, rel=0.01)
        assert abs(np.mean(fast.velocity)) < 0.2
        assert abs(np.corrcoef(fast.velocity, np.hypot(fast.x, fast.y))[0, 1]) < 0.01
        assert not slow.velocity.any()
        assert np.array_equal(fast.x, slow.x)

    def test_it_is_round_and_centred(self, request_with):
        shape = cluster(request_with, segregation=0.0).shape
        assert abs(np.mean(np.sign(shape.x))) < 0.015
        assert np.std(shape.x) == pytest.approx(np.std(shape.y), rel=0.03)

    def test_heavier_stars_are_nearer_to_the_centre(self):
        rng = np.random.default_rng(2)
        mass = isochrone.masses(rng.random(200_000))
        parts = np.digitize(mass, np.quantile(mass, [0.25, 0.5, 0.75]))

        def medians(segregation):
            core = (mass / mass.mean()) ** (-segregation / 2)
            radius = globular_cluster.radii(core, 30.0, rng.random(mass.size))
            return np.array([np.median(radius[parts == n]) for n in range(4)])

        assert np.ptp(medians(0.0)) < 0.03 * medians(0.0).mean()
        half, full = medians(0.5), medians(1.0)
        assert np.all(np.diff(half) < 0)
        assert np.all(np.diff(full) < 0)
        assert full[0] / full[3] > half[0] / half[3] > 1.1

    def test_bright_stars_are_nearer_in_the_scene_too(self, request_with):
        shape = cluster(request_with, segregation=1.0).shape
        radius, faint = np.hypot(shape.x, shape.y), shape.mag > np.median(shape.mag)
        assert np.median(radius[~faint]) < 0.8 * np.median(radius[faint])

    def test_the_number_of_stars_does_not_change_the_light(self, request_with):
        for stars in (1, 100):
            mag = cluster(request_with, stars=stars).shape.mag
            assert -2.5 * math.log10(np.sum(10 ** (-0.4 * mag))) == pytest.approx(15.0)

    def test_stars_are_bluer_or_redder_as_their_spectra_are(self, request_with):
        """Two bands of the same cluster: the colours are those of the templates."""
        red, blue = (library.components(request_with(scene={"name": "globular-cluster"}, band=b))[0] for b in "KV")
        colour = blue.shape.mag - red.shape.mag
        shade = [colour[red.shape.sed == n] for n, sed in enumerate(red.seds) if sed.id in ("M3V", "G2V", "F5V")]
        cool, solar, hot = sorted((float(np.median(s)) for s in shade), reverse=True)
        assert cool - solar > 2.0
        assert solar - hot > 0.2


def test_colours_are_those_of_the_spectra():
    g2v, m3v = (Sed("template", "Pickles", name) for name in ("G2V", "M3V"))
    v, k = (starlight.colours((g2v, m3v), Brightness("mag", 0, band)) for band in "VK")
    assert v == pytest.approx([0.0, 0.0], abs=2e-3)
    # V-K of the Sun (Pecaut & Mamajek 2013); ESO's zero points make Vega itself 0.07 mag red
    assert -k[0] == pytest.approx(1.5, abs=0.2)
    assert -k[1] == pytest.approx(4.6, abs=0.4)  # and of M3V: 4.65
    seen, _ = spectrum.flux(Target(sed=m3v, brightness=Brightness("mag", 0, "K")), np.linspace(0.45, 0.7, 300))
    band = load("V")
    counted = -2.5 * math.log10(band.integral(np.linspace(0.45, 0.7, 300), seen) / band.zero_point("vega"))
    assert counted == pytest.approx(-k[1], abs=0.02)


class TestGalaxy:
    def test_sizes_are_those_asked_for(self, request_with):
        scene = {"name": "clumpy-galaxy", "redshift": 2.0, "radius": 3.0, "clump_size": [100, 200], "clumps": 30}
        disc, clumps = library.components(request_with(scene=scene))
        kpc = kpc_per_arcsec(2.0)
        assert disc.shape.sersic.radius * kpc == pytest.approx(3.0)
        sizes = clumps.shape.radius * kpc * 1000
        assert len(sizes) == 30
        assert 100 <= sizes.min() < 120 < 170 < sizes.max() <= 200
        assert set(clumps.shape.index) == {0.5}

    def test_clumps_hold_their_share(self, request_with):
        disc, clumps = library.components(
            request_with(mag=20.0, scene={"name": "clumpy-galaxy", "clump_fraction": 0.4})
        )
        assert disc.brightness.mag == pytest.approx(20.0 - 2.5 * math.log10(0.6))
        assert sum(10 ** (-0.4 * (clumps.shape.mag - 20.0))) == pytest.approx(0.4)

    def test_clumps_lie_in_the_inclined_disc(self, request_with):
        scene = {"name": "clumpy-galaxy", "clumps": 200, "inclination": 75, "position_angle": 0}
        disc, clumps = library.components(request_with(scene=scene))
        x, y = clumps.shape.x, clumps.shape.y
        ratio = math.hypot(math.cos(math.radians(75)), 0.2 * math.sin(math.radians(75)))
        assert 1 - disc.shape.sersic.ellipticity == pytest.approx(ratio)
        assert np.std(x) / np.std(y) == pytest.approx(ratio, rel=0.25)  # the major axis points North
        assert np.median(np.hypot(x / ratio, y)) == pytest.approx(disc.shape.sersic.radius, rel=0.2)

    def test_placed_clumps_stand_where_they_are_put(self, request_with):
        placed = [{"east": 0.015, "north": 0.0, "size": 20, "fraction": 0.1}]
        made = library.components(request_with(scene={"name": "clumpy-galaxy", "clumps": 0, "placed": placed}))
        assert [c.name for c in made] == ["disc", "clump"]
        assert (made[1].shape.x[0], made[1].shape.y[0]) == pytest.approx((-0.015, 0.0))

    def test_stars_form_in_it(self, request_with):
        disc, clump = library.components(request_with(scene={"name": "clumpy-galaxy", "redshift": 4.0}))
        wave = np.linspace(0.62, 2.2, 400)

        def blue(sed):
            flux, _ = spectrum.flux(Target(sed=sed, brightness=Brightness("mag", 22, "K", "AB")), wave)
            return flux[0] / flux[-1]

        assert disc.seds[0].redshift == clump.seds[0].redshift == 4.0
        assert blue(clump.seds[0]) > 1.5 * blue(disc.seds[0])

    def test_or_the_targets_spectrum_is_taken(self, request_with):
        made = library.components(request_with(scene={"name": "clumpy-galaxy", "sed": "target"}))
        assert {c.seds for c in made} == {(Sed(),)}


class TestDisc:
    def surface(self, inclination=0.0, asymmetry=0.0, rings=(), slope=0.0):
        return protoplanetary_disc.surface(801, 0.0025, 0.1, 1.0, slope, rings, inclination, asymmetry).astype(float)

    def profile(self, image, angle):
        """Return radius (arcsec) and light along a ray at ``angle`` (deg) from the +y axis towards -x."""
        radius = np.arange(0.0, 1.0, 0.0025)
        a = math.radians(angle)
        i, j = (np.rint(400 + radius / 0.0025 * v).astype(int) for v in (math.cos(a), -math.sin(a)))
        return radius, image[i, j]

    @pytest.mark.parametrize("inclination", [0, 30, 60])
    def test_gaps_are_at_their_radius_on_the_sky(self, inclination):
        image = self.surface(inclination, rings=[{"radius": 0.6, "width": 0.05, "depth": 0.9}])
        radius, light = self.profile(image, 0)
        assert radius[80:360][np.argmin(light[80:360])] == pytest.approx(0.6, abs=0.004)
        assert light[240] == pytest.approx(0.1 * light[100], rel=0.02)
        half = np.flatnonzero(light[80:360] < 0.55 * light[100]).size * 0.0025
        assert half == pytest.approx(0.05, abs=0.006)  # the width is the FWHM
        radius, light = self.profile(image, 90)
        squeezed = 0.6 * math.cos(math.radians(inclination))
        inside = slice(int(0.5 * squeezed / 0.0025), int(1.5 * squeezed / 0.0025))
        assert radius[inside][np.argmin(light[inside])] == pytest.approx(squeezed, abs=0.004)

    def test_rings_are_brighter(self):
        radius, light = self.profile(self.surface(rings=[{"radius": 0.5, "width": 0.05, "depth": -3.0}]), 20)
        assert radius[np.argmax(light)] == pytest.approx(0.5, abs=0.005)
        assert light.max() == pytest.approx(4.0 * light[100], rel=0.02)

    def test_light_falls_as_the_slope_says(self):
        radius, light = self.profile(self.surface(slope=2.5), 45)
        inside = (radius > 0.12) & (radius < 0.98)
        assert np.polyfit(np.log(radius[inside]), np.log(light[inside]), 1)[0] == pytest.approx(-2.5, abs=0.03)

    def test_the_near_side_is_brighter(self):
        image = self.surface(inclination=60, asymmetry=0.5)
        near, far = (self.profile(image, a)[1][100] for a in (90, -90))
        turn = math.sin(math.radians(60))
        phase = ((1.25 + turn) / (1.25 - turn)) ** 1.5  # Henyey & Greenstein with g = 0.5
        assert near / far == pytest.approx(phase, rel=0.01)

    def test_star_and_disc_differ_by_the_contrast(self, request_with):
        star, disc = library.components(request_with(scene={"name": "protoplanetary-disc", "contrast": 3.0}))
        assert isinstance(star.shape, Points)
        assert isinstance(disc.shape, Picture)
        assert disc.brightness.mag - star.brightness.mag == pytest.approx(3.0)
        assert star.shape.mag[0] == star.brightness.mag
        assert disc.shape.scale * disc.shape.image.shape[0] == pytest.approx(2.0)

    def test_dust_shines_by_itself_if_it_is_warm(self, request_with):
        _, disc = library.components(request_with(scene={"name": "protoplanetary-disc", "dust_temperature": 150}))
        assert (disc.seds[0].kind, disc.seds[0].temperature) == ("blackbody", 150.0)


@pytest.mark.parametrize(("angle", "x", "y"), [(0, 0, 1), (90, -1, 0), (225, math.sqrt(0.5), -math.sqrt(0.5))])
def test_companions_stand_at_their_position_angle(request_with, angle, x, y):
    one = {"separation": 0.8, "position_angle": angle, "contrast": 4.5, "temperature": 3000}
    target, companion = library.components(request_with(mag=10, scene={"name": "companions", "companions": [one]}))
    place = companion.shape.x[0] - target.shape.x[0], companion.shape.y[0] - target.shape.y[0]
    assert place == pytest.approx((0.8 * x, 0.8 * y), abs=1e-12)
    assert companion.shape.mag[0] == pytest.approx(14.5)
    assert companion.seds[0] != target.seds[0]


def test_the_grid_is_square_and_its_rows_grow_fainter(request_with):
    scene = {"name": "star-grid", "n": 3, "spacing": 2.0, "magnitudes": [18, 20]}
    (made,) = library.components(request_with(scene=scene))
    assert made.shape.x.reshape(3, 3).tolist() == [[-2, 0, 2]] * 3
    assert made.shape.y.reshape(3, 3).T.tolist() == [[-2, 0, 2]] * 3
    assert made.shape.mag.reshape(3, 3)[:, 0].tolist() == [18, 19, 20]


def test_field_stars_grow_more_numerous_with_magnitude(request_with):
    scene = {"name": "moving-target", "stars": 50_000, "contrast": [-2, 3], "field": 8}
    _, stars = library.components(request_with(mag=20, scene=scene))
    counts = np.histogram(stars.shape.mag, np.arange(18, 23.5))[0]
    assert counts.sum() == 50_000
    assert counts[1:] / counts[:-1] == pytest.approx(np.full(4, 10**0.3), rel=0.1)
    assert max(np.abs(stars.shape.x).max(), np.abs(stars.shape.y).max()) == pytest.approx(4.0, abs=0.01)
