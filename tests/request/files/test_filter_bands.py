"""A column of magnitudes per band: that of the request's filter is taken, whatever the form's band says."""

import io
import json

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table

from elvis_cli.instrument import registry
from elvis_cli.instrument.request_options import RequestOptions
from elvis_cli.request.files.catalogue import read_catalogue
from elvis_cli.survey.split import subset
from tests.request.files.test_catalogue import text_file

WINDOW = ("--window", "1774,1774,64,64", "--chips", "1", "--product", "expected", "--truth")
J, H, K = 16.0, 17.5, 19.0


def survey(folder):
    """Write text with blanks, the names of 2MASS's point-source catalogue and errors."""
    rows = "0.0 0.0 16.0 0.02 17.5 0.02 19.0 0.03\n0.5 0.0 17.0 0.02 18.5 0.02 20.0 0.03\n"
    return text_file(folder, "x y j_m j_cmsig h_m h_cmsig k_m k_cmsig\n" + rows, name="psc.txt")


def fits_table(folder):
    """Write FITS with the names of the CDS."""
    path = folder / "cds.fits"
    columns = {"Jmag": [J, J + 1], "e_Jmag": [0.1, 0.1], "Hmag": [H, H + 1], "Ksmag": [K, K + 1]}
    Table({"x": [0.0, 0.5], "y": [0.0, 0.0], **columns}).write(path)
    return path


def votable(folder):
    """Write a VOTable with words before the bands."""
    path = folder / "mine.xml"
    table = Table({"x": [0.0, 0.5], "y": [0.0, 0.0]})
    for name, mag in (("mag_psf_J", J), ("mag_psf_H", H), ("mag_psf_Ks", K)):
        table[name] = np.array([mag, mag + 1]) * units.mag
    table.write(path, format="votable")
    return path


def truth(done):
    assert done.code == 0, done.err
    with fits.open(io.BytesIO(done.out)) as hdus:
        return hdus["TRUTH"].data["MAG"].tolist(), hdus["TRUTH"].data["ELECTRONS"], hdus["TRUTH"].header


def seen(name, band, system="vega", **more):
    """Return the text of a HAWK-I request through a filter whose form has its magnitude in another band."""
    document = registry.load("hawki").example()
    document["instrument"]["INS.FILT.NAME"] = name
    document["target"]["brightness"] |= {"magband": band, "magsys": system}
    return json.dumps({**document, **more})


@pytest.mark.parametrize("write", [survey, fits_table, votable])
@pytest.mark.parametrize(("name", "band", "mag"), [("J", "J", J), ("H", "H", H), ("Ks", "K", K), ("NB1190", "J", J)])
def test_electrons_are_those_of_the_filters_own_band(elvis, tmp_path, write, name, band, mag):
    other = "V" if band == "H" else "H"
    done = elvis(*WINDOW, "--catalogue", str(write(tmp_path)), stdin=seen(name, other))
    mags, electrons, header = truth(done)
    assert mags == [mag, mag + 1]
    assert header["ESO SIM TRUTH BAND"] == band
    assert f"nearest to the filter {name} at" in done.err
    assert f"in {band} (vega); not those of /target/brightness, {other} (vega)" in done.err
    plain = text_file(tmp_path, f"x,y,mag\n0,0,{mag}\n0.5,0,{mag + 1}\n", name="plain.csv")
    expected = truth(elvis(*WINDOW, "--catalogue", str(plain), stdin=seen(name, band)))[1]
    assert electrons == pytest.approx(expected, rel=1e-12)
    assert electrons[0] / electrons[1] == pytest.approx(10**0.4, rel=1e-6)
    assert truth(elvis("replay", stdin=done.out))[1] == pytest.approx(expected, rel=1e-12)


def test_the_forms_band_is_kept_where_it_fits(elvis, tmp_path):
    done = elvis(*WINDOW, "--catalogue", str(fits_table(tmp_path)), stdin=seen("Ks", "VISTA_Ks"))
    mags, _, header = truth(done)
    assert (mags[0], header["ESO SIM TRUTH BAND"]) == (K, "VISTA_Ks")
    assert "taken in the target's band VISTA_Ks (vega)" in done.err


def test_a_column_that_is_named_comes_first(elvis, tmp_path):
    done = elvis(*WINDOW, "--catalogue", str(survey(tmp_path)), "--column", "mag=j_m", stdin=seen("H", "K"))
    mags, _, header = truth(done)
    assert (mags[0], header["ESO SIM TRUTH BAND"]) == (J, "K")


