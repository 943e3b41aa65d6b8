"""Models, kept images and switches from the command line to the file and back."""

import json

import numpy as np
import pytest
from astropy.io import fits

SMALL = ("--window=0,0,48,40", "--chips=1")


@pytest.fixture
def request_text(fors):
    return json.dumps(fors())


def opened(result, path):
    assert result.code == 0, result.err
    path.write_bytes(result.out)
    with fits.open(path) as hdus:
        return {h.name: (h.data if h.data is None else np.array(h.data)) for h in hdus}, hdus[0].header


def test_kept_images_are_extensions_that_end_in_the_frame(elvis, request_text, tmp_path):
    kept, _ = opened(elvis(*SMALL, "--keep=all", stdin=request_text), tmp_path / "a.fits")
    plain, _ = opened(elvis(*SMALL, stdin=request_text), tmp_path / "b.fits")
    names = list(kept)
    assert names[1:3] == ["stars", "galaxies"]
    assert names.index("CHIP1") == names.index("adc") + 1
    np.testing.assert_array_equal(kept["adc"], kept["CHIP1"])
    np.testing.assert_array_equal(plain["CHIP1"], kept["CHIP1"])
    np.testing.assert_allclose(kept["bias"] - kept["gain"], 200, rtol=1e-3)
    background = kept["background"] - kept["thermal"]
    assert background.std() < 1e-3 * background.mean()


def test_names_of_the_euclid_simulator_keep_too(elvis, fors, tmp_path):
    block = {"FITS_DARK": 1, "FITS_BIAS": True, "FITS_NOISE": 0}
    result = elvis(*SMALL, "--strict", stdin=json.dumps(fors({"elvis": block})))
    kept, _ = opened(result, tmp_path / "a.fits")
    assert {"dark", "bias"} <= set(kept)
    assert "shot_noise" not in kept
    wrong = elvis(*SMALL, stdin=json.dumps(fors({"elvis": {"FITS_DRAK": 1}})))
    assert (wrong.code, wrong.out) == (65, b"")
    assert "/elvis/keep/0" in wrong.lines[0]


def test_bias_dark_and_flat_frames(elvis, request_text, tmp_path):
    electronics = "read_noise,gain,bias,adc"
    bias, header = opened(elvis(*SMALL, f"--only={electronics}", stdin=request_text), tmp_path / "bias.fits")
    assert bias["CHIP1"].mean() == pytest.approx(200, abs=1)
    assert header["ESO SIM ONLY"] == electronics.replace(",", " ")
    dark, _ = opened(
        elvis(*SMALL, "--skip=stars,galaxies,thermal,background,cosmic_rays,hot_pixels", stdin=request_text),
        tmp_path / "dark.fits",
    )
    assert 0 < dark["CHIP1"].mean() - bias["CHIP1"].mean() < 1


def test_models_travel_in_the_file(elvis, request_text, tmp_path):
    flat = np.random.default_rng(1).uniform(0.8, 1.2, (2048, 4096)).astype("f4")
    fits.PrimaryHDU(flat).writeto(tmp_path / "prnu.fits")
    (tmp_path / "gain.json").write_text('{"factor": 2}')
    options = (f"--model=prnu={tmp_path}/prnu.fits", f"--model=gain={tmp_path}/gain.json", "--keep=flat_field,gain")
    small = "--window=7,5,30,20", "--chips=1"
    first = elvis(*small, *options, "--skip=cosmic_rays", stdin=request_text)
    (tmp_path / "prnu.fits").unlink()
    made, header = opened(first, tmp_path / "a.fits")
    assert header["ESO SIM MODELS"] == "flat_field gain"
    ratio = made["flat_field"] / flat[5:25, 7:37]
    np.testing.assert_allclose(ratio / ratio.mean(), 1, rtol=1e-5)
    assert elvis("replay", str(tmp_path / "a.fits")).out == first.out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gain", "[1", "/elvis/models/gain: model: not JSON"),
        ("gain", "[1]", "not an object"),
        ("gain", '{"factor": NaN}', "not a finite number"),
        ("gain", '{"factor": -2}', "/elvis/models/gain/parameters"),
        ("gain", '{"fcator": 2}', "factor"),
        ("gian", '{"factor": 2}', "did you mean 'gain'"),
        ("prnu", np.ones((4, 5), "f4"), "/elvis/models/flat_field/arrays/0/shape"),
        ("gain", np.ones((4, 5), "f4"), "takes no image"),
    ],
)
def test_wrong_files_are_named(elvis, request_text, tmp_path, name, content, words):
    path = tmp_path / "model"
    if isinstance(content, str):
        path.write_text(content)
    else:
        fits.PrimaryHDU(content).writeto(path)
    result = elvis(*SMALL, f"--model={name}={path}", stdin=request_text)
    assert (result.code, result.out) == (65, b"")
    assert words in result.lines[0]


