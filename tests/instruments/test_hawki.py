"""HAWK-I against the published figures: filters, focal plane, seeing and GRAAL; requests that people wrote for it."""

import json
from pathlib import Path

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.focalplane import geometry
from elvis_cli.instrument import filters, registry
from elvis_cli.optics.gaussian_psf import image_quality
from elvis_cli.request import parse
from tests import setups

# half-power points (um), mean between them, equivalent width (um): IRDB dev_master f0a5f30, HAWKI/filters
FILTERS = {
    "Y": (0.9687, 1.0701, 0.8865, 0.0952),
    "J": (1.1811, 1.3352, 0.8589, 0.13839),
    "H": (1.4741, 1.7642, 0.9399, 0.28021),
    "Ks": (1.9815, 2.3065, 0.7876, 0.26775),
    "BrGamma": (2.1501, 2.1794, 0.6954, 0.02327),
    "CH4": (1.5183, 1.6329, 0.8286, 0.10036),
    "H2": (2.1105, 2.1397, 0.7104, 0.02345),
    "NB1060": (1.0568, 1.0671, 0.6265, 0.00737),
    "NB1190": (1.1808, 1.192, 0.653, 0.00859),
    "NB2090": (2.0863, 2.105, 0.7209, 0.0155),
}
CORPUS = Path(__file__).parents[1] / "data" / "etc"
POINTING = (38.0, 38.0)
"""arcsec in the field: where the telescope points, in the gap."""


def configure(mode="img_noao", dit=10, name="Ks"):
    plugin = registry.load("hawki")
    document = plugin.example(mode)
    document["instrument"]["INS.FILT.NAME"] = name
    document["timesnr"] = {"DET.DIT": dit, "DET.NDIT": 1}
    return plugin.configure(parse.read(json.dumps(document), strict=True))


@pytest.mark.parametrize("name", FILTERS)
def test_filter_has_its_published_cuts_mean_and_width(name):
    cut_on, cut_off, mean, width = FILTERS[name]
    curve = next(s.throughput for s in configure(name=name).optics.surfaces if s.group == "filter")
    assert filters.half_power(curve) == pytest.approx((cut_on, cut_off), abs=2e-4)
    assert curve.at(np.linspace(cut_on, cut_off, 20001)).mean() == pytest.approx(mean, rel=2e-3)
    wave = np.linspace(0.8, 2.6, 1800001)
    assert curve.at(wave).sum() * 1e-6 == pytest.approx(width, rel=0.06)


def test_the_four_chips_stand_where_the_manual_has_them():
    """Pixel of each chip that the telescope points at (1-based, VLT-MAN-ESO-14800-3486 issue 96, appendix C)."""
    setup = configure()
    for number, (x, y) in {1: (2163, 2164), 2: (-37.5, 2161.5), 3: (-42, -28), 4: (2158, -25.5)}.items():
        chip = setup.detector.chip(number)
        found = geometry.field_to_pixel(setup, chip, *POINTING)
        assert found == pytest.approx((x - 1, y - 1), abs=4.0)
    assert [c.rotation for c in setup.detector.chips] == [0.0, 0.0472, -0.0332, -0.0195]
    assert [c.gain for c in setup.detector.chips] == [1.705, 1.87, 1.735, 2.11]


def test_the_field_and_its_gaps():
    setup = configure()
    corners = []
    for chip in setup.detector.chips:
        ends = np.array([[-0.5, -0.5], [2047.5, 2047.5]])
        corners.append([geometry.pixel_to_field(setup, chip, *end) for end in ends])
    one, two, three, four = np.array(corners)
    assert two[0, 0] - one[1, 0] == pytest.approx(15.5, abs=1.5)
    assert four[0, 1] - one[1, 1] == pytest.approx(15.5, abs=1.5)
    assert (three[1] - one[0]) / 60 == pytest.approx([7.5, 7.5], abs=0.1)
    assert setup.optics.plate_scale == pytest.approx(1 / 0.1694, rel=3e-3)


