"""Standard stars by name, band and place, linearity up to saturation, levels of flats, errors of the sky."""

import copy
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.errors import ResourceError
from elvis_cli.reduction import chip_calibration, instrument_table, master, raw, requests, sky, zeropoint
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.frame import DEAD, Frame
from elvis_cli.reduction.layout import ChipLayout
from elvis_cli.reduction.master import Masters, Readout, _before_saturation, lit_level
from elvis_cli.reduction.raw import RawFile
from elvis_cli.request import parse
from elvis_cli.scene import standards
from tests.conftest import changed, run

HAWKI = json.loads(run("example", "hawki").out)


def test_the_shipped_standards_are_real_stars():
    stars = standards.read()
    assert {star.band for star in stars} == set("VRIJHKLMN")
    assert all(star.source and 0 <= star.ra < 360 and -90 <= star.dec <= 90 for star in stars)
    assert all(star.error < 0.05 for star in stars)


def test_a_standard_is_chosen_by_the_band_of_the_filter():
    stars = standards.read()
    assert zeropoint.select(["", "s 217-d"], stars, "Ks").mag == 10.936
    assert zeropoint.select(["S217-D"], stars, "J").mag == 11.323
    assert zeropoint.select(["S217-D"], stars, "v_HIGH+114") is None
    assert zeropoint.select(["nobody"], stars, "Ks") is None


def test_a_made_up_star_tells_its_magnitude_by_its_name():
    assert zeropoint.select(["STD A0V K=17.5"], standards.read(), "J").mag == 17.5
    assert zeropoint.select(["STD G2V K=17.5"], standards.read(), "J") is None


def test_a_frame_of_a_real_standard_has_its_name_and_brightness():
    request = changed(HAWKI, {"elvis/calibration": "std", "elvis/standard": {"name": "S217-D", "band": "K"}})
    request["elvis"] |= {"chips": [1], "window": {"x0": 1750, "y0": 1750, "nx": 100, "ny": 100}}
    result = run(stdin=json.dumps(request))
    assert result.code == 0, result.err
    assert b"OBJECT  = 'S217-D" in result.out
    wrong = run(stdin=json.dumps(changed(request, {"elvis/standard": {"name": "S217-E"}})))
    assert wrong.code == 65
    assert "S217-D" in wrong.err


def test_a_ramp_ends_where_its_pixels_clip():
    t = np.array([3.0, 5, 8, 10, 13, 16, 18])
    x = np.minimum(2769 * t, 48290)
    spread = np.array([0.011, 0.0107, 0.0105, 0.0104, 0.0102, 0.0101, 0.0001])
    times, levels = _before_saturation(t, x, spread)
    assert times[-1] == 16
    assert levels[-1] == pytest.approx(2769 * 16)


def test_a_ramp_that_is_saturated_from_the_start_tells_nothing():
    t = np.array([10.0, 30, 50, 80, 100])
    times, _ = _before_saturation(t, np.full(5, 64320.0), np.full(5, 4e-5))
    assert times.size == 0


def test_dead_pixels_of_spectra_are_flagged():
    """By their response; what is within the flat's noise is not, in frames that are turned."""
    response, noise = np.ones((40, 30), np.float32), np.full((40, 30), 0.01, np.float32)
    response[5, 7], response[6, 7], response[7, 7] = 0.05, 0.7, 0.7
    noise[7, 7] = 0.1
    masters = Masters(Readout(1.0, 1.0, 0.0))
    chip_calibration.flag_dead(masters, ChipLayout([], transposed=True), response, noise)
    assert masters.dq.shape == (30, 40)
    assert np.argwhere(masters.dq == DEAD).tolist() == [[7, 5], [7, 6]]


@pytest.mark.parametrize("other", [None, "flat", "gain"])
def test_a_target_has_the_masters_of_its_standard_where_their_calibrations_are_the_same(other, monkeypatch):
    made = []
    monkeypatch.setattr(master, "make", lambda chip, files, header: made.append(files) or Masters(Readout(1, 1, 0)))
    headers = [{f"ESO DET CHIP1 {key}": 1.0 for key in ("GAIN", "RON", "DARK")} for _ in range(2)]
    if other == "gain":
        headers[1]["ESO DET CHIP1 GAIN"] = 2.0
    target, star = ([SimpleNamespace(chip_header=lambda _, header=header: header)] for header in headers)
    flats, darks = [object()], [object()]
    standard = FileSet(star, flat=[object()] if other == "flat" else list(flats), dark=darks)
    files = FileSet(target, flat=flats, dark=darks, standard=standard)
    assert (master.shared(files, "C1") is None) == bool(other)
    assert len(made) == (0 if other else 1)


