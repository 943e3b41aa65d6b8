"""What the ETC's output section asks for, in every generation, and that the numbers are those of the prediction."""

from __future__ import annotations

import json
from pathlib import Path

import elvis_schemas
import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.prediction import series as etc_output
from elvis_cli.request import parse

CORPUS = sorted((Path(__file__).parents[1] / "data" / "etc").glob("*.json"))
GROUPS = {
    group: [flag for flag in described["properties"] if flag != "plotindex"]
    for group, described in elvis_schemas.load()["properties"]["output"]["properties"].items()
}
ALL = {group: dict.fromkeys(flags, True) for group, flags in GROUPS.items()}


@pytest.fixture
def ready(request):
    """Return an observation made ready: ``ready("micado", {...})``."""
    return lambda name="micado", changes=None: pipeline.prepare(
        parse.read(json.dumps(request.getfixturevalue(name)(changes)))
    )


@pytest.fixture
def tables(ready):
    """Return the tables and images of an observation, by name."""

    def run(made, rates=None):
        return {each.name: each for each in made.tables(rates or {})}

    return run


@pytest.mark.parametrize(
    ("output", "series"),
    [
        ({}, set()),
        ({"snr": {"snr": True, "noise_components": False}}, {"snr/snr"}),
        ({"snr": {"snr": {"flag": True}}, "psf": {"psf": {"flag": False}}}, {"snr/snr"}),
        ({"snr": {"snr": True, "plotindex": 1}, "psf": None}, {"snr/snr"}),
        (
            {"target": {"obstarget": True}, "sky": {"obsemissioncentralpix": True}},
            {"signals/obstarget", "maxsignals/maxpixelsky"},
        ),
        (
            {"totalsignal": {"totalsignal": True, "plotindex": 5}, "blip": {"blip": True}},
            {"signals/obstotal", "snr/noise_components"},
        ),
    ],
)
def test_flags_of_all_generations(output, series, ready):
    made = ready(changes={"output": output})
    assert made.series == series
    assert not [note for note in made.notes if "output" in note]


def test_what_an_image_has_not_is_said(ready):
    made = ready(changes={"output": {"dispersion": {"dispersion": True}, "throughput": {"blaze": True}}})
    assert made.series == set()
    (note,) = (note for note in made.notes if note.startswith("output"))
    assert "dispersion" in note
    assert "blaze" in note


def test_the_first_generation_s_flags_stand_for_others_of_the_schema():
    known = {f"{group}/{flag}" for group, flags in GROUPS.items() for flag in flags}
    first, third = set(etc_output.FIRST_GENERATION), set(etc_output.FIRST_GENERATION.values())
    assert first | third | set(etc_output.SPECTROSCOPIC) <= known
    assert not first & third
    assert {name.partition("/")[0] for name in known - first} == {
        *("throughput", "snr", "sed", "signals", "maxsignals", "dispersion", "psf")
    }


def test_an_unknown_flag_is_said_and_asks_for_nothing(micado):
    request = parse.read(json.dumps(micado({"output": {"sed": {"moon": True, "sky": True}}})))
    assert any("/output/sed/moon" in warning for warning in request.warnings)
    with pytest.raises(RequestError, match="/output/sed/moon"):
        parse.read(json.dumps(request.document), strict=True)
    with pytest.raises(RequestError, match="/output/psf/psf"):
        parse.read(json.dumps(micado({"output": {"psf": {"psf": "yes"}}})))


def test_every_flag_of_the_corpus_is_known():
    for path in CORPUS:
        output = json.loads(path.read_text()).get("output")
        read = parse.read(json.dumps({"instrumentName": "x", "output": output}))
        # known to no ETC: its flags are those of snr
        assert [w for w in read.warnings if "/output" in w and "/output/maxSignals" not in w] == []


SHAPES = {
    "point": {"morphologytype": "point"},
    "sersic": {"morphologytype": "extended", "extendedtype": "sersic", "index": 1, "radius": 0.1},
    "infinite": {"morphologytype": "extended", "extendedtype": "infinite"},
}


