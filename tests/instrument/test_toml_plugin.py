"""TomlInstrument: keys are checked with pointer, choices and the nearest name; options are patches."""

import dataclasses
import re

import pytest

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.instrument import registry
from elvis_cli.instrument.toml_plugin import TomlInstrument
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.model.psf_model import SeeingPsf
from elvis_cli.model.request import ImageQuality, Request, SkyConditions, Target, Timing


def request(keys):
    return Request("fors", 3, Target(), SkyConditions(), ImageQuality(), keys, Timing(), {}, ElvisBlock())


@pytest.fixture
def fors():
    return registry.load("fors")


def copy_rest(plugin, folder):
    """Copy all files of a plugin's data but the main one."""
    for file in plugin.folder.glob("*.toml"):
        if file.name != "instrument.toml":
            (folder / file.name).write_text(file.read_text())


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    plugin = TomlInstrument(tmp_path)
    with pytest.raises(ResourceError, match=r"instrument\.toml"):
        plugin.modes()


@pytest.mark.parametrize(
    ("keys", "where", "nearest"),
    [
        ({"INS.FILT1.NAME": "v_HIGH"}, "/instrument/INS.FILT1.NAME", "v_HIGH+114"),
        ({"SEQ.CCD": 1}, "/instrument/SEQ.CCD", None),
        ({"INS.COLL.NAID": ["COLL_SR+6"]}, "/instrument/INS.COLL.NAID", "COLL_SR+6"),
        ({"ins_configuration": "img_nopolar"}, "/instrument/ins_configuration", "img_nopol"),
        ({"ins_configuration": {}}, "/instrument/ins_configuration", None),
    ],
)
def test_a_bad_value_of_a_known_key_is_refused(fors, keys, where, nearest):
    with pytest.raises(RequestError) as caught:
        fors.configure(request(keys))
    assert caught.value.details["pointer"] == where
    assert caught.value.details["nearest"] == nearest
    assert caught.value.details["allowed"]
    assert caught.value.exit_code == 65


def test_modes_of_the_form_that_are_not_there_yet_are_said_to_be_so(fors):
    with pytest.raises(RequestError, match="'img_pol' is not supported yet; allowed: img_nopol"):
        fors.configure(request({"ins_configuration": "img_pol"}))


def test_unknown_keys_are_named_and_noted(fors):
    asked = request({"INS.FILT1.NAME": "v_HIGH+114", "INS/GRIS": "300V"})
    assert fors.unknown_keys(asked) == ("INS/GRIS",)
    assert "/instrument/INS~1GRIS: unknown key, ignored" in fors.configure(asked).notes


SPECTROGRAPHS = [
    ("crires2", None),
    ("eris", "ifs_ngs"),
    ("harmoni", None),
    ("metis", "lss_l_scao"),
    ("micado", "lss_4mas_scao"),
]


@pytest.mark.parametrize(("name", "mode"), SPECTROGRAPHS)
def test_every_spectrograph_knows_which_orders_are_listed(name, mode):
    plugin = registry.load(name)
    keys = {**plugin.example(mode)["instrument"], "orders_list": [1], "order": 1}
    assert plugin.unknown_keys(request(keys)) == ()


def test_an_image_has_no_orders(fors):
    assert fors.unknown_keys(request({"orders_list": [1]})) == ("orders_list",)


def test_null_and_missing_keys_take_the_form_s_default(fors):
    for keys in ({}, {"INS.FILT1.NAME": None, "ins_configuration": None}):
        setup = fors.configure(request(keys))
        assert (setup.optics.filter_name, setup.optics.pixel_scale, setup.detector.name) == (
            "GG435+81",
            0.25,
            "MIT/LL CCID-20",
        )


def test_header_carries_the_options_in_force(fors):
    header = fors.configure(request({})).header
    assert header["ESO INS FILT1 NAME"] == "GG435+81"
    assert header["ESO DET READ CLKIND"] == "200kHz,2x2,low"
    assert header["INSTRUME"] == "FORS2"