def test_the_level_of_a_flat_is_that_of_the_pixels_with_light():
    flat = np.random.default_rng(1).normal(1000.0, 20.0, (300, 300)).astype(np.float32)
    flat[:, 200:] = np.random.default_rng(2).normal(0.0, 3.0, (300, 100))
    assert lit_level(flat) == pytest.approx(1000.0, abs=1.0)


def test_fors_takes_its_linearity_at_the_times_of_its_lamp_and_its_dithers_in_turn():
    request = json.loads(run("example", "fors").out)
    request["timesnr"]["SEQ.NEXPO"] = 7
    request["elvis"] = {"window": {"x0": 900, "y0": 100, "nx": 96, "ny": 96}}
    lines = requests.documents(parse.read(json.dumps(request)))
    times = [line["timesnr"]["DET.WIN1.UIT1"] for line in lines if line["elvis"].get("calibration") == "detlin"]
    assert max(times) < 1.0  # the lamp fills half of the full well in 0.25 s
    places = [line["elvis"]["pointing"]["dec"] for line in lines if "calibration" not in line["elvis"]]
    assert places[5:] == places[:2]
    assert len(set(places)) > 2


def test_an_image_of_metis_in_n_is_chopped_and_nodded():
    """The telescope's places: on the target, beside it by the throw (3 arcsec), beside it on the other side, on it."""
    request = json.loads(run("example", "metis", "--mode", "img_n_scao").out)
    lines = requests.documents(parse.read(json.dumps(request)))
    science = [line["elvis"] for line in lines if "calibration" not in line["elvis"]]
    assert sum(line["timesnr"]["DET.NDIT"] for line in lines[: len(science)]) == 2 * request["timesnr"]["DET.NDIT"]
    header = [RawFile(b"", "", fits.Header([(f"HIERARCH {k}", v) for k, v in line["keywords"].items()]), (), ())
              for line in science]  # fmt: skip
    assert sky.partners(header) == [1, 0, 3, 2, 5, 4, 7, 6]
    west = [(line["place"]["ra"] - line["pointing"]["ra"]) * np.cos(np.radians(line["place"]["dec"])) * 3600.0
            for line in science]  # fmt: skip
    np.testing.assert_allclose(np.subtract(west, west[0])[:4], [0.0, 3.0, -3.0, 0.0], atol=1e-5)
    stars = [line["elvis"] for line in lines if line["elvis"].get("calibration") == "std"]
    assert [star["keywords"]["ESO SEQ CHOP POS"] for star in stars] == ["A", "B", "A", "B"]
    assert "keywords" not in lines[-1]["elvis"]


def test_a_standard_star_stands_in_a_chip_where_the_middle_of_the_field_does_not():
    """HAWK-I's middle is the gap between its chips: three dithers about the middle of the window."""
    request = changed(HAWKI, {"elvis": {"window": {"x0": 900, "y0": 900, "nx": 96, "ny": 96}, "chips": [1]}})
    lines = requests.documents(parse.read(json.dumps(request)))
    stars = [line for line in lines if line["elvis"].get("calibration") == "std"]
    places = []
    for star in stars:
        out = run("--product", "expected", stdin=json.dumps(star | {"elvis": star["elvis"] | {"truth": True}})).out
        with fits.open(io.BytesIO(out)) as hdus:
            places.append([hdus["TRUTH"].data["X"][0], hdus["TRUTH"].data["Y"][0]])
    assert len({tuple(place) for place in places}) == 3
    assert np.mean(places, axis=0) == pytest.approx([48.5, 48.5], abs=2.0)


def test_the_sky_that_stars_cover_in_all_other_frames_has_the_error_of_the_flat():
    """Sky 1000, flat's noise 0.01: where no other frame sees sky, the pattern stays and ERR has it."""
    random = np.random.default_rng(3)
    pattern = random.normal(0.0, 10.0, (64, 64)).astype(np.float32)
    frames = [Frame(1000 + pattern + random.normal(0, 1, (64, 64)).astype(np.float32),
                    np.ones((64, 64), np.float32), np.zeros((64, 64), np.uint32), None) for _ in range(3)]  # fmt: skip
    masks = [np.zeros((64, 64), bool) for _ in frames]
    for frame in frames[1:]:
        frame.sci[20:40, 20:40] += 5000.0
    masks[1][15:45, 15:45] = masks[2][15:45, 15:45] = True
    assert sky.subtract(frames, masks, 1e-4) == "pixel"
    pull = frames[0].sci / np.sqrt(frames[0].var)
    assert np.std(pull[22:38, 22:38]) == pytest.approx(1.0, abs=0.15)
    assert np.std(pull[:10]) == pytest.approx(1.0, abs=0.15)
    assert np.sqrt(np.median(frames[0].var[:10])) < 2.0


