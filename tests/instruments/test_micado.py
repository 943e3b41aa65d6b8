"""MICADO against the published figures: filters, focal plane, optics."""

import itertools
import json

import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.focalplane import geometry
from elvis_cli.instrument import filters, registry
from elvis_cli.optics import pupil
from elvis_cli.request import parse
from tests import setups

# half-power points (um) and mean between them: IRDB dev_master f0a5f30, MICADO/filters
FILTERS = {
    "INS.FILT1.NAME": {
        "xI1": (0.802, 0.8677, 0.8442),
        "I-long": (0.8011, 0.9354, 0.9621),
        "Y": (0.961, 1.1165, 0.9928),
        "J": (1.1518, 1.3474, 0.9649),
        "J-short": (1.1661, 1.2169, 0.9517),
        "J-long": (1.2466, 1.297, 0.9494),
        "Spec_HK": (1.5113, 2.4741, 0.9842),
    },
    "INS.FILT2.NAME": {
        "xY2": (1.0363, 1.1164, 0.9907),
        "xJ1": (1.1453, 1.2573, 0.9594),
        "H": (1.487, 1.7984, 0.9735),
        "H-short": (1.5421, 1.6278, 0.9572),
        "H-long": (1.639, 1.7519, 0.9632),
        "xH1": (1.4666, 1.6278, 0.9656),
        "Ks": (1.9721, 2.3328, 0.9712),
        "K-short": (2.0328, 2.0931, 0.9686),
        "K-mid": (2.0525, 2.1533, 0.979),
        "xK2": (2.1724, 2.3041, 0.9585),
    },
    "INS.FILT3.NAME": {
        "Br-gamma": (2.1582, 2.1877, 0.718),
        "FeII": (1.638, 1.6609, 0.707),
        "Pa-beta": (1.2772, 1.2949, 0.7228),
        "K-cont": (2.1868, 2.216, 0.6794),
    },
}
# equivalent widths (um) of curves without a leak
WIDTHS = {"J": 0.19139, "H": 0.30683, "Ks": 0.35636, "xH1": 0.15908, "xK2": 0.13095, "Spec_HK": 0.95173}
CASES = [(wheel, name) for wheel, names in FILTERS.items() for name in names]
OPEN = {"INS.FILT1.NAME": "open", "INS.FILT2.NAME": "open", "INS.FILT3.NAME": "open"}


@pytest.fixture
def setup():
    plugin = registry.load("micado")

    def make(mode="img_4mas_scao", **keys):
        document = plugin.example(mode)
        document["instrument"].update(keys)
        return plugin.configure(parse.read(json.dumps(document)))

    return make


def in_beam(setup):
    return [s.throughput for s in setup.optics.surfaces if s.group == "filter" and s.throughput.value.min() < 1]


@pytest.mark.parametrize(("wheel", "name"), CASES)
def test_filter_has_its_published_cuts_and_mean(wheel, name, setup):
    cut_on, cut_off, mean = FILTERS[wheel][name]
    (curve,) = in_beam(setup(**{**OPEN, wheel: name}))
    assert filters.half_power(curve) == pytest.approx((cut_on, cut_off), abs=2e-4)
    wave = np.linspace(cut_on, cut_off, 20001)
    assert curve.at(wave).mean() == pytest.approx(mean, rel=2e-3)
    wide = np.linspace(0.3, 3.0, 200001)
    width = curve.at(wide).sum() * (wide[1] - wide[0])
    assert width == pytest.approx(WIDTHS.get(name, width), rel=0.01)
    assert curve.at(np.array([0.4, 2.45, 2.8])) == pytest.approx(0.0) or name == "Spec_HK"


def test_wheels_multiply_and_nd_dims(setup):
    plain = setup(**{**OPEN, "INS.FILT1.NAME": "J"})
    dimmed = setup(**{**OPEN, "INS.FILT1.NAME": "J", "INS.FILT3.NAME": "ND3"})
    wave = np.linspace(*plain.optics.band, 50)

    def transmission(made):
        return np.prod([c.at(wave) for c in in_beam(made)], axis=0)

    np.testing.assert_allclose(transmission(dimmed), 1e-3 * transmission(plain))
    assert dimmed.optics.filter_name == "J + ND3"
    assert dimmed.optics.band == pytest.approx(plain.optics.band)
    assert dimmed.optics.filter_centre == plain.optics.filter_centre