def test_missing_shared_file_is_a_resource_error(tmp_path, fors):
    text = (fors.folder / "instrument.toml").read_text().replace('"vlt_ut1"', '"vlt_ut9"')
    (tmp_path / "instrument.toml").write_text(text)
    copy_rest(fors, tmp_path)
    with pytest.raises(ResourceError, match=r"no vlt_ut9\.toml"):
        TomlInstrument(tmp_path).configure(request({}))


def test_a_mode_may_replace_and_add_keys_and_refuse_options(tmp_path, fors):
    extra = """
[modes.img_nopol.keys."INS.FILT1.NAME"]
default = "v_HIGH+114"
options = ["v_HIGH+114"]
refused = { "g_HIGH+115" = "is being cleaned" }
[modes.other]
title = "another mode"
[modes.other.keys."INS.FILT2.NAME"]
default = "none"
options = ["none"]
role = "filter"
"""
    text = (fors.folder / "instrument.toml").read_text()
    (tmp_path / "instrument.toml").write_text(text + extra)
    copy_rest(fors, tmp_path)
    plugin = TomlInstrument(tmp_path)
    assert plugin.configure(request({})).optics.filter_name == "v_HIGH+114"
    assert next(m.filters for m in plugin.modes() if m.mode == "img_nopol") == ("v_HIGH+114",)
    with pytest.raises(RequestError, match="'g_HIGH\\+115' is being cleaned; allowed: v_HIGH\\+114"):
        plugin.configure(request({"INS.FILT1.NAME": "g_HIGH+115"}))
    other = {"ins_configuration": "other", "INS.FILT2.NAME": "none"}
    assert plugin.configure(request(other)).optics.filter_name == "GG435+81"
    assert plugin.unknown_keys(request(other)) == ()
    assert plugin.unknown_keys(request({**other, "ins_configuration": "img_nopol"})) == ("INS.FILT2.NAME",)


def test_modes_share_parts_and_are_without_some_keys(tmp_path, fors):
    extra = """
[parts.blue]
psf = "seeing"
without = ["INS.FILT1.NAME"]
[parts.blue.keys."INS.FILT2.NAME"]
default = "none"
options = ["none"]
role = "filter"
[modes.other]
title = "a mode of parts"
parts = ["blue"]
[modes.wrong]
title = "a mode of no parts"
parts = ["bleu"]
"""
    text = (fors.folder / "instrument.toml").read_text()
    (tmp_path / "instrument.toml").write_text(text + extra)
    copy_rest(fors, tmp_path)
    plugin = TomlInstrument(tmp_path)
    other = {"ins_configuration": "other", "INS.COLL.NAID": "COLL_SR+6"}
    assert plugin.configure(request(other)).psf == SeeingPsf()
    assert plugin.unknown_keys(request({**other, "INS.FILT1.NAME": "v_HIGH+114"})) == ("INS.FILT1.NAME",)
    assert plugin.unknown_keys(request({"INS.FILT2.NAME": "none"})) == ("INS.FILT2.NAME",)
    with pytest.raises(ResourceError, match="mode wrong: there is no part 'bleu'"):
        plugin.configure(request({"ins_configuration": "wrong"}))


@pytest.fixture
def spectral(tmp_path, fors):
    """The camera with keys as spectrographs have them."""
    extra = """
[mode_aliases.""]
noao = "img_nopol"
[keys."INS.WLEN"]
default = 2148.5
aliases.setting = { "" = "2148.5", K2217 = "2217", "22" = "2217" }
[keys."INS.WLEN".options]
"2148.5".pixel_scale = { value = 0.5, unit = "arcsec", source = "a test" }
"2217".pixel_scale = { value = 0.6, unit = "arcsec", source = "a test" }
[keys."INS.POL"]
default = "free"
options = { free = {}, linear = {} }
notes.linear = "is not simulated"
"""
    text = (fors.folder / "instrument.toml").read_text()
    (tmp_path / "instrument.toml").write_text('ignored_keys = ["orders"]\n' + text + extra)
    copy_rest(fors, tmp_path)
    return TomlInstrument(tmp_path)


