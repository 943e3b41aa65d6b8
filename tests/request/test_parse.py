"""ETC JSON becomes a Request; what is wrong is refused with pointer, limits and nearest name."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import Catalogue, Pointing, Window
from elvis_cli.model.request import Request
from elvis_cli.request.parse import read
from tests.request.test_normalise import V3


def text(**members: Any) -> str:
    return json.dumps({"instrumentName": "x", **members})


def sed(**members: Any) -> dict[str, Any]:
    return {"target": {"sed": {"spectrum": members}}}


def spectrum(wave: list[float], flux: list[float]) -> dict[str, Any]:
    return {**sed(spectrumtype="upload"), "elvis": {"sed": {"wavelength_um": wave, "flux": flux}}}


def refused(request: str | bytes, **options: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(request, **options)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 1000
    json.dumps(caught.value.as_dict())
    return caught.value


class TestText:
    @pytest.mark.parametrize(
        ("request_text", "part"),
        [
            ("", "empty"),
            (" \n", "empty"),
            ("[1]", "must be an object"),
            ('{\n "sky": {},\n "a": 1,}', "line 3 column 9"),
            ("{'a': 1}", "line 1 column 2"),
            ('{"instrumentName": "x"} trailing', "line 1 column 25"),
            ('{"a": NaN}', "not a finite number"),
            ('{"a": -Infinity}', "not a finite number"),
            ('{"a": 1e999}', "not a finite number"),
            ('{"a": 1.0E+309}', "not a finite number"),
            ('{"a": ' + "9" * 250 + "e99}", "not a finite number"),
            ('{"a": ' + "9" * 5000 + "}", "not a finite number"),
            ('{"sky": {"airmass": 1, "airmass": 2}}', '"airmass" is given twice'),
            (b'{"a": "\xff"}', "not UTF-8"),
            ("[" * 100_000, "nested too deeply"),
            (b"SIMPLE  =                    T", "not JSON"),
        ],
    )
    def test_what_is_no_request(self, request_text: str | bytes, part: str) -> None:
        assert part in refused(request_text).message

    def test_a_byte_order_mark_is_no_fault(self) -> None:
        assert read(b'\xef\xbb\xbf{"instrumentName": "x"}').instrument == "x"


class TestValues:
    @pytest.mark.parametrize(
        ("members", "pointer", "allowed"),
        [
            ({"sky": {"airmass": 0.99}}, "/sky/airmass", "1 to 3"),
            ({"sky": {"airmass": "1.2"}}, "/sky/airmass", "a number"),
            ({"sky": {"airmass": True}}, "/sky/airmass", "a number"),
            ({"sky": {"fli": 1.01}}, "/sky/fli", "0 to 1"),
            ({"sky": {"waterVapour": 0}}, "/sky/waterVapour", "0.05 to 30"),
            ({"sky": {"moonDistance": 181}}, "/sky/moonDistance", "0 to 180"),
            ({"sky": {"airglowEnabled": 1}}, "/sky/airglowEnabled", "true or false"),
            ({"sky": []}, "/sky", "an object"),
            ({"target": "star"}, "/target", "an object"),
            ({"target": {"brightness": {"mag": 1e30}}}, "/target/brightness/mag", "-30 to 60"),
            ({"target": {"brightness": {"params": {"mag": "10"}}}}, "/target/brightness/params/mag", "a number"),
            ({"target": {"sed": {"redshift": {"redshift": -1}}}}, "/target/sed/redshift/redshift", "above -1, to 30"),
            ({"timesnr": {"DET.DIT": 0}}, "/timesnr/DET.DIT", "above 0, to 1000000"),
            ({"timesnr": {"DET.NDIT": 0}}, "/timesnr/DET.NDIT", "1 to 1000000"),
            ({"timesnr": {"DET.NDIT": 1.5}}, "/timesnr/DET.NDIT", "a whole number"),
            ({"timesnr": {"snr": -1}}, "/timesnr/snr", "above 0, to 1000000"),
            ({"timesnr": {"inputtype": "snr", "snr": {"method": "median"}}}, "/timesnr/snr", "above 0"),
            ({"seeing": {"aperturepix": -1}}, "/seeing/aperturepix", "0 to 999"),
            ({"seeingiqao": {"params": {"iq": 1.4}}}, "/seeingiqao/params/wavelength", "um"),
            ({"elvis": []}, "/elvis", "an object"),
            ({"instrument": {"name": "x" * 201}}, "/instrument/name", "at most 200"),
            ({"elvis": {"seed": -1}}, "/elvis/seed", "0 to 9223372036854775807"),
            ({"elvis": {"window": {"x0": 0, "y0": 0, "nx": 9}}}, "/elvis/window/ny", "1 to 65536"),
            ({"elvis": {"window": {"x0": 0, "y0": 0, "nx": 0, "ny": 1}}}, "/elvis/window/nx", "1 to 65536"),
            ({"elvis": {"chips": []}}, "/elvis/chips", "1 to 1000"),
            ({"elvis": {"pointing": {"ra": 1}}}, "/elvis/pointing/dec", "-90 to 90"),
            ({"elvis": {"date": "2026-13-01"}}, "/elvis/date", "ISO 8601, 1980 to 2099"),
            ({"elvis": {"date": "1066-10-14"}}, "/elvis/date", "ISO 8601, 1980 to 2099"),
            ({"elvis": {"offset": [1]}}, "/elvis/offset", "2"),
            ({"elvis": {"offset": [1, "2"]}}, "/elvis/offset/1", "a number"),
            ({"elvis": {"catalogue": {"x": [1], "y": [1, 2], "mag": [3]}}}, "/elvis/catalogue/y", "as many as x: 1"),
            ({"elvis": {"catalogue": {"x": [1], "y": [1], "mag": [99]}}}, "/elvis/catalogue/mag/0", "-30 to 60"),
            ({"elvis": {"catalogue": {"x": [1], "y": [1], "mag": [True]}}}, "/elvis/catalogue/mag/0", "a number"),
            (spectrum([2, 1], [1, 1]), "/elvis/sed/wavelength_um/1", "ascending wavelengths"),
            (spectrum([1, 2], [0, 0]), "/elvis/sed/flux", None),
            (spectrum([1, 2], [1]), "/elvis/sed/flux", "2 to 5000000"),
            (spectrum([1, 2], [1, 2, 3]), "/elvis/sed/flux", "as many as wavelength_um: 2"),
        ],
    )  # fmt: skip
    def test_type_and_range(self, members: dict[str, Any], pointer: str, allowed: str | None) -> None:
        error = refused(text(**members))
        assert error.details["pointer"] == pointer
        assert error.details["allowed"] == allowed
        assert pointer in error.message

    @pytest.mark.parametrize(
        ("members", "pointer", "nearest"),
        [
            ({"target": {"brightness": {"magband": "VISTA_K"}}}, "/target/brightness/magband", "VISTA_Ks"),
            ({"target": {"brightness": {"magsys": "Vega"}}}, "/target/brightness/magsys", "vega"),
            ({"target": {"brightness": {"magsys": 5}}}, "/target/brightness/magsys", None),
            (sed(spectrumtype="black body"), "/target/sed/spectrum/spectrumtype", "blackbody"),
            (sed(params={"catalog": "marc"}), "/target/sed/spectrum/params/catalog", "MARCS"),
            ({"target": {"morphology": {"morphologytype": ["point"]}}}, "/target/morphology/morphologytype", "point"),
            ({"elvis": {"window": "ful"}}, "/elvis/window", "full"),
            ({"elvis": {"product": "raws"}}, "/elvis/product", "raw"),
        ],
    )  # fmt: skip
    def test_enumerations_name_the_nearest(self, members: dict[str, Any], pointer: str, nearest: str | None) -> None:
        error = refused(text(**members))
        assert (error.details["pointer"], error.details["nearest"]) == (pointer, nearest)
        assert error.details["allowed"]
        assert None not in error.details["allowed"]

    def test_a_huge_value_makes_a_short_message(self) -> None:
        assert refused(text(target={"brightness": {"magsys": "x" * 1_000_000}})).details["found"].startswith("'xxx")
        refused(text(sky={"airmass": list(range(100_000))}))
        refused(text(elvis={"date": "2" * 100_000}))

    def test_contradictions(self) -> None:
        flux = {"brightness": {"brightnesstype": "flux", "flux": 1e-18}}
        assert refused(text(target=flux)).details["pointer"] == "/target/brightness/brightnesstype"
        line = {"sed": {"sedtype": "emissionline"}, "brightness": {"brightnesstype": "flux"}}
        assert refused(text(target=line)).details["pointer"] == "/target/brightness/flux"
        extended = {"morphology": {"morphologytype": "extended"}}
        assert refused(text(target=extended)).details["allowed"] == ["sersic", "infinite"]

    def test_null_and_empty_sections_mean_not_given(self) -> None:
        bare = read(text())
        nulls = read(text(target=None, sky={"airmass": None}, seeing={}, output={}, timesnr=None, elvis={"seed": None}))
        assert (nulls.target, nulls.sky, nulls.image_quality, nulls.timing) == (
            bare.target,
            bare.sky,
            bare.image_quality,
            bare.timing,
        )
        assert nulls.elvis == bare.elvis

    def test_defaults_are_said_in_one_line(self) -> None:
        (line,) = read(text(sky={"airmass": 1.5})).warnings
        assert line.startswith("not given, so taken: ")
        assert "/sky/fli = 0.5" in line
        assert "/target/brightness/mag = 20" in line
        assert "airmass" not in line

    def test_real_numbers_may_be_whole_and_the_other_way_round(self) -> None:
        request = read(text(sky={"airmass": 2}, timesnr={"DET.DIT": 3, "DET.NDIT": 4.0}, seeing={"aperturepix": 9.0}))
        assert isinstance(request.sky.airmass, float)
        assert (request.timing.dit, request.timing.count, request.image_quality.aperture_pix) == (3.0, 4, 9)
        assert isinstance(request.timing.count, int)


class TestUnknownKeys:
    def test_they_are_kept_and_warned_about(self) -> None:
        members = {"sky": {"airmas": 1.3}, "output": {"maxSignals": {"snr": True}}, "a/b~c\n": 1}
        request = read(text(**members))
        assert request.document["sky"] == {"airmas": 1.3}
        assert request.warnings[:3] == (
            "/sky/airmas: unknown key, not used; did you mean 'airmass'?",
            "/output/maxSignals: unknown key, not used; did you mean 'maxsignals'?",
            "/a~1b~0c\\n: unknown key, not used",
        )

    def test_strict_refuses_the_first(self) -> None:
        error = refused(text(sky={"airmas": 1.3}, other=1), strict=True)
        assert (error.details["pointer"], error.details["nearest"]) == ("/sky/airmas", "airmass")
        assert read(json.dumps(V3), strict=True).instrument == "crires"

    def test_null_says_nothing(self) -> None:
        assert read(text(sky={"dit": None}), strict=True).instrument == "x"

    def test_keys_of_the_instrument_are_the_plugins(self) -> None:
        request = read(text(instrument={"INS.FILT1.NAME": "Ks", "x": None, "order": [1]}), strict=True)
        assert request.keys == {"INS.FILT1.NAME": "Ks", "order": [1]}


class TestTiming:
    @pytest.mark.parametrize(
        ("section", "expected"),
        [
            ({"DET.DIT": 2, "DET.NDIT": 3}, (2, 3, None)),
            ({"DET1.DIT": 2, "DET1.NDIT": 3}, (2, 3, None)),
            ({"DET.WIN1.UIT1": 2, "SEQ.NEXPO": 3}, (2, 3, None)),
            ({"DET1.UIT1": 2, "SEQ.NEXPO": 3}, (2, 3, None)),
            ({"DET2.WIN1.UIT1": 2, "DET1.WIN1.UIT1": 9, "SEQ.NEXPORED": 3, "SEQ.NEXPOBLUE": 8}, (2, 3, None)),
            ({"dit": 2, "inputtype": "ndit", "ndit": {"ndit": 3}, "snr": {"snr": 100}}, (2, 3, None)),
            ({"dit": 2, "ndit": 3}, (2, 3, None)),
            ({"mode": "nexp", "DET1.WIN1.UIT1": 2, "SEQ.NEXPO": 3}, (2, 3, None)),
            ({"DET.WIN1.UIT1": 2, "snr": 50}, (2, None, 50)),
            ({"DET2.WIN1.UIT1": 2, "red_snr": 50}, (2, None, 50)),
            ({"dit": 2, "inputtype": "snr", "snr": {"snr": 50}, "ndit": {"ndit": 3}}, (2, None, 50)),
            ({}, (None, None, None)),
        ],
    )
    def test_all_spellings(self, section: dict[str, Any], expected: tuple[Any, ...]) -> None:
        timing = read(text(timesnr=section)).timing
        assert (timing.dit, timing.count, timing.snr) == expected

    @pytest.mark.parametrize(
        ("section", "wave"),
        [
            ({"inputtype": "snr", "snr": {"snr": 9, "wavelengthmin": 2291, "wavelengthmax": 2349}}, (2.291, 2.349)),
            ({"snr": 9, "wavelengthmin": 2291, "wavelengthmax": 2349, "method": "median"}, (2.291, 2.349)),
            ({"blue_snr": 9, "blue_wavelengthmin": 350, "red_wavelengthmin": 600}, (0.35, math.inf)),
            ({"red_snr": 9, "red_wavelengthmax": 700, "blue_wavelengthmax": 400}, (0.0, 0.7)),
            ({"DET.NDIT": 2, "snr": {"wavelengthmin": 500}}, (0.5, math.inf)),
            ({"snr": 9}, None),
        ],
    )
    def test_where_the_ratio_is_meant(self, section: dict[str, Any], wave: tuple[float, float] | None) -> None:
        assert read(text(timesnr=section)).timing.wave == wave

    def test_a_range_without_wavelengths_is_refused(self) -> None:
        with pytest.raises(RequestError, match="/timesnr/snr/wavelengthmax"):
            read(text(timesnr={"snr": {"snr": 9, "wavelengthmin": 700, "wavelengthmax": 600}}))

    def test_a_count_beside_a_goal_is_said_to_be_unused(self) -> None:
        request = read(text(timesnr={"DET.DIT": 2, "DET.NDIT": 3, "snr": 50}))
        assert request.timing.count is None
        assert any("follows from snr = 50" in w for w in request.warnings)


class TestTarget:
    def test_sersic(self) -> None:
        shape = {
            "morphologytype": "extended",
            "extendedtype": "sersic",
            "index": 4,
            "radius": 1.5,
            "ellipticity": 0.3,
            "angle": 45,
        }
        morphology = read(text(target={"morphology": shape})).target.morphology
        assert (morphology.kind, morphology.index, morphology.radius) == ("sersic", 4, 1.5)
        assert (morphology.ellipticity, morphology.angle) == (0.3, 45)

    def test_the_emission_line(self) -> None:
        sed = {"sedtype": "emissionline", "emissionline": {"params": {"lambda": 656.28, "fwhm": 0.1}}}
        target = read(text(target={"sed": sed, "brightness": {"brightnesstype": "flux", "flux": 1e-19}})).target
        assert (target.sed.kind, target.sed.line_wavelength, target.sed.line_fwhm) == ("emissionline", 656.28, 0.1)
        assert (target.brightness.kind, target.brightness.flux) == ("flux", 1e-19)

    def test_doppler(self) -> None:
        sed = read(text(target={"sed": {"redshift": {"redshift": 4, "baryvelcor": -12.5}}})).target.sed
        assert (sed.redshift, sed.velocity) == (4, -12.5)

    @pytest.mark.parametrize(
        ("name", "id"),
        [
            ("p6000:g+4.0:m0.0:t02:st:z+0.00", "6000:4.0"),
            ("s4000:g+0.5:m1.0:t02:st:z+0.00", "4000:0.5"),
            ("p9360.0:g+4.0:m0.0", "9360:4.0"),
            ("G2V", "G2V"),
        ],
    )
    def test_templates_of_the_first_generation(self, name: str, id: str) -> None:
        params = {"ctlg": "MARCS", "objtype": "star", "spectype": name}
        sed = read(text(target={"sed": {"spectrum": {"spectrumtype": "template", "params": params}}})).target.sed
        assert (sed.catalog, sed.id) == ("MARCS", id)

    def test_upload(self) -> None:
        spectrum = {"wavelength_um": [1, 2, 2.5], "flux": [0, 1, 1e-9]}
        wanted = ((1.0, 2.0, 2.5), (0.0, 1.0, 1e-9))
        block = read(text(target={"sed": {"spectrum": {"spectrumtype": "upload"}}}, elvis={"sed": spectrum}))
        assert block.target.sed.uploaded == wanted
        option = read(text(), {"sed": spectrum})
        assert (option.target.sed.kind, option.target.sed.uploaded) == ("upload", wanted)


class TestExtras:
    def test_the_block(self) -> None:
        block = {
            "seed": 7,
            "window": {"x0": 1, "y0": 2, "nx": 3, "ny": 4},
            "chips": [5, 1],
            "pointing": {"ra": 10, "dec": -20},
            "date": "2026-11-20T01:02:03+02:00",
            "product": "expected",
            "exposure": 3,
            "offset": [0.5, -1],
            "catalogue": {"x": [1], "y": [2], "mag": [3]},
            "stages": ["dark"],
            "skip": ["bias", "gain"],
        }
        elvis_block = read(text(elvis=block), strict=True).elvis
        assert elvis_block.seed == 7
        assert elvis_block.window == Window(1, 2, 3, 4)
        assert elvis_block.chips == (5, 1)
        assert elvis_block.pointing == Pointing(10.0, -20.0, 0.0)
        assert elvis_block.date == "2026-11-19T23:02:03.000"
        assert (elvis_block.product, elvis_block.exposure, elvis_block.offset) == ("expected", 3, (0.5, -1.0))
        assert elvis_block.catalogue == Catalogue((1.0,), (2.0,), (3.0,))
        assert (elvis_block.stages, elvis_block.skip) == (("dark",), ("bias", "gain"))

    def test_options_win_and_travel_with_the_document(self) -> None:
        block = {"seed": 1, "exposure": 2, "pointing": {"ra": 1, "dec": 2}}
        options = {"seed": 9, "window": "full", "pointing": {"position_angle": 30.0}}
        request = read(text(elvis=block), options)
        assert (request.elvis.seed, request.elvis.exposure, request.elvis.window) == (9, 2, "full")
        assert request.elvis.pointing == Pointing(1.0, 2.0, 30.0)
        assert read(json.dumps(request.document)).elvis == request.elvis

    def test_a_window_given_as_option_replaces_the_word(self) -> None:
        window = {"x0": 0, "y0": 0, "nx": 8, "ny": 8}
        assert read(text(elvis={"window": "full"}), {"window": window}).elvis.window == Window(0, 0, 8, 8)

    def test_options_are_checked_too(self) -> None:
        assert refused(text(), overrides={"exposure": 0}).details["pointer"] == "/elvis/exposure"

    @pytest.mark.parametrize("block", [[], {"seed": "1"}, {"pointing": 5}])
    def test_options_hide_no_fault_of_the_block(self, block: Any) -> None:
        refused(text(elvis=block), overrides={"seed": 1, "pointing": {"ra": 1.0, "dec": 2.0}})


def test_a_request_is_frozen_and_finite() -> None:
    request: Request = read(json.dumps(V3))
    with pytest.raises(AttributeError):
        request.instrument = "y"  # type: ignore[misc]
    assert math.isfinite(request.sky.fli)