@pytest.mark.parametrize("how", ["unit", "name"])
def test_ab_magnitudes_of_the_column_are_ab(elvis, tmp_path, how):
    table = Table({"x": [0.0], "y": [0.0], "Ksmag": [K]})
    table["Hmag" if how == "unit" else "H_AB"] = [H] * (units.ABmag if how == "unit" else units.mag)
    table.write(tmp_path / "ab.ecsv")
    done = elvis(*WINDOW, "--catalogue", str(tmp_path / "ab.ecsv"), stdin=seen("H", "H", "vega"))
    plain = text_file(tmp_path, f"x,y,mag\n0,0,{H}\n", name="plain.csv")
    expected = truth(elvis(*WINDOW, "--catalogue", str(plain), stdin=seen("H", "H", "AB")))[1]
    assert truth(done)[1] == pytest.approx(expected, rel=1e-12)
    assert "in H (AB); not those of /target/brightness, H (vega)" in done.err


def test_bands_far_from_the_filter_are_those_of_the_form_or_none(elvis, tmp_path):
    path = text_file(tmp_path, "x,y,Vmag,Imag\n0,0,15,14\n")
    assert truth(elvis(*WINDOW, "--catalogue", str(path), stdin=seen("Ks", "V")))[0] == [15]
    done = elvis(*WINDOW, "--catalogue", str(path), stdin=seen("Ks", "K"))
    assert done.code == 65
    assert "no column of magnitudes" in done.err
    assert "--column mag=NAME" in done.err


def test_two_surveys_of_one_band_are_refused_unless_the_form_tells_them_apart(elvis, tmp_path):
    path = text_file(tmp_path, "x,y,H_2MASS,H_UKIDSS,J_2MASS\n0,0,15,14,16\n")
    done = elvis(*WINDOW, "--catalogue", str(path), stdin=seen("H", "K"))
    assert done.code == 65
    assert "several columns of magnitudes near the filter H" in done.err


@pytest.mark.parametrize(("instrument", "setting", "mag"), [
    ("crires2", {"INS.WLEN.CWLEN": 1582.339}, H),
    ("eris", {"ins_configuration": "ifs_noao", "INS.BAND.NAME": "J_low"}, J),
])  # fmt: skip
def test_the_setting_of_a_spectrograph(tmp_path, instrument, setting, mag):
    document = registry.load(instrument).example(setting.get("ins_configuration"))
    document["instrument"] |= setting
    options = RequestOptions({"catalogue": read_catalogue(survey(tmp_path))})
    stars = options.read(json.dumps(document)).elvis.catalogue
    assert stars is not None
    assert stars.mag[0] == mag
    assert any("nearest to the setting of" in note for note in options.file_notes())


def test_each_request_of_a_batch_has_its_own_filter(elvis, tmp_path):
    dated = [(name, {"date": f"2026-01-01T0{hour}:00:00"}) for hour, name in enumerate(("J", "H", "Ks"), 3)]
    lines = "\n".join(seen(name, "V", elvis=block) for name, block in dated)
    done = elvis("batch", *WINDOW, "-j", "1", "--catalogue", str(votable(tmp_path)), "--outdir", str(tmp_path / "raw"),
                 stdin=lines)  # fmt: skip
    assert done.code == 0, done.err
    found = {}
    for path in (tmp_path / "raw").glob("*.fits"):
        with fits.open(path) as hdus:
            found[hdus["TRUTH"].header["ESO SIM TRUTH BAND"]] = hdus["TRUTH"].data["MAG"][0]
    assert found == {"J": J, "H": H, "K": K}


def test_darks_need_no_band(elvis, tmp_path):
    path = text_file(tmp_path, "x,y,gmag,rmag\n0,0,15,14\n")
    done = elvis(*WINDOW[:4], "--calibration", "dark", "--catalogue", str(path), stdin=seen("Ks", "K"))
    assert done.code == 0, done.err


def test_parts_of_a_split_keep_the_band(tmp_path):
    options = RequestOptions({"catalogue": read_catalogue(survey(tmp_path)), "truth": False})
    stars = options.read(seen("H", "V")).elvis.catalogue
    assert stars is not None
    assert subset(stars, np.array([1])) == {"x": [0.5], "y": [0.0], "mag": [H + 1], "id": [1.0], "magband": "H",
                                            "magsys": "vega"}  # fmt: skip
