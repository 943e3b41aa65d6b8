"""What astronomers ask, each answered by one measured number (the README's examples)."""

import io
import itertools
import json

import numpy as np
from astropy.io import fits
from scipy import ndimage, special

from elvis_cli import registry

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
    top = (smooth == ndimage.maximum_filter(smooth, 3)) & (smooth > ndimage.median_filter(smooth, 31) + 5 * noise)
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