def test_what_passes_nothing_is_said(setup):
    assert any("pass at most 0" in n for n in setup(**{**OPEN, "INS.FILT2.NAME": "block"}).notes)
    assert any("pass at most 0" in n for n in setup(**{**OPEN, "INS.FILT1.NAME": "J", "INS.FILT2.NAME": "Ks"}).notes)
    # the SCAO dichroic sends I to the wavefront sensor; MORFEO does not
    assert any("pass at most" in n for n in setup(**{**OPEN, "INS.FILT1.NAME": "xI1"}).notes)
    assert not any("pass at most" in n for n in setup("img_4mas_mcao", **{**OPEN, "INS.FILT1.NAME": "xI1"}).notes)
    assert not any("pass at most" in n for n in setup(**{**OPEN, "INS.FILT3.NAME": "ND3"}).notes)
    assert any("no colour filter" in n for n in setup(**OPEN).notes)


@pytest.mark.parametrize(
    ("mode", "scale", "kind"),
    [
        ("img_4mas_scao", 0.004, "scao"),
        ("img_1.5mas_scao", 0.0015, "scao"),
        ("img_4mas_mcao", 0.004, "mcao"),
        ("img_1.5mas_mcao", 0.0015, "mcao"),
    ],
)
def test_modes(mode, scale, kind, setup):
    made = setup(mode)
    assert (made.optics.pixel_scale, made.psf.system.kind) == (scale, kind)
    assert made.optics.plate_scale == pytest.approx(scale / 0.015)


def corners(made, chip):
    n = made.detector.nx
    ends = np.array([-0.5, n - 0.5])
    x, y = np.meshgrid(ends, ends)
    return geometry.pixel_to_field(made, chip, x.ravel(), y.ravel())


@pytest.mark.parametrize(("mode", "width", "height"), [("img_4mas_scao", 51.5, 50.5), ("img_1.5mas_scao", 19.3, 18.9)])
def test_focal_plane_has_its_field_and_gaps(mode, width, height, setup):
    made = setup(mode)
    boxes = {}
    for chip in made.detector.chips:
        x, y = (np.asarray(v) / made.optics.plate_scale for v in corners(made, chip))
        boxes[chip.id] = (x.min(), x.max(), y.min(), y.max())
        assert x.max() - x.min() == pytest.approx(61.44)
        assert chip.extname == f"DET{chip.id}.IMG"
    for (one, a), (two, b) in itertools.combinations(boxes.items(), 2):
        gap_x = max(a[0], b[0]) - min(a[1], b[1])
        gap_y = max(a[2], b[2]) - min(a[3], b[3])
        assert max(gap_x, gap_y) > 2.49, f"chips {one} and {two}"
    assert boxes[4][0] - boxes[5][1] == pytest.approx(6.5)
    assert boxes[5][0] - boxes[6][1] == pytest.approx(2.5)
    assert boxes[2][2] - boxes[5][3] == pytest.approx(2.5)
    every = np.array(list(boxes.values())) * made.optics.plate_scale
    assert every[:, 1].max() - every[:, 0].min() == pytest.approx(width, abs=0.6)
    assert every[:, 3].max() - every[:, 2].min() == pytest.approx(height, abs=0.6)


def test_rotations_are_a_pinwheel(setup):
    """All four angles occur, and a quarter turn of the array maps each chip on one turned by a quarter."""
    chips = {c.id: c for c in setup().detector.chips}
    assert {c.rotation for c in chips.values()} == {0.0, 90.0, 180.0, 270.0}
    turned = {1: 7, 7: 9, 9: 3, 3: 1, 2: 6, 6: 8, 8: 4, 4: 2}  # counter-clockwise
    for here, there in turned.items():
        assert (chips[here].rotation + 90.0) % 360.0 == chips[there].rotation


def test_target_falls_in_the_default_window(setup):
    made = setup()
    x, y = geometry.field_to_pixel(made, made.detector.chip(5), 0.0, 0.0)
    assert (x, y) == pytest.approx((2047.5, 2047.5))


