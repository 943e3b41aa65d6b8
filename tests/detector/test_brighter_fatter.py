import numpy as np
import pytest

from elvis_cli.detector.brighter_fatter import REACH, Parameters, areas, displace, displacements
from elvis_cli.errors import ResourceError

ITL = {"a_00": -1.04e-6, "a_01": 1.91e-7, "a_10": 8.0e-8, "a_11": 3.8e-8, "a_20": 1.14e-8, "a_02": 1.34e-8}
"""LSST's ITL chip at 50 V: areas of the pixel polygons of GalSim's lsst_itl_50_32."""


def spot(peak, size=33, sigma=1.6):
    n = np.arange(size) - size // 2
    return (peak * np.exp(-(n**2 + n[:, None] ** 2) / 2 / sigma**2)).astype(np.float32)


def second_moments(image):
    """Standard deviations along x and y."""
    image = image.astype(float)
    n = np.arange(len(image)) - len(image) // 2
    return [(image.sum(axis=axis) * n**2).sum() / image.sum() for axis in (0, 1)]


def test_displacements_are_those_of_the_areas():
    """The area that a pixel gains is what its four sides move."""
    right, up = (k.astype(float) for k in displacements(Parameters(**ITL)))
    made = right[1:-1, 1:-1] + right[1:-1, ::-1][:, 1:-1] + up[1:-1, 1:-1] + up[::-1, 1:-1][1:-1]
    given = areas(Parameters(**ITL))
    assert given.sum() == pytest.approx(0, abs=1e-20)
    assert given[REACH, REACH + 1] == ITL["a_10"]
    assert given[REACH + 1, REACH] == ITL["a_01"]
    np.testing.assert_allclose(made, given[1:-1, 1:-1], atol=1e-12)


def test_a_charge_pulls_the_sides_of_its_pixel_in():
    right, up = displacements(Parameters(**ITL))
    assert right[REACH, REACH] < 0 < right[REACH, REACH + 1]
    assert up[REACH, REACH] < 0 < up[REACH + 1, REACH]
    assert right[REACH, REACH] == pytest.approx(-right[REACH, REACH + 1], rel=1e-6)
    assert -up[REACH, REACH] > -right[REACH, REACH]


def test_flux_and_flat_light_are_kept(expose):
    image = np.random.default_rng(1).poisson(spot(1e5) + 1e3).astype(np.float32)
    moved = displace(image, *displacements(Parameters(**ITL)))
    assert moved.sum(dtype=float) == pytest.approx(image.sum(dtype=float), rel=1e-8)
    flat = np.full((40, 40), 5e4, np.float32)
    np.testing.assert_allclose(displace(flat, *displacements(Parameters(**ITL)))[1:-1, 1:-1], 5e4, rtol=1e-6)


def test_without_coefficients_nothing_moves(expose):
    rate = np.random.default_rng(1).poisson(spot(1e5)).astype(np.float32)
    table = {"brighter_fatter": {"a_00": 0, "a_10": 0, "a_01": 0}}
    frame = expose(rate, kind="ccd", dit=1, stages=table, elvis_block={"stages": ("brighter_fatter",)})
    np.testing.assert_array_equal(frame, rate)


def test_stars_grow_with_their_flux_and_more_along_columns():
    kernels = displacements(Parameters(**ITL))
    grown = []
    for peak in (1e3, 3e4, 6e4, 1e5):
        before, after = second_moments(spot(peak)), second_moments(displace(spot(peak), *kernels))
        grown.append([(a / b) ** 0.5 - 1 for a, b in zip(after, before, strict=True)])
    x, y = np.array(grown).T
    assert np.all(np.diff(x) > 0)
    assert np.all(y > x)
    np.testing.assert_allclose(x / x[-1], np.array([0.01, 0.3, 0.6, 1]), rtol=0.05)  # linear in the flux
    assert 0.003 < x[-1] < 0.05


def test_variance_of_flats_bends_as_published(expose):
    """Guyonnet et al. 2015, eq. 16 (Astier et al. 2019): C_00 = (exp(2 a_00 mu) - 1) / (2 a_00)."""
    table, a_00 = {"brighter_fatter": ITL}, ITL["a_00"]
    ratios, neighbours = [], []
    for mu in (5e3, 2e4, 5e4):
        change = {"kind": "ccd", "dit": 1, "stages": table}
        flat = expose(np.full((1600, 1600), mu), **change, elvis_block={"stages": ("shot_noise", "brighter_fatter")})
        flat = flat.astype(float) - flat.mean(dtype=float)
        variance = flat.var()
        assert variance / mu == pytest.approx(
            np.expm1(2 * a_00 * mu) / (2 * a_00 * mu), abs=4.5 * (2 / flat.size) ** 0.5
        )
        ratios.append(variance / mu)
        neighbours.append((flat[1:] * flat[:-1]).mean() / variance / mu)
    assert ratios[0] > ratios[1] > ratios[2]
    assert neighbours[-1] == pytest.approx(ITL["a_01"], rel=0.12)  # covariances are positive and give a_ij back


@pytest.mark.parametrize("last", [("brighter_fatter", "adc"), ("adc", "brighter_fatter")])
def test_frames_in_adu_are_displaced_in_electrons(expose, last):
    rate = spot(1e5)
    order = {"last": ("stars", "galaxies", "thermal", "background", "gain", "bias", *last)}
    change = {"kind": "ccd", "dit": 1, "stages": {"brighter_fatter": ITL}, "orders": order}
    frame = expose(rate, **change)
    assert frame.dtype == np.uint16
    expected = displace(rate, *displacements(Parameters(**ITL))) / 2 + 1000
    np.testing.assert_allclose(frame, expected, atol=1.2)


def test_area_can_only_be_exchanged(expose):
    with pytest.raises(ResourceError, match="only exchanged"):
        expose(np.zeros((4, 4)), stages={"brighter_fatter": ITL | {"a_10": 1e-6}})


def test_growth_is_that_of_galsim_within_a_factor_2():
    """GalSim's SiliconSensor with the chip that the coefficients are those of: sign, and size within a factor 2."""
    galsim = pytest.importorskip("galsim")
    peaks = {}
    star = galsim.Gaussian(sigma=1.6)
    for flux in (2e4, 1.2e6):
        sensor = galsim.SiliconSensor(name="lsst_itl_50_32", rng=galsim.BaseDeviate(5), diffusion_factor=0.0)
        rng = galsim.BaseDeviate(7)
        grown = 0.0
        for _ in range(int(1.2e6 / flux)):
            image = galsim.ImageF(33, 33, scale=1.0)
            star.withFlux(flux).drawImage(image, method="phot", sensor=sensor, rng=rng)
            grown += image.array
        peaks[flux] = second_moments(grown)
    theirs = [(b / a) ** 0.5 - 1 for a, b in zip(peaks[2e4], peaks[1.2e6], strict=True)]
    sampled = spot(1.2e6 / (2 * np.pi * 1.6**2))
    ours = [
        (a / b) ** 0.5 - 1
        for a, b in zip(second_moments(displace(sampled, *displacements(Parameters(**ITL)))), second_moments(sampled),
                        strict=True)
    ]  # fmt: skip
    assert all(t > 0 for t in theirs)
    assert all(0.5 < t / o < 2 for t, o in zip(theirs, ours, strict=True)), (theirs, ours)