@pytest.mark.parametrize("instrument", ["micado", "fors"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_tables_add_up_to_the_prediction(shape, instrument, ready, tables):
    made = ready(instrument, {"target/morphology": SHAPES[shape], "output": ALL})
    told, prediction = tables(made), made.prediction
    signals = {k: v[0] for k, v in told["SIGNALS"].columns.items()}
    best = {k: v[0] for k, v in told["MAXSIGNALS"].columns.items()}
    noise = {k: v[0] for k, v in told["NOISE_COMPONENTS"].columns.items()}
    assert signals["OBSTARGET"] == prediction.target
    assert signals["OBSSKY"] == prediction.npix * prediction.sky
    assert best["MAXPIXELTOTAL"] == prediction.brightest
    assert best["MAXPIXELTARGET"] + best["MAXPIXELSKY"] + prediction.dark == pytest.approx(prediction.brightest)
    # of the light alone, the noise is the root of the signal
    assert noise["TARGET"] ** 2 + noise["SKY"] ** 2 + noise["DARK"] ** 2 == pytest.approx(signals["OBSTOTAL"])
    assert noise["RON"] == pytest.approx(prediction.ron * prediction.npix**0.5)
    assert signals["OBSTARGET"] / noise["TOTAL"] == pytest.approx(prediction.snr_single)
    assert told["SNR"].columns["SNR"][0] == prediction.snr


@pytest.mark.parametrize("instrument", ["micado", "fors"])
def test_spectrum_and_throughput_give_the_target_s_electrons(instrument, ready, tables):
    made = ready(instrument, {"output": ALL})
    told, light = tables(made), made.renderer.light.budget
    part, sed = told["THROUGHPUT"].columns, told["SED"].columns
    total = part["ATMOSPHERE"] * part["TELESCOPE"] * part["INSTRUMENT"] * part["DETECTOR"]
    np.testing.assert_allclose(part["TOTALINCLSKY"], total, rtol=1e-9)
    np.testing.assert_allclose(part["ENCIRCLEDENERGY"], made.prediction.encircled)
    metres = sed["WAVELENGTH"] * 1e-6
    photons = metres / (6.62607015e-34 * 299792458.0)
    step = light.width * 1e-6
    electrons = made.setup.optics.telescope.area * np.sum(sed["TARGET"] * photons * part["TOTALINCLSKY"] * step)
    assert electrons == pytest.approx(made.prediction.target_rate, rel=1e-9)
    optics = part["TELESCOPE"] * part["INSTRUMENT"] * part["DETECTOR"]
    sky = (
        made.setup.optics.telescope.area
        * np.sum(sed["SKY"] * photons * optics * step)
        * made.setup.optics.pixel_scale**2
    )
    assert sky == pytest.approx(light.background["sky"], rel=1e-9)


def test_a_flat_spectrum_has_its_magnitude(ready, tables):
    """V = 20 of a spectrum flat in f_lambda is ESO's 3.61e-9 erg/s/cm2/Angstrom, dimmed by 8 magnitudes."""
    sed = tables(ready("fors", {"output": {"sed": {"target": True}}}))["SED"]
    np.testing.assert_allclose(sed.columns["TARGET"], 3.60994e-9 * 1e7 * 1e-8, rtol=1e-3)
    assert "SKY" not in sed.columns
    assert sed.units == {"WAVELENGTH": "um", "TARGET": "J s-1 m-2 m-1"}


@pytest.mark.parametrize("instrument", ["micado", "fors"])
def test_the_encircled_energy_grows_to_all(instrument, ready):
    spread = ready(instrument).renderer.psf
    diameter, fraction = etc_output.encircled(spread)
    assert np.all(np.diff(fraction) >= -1e-6)
    assert fraction[-1] == pytest.approx(1.0, abs=5e-3)
    for n in (0, 10, 20, 30):
        assert fraction[n] == spread.encircled(diameter[n])


def test_the_map_peaks_at_the_brightest_pixel(ready, tables):
    window = {"x0": 1998, "y0": 1998, "nx": 100, "ny": 100}
    made = ready(changes={"timesnr/DET.NDIT": 4, "output": ALL, "elvis": {"window": window, "chips": [5]}})
    rates: dict[int, np.ndarray] = {}
    list(pipeline.frames(made, rates=rates))
    image = tables(made, rates)["SNR_MAP"].pixels.astype(float)
    prediction, chip = made.prediction, made.setup.detector.chip(5)
    signal = rates[5].astype(float) * 60
    noise = signal + prediction.dark + chip.ron**2
    np.testing.assert_allclose(image, 2 * (signal - prediction.sky) / np.sqrt(noise), rtol=1e-3, atol=1e-3)
    assert image.max() == pytest.approx(image[49:51, 49:51].max())
    assert abs(np.median(image)) < 1.0


def test_dark_pixels_without_noise_have_no_ratio(ready):
    made = ready()
    chip = made.setup.detector.chips[0]
    silent = type(chip)(chip.id, chip.extname, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    found = etc_output.snr_map(np.array([[0.0, 4.0]], np.float32), 0.0, made.setup, silent, 1)
    assert found[0, 0] == 0.0
    assert found[0, 1] == pytest.approx((4 * made.setup.exposure.dit) ** 0.5)


def test_no_map_of_a_large_frame_and_no_rates_are_kept(ready):
    asked = {"output": {"snr": {"snr": True}}}
    small = ready(changes=asked)
    large = ready(changes=asked | {"elvis": {"window": "full"}})
    assert etc_output.mapped(small.series, small.setup)
    assert not etc_output.mapped(large.series, large.setup)
    assert any("no S/N map" in note for note in large.notes)
    assert not any("no S/N map" in note for note in small.notes)
    assert not etc_output.mapped(ready().series, small.setup)