def test_a_target_without_an_offset_falls_on_chip_1():
    setup = configure()
    x, y = geometry.field_to_pixel(setup, setup.detector.chip(1), 0.0, 0.0)
    assert (setup.frame.window.nx, setup.frame.window.ny, setup.frame.chips) == (2048, 2048, (1, 2, 4, 3))
    assert (2047.5 - x) * setup.optics.pixel_scale == pytest.approx(26.0, abs=0.5)
    assert (2047.5 - y) * setup.optics.pixel_scale == pytest.approx(26.0, abs=0.5)


def test_the_shortest_integration():
    assert configure(dit=1.6762).exposure.dit == 1.6762
    with pytest.raises(RequestError, match=r"/timesnr/DET\.DIT: .*allowed: >= 1\.6762 s"):
        configure(dit=1.6)


@pytest.mark.parametrize("name", ["blackbody_point", "point_source", "sersic_source"])
def test_requests_that_people_wrote_give_a_frame(name, elvis, tmp_path):
    out = tmp_path / "out.fits"
    request = (CORPUS / f"proto_hawki_{name}.json").read_text()
    result = elvis("-o", str(out), "--chips", "1", "--window", "1650,1650,200,200", stdin=request)
    assert (result.code, result.lines) == (0, [])
    assert out.stat().st_size % 2880 == 0


def test_their_line_without_flux_is_refused_with_the_reason(elvis):
    result = elvis(stdin=(CORPUS / "proto_hawki_emission_line.json").read_text())
    assert (result.code, result.out) == (65, b"")
    assert result.lines == [
        "elvis: /target/brightness/magband: the line at 1000 nm lies outside band V, so its magnitude there says "
        "nothing about it; give its flux, or a band that holds it"
    ]


def sharpness(mode, wave, seeing, name="Ks"):
    """Return FWHM and diameter of half the light, arcsec, at zenith."""
    setup = setups.change(configure(mode, name=name), seeing=seeing)
    made = setups.psf_at(setup, 1.0, np.array([wave]), np.ones(1), np.zeros((1, 2)))
    diameter = np.linspace(1.0, 40.0, 400)
    half = np.interp(0.5, [made.encircled(d) for d in diameter], diameter)
    return made.fwhm, half * setup.optics.pixel_scale


@pytest.mark.parametrize("wave", [1.02, 1.26, 1.62, 2.14])
def test_seeing_is_near_the_etc_s_image_quality(wave):
    fwhm, _ = sharpness("img_noao", wave, 0.8)
    assert fwhm == pytest.approx(image_quality(0.8, 1.0, wave, configure().optics.telescope), rel=0.15)


@pytest.mark.parametrize(("wave", "smaller"), [(1.02, 0.15), (2.14, 0.30)])
def test_graal_meets_its_requirement(wave, smaller):
    """Half of the light in 15 % (Y) and 30 % (Ks) less diameter at 1 arcsec (eso.org/~evernet/GLAO_HAWKI.html)."""
    (_, seeing), (_, corrected) = (sharpness(mode, wave, 1.0) for mode in ("img_noao", "img_glao"))
    assert 1.0 - corrected / seeing == pytest.approx(smaller, abs=0.1)


def test_graal_sharpens_k_by_a_fifth():
    """About 20 % in FWHM on average in K (Paufique et al. 2010)."""
    (seeing, _), (corrected, _) = (sharpness(mode, 2.14, 0.8) for mode in ("img_noao", "img_glao"))
    assert 1.0 - corrected / seeing == pytest.approx(0.2, abs=0.1)


def test_a_bright_star_saturates_with_a_note():
    document = json.loads((CORPUS / "proto_hawki_point_source.json").read_text())
    assert any("saturates" in note for note in pipeline.prepare(parse.read(json.dumps(document))).notes)
    document["target"]["brightness"]["mag"] = 20
    assert not any("saturates" in note for note in pipeline.prepare(parse.read(json.dumps(document))).notes)
