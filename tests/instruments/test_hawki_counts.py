"""HAWK-I's electrons against an independent simulator, the old ESO ETC and archive frames.

Simulator: ScopeSim 0.11.4 with the reference database of 2025-12. ETC: the system transmissions (mirrors to detector,
no atmosphere) and backgrounds beside its HAWK-I package.
"""

import json

import numpy as np
import pytest

from elvis_cli.instrument import registry
from elvis_cli.light import budget
from elvis_cli.request import parse
from elvis_cli.scene import bands

# star of Vega's spectrum, 15 mag in its own filter, e/s; background e/s/pixel; throughput, atmosphere to detector
REFERENCE = {"J": (7.434e4, 254.0, 0.483), "Ks": (3.709e4, 1471.0, 0.469)}
# equivalent widths (nm) of the system in the old ETC
SYSTEM = {"Y": 49.6, "J": 78.8, "H": 164.4, "Ks": 157.8, "BrGamma": 13.6, "CH4": 58.9}
# backgrounds e/s/pixel: the lowest and the highest of archive, simulator and ETC
BETWEEN = {"J": (170.0, 453.0), "H": (958.0, 3249.0), "Ks": (1204.0, 2550.0), "BrGamma": (100.0, 390.0)}


def detect(name):
    plugin = registry.load("hawki")
    document = plugin.example()
    document["instrument"]["INS.FILT.NAME"] = name
    request = parse.read(json.dumps(document))
    setup = plugin.configure(request)
    return setup, budget.compute(request.sky, setup)


def vega(setup, light, magnitude=15.0):
    """Return electrons/s of Vega itself, dimmed: no band of the ETC comes in."""
    wave, flux = bands.table("Vega")
    photons = np.interp(light.wave, wave, flux * bands.PHOTONS * wave)
    return float(np.sum(photons * light.total * light.width)) * setup.optics.telescope.area * 10 ** (-0.4 * magnitude)


@pytest.mark.parametrize("name", REFERENCE)
def test_star_and_background(name):
    star, background, throughput = REFERENCE[name]
    setup, light = detect(name)
    assert vega(setup, light) == pytest.approx(star, rel=0.15)
    assert light.background_rate == pytest.approx(background, rel=0.4)
    window = next(s.throughput.at(light.wave) for s in setup.optics.surfaces if s.group == "filter")
    inside = window > 0.5 * window.max()
    assert np.mean(light.total[inside]) == pytest.approx(throughput, rel=0.1)


def test_origin_of_the_background_in_ks():
    """Sky 440, telescope 454, window 577 of the simulator."""
    setup, light = detect("Ks")
    telescope = sum(light.background[s.name] for s in setup.optics.surfaces if s.group == "telescope")
    assert light.background["sky"] == pytest.approx(440, rel=0.4)
    assert telescope == pytest.approx(454, rel=0.15)
    assert light.background["HAWK-I entrance window"] == pytest.approx(577, rel=0.1)


@pytest.mark.parametrize("name", SYSTEM)
def test_system_has_the_etc_s_equivalent_width(name):
    _, light = detect(name)
    width = float(np.sum(light.total / light.atmosphere * light.width)) * 1e3
    assert width == pytest.approx(SYSTEM[name], rel=0.2)


@pytest.mark.parametrize("name", BETWEEN)
def test_background_is_between_archive_and_etc(name):
    low, high = BETWEEN[name]
    assert low <= detect(name)[1].background_rate <= high
