"""METIS's electrons against an independent simulator (ScopeSim 0.11.4 with the reference database of 2025-12)."""

import json
from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.base.black_body import photon_radiance
from elvis_cli.instrument import registry
from elvis_cli.instrument.filters import half_power
from elvis_cli.light import budget
from elvis_cli.request import parse
from elvis_cli.scene import bands

# filter: star of Vega's spectrum, 15 mag in its own filter, e/s; background e/s/pixel; its origin; mean throughput
REFERENCE = {
    "Lp": ("img_lm_scao", 1.987e5, 2.43e5, {"sky": 4.3e4, "telescope": 1.81e5, "window": 1.9e4}, 0.365),
    "N2": ("img_n_scao", 4.294e4, 1.405e8, {"sky": 1.28e7, "telescope": 1.12e8, "window": 1.6e7}, 0.420),
}


def detect(mode, name):
    plugin = registry.load("metis")
    document = plugin.example(mode)
    document["instrument"]["INS.FILT1.NAME"] = name
    request = parse.read(json.dumps(document))
    setup = plugin.configure(request)
    return setup, budget.compute(request.sky, setup)


def vega(setup, light, magnitude=15.0):
    """Return electrons/s of Vega itself, dimmed: no band of the ETC comes in."""
    wave, flux = bands.table("Vega")
    photons = np.interp(light.wave, wave, flux * bands.PHOTONS * wave)
    return float(np.sum(photons * light.total * light.width)) * setup.optics.telescope.area * 10 ** (-0.4 * magnitude)


def origin(setup, light):
    """Return the background by where it comes from."""
    parts = {"sky": light.background["sky"], "telescope": 0.0, "window": 0.0, "cold": 0.0}
    for surface in setup.optics.surfaces:
        part = "telescope" if surface.group == "telescope" else "window" if "window" in surface.name else "cold"
        parts[part] += light.background.get(surface.name, 0.0)
    return parts


@pytest.mark.parametrize("name", REFERENCE)
def test_star_background_and_its_origin(name):
    mode, star, background, parts, throughput = REFERENCE[name]
    setup, light = detect(mode, name)
    assert vega(setup, light) == pytest.approx(star, rel=0.15)
    assert light.background_rate == pytest.approx(background, rel=0.4)
    found = origin(setup, light)
    assert sum(found.values()) == pytest.approx(light.background_rate)
    for part, rate in parts.items():
        assert found[part] == pytest.approx(rate, rel=0.4 if part == "sky" else 0.1), part
    assert found["cold"] < 1e-5 * background
    cut_on, cut_off = half_power(next(x.throughput for x in setup.optics.surfaces if x.name == name))
    assert np.sum(light.total * light.width) / (cut_off - cut_on) == pytest.approx(throughput, rel=0.05)


def filters(mode):
    names = registry.load("metis").keys(mode)["INS.FILT1.NAME"]["options"]
    return [(mode, name) for name in names if name != "open"]


@pytest.mark.parametrize(("mode", "name"), [*filters("img_lm_scao"), *filters("img_n_scao")])
def test_other_filters_scale_from_the_pinned_ones(mode, name):
    """Telescope light goes as width, Planck's law and throughput at mid-band; a star's as width, lambda^-3 and that.

    The atmosphere is taken out of the star's. Wide bands at the edges of mirrors and detectors are up to 30 % off.
    """
    pinned = "Lp" if mode == "img_lm_scao" else "N2"
    ratios = []
    for each in (pinned, name):
        setup, light = detect(mode, each)
        centre = np.array([setup.optics.filter_centre])
        behind = [s.throughput.at(centre)[0] for s in setup.optics.surfaces if s.group not in ("telescope", "filter")]
        width = float(np.sum(light.groups["filter"] * light.width))
        common = width * np.prod(behind) * setup.detector.qe.at(centre)[0]
        clear = vega(setup, replace(light, total=light.total / light.atmosphere))
        warm = sum(light.background[s.name] for s in setup.optics.surfaces if s.group == "telescope")
        ratios.append((warm / common / photon_radiance(centre, 280.15)[0], clear / common * centre[0] ** 3))
    (warm, star), (warm_here, star_here) = ratios
    assert warm_here / warm == pytest.approx(1.0, abs=0.3)
    assert star_here / star == pytest.approx(1.0, abs=0.3)
