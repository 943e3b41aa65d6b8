"""METIS against the published figures: filters, read-out modes, optics, adaptive optics; long series and saturation."""

import io
import json

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.instrument import filters, registry
from elvis_cli.request import parse
from tests import setups

# half-power points (um), mean between them, equivalent width (um): IRDB dev_master f0a5f30, METIS/filters
FILTERS = {
    "img_lm_scao": {
        "Lp": (3.5391, 4.1057, 0.9088, 0.53884),
        "L": (3.4875, 4.1154, 0.9018, 0.59275),
        "short-L": (3.0768, 3.4999, 0.8738, 0.38863),
        "Mp": (4.4957, 5.0221, 0.8499, 0.46693),
        "Br_alpha": (4.0385, 4.0738, 0.7307, 0.0337),
        "PAH_3.3": (3.2712, 3.3484, 0.8037, 0.07379),
        "H2O-ice": (2.9696, 3.2009, 0.7855, 0.20729),
        "CO_ref": (4.8197, 5.0537, 0.8549, 0.22014),
        "HCI_M": (4.685, 4.965, 0.85, 0.238),
    },
    "img_n_scao": {
        "N1": (8.0806, 9.2174, 0.8607, 1.02525),
        "N2": (10.0163, 12.4232, 0.8944, 2.19882),
        "N3": (11.6151, 12.9234, 0.8201, 1.12085),
        "PAH_8.6": (8.3939, 8.8387, 0.8367, 0.40249),
        "S_IV": (10.4454, 10.6483, 0.7894, 0.18327),
        "Ne_II": (12.6211, 12.8556, 0.7641, 0.20769),
    },
}
CASES = [(mode, name) for mode, names in FILTERS.items() for name in names]
WINDOW = {"x0": 900, "y0": 900, "nx": 128, "ny": 128}
BAD = ["flat_field", "hot_pixels", "dead_pixels", "cosmic_rays"]


def read(mode="img_lm_scao", dit=None, ndit=None, elvis_block=None, seeing=None, mag=None, **keys):
    document = registry.load("metis").example(mode)
    document["target"]["brightness"]["mag"] = mag or document["target"]["brightness"]["mag"]
    document["instrument"].update(keys)
    document["timesnr"] = {k: v for k, v in (("DET.DIT", dit), ("DET.NDIT", ndit)) if v is not None}
    document["seeing"].update(seeing or {})
    document["elvis"] = elvis_block or {}
    return parse.read(json.dumps(document), strict=True)


def configure(*args, **keys):
    return registry.load("metis").configure(read(*args, **keys))


def frame(*args, **keys):
    out = io.BytesIO()
    notes = pipeline.render(read(*args, **keys), out)
    out.seek(0)
    with fits.open(out) as hdus:
        return hdus[1].data.astype(float), notes, hdus[0].header.copy()


@pytest.mark.parametrize(("mode", "name"), CASES)
def test_filter_has_its_published_cuts_mean_and_width(mode, name):
    cut_on, cut_off, mean, width = FILTERS[mode][name]
    (curve,) = [
        s.throughput
        for s in configure(mode, **{"INS.FILT1.NAME": name}).optics.surfaces
        if s.group == "filter" and s.throughput.value.min() < 1
    ]
    assert filters.half_power(curve) == pytest.approx((cut_on, cut_off), abs=1e-3)
    assert curve.at(np.linspace(cut_on, cut_off, 20001)).mean() == pytest.approx(mean, rel=3e-3)
    wave = np.linspace(2.0, 15.0, 1300001)
    assert curve.at(wave).sum() * 1e-5 == pytest.approx(width, rel=0.12)


@pytest.mark.parametrize(
    ("mode", "readout", "gain", "ron", "dark", "full_well", "least"),
    [
        ("img_lm_scao", "fast", 4.0, 70.0, 0.05, 1e5, 0.04),
        ("img_lm_scao", "slow", 2.5, 15.0, 0.05, 1e5, 1.3),
        ("img_n_scao", "high_capacity", 201.0, 300.0, 1e5, 2.8e6, 0.011),
        ("img_n_scao", "low_capacity", 14.0, 35.0, 1e5, 1.8e5, 0.011),
    ],
)
def test_read_out_modes(mode, readout, gain, ron, dark, full_well, least):
    keys = {"DET.READOUT": readout}
    setup = configure(mode, dit=least, **keys)
    (chip,) = setup.detector.chips
    assert (chip.gain, chip.ron, chip.dark, setup.detector.full_well) == (gain, ron, dark, full_well)
    assert setup.detector.adc_max * gain > full_well
    assert configure(mode, **keys).exposure.dit >= least
    with pytest.raises(RequestError, match=f"allowed: >= {least:g} s") as caught:
        configure(mode, dit=0.9 * least, **keys)
    assert caught.value.details["pointer"] == "/timesnr/DET.DIT"


