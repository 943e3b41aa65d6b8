"""What astronomers ask, each answered by one measured number (the README's examples)."""

import io
import itertools
import json

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage, special

from elvis_cli.instrument import registry
from tests.conftest import closure_only

SEPARATIONS = [0, 2, 5, 10, 20]


def dip(image: np.ndarray) -> float:
    """Return how far the light between two sources along x falls below the fainter peak (0: not separated)."""
    line = image[image.shape[0] // 2 - 1 : image.shape[0] // 2 + 2].mean(axis=0)
    middle = image.shape[1] // 2
    peaks = line[:middle].max(), line[middle:].max()
    valley = line[line[:middle].argmax() : middle + line[middle:].argmax() + 1].min()
    return 1.0 - valley / min(peaks)


def clumps(micado):
    """Two clumps of a galaxy at z = 4, 15 mas apart: MICADO behind MORFEO, pixels of 1.5 mas, Ks."""
    document = micado({"instrument/ins_configuration": "img_1.5mas_mcao", "target/brightness/mag": 24})
    document["elvis"] = {
        "window": {"x0": 2028, "y0": 2028, "nx": 40, "ny": 40},
        "chips": [5],
        "catalogue": {"x": [-0.0075, 0.0075], "y": [0.0, 0.0], "mag": [24.0, 24.0]},
        "product": "expected",
    }
    return document


def light(data: bytes) -> np.ndarray:
    """Return the sources without the sky."""
    with fits.open(io.BytesIO(data)) as hdus:
        return hdus[1].data.astype(float) - hdus[0].header["ESO SIM SKY RATE"]


def test_two_clumps_15_mas_apart(micado, render):
    assert dip(light(render(clumps(micado)))) > 0.2


def test_a_telescope_of_6_5_m_does_not_separate_them(micado, elvis, tmp_path):
    """Its diffraction pattern, (2 J1(x) / x)^2 with x = pi D theta / lambda at 2.15 um, as the user's own PSF."""
    scale = 0.003
    y, x = np.indices((401, 401)) - 200.0
    argument = np.pi * 6.5 / 2.15e-6 * np.radians(np.hypot(x, y) * scale / 3600) + 1e-9
    airy = fits.PrimaryHDU((2 * special.j1(argument) / argument) ** 2)
    airy.header["PIXSCALE"] = scale
    airy.writeto(tmp_path / "airy.fits")
    result = elvis("--psf", str(tmp_path / "airy.fits"), stdin=json.dumps(clumps(micado)))
    assert result.code == 0, result.err
    assert dip(light(result.out)) < 0.01
    as_model = elvis("--model", f"psf={tmp_path}/airy.fits", stdin=json.dumps(clumps(micado)))
    assert as_model.out == result.out


def test_the_limit_falls_with_the_distance_of_the_guide_star(micado, predict):
    """A trans-Neptunian object, MICADO SCAO, 600 s in H, 5 sigma."""
    document = {"instrument/INS.FILT2.NAME": "H", "target/brightness/magband": "H", "timesnr/DET.NDIT": 10}
    limits = [predict(micado({**document, "seeing/separation": s})).limit for s in SEPARATIONS]
    assert all(a > b for a, b in itertools.pairwise(limits)), limits
    assert 0.5 < limits[0] - limits[-1] < 4.0


def test_completeness_falls_towards_the_core_of_a_cluster(render):
    """MICADO, Ks, one minute: which stars stand out as local maxima, by magnitude and distance from the centre."""
    document = json.loads(json.dumps(registry.load("micado").example()))
    document["target"]["brightness"]["mag"] = 12
    document["elvis"] = {
        "scene": {
            "name": "globular-cluster",
            "stars": 100000,
            "core_radius": 0.3,
            "tidal_radius": 20,
            "segregation": 0,
        },
        "window": {"x0": 1648, "y0": 1648, "nx": 800, "ny": 800},
        "skip": ["cosmic_rays", "hot_pixels", "dead_pixels"],
    }
    with fits.open(io.BytesIO(render(document))) as hdus:
        image, truth = hdus[1].data.astype(float), hdus["TRUTH"].data.copy()
    smooth = ndimage.gaussian_filter(image, 1.0)
    noise = 1.4826 * np.median(np.abs(smooth - np.median(smooth)))
    level = np.kron(ndimage.median_filter(smooth[::4, ::4], 9), np.ones((4, 4)))  # of about 36 x 36 pixels
    top = (smooth == ndimage.maximum_filter(smooth, 3)) & (smooth > level + 5 * noise)
    near = ndimage.maximum_filter(top, 3)
    x, y = np.round(truth["X"]).astype(int) - 1, np.round(truth["Y"]).astype(int) - 1
    radius = np.hypot(x - 399.5, y - 399.5) * 0.004
    inside = (x >= 0) & (x < 800) & (y >= 0) & (y < 800)

    def completeness(magnitude, inner, outer):
        chosen = inside & (np.floor(truth["MAG"]) == magnitude) & (radius >= inner) & (radius < outer)
        return near[y[chosen], x[chosen]].mean()

    annuli = [completeness(22, *edges) for edges in ((0, 0.3), (0.3, 0.6), (0.6, 1.6))]
    assert annuli[0] < annuli[1] < annuli[2]
    assert annuli[0] < 0.8 < 0.9 < annuli[2]
    magnitudes = [completeness(m, 0, 0.3) for m in (19, 22, 23, 24)]
    assert sorted(magnitudes, reverse=True) == magnitudes


LIGHT = 299792.458
STARS = {"x": [0, 0, 0], "y": [0, 0.15, -0.2], "mag": [15, 14, 16.5], "velocity": [250, -180, 60]}


def long_slit(**elvis):
    """One hour of MICADO's long slit (16 mas, Spec_HK) on a red giant behind much dust: the band heads of CO."""
    document = json.loads(json.dumps(registry.load("micado").example("lss_4mas_scao")))
    document["target"]["sed"] |= {"extinctionav": 30}
    document["target"]["sed"]["spectrum"]["params"] = {"catalog": "Pickles", "id": "M:0:III"}
    document["target"]["brightness"]["mag"] = 15
    document["instrument"]["INS.SLIT.NAME"] = "3000x16"
    document["timesnr"]["DET.NDIT"] = 60
    document["elvis"] = {"chips": [1], "window": {"x0": 2500, "y0": 0, "nx": 160, "ny": 1500}, **elvis}
    return document


def extracted(image: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the sum of seven columns around a trace, less the median of what is beside them."""
    column, rows = np.round(centre).astype(int), np.arange(image.shape[0])

    def beside(offsets):
        return np.stack([image[rows, column + n] for n in offsets], axis=1)

    return beside(range(-3, 4)).sum(axis=1) - 7 * np.median(beside([*range(-22, -11), *range(12, 23)]), axis=1)


def velocity(flux, wave, shape, smooth, variance):
    """Return the velocity (km/s) of ``shape`` times ``smooth`` that fits best, and its error, bad pixels left out.

    The error is that of the photons: 1 / sqrt(sum (dF/dv)^2 / variance) (Bouchy et al. 2001, A&A 374, 733, eq. 9).
    """
    good = np.ones(flux.size, bool)
    good[:60] = good[-60:] = False
    across = np.linspace(-1, 1, flux.size)

    def model(v):
        seen = smooth * np.interp(wave / np.sqrt((1 + v / LIGHT) / (1 - v / LIGHT)), wave, shape)
        base = seen[:, None] * across[:, None] ** np.arange(3)
        weighted = base[good] / variance[good, None]
        return base @ np.linalg.solve(weighted.T @ base[good], weighted.T @ flux[good])

    grid = np.arange(-400.0, 401.0, 4.0)
    for _ in range(3):
        away = [np.sum((flux - model(v))[good] ** 2 / variance[good]) for v in grid]
        k = int(np.argmin(away))
        square, linear, _ = np.polyfit(grid[k - 3 : k + 4], away[k - 3 : k + 4], 2)
        best = -linear / square / 2
        rest = np.abs(flux - model(best)) / np.sqrt(variance)
        good &= rest < 5 * max(1.0, 1.4826 * np.median(rest[good]))
    slope = (model(best + 5) - model(best - 5)) / 10
    return best, 1 / np.sqrt(np.sum(slope[good] ** 2 / variance[good]))


@closure_only
def test_the_velocity_of_a_star_near_the_galactic_centre(render):
    """Against its spectrum at rest and a star without features, both noiseless: what calibration would give."""
    standard = long_slit(product="expected")
    standard["target"]["sed"]["spectrum"] = {"spectrumtype": "powerlaw", "params": {"exponent": -4}}
    with fits.open(io.BytesIO(render(long_slit(product="expected", wavemap=True)))) as hdus:
        rest, wave = hdus[1].data.astype(float), hdus["WAVE"].data.astype(float)
    with fits.open(io.BytesIO(render(standard))) as hdus:
        smooth = hdus[1].data.astype(float)
    rows = np.arange(rest.shape[0])
    trace = np.polyval(np.polyfit(rows, rest.argmax(axis=1), 2), rows)
    smooth = extracted(smooth, trace)
    shape, wave = extracted(rest, trace) / smooth, wave[rows, np.round(trace).astype(int)]
    found = []
    for seed in (1, 2):
        with fits.open(io.BytesIO(render(long_slit(seed=seed, catalogue=STARS)))) as hdus:
            flux = extracted(hdus[1].data.astype(float) / hdus[1].header["ESO DET OUT1 GAIN"], trace)
            ron, dark = hdus[1].header["ESO DET OUT1 RON"], hdus[0].header["ESO SIM DARK ELEC"]
        found.append(velocity(flux, wave, shape, smooth, (np.maximum(flux, 0) + 7 * ron**2 + dark) / 60))
    values, errors = np.array(found).T
    assert errors == pytest.approx(errors.mean(), rel=0.1)
    assert 0.05 < errors.mean() < 0.5  # lines at R = 20 000; band heads alone would give 2 km/s
    assert np.ptp(values) < 4 * errors.mean()
    assert np.abs(values - 250).max() < 1.0  # the neighbours' light shifts it by a few tenths


def disc(width: float | None, **elvis):
    """METIS' integral field at 3.8 um on a disc like HL Tau's, a gap at 0.25 arcsec; without ``width`` the star alone.

    The slices lie along the disc's major axis; a part of each spectrum is read.
    """
    document = json.loads(json.dumps(registry.load("metis").example("lms_scao")))
    ring = [] if not width else [{"radius": 0.25, "width": width, "depth": 1.0}]
    shape = {"inner_radius": 0.03, "outer_radius": 0.6, "slope": 1.0, "inclination": 47.0, "position_angle": 0.0}
    share = 10 ** (-0.4 * 2.0)
    document["target"]["brightness"] |= {"magband": "L", "mag": 5.5 if width else 5.5 + 2.5 * np.log10(1 + share)}
    document["timesnr"] = {"DET.DIT": 20, "DET.NDIT": 180}
    document["elvis"] = {"chips": [1, 3], "window": {"x0": 964, "y0": 0, "nx": 128, "ny": 2048}, **elvis}
    if width:
        scene = {"name": "protoplanetary-disc", "contrast": 2.0, "asymmetry": 0.0, "rings": ring, **shape}
        document["elvis"]["scene"] = scene
    return document


def light_of_the_disc(with_disc: bytes, star: bytes, places: list) -> np.ndarray:
    """Return the image (slice, 99 pixels along it) that the integral field sees, without the star's."""
    image = np.zeros((28, 99))
    with fits.open(io.BytesIO(with_disc)) as hdus, fits.open(io.BytesIO(star)) as others:
        for aperture, (extension, middle) in enumerate(places):
            rows = slice(middle - 49, middle + 50)
            both = (h[extension].data[rows].astype(float) for h in (hdus, others))
            image[aperture] = np.median(np.subtract(*both), axis=1)
    return image


def gap(image: np.ndarray) -> float:
    """Return how far the light in the gap falls below the ring outside, both sides of the major axis together."""
    line = image[13:15].sum(axis=0)
    half = (line + line[::-1])[49:] / 2
    bottom = 25 + int(half[25:36].argmin())  # pixels of 8.2 mas: 0.25 arcsec is 30.5
    return 1.0 - half[bottom] / half[bottom : bottom + 16].max()


@closure_only
def test_the_narrowest_gap_of_a_disc_that_is_resolved(render):
    """Resolved: a fall of 20 % below the ring outside, where the star's own image is taken away."""
    first = render(disc(0.016, product="expected", wavemap=True))
    places = []
    with fits.open(io.BytesIO(first)) as hdus:
        for aperture in range(1, 29):
            for extension, chip in ((1, 1), (2, 3)):
                rows = np.flatnonzero(hdus["APERTURE", chip].data[:, 64] == aperture)
                if rows.size > 90:
                    places.append((extension, round((rows[0] + rows[-1]) / 2)))
    star = render(disc(None, product="expected"))
    wide = gap(light_of_the_disc(first, star, places))
    narrow = gap(light_of_the_disc(render(disc(0.01, product="expected")), star, places))
    assert len(places) == 28
    assert narrow < 0.2 < wide
    limit = 10 + 6 * (0.2 - narrow) / (wide - narrow)
    assert limit == pytest.approx(13, abs=1)
    # the frames of an hour, in this part of the spectra alone, tell the same
    assert gap(light_of_the_disc(render(disc(0.016)), render(disc(None, exposure=2)), places)) == pytest.approx(
        wide, abs=0.1
    )
