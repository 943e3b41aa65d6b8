"""What a request may ask of an infrared array, from the JSON to the FITS file."""

import json
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.detector.persistence import decode
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.sampling import Sampling
from elvis_cli.product.previous import read_previous
from elvis_cli.product.replay import read_request
from elvis_cli.request import parse, payload
from elvis_cli.request.payload import pack

WINDOW = {"x0": 2000, "y0": 2000, "nx": 96, "ny": 80}


def prepared(document):
    return pipeline.prepare(parse.read(json.dumps(document)))


@pytest.mark.parametrize(
    ("name", "sampling"),
    [("single", Sampling(1)), ("cds", Sampling(2)), ("utr:16", Sampling(16)), ("mcds:4", Sampling(8, 0.0))],
)
def test_noise_and_prediction_are_those_of_the_sampling(micado, name, sampling):
    usual, asked = prepared(micado()), prepared(micado({"elvis": {"readout": name}}))
    chip = asked.setup.detector.chips[0]
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
    elvis_block = {"readout": "utr:5", "reads": True, "window": WINDOW, "chips": [5], "skip": ["adc"]}
    made = render(micado({"elvis": elvis_block}))
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
    ("elvis_block", "pointer", "words"),
    [
        ({"readout": "utr:999"}, "/elvis/readout", "no ramp"),
        ({"readout": "utr8"}, "/elvis/readout", "single"),
        ({"reads": True, "readout": "utr:64", "window": "full"}, "/elvis/reads", "too many"),
    ],
)
def test_what_cannot_be(micado, elvis_block, pointer, words):
    with pytest.raises(RequestError, match=words) as error:
        prepared(micado({"elvis": elvis_block}))
    assert error.value.details["pointer"] == pointer


@pytest.mark.parametrize("elvis_block", [{"readout": "cds"}, {"reads": True}])
def test_ccds_are_not_sampled(fors, elvis_block):
    with pytest.raises(RequestError, match="is a CCD"):
        prepared(fors({"elvis": elvis_block}))


def test_reads_need_time(micado):
    document = micado({"timesnr/DET.DIT": 10, "elvis": {"readout": "utr:5"}})
    document["instrumentName"], document["instrument"] = "hawki", {}
    assert prepared(document).setup.detector.sampling.reads == 5
    document["elvis"]["readout"] = "utr"
    assert prepared(document).setup.detector.sampling.reads == 6  # one every 1.6762 s
    document["elvis"]["readout"] = "utr:7"
    with pytest.raises(RequestError, match="no time for 7 reads"):
        prepared(document)


# --- what is known of such arrays in general ---


def test_stages_of_the_family_run_when_they_are_named(micado):
    usual, asked = prepared(micado()), prepared(micado({"elvis": {"also": ["ipc", "correlated_noise"]}}))
    assert not {"ipc", "correlated_noise", "rtn"} & set(usual.setup.detector.stages)
    assert {"ipc", "correlated_noise"} < set(asked.setup.detector.stages)
    assert "rtn" not in asked.setup.detector.stages
    added = [value for value in asked.setup.values if value not in usual.setup.values]
    assert {value.name for value in added} >= {"family.ipc.edge", "family.correlated_noise.u_pink"}
    assert all(value.assumed for value in added if value.name.startswith("family."))


def test_the_rest_of_the_frame_does_not_change(micado):
    def frame(**elvis_block):
        block = {"window": WINDOW, "skip": ["adc"], **elvis_block}
        return next(iter(pipeline.frames(prepared(micado({"elvis": block})))))[1].astype(float)

    added = frame(also=["correlated_noise"]) - frame()
    assert 0.5 < added.std() < 20
    assert abs(np.corrcoef(added.ravel(), frame().ravel())[0, 1]) < 0.05
    assert added.mean(axis=1).std() > 0.5 * added.std()  # rows share the slow noise