@pytest.mark.parametrize(
    ("keys", "number"),
    [
        ({}, 2148.5),
        ({"INS.WLEN": 2217}, 2217),
        ({"INS.WLEN": 2217.0}, 2217),
        ({"INS.WLEN": "2217"}, 2217),
        ({"setting": "K2217"}, 2217),
        ({"setting": 22}, 2217),
        ({"setting": ""}, 2148.5),
        ({"setting": None, "INS.WLEN": None}, 2148.5),
        ({"setting": "K2217", "INS.WLEN": 2148.5}, 2148.5),
    ],
)
def test_an_option_may_be_a_number_and_a_key_may_have_older_names(spectral, keys, number):
    setup = spectral.configure(request(keys))
    assert setup.header["ESO INS WLEN"] == number
    assert setup.optics.pixel_scale == 2 * {2148.5: 0.5, 2217: 0.6}[number]
    assert spectral.unknown_keys(request(keys)) == ()
    assert any("/instrument/setting: not used" in note for note in setup.notes) == (
        len(keys) == 2 and any(keys.values())
    )


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"INS.WLEN": 2216}, "INS.WLEN"),
        ({"INS.WLEN": True}, "INS.WLEN"),
        ({"INS.WLEN": [2217]}, "INS.WLEN"),
        ({"INS.WLEN": "K2217"}, "INS.WLEN"),
        ({"setting": "2217"}, "setting"),
        ({"setting": {}}, "setting"),
    ],
)
def test_a_bad_number_or_older_name_is_refused_where_it_stands(spectral, keys, where):
    with pytest.raises(RequestError) as caught:
        spectral.configure(request(keys))
    assert caught.value.details["pointer"] == f"/instrument/{where}"
    assert caught.value.details["allowed"]


def test_the_example_gives_a_number_and_an_option_may_bring_a_note(spectral):
    assert spectral.example()["instrument"]["INS.WLEN"] == 2148.5
    assert not any("/instrument/INS.POL" in note for note in spectral.configure(request({})).notes)
    assert "/instrument/INS.POL: is not simulated" in spectral.configure(request({"INS.POL": "linear"})).notes


def test_a_request_without_a_mode_may_have_one_by_its_adaptive_optics(spectral):
    asked = dataclasses.replace(request({"orders": [1]}), image_quality=ImageQuality(ao_mode="noao"))
    assert spectral.configure(asked).mode == "img_nopol"
    assert spectral.unknown_keys(asked) == ()
    with pytest.raises(RequestError, match="/seeingiqao/mode"):
        spectral.configure(dataclasses.replace(asked, image_quality=ImageQuality(ao_mode="aolgs")))


def test_the_read_noise_may_depend_on_the_integration_time(fors, tmp_path):
    ron = 'ron = { dit = [1.0, 11.0], value = [12.0, 6.0], unit = "electron", source = "a test" }'
    copy_rest(fors, tmp_path)
    (tmp_path / "instrument.toml").write_text((fors.folder / "instrument.toml").read_text())
    text = (fors.folder / "detectors.toml").read_text()
    (tmp_path / "detectors.toml").write_text(re.sub(r"^ron = .*$|(?<=, )ron = \{[^}]*\}", ron, text, flags=re.M))
    plugin = TomlInstrument(tmp_path)
    for dit, expected in ((0.5, 12.0), (1.0, 12.0), (6.0, 9.0), (11.0, 6.0), (900.0, 6.0)):
        setup = plugin.configure(dataclasses.replace(request({}), timing=Timing(dit=dit)))
        assert [chip.ron for chip in setup.detector.chips] == [expected] * len(setup.detector.chips)