def test_each_arm_has_its_own_options():
    with pytest.raises(RequestError, match="'fast' is not a valid choice; allowed: high_capacity, low_capacity"):
        configure("img_n_scao", **{"DET.READOUT": "fast"})
    with pytest.raises(RequestError, match="'N2' is not a valid choice"):
        configure("img_lm_scao", **{"INS.FILT1.NAME": "N2"})
    with pytest.raises(RequestError, match=r"'Q1' .* sky ends at 15 um"):
        configure("img_n_scao", **{"INS.FILT1.NAME": "Q1"})


@pytest.mark.parametrize(("mode", "width"), [("img_lm_scao", 11.2), ("img_n_scao", 13.9)])
def test_the_default_frame_is_the_whole_field(mode, width):
    setup = configure(mode)
    assert (setup.frame.window.nx, setup.frame.window.ny, setup.frame.chips) == (2048, 2048, (1,))
    assert setup.frame.window.nx * setup.optics.pixel_scale == pytest.approx(width, abs=0.05)
    assert setup.optics.plate_scale == pytest.approx({"img_lm_scao": 0.30389, "img_n_scao": 0.37722}[mode], rel=1e-4)


def test_optics_count_every_surface_of_the_reference():
    """Band means of the facts: five mirrors and M6, window, gold, dichroics, ADC."""
    for mode, wave, expected in (
        ("img_lm_scao", 3.6, 0.8393 * 0.893 * 0.9898**20 * 0.9097 * 0.90 * 0.9857**2),
        ("img_n_scao", 10.0, 0.8426 * 0.967 * 0.9903**19 * 0.953 * 0.985),
    ):
        found = np.prod(
            [s.throughput.at(np.array([wave]))[0] for s in configure(mode).optics.surfaces if s.group != "filter"]
        )
        assert found == pytest.approx(expected, rel=0.005)


def test_the_sixth_mirror_makes_the_reference_s_telescope():
    five, sixth = (s for s in configure().optics.surfaces if s.group == "telescope")
    wave = np.array([3.6, 10.0])
    np.testing.assert_allclose(five.throughput.at(wave) * sixth.throughput.at(wave), [0.8393, 0.8426], rtol=5e-4)
    emitted = five.emissivity.at(wave) * sixth.throughput.at(wave) + sixth.emissivity.at(wave)
    np.testing.assert_allclose(emitted, [0.2192, 0.2154], rtol=5e-3)


def sharpness(wave, mode="img_lm_scao", **guide_star):
    setup = setups.change(configure(mode, seeing=guide_star), seeing=0.644)
    made = setups.psf_at(setup, 1.0, np.array([wave]), np.ones(1), np.zeros((1, 2)))
    return made.strehl, made.fwhm


def test_scao_is_as_sharp_as_tiptop_has_it():
    strehl, fwhm = sharpness(3.7)
    assert strehl == pytest.approx(0.861, abs=0.08)
    assert fwhm == pytest.approx(0.0205, rel=0.05)


def test_scao_is_nearly_perfect_in_n_and_falls_with_a_faint_guide_star():
    assert 0.96 < sharpness(11.2, mode="img_n_scao")[0] < 1.0
    strehl = [sharpness(3.7, **{"SEQ.NGS.MAG": magnitude})[0] for magnitude in (6, 12, 15)]
    assert strehl[0] > strehl[1] > strehl[2]


def test_thousands_of_integrations_cost_no_more_and_average_the_noise():
    elvis_block = {"window": WINDOW, "skip": BAD}
    keys = {"INS.FILT1.NAME": "PAH_8.6"}
    image, _, header = frame("img_n_scao", dit=0.011, ndit=5454, mag=25, elvis_block=elvis_block, **keys)
    assert header["EXPTIME"] == pytest.approx(60.0, abs=0.01)
    assert header["ESO DPR TECH"] == "IMAGE,N"
    expected = np.sqrt((image.mean() * 201.0 + 300.0**2) / 5454)
    assert image.std() * 201.0 == pytest.approx(expected, rel=0.03)


def test_the_background_saturates_when_the_integration_is_too_long():
    elvis_block = {"window": WINDOW, "skip": ["dead_pixels", "read_noise"]}
    image, notes, _ = frame("img_n_scao", dit=0.04, ndit=1, elvis_block=elvis_block)
    assert (image == round(2.8e6 / 201.0)).all()
    assert any(note.startswith("the background alone saturates every pixel: 5.8") for note in notes)
    image, notes, _ = frame(
        "img_n_scao", dit=0.011, ndit=1, elvis_block={**elvis_block, "skip": [*elvis_block["skip"], *BAD[:2]]}
    )
    assert image.max() < 2.8e6 / 201.0
    assert not any("saturates" in note for note in notes)


@pytest.mark.parametrize(("mode", "border"), [("img_lm_scao", 64), ("img_n_scao", 28)])
def test_the_border_sees_no_light(mode, border):
    elvis_block = {"window": {"x0": 0, "y0": 900, "nx": 128, "ny": 64}, "skip": BAD[1:]}
    image, _, _ = frame(mode, elvis_block=elvis_block)
    assert image[:, border:].min() > 2 * abs(image[:, :border]).max()