def test_a_file_that_is_not_there_is_a_wrong_command_line(elvis, request_text, tmp_path):
    result = elvis(*SMALL, f"--model=gain={tmp_path}/model", stdin=request_text)
    assert (result.code, result.out) == (2, b"")
    assert f"--model: cannot read {tmp_path}/model" in result.lines[0]


def test_a_bias_frame_without_overscans_is_refused_where_there_are_some(elvis, tmp_path):
    fits.PrimaryHDU(np.zeros((40, 48), "f4")).writeto(tmp_path / "bias.fits")
    argv = ("--window=0,0,48,40", "--chips=34", f"--model=bias={tmp_path}/bias.fits")
    result = elvis(*argv, stdin=elvis("example", "euclid-vis").out)
    assert (result.code, result.out) == (65, b"")
    assert "/elvis/models/bias/arrays/0/shape" in result.err


def test_model_without_a_file_is_a_wrong_command_line(elvis, request_text):
    assert elvis("--model=gain", stdin=request_text).code == 2


def test_zero_point_is_a_factor_on_all_light(elvis, request_text, tmp_path):
    (tmp_path / "zp.json").write_text('{"shift": -0.7525749892}')
    change = (*SMALL, "--product=expected")
    plain, _ = opened(elvis(*change, stdin=request_text), tmp_path / "a.fits")
    half, _ = opened(elvis(*change, f"--model=zero_point={tmp_path}/zp.json", stdin=request_text), tmp_path / "b.fits")
    np.testing.assert_allclose(half["CHIP1"], plain["CHIP1"] / 2, rtol=1e-5)
    (tmp_path / "zp.json").write_text('{"shift": 9}')
    wrong = elvis(*change, f"--model=zero_point={tmp_path}/zp.json", stdin=request_text)
    assert wrong.code == 65
    assert "/elvis/models/zero_point/parameters" in wrong.lines[0]


def test_a_model_replaces_the_one_of_the_request_and_no_other(elvis, fors, tmp_path):
    models = {"gain": {"parameters": {"factor": 1}}, "bias": {"parameters": {"level": 300}}}
    (tmp_path / "gain.json").write_text('{"factor": [4]}')
    argv = (*SMALL, "--only=bias", "--keep=gain")
    text = json.dumps(fors({"elvis": {"models": models}}))
    made, _ = opened(elvis(*argv, f"--model=gain={tmp_path}/gain.json", stdin=text), tmp_path / "a.fits")
    assert made["CHIP1"].mean() == 300


def test_distortion_moves_stars_outward(elvis, request_text, tmp_path):
    document = json.loads(request_text)
    document.setdefault("elvis", {})["catalogue"] = {"x": [40.0], "y": [30.0], "mag": [18]}
    (tmp_path / "bend.json").write_text('{"cubic": 1e-6}')
    change = ("--product=expected", "--chips=1", "--window=full")
    frames = [
        opened(elvis(*change, *more, stdin=json.dumps(document)), tmp_path / "a.fits")[0]["CHIP1"]
        for more in ((), (f"--model=distortion={tmp_path}/bend.json",))
    ]
    (y0, x0), (y1, x1) = (np.unravel_index(np.argmax(frame), frame.shape) for frame in frames)
    scale = 0.25 if frames[0].shape[1] == 2048 else 0.125
    assert x1 - x0 == pytest.approx(40 * 1e-6 * 2500 / scale, abs=1)
    assert y1 - y0 == pytest.approx(30 * 1e-6 * 2500 / scale, abs=1)
