"""Every shipped table has a source, and a request's tables are named with theirs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.errors import ResourceError
from elvis_cli.request import parse
from elvis_cli.scene import bands, provenance, templates

DATA = Path(provenance.__file__).parents[1] / "data"


def values(document):
    found = pipeline.explain(parse.read(json.dumps(document)))
    return {f"{v.name} {v.value}".split()[0] if v.name != "sky" else v.value: v for v in found}


def test_every_table_has_a_source():
    for path in DATA.glob("*.npy"):
        assert provenance.source(path.name)


def test_every_spectrum_and_band_has_exactly_one(micado):
    for catalog, names in templates.CATALOGS.items():
        for name in (names[0], names[-1], *(names if len(names) < 40 else ())):
            changes = {"target/sed/spectrum/params": {"catalog": catalog, "id": name}}
            (found,) = provenance._spectrum(parse.read(json.dumps(micado(changes))))
            assert found.source.count("(from ") == 1, (catalog, name)
            assert name in found.value
    for band in bands.NAMES:
        for system in ("vega", "AB"):
            request = parse.read(
                json.dumps(micado({"target/brightness/magband": band, "target/brightness/magsys": system}))
            )
            curve, zero = provenance._band(request)
            assert curve.source
            assert zero.source
            assert band in curve.value


def test_explain_names_the_tables(micado):
    found = values(micado())
    assert "Noll et al. 2012" in found["sky.npy"].source
    assert "scopesim 0.12.0" in found["sky.npy"].source
    assert "Noll" in found["sky_water.npy"].source
    assert "Pickles 1998" in found["target.sed"].source
    assert "A0V" in found["target.sed"].value
    assert "ESO" in found["target.band"].source
    assert found["target.zero_point"].value == bands.ESO_ZERO_POINTS["K"]
    assert found["target.zero_point"].unit == "erg/s/cm2/Angstrom"


def test_what_is_no_table_is_said(micado):
    line = {"sedtype": "emissionline", "emissionline": {"params": {"lambda": 2166, "fwhm": 1}}}
    flux = {"brightnesstype": "flux", "flux": 1e-18}
    found = values(micado({"target/sed": line, "target/brightness": flux, "elvis": {"sky": "skycalc"}}))
    assert found["target.sed"].value == "emissionline"
    assert "target.band" not in found
    assert "SkyCalc service" in found["skycalc"].source  # and explain has not asked it


def test_the_file_carries_them_too(micado, render):
    window = {"x0": 0, "y0": 0, "nx": 16, "ny": 16}
    data = render(micado({"elvis": {"window": window, "chips": [1]}}))
    names = list(fits.getdata(io.BytesIO(data), "ELVIS_VALUES")["NAME"])
    assert {"sky", "target.sed", "target.band", "target.zero_point"} <= set(names)


def test_an_unknown_table_is_a_fault():
    with pytest.raises(ResourceError, match=r"nothing\.npy"):
        provenance.source("nothing.npy")