def test_a_detector_without_a_family_refuses(micado):
    document = micado({"elvis": {"also": ["ipc"]}})
    document["instrumentName"], document["instrument"] = "metis", {"ins_configuration": "img_n_scao"}
    with pytest.raises(RequestError, match="no parameters for the stage 'ipc'") as error:
        prepared(document)
    assert error.value.details["pointer"] == "/elvis/also/0"
    document["elvis"] = {"previous": {"dit": 1, "chips": [{"chip": 1, "window": WINDOW, "data": pack(bytes(96 * 80))}]}}
    with pytest.raises(RequestError, match="persistence"):
        prepared(document)


# --- the exposure before ---


@pytest.fixture
def bright(micado, render, tmp_path):
    """A saturated star, in a file."""
    path = tmp_path / "bright.fits"
    path.write_bytes(render(micado({"target/brightness/mag": 10, "elvis": {"window": WINDOW, "chips": [5]}})))
    return path


def test_what_is_remembered_of_a_file(bright):
    block = read_previous(bright, 30)
    assert (block["dit"], block["count"], block["gap"]) == (60, 1, 30)
    (chip,) = block["chips"]
    assert chip["chip"] == 5
    assert chip["window"] == WINDOW
    with fits.open(bright) as hdus:
        electrons = np.minimum(hdus[1].data * hdus[1].header["ESO DET CHIP GAIN"], 150000)
    (exposed,) = payload.previous(block).chips
    codes = np.frombuffer(exposed.data, np.uint8).reshape(80, 96)
    seen = electrons > 100
    np.testing.assert_allclose(decode(codes)[seen], electrons[seen], rtol=0.03)


def test_a_saturated_star_comes_back_faintly(elvis, micado, bright):
    elvis_block = {"window": WINDOW, "chips": [5]}
    document = json.dumps(micado({"target/brightness/mag": 40, "elvis": elvis_block}))
    clean, ghost = elvis(stdin=document), elvis("--previous", str(bright), stdin=document)
    assert ghost.code == 0
    with fits.open(BytesIO(clean.out)) as a, fits.open(BytesIO(ghost.out)) as b, fits.open(bright) as before:
        more, star = b[1].data - a[1].data, before[1].data
    core = star > 1e5
    assert core.sum() > 20
    assert 5 < more[core].mean() < 0.003 * 1.5e5
    assert abs(more[star < 1e3].mean()) < 0.05 * more[core].mean()
    again = elvis("replay", stdin=ghost.out)
    assert again.out == ghost.out


def test_files_that_are_none(tmp_path, fors, render):
    path = tmp_path / "other.fits"
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(path)
    with pytest.raises(RequestError, match="not a file that ELVIS made"):
        read_previous(path, 30)
    ccd = tmp_path / "ccd.fits"
    ccd.write_bytes(render(fors({"elvis": {"window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, "chips": [1]}})))
    with pytest.raises(RequestError, match="infrared"):
        read_previous(ccd, 30)
    path.write_text("SIMPLE")
    for bad in (path, tmp_path / "none.fits"):
        with pytest.raises(UsageError, match="cannot read"):
            read_previous(bad, 30)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"chip": 77}, "/elvis/previous/chips/0/chip"),
        ({"window": {**WINDOW, "x0": 4090}}, "/elvis/previous/chips/0/window"),
        ({"data": pack(bytes(7))}, "/elvis/previous/chips/0/data"),
    ],
)
def test_what_does_not_fit_the_detector(micado, change, pointer):
    chip = {"chip": 5, "window": WINDOW, "data": pack(bytes(96 * 80))} | change
    with pytest.raises(RequestError) as error:
        prepared(micado({"elvis": {"previous": {"dit": 60, "chips": [chip]}}}))
    assert error.value.details["pointer"] == pointer


def test_reference_pixels_are_needed_and_dark(micado):
    edge = {"x0": 0, "y0": 0, "nx": 64, "ny": 64}
    document = micado({"elvis": {"also": ["reference_correction"], "window": edge, "chips": [1]}})
    ((_, frame),) = pipeline.frames(prepared(document))
    assert abs(np.median(frame[:4])) < 2
    assert np.median(frame[4:, 4:]) > 500
    document["elvis"]["window"] = WINDOW
    with pytest.raises(RequestError, match="holds no reference pixels"):
        prepared(document)