def test_optics_count_every_surface_of_the_reference(setup):
    """Telescope to ADC in Ks: product of the facts' band means, surface by surface."""
    made = setup()
    wave = np.array([2.16])
    found = np.prod([s.throughput.at(wave)[0] for s in made.optics.surfaces if s.group != "filter"])
    assert found == pytest.approx(0.8348 * 0.9909**6 * 0.9543 * 0.9625 * 0.9918**11 * 0.8723, rel=1e-6)
    morfeo = setup("img_4mas_mcao")
    found = np.prod([s.throughput.at(wave)[0] for s in morfeo.optics.surfaces if s.group == "relay"])
    assert found == pytest.approx(0.9625 * 0.985**5 * 0.9909**2 * 0.9798, rel=1e-6)


def test_adc_never_clips_below_full_well(setup):
    detector = setup().detector
    assert detector.adc_max * min(c.gain for c in detector.chips) > detector.full_well


def test_mcao_has_the_published_strehl_ratios_of_morfeo(setup):
    """irdb: MORFEO/PSF_MCAO_ConstPSF_40_18_6.fits, seeing 0.67 arcsec, zenith distance 30 deg."""
    made = setup("img_4mas_mcao")
    made = setups.change(made, seeing=0.67)
    place, one = np.array([[18.0, 6.0]]), np.ones(1)
    ratios = [setups.psf_at(made, 1.155, wave * one, one, place).strehl for wave in (1.2, 1.6, 2.15)]
    assert ratios == pytest.approx([0.047, 0.186, 0.406], abs=0.03)


@pytest.mark.parametrize(("name", "holes"), [("SAM-9", 9), ("SAM-18", 18)])
def test_no_two_pairs_of_holes_have_the_same_baseline(setup, name, holes):
    """Each of n (n - 1) baselines is a peak of its own in the transfer function; the mask passes its holes' light."""
    own = setup("sam_1.5mas_scao", **{"INS.SAM.NAME": name})
    mask, telescope = own.optics.pupil_mask, own.optics.telescope
    assert len(mask.holes) == holes
    pairs = [(a[0] - b[0], a[1] - b[1]) for a, b in itertools.permutations(mask.holes, 2)]
    apart = [np.hypot(a[0] - b[0], a[1] - b[1]) for a, b in itertools.combinations(pairs, 2)]
    assert min(apart) > 2 * mask.holes[0][2]
    longest = max(np.hypot(*pair) for pair in pairs)
    assert 1.25e-6 / (2 * longest) * 206264806 < 3.6  # features of 3.3 mas in J
    light = holes * np.pi * mask.holes[0][2] ** 2
    whole = float(pupil.raster(telescope)[0].sum()) * pupil.raster(telescope)[1] ** 2
    wheel = next(one for one in own.optics.surfaces if one.name == name)
    assert float(wheel.throughput.at(np.array([2.2]))[0]) == pytest.approx(light / whole, rel=0.01)
    transfer = pupil.transfer(telescope, mask)
    step = transfer.step
    peaks = [transfer.otf[512 + round(y / step), 512 + round(x / step)] for x, y in pairs]
    assert np.mean(peaks) == pytest.approx(1 / holes, rel=0.1)


def test_a_window_is_read_as_fast_as_its_rows(setup):
    """64 rows take 0.02 s, 256 rows 0.08 s, all 4096 1.3 s."""
    own = setup("ts_4mas_scao")
    assert (own.frame.window.ny, own.exposure.dit) == (256, 0.1)
    document = registry.load("micado").example("ts_4mas_scao")
    document["timesnr"] = {"DET.DIT": 0.03}
    with pytest.raises(RequestError, match=r"/timesnr/DET\.DIT: .*256 rows in 0\.03 s.*0\.08192 s.*93 rows"):
        registry.load("micado").configure(parse.read(json.dumps(document)))
    document["elvis"] = {"window": {"x0": 2016, "y0": 2016, "nx": 64, "ny": 64}}
    assert registry.load("micado").configure(parse.read(json.dumps(document))).exposure.dit == 0.03
