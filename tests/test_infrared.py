"""What a request may ask of an infrared array, from the JSON to the FITS file."""

import json
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline, reader
from elvis_cli.errors import RequestError
from elvis_cli.product.replay import read_request
from elvis_cli.sampling import Sampling

WINDOW = {"x0": 2000, "y0": 2000, "nx": 96, "ny": 80}


def prepared(document):
    return pipeline.prepare(reader.read(json.dumps(document)))


@pytest.mark.parametrize(("name", "reads"), [("single", 1), ("cds", 2), ("utr:16", 16)])
def test_noise_and_prediction_are_those_of_the_sampling(micado, name, reads):
    usual, asked = prepared(micado()), prepared(micado({"elvis": {"readout": name}}))
    sampling, chip = Sampling(reads), asked.setup.detector.chips[0]
    assert asked.setup.detector.sampling == sampling
    assert chip.ron == pytest.approx(usual.setup.detector.chips[0].ron * sampling.noise / 2**0.5)
    assert asked.prediction.ron == chip.ron
    p = asked.prediction
    variance = sampling.shot * (p.target + p.npix * (p.sky + p.dark)) + p.npix * chip.ron**2
    assert p.snr_single == pytest.approx(p.target / variance**0.5)


def test_snr_of_a_fitted_ramp_is_the_predicted_one(micado):
    """Pixels of a uniform source: mean over standard deviation, as the S/N map has it."""
    document = micado({"elvis": {"readout": "utr:8", "window": {**WINDOW, "nx": 400, "ny": 400}, "chips": [5]}})
    document["target"] |= {"morphology": {"morphologytype": "extended", "extendedtype": "infinite"}}
    document["elvis"]["skip"] = ["flat_field", "hot_pixels", "dead_pixels", "cosmic_rays", "nonlinearity"]
    ready = prepared(document)
    p = ready.prediction
    ((_, frame),) = pipeline.frames(ready)
    assert frame.std(dtype=float) ** 2 == pytest.approx(
        Sampling(8).shot * (p.target / p.npix + p.sky + p.dark) + p.ron**2, rel=0.02
    )


def test_reads_are_an_extension(micado, render):
    extras = {"readout": "utr:5", "reads": True, "window": WINDOW, "chips": [5], "skip": ["adc"]}
    made = render(micado({"elvis": extras}))
    with fits.open(BytesIO(made)) as hdus:
        cube = hdus["READS"]
        frame = next(hdu for hdu in hdus[1:] if "ESO DET WIN1 STRX" in hdu.header)
        assert cube.data.shape == (5, 80, 96)
        assert cube.header["BUNIT"] == "adu"
        assert hdus[0].header["ESO DET NCORRS NAME"] == "NonDest"
        assert hdus[0].header["ESO DET NDSAMPLES"] == 5
        slope = np.polyfit(np.arange(5) / 4, cube.data.reshape(5, -1), 1)[0]
        np.testing.assert_allclose(frame.data.ravel(), slope, atol=0.05)
        assert cube.data[-1].mean() > cube.data[0].mean()
    assert render(json.loads(read_request(BytesIO(made)))) == made


def test_reads_do_not_change_without_being_asked(micado, render):
    plain, cds = micado({"elvis": {"window": WINDOW}}), micado({"elvis": {"window": WINDOW, "readout": "cds"}})
    frames = [fits.open(BytesIO(render(document)))[1].data for document in (plain, cds)]
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize(
    ("extras", "pointer", "words"),
    [
        ({"readout": "utr:999"}, "/elvis/readout", "no ramp"),
        ({"readout": "utr8"}, "/elvis/readout", "single"),
        ({"reads": True, "readout": "utr:64", "window": "full"}, "/elvis/reads", "too many"),
    ],
)
def test_what_cannot_be(micado, extras, pointer, words):
    with pytest.raises(RequestError, match=words) as error:
        prepared(micado({"elvis": extras}))
    assert error.value.details["pointer"] == pointer


@pytest.mark.parametrize("extras", [{"readout": "cds"}, {"reads": True}])
def test_ccds_are_not_sampled(fors, extras):
    with pytest.raises(RequestError, match="is a CCD"):
        prepared(fors({"elvis": extras}))


def test_reads_need_time(micado):
    document = micado({"timesnr/DET.DIT": 10, "elvis": {"readout": "utr:5"}})
    document["instrumentName"], document["instrument"] = "hawki", {}
    assert prepared(document).setup.detector.sampling.reads == 5
    document["elvis"]["readout"] = "utr"
    assert prepared(document).setup.detector.sampling.reads == 6  # one every 1.6762 s
    document["elvis"]["readout"] = "utr:7"
    with pytest.raises(RequestError, match="no time for 7 reads"):
        prepared(document)