def test_micado_takes_a_real_standard_where_one_fits():
    """White dwarfs of 17 to 21 mag: MICADO's made-up stars are for bands and exposures that have none."""
    request = json.loads(run("example", "micado").out)
    request["timesnr"] = {"DET.DIT": 10, "DET.NDIT": 3}
    request["elvis"] = {"window": {"x0": 1984, "y0": 1984, "nx": 128, "ny": 128}, "chips": [5]}
    lines = requests.documents(parse.read(json.dumps(request)))
    stars = [line["elvis"] for line in lines if line["elvis"].get("calibration") == "std"]
    (name,) = {star["standard"]["name"] for star in stars}
    assert name.startswith("SDSS J")
    (row,) = [star for star in standards.named([name], standards.read()) if star.band == "K"]
    assert {(star["place"]["ra"], star["place"]["dec"]) for star in stars} == {(row.ra, row.dec)}
    assert len({star["pointing"]["ra"] for star in stars}) == 3


def test_a_standard_star_is_nearly_as_bright_as_fits():
    """A white dwarf of K = 16.6, 0.03 mag, was HAWK-I's: a night's magnitudes were 0.02 mag off by its noise."""
    request = json.loads(run("example", "hawki").out)
    request["elvis"] = {"window": {"x0": 1000, "y0": 1000, "nx": 64, "ny": 64}, "chips": [1]}
    lines = requests.documents(parse.read(json.dumps(request)))
    (name,) = {line["elvis"]["standard"]["name"] for line in lines if line["elvis"].get("calibration") == "std"}
    (star,) = [star for star in standards.named([name], standards.read()) if star.band == "K"]
    assert star.mag < 15.0
    assert star.error < 0.012


@pytest.mark.parametrize("band", ["J", "H", "K"])
def test_stars_of_all_magnitudes_are_standards_in_the_near_infrared(band):
    magnitudes = sorted(star.mag for star in standards.read() if star.band == band)
    assert (magnitudes[0] < 11.0, magnitudes[-1] > 20.0) == (True, True)
    assert np.diff(magnitudes).max() < requests.MAX_FAINTER


def test_objects_that_the_print_of_the_flat_hides_are_found_in_a_second_pass():
    """A source of a sixth of the print's scatter: taken for sky of other exposures, it would lose light to itself."""
    random = np.random.default_rng(4)
    printed = random.normal(0.0, 30.0, (200, 200)).astype(np.float32)
    y, x = np.indices((200, 200))
    frames = []
    for k in range(5):
        light = 5.0 * np.exp(-((x - 40 - 25 * k) ** 2 + (y - 100) ** 2) / (2 * 8.0**2))
        sci = (3000 + printed + light + random.normal(0, 1, (200, 200))).astype(np.float32)
        frames.append(Frame(sci, np.ones((200, 200), np.float32), np.zeros((200, 200), np.uint32), None))
    assert sky.subtract(frames, [sky.objects(frame) for frame in frames], 1e-4) == "pixel"
    part = [frame.sci[76:125, 16 + 25 * k : 65 + 25 * k].sum() for k, frame in enumerate(frames)]
    assert np.mean(part) / (5.0 * 2 * np.pi * 8.0**2) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("name", ["micado", "metis", "eris", "hawki", "fors", "euclid-vis"])
def test_each_imager_says_how_its_sky_is_taken(name):
    header = fits.Header([("HIERARCH ESO SIM INSTR", name)])
    recipe = instrument_table.of(RawFile(b"", "", header, (), ()))
    assert recipe.sky == {"metis": "pixel", "fors": "smooth", "euclid-vis": "smooth"}.get(name, "dithers")


def test_unknown_keys_of_the_table_are_refused(monkeypatch):
    monkeypatch.setattr(instrument_table, "tree", lambda _: {"skies": "pixel"})
    with pytest.raises(ResourceError, match="skies"):
        instrument_table.of(RawFile(b"", "", fits.Header(), (), ()))


def test_pre_and_overscans_of_amplifiers_are_cut():
    """Euclid's four amplifiers at the middle of two CCDs, one of them turned: the light is left, at its place."""
    request = json.loads(run("example", "euclid-vis").out)
    window = {"x0": 2040, "y0": 2056, "nx": 24, "ny": 24}
    request["elvis"] = {"window": window, "chips": [33, 34], "calibration": "flat"}
    bare = copy.deepcopy(request)
    bare["elvis"] |= {"product": "expected", "skip": ["pre_overscan", "parallel_overscan"]}
    images = [run(stdin=json.dumps(each)).out for each in (request, bare)]
    (file,) = raw.open_all(images[:1])
    with fits.open(io.BytesIO(images[1])) as hdus:
        assert len(file.chips) == 8
        for name in file.chips:
            image, header = file.read(name)
            assert image.shape == hdus[name].shape == (header["NAXIS2"], header["NAXIS1"])
            assert image.min() > 10_000
            for key in ("CRPIX1", "CRPIX2"):
                assert header[key] == pytest.approx(hdus[name].header[key], abs=1e-6)
