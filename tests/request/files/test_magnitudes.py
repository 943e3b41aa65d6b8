"""Columns of magnitudes under the names that surveys and people give them."""

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness
from tests.request.files.test_catalogue import both, text_file

BANDS = {
    "K": ("m_K", "mK", "K_mag", "mag_K", "k_m", "Kband", "kAperMag3", "MAG_APER_K", "K (mag)", "KMAG_2MASS"),
    "VISTA_Ks": ("Ksmag", "Ks_VVV", "ksAperMag3", "VISTA_Ks", "m_K"),
    "sdss_r": (
        "psfMag_r",
        "cModelMag_r",
        "rMeanPSFMag",
        "r_psf",
        "mag_auto_r",
        "MAG_AUTO_R",
        "WAVG_MAG_PSF_R",
        "r_sdss",
    ),
    "gaia_G": ("phot_g_mean_mag", "Gmag", "gaia_g"),
    "gaia_GBP": ("phot_bp_mean_mag", "BPmag", "G_BP", "bp"),
    "gaia_GRP": ("phot_rp_mean_mag", "RPmag", "rp_mag"),
    "V": ("Vmag", "V_johnson", "F606W", "f555w_mag", "VTmag"),
    "I": ("F814W", "Imag_vega"),
    "J": ("F115W", "J_mag_obs", "j_m_2mass"),
    "H": ("F150W", "mag_auto_F160W"),
    "L": ("W1mag", "w1mpro", "[3.6]", "F356W"),
    "M": ("W2", "IRAC_ch2", "F444W"),
}
"""Names of columns by band of the request."""
AB = ("psfMag_r", "cModelMag_r", "rMeanPSFMag", "r_sdss")
NONE = (
    *("J-K", "B_V", "bp_rp", "g_r", "M_K", "absmag_K", "K_abs", "K_flux", "e_Kmag", "Kmag_err", "sn_K", "A_V", "E_BV"),
    *(
        "r_half",
        "R_kpc",
        "H_alpha",
        "V_rot",
        "k_corr",
        "nobs_K",
        "phot_g_n_obs",
        "F410M",
        "GALEX_NUV",
        "grp",
        "K1",
        "std_K",
    ),
)
"""Names of columns that hold no apparent magnitude in a band of the ETC's, or may not."""


@pytest.mark.parametrize(("band", "name"), [(band, name) for band, names in BANDS.items() for name in names])
def test_names_that_say_the_band(tmp_path, band, name):
    path = text_file(tmp_path, f"x;y;{name}\n0;0;16\n")
    system = "AB" if name in AB else "vega"
    block, notes = both(path, Brightness(band=band, system=system))
    assert block["mag"] == [16]
    assert f"taken in the target's band {band} ({system})" in notes


@pytest.mark.parametrize("name", NONE)
def test_names_that_are_no_magnitude(tmp_path, name):
    path = text_file(tmp_path, f"x;y;{name}\n0;0;1.5\n")
    with pytest.raises(RequestError, match="no column mag"):
        both(path, None)
    assert both(path, mag="3")[0]["mag"] == [1.5]


@pytest.mark.parametrize(("band", "mag"), [("K", 18), ("H", 17), ("J", 16), ("VISTA_Ks", 18)])
def test_the_nearest_filter_stands_for_a_band_and_a_note_says_so(tmp_path, band, mag):
    block, notes = both(text_file(tmp_path, "x,y,F115W,F150W,F200W,F277W\n0,0,16,17,18,19\n"), Brightness(band=band))
    assert block["mag"] == [mag]
    assert f"F{ {16: 115, 17: 150, 18: 200}[mag] }W at" in notes
    assert "is the nearest to" in notes


def test_filters_far_from_the_band_are_refused(tmp_path):
    with pytest.raises(RequestError, match="no column of magnitudes in the target's band V"):
        both(text_file(tmp_path, "x,y,F115W,F200W\n0,0,16,17\n"), Brightness(band="V"))


def test_two_filters_as_near_are_refused(tmp_path):
    path = text_file(tmp_path, "x,y,F210M,F212N\n0,0,16,17\n")
    with pytest.raises(RequestError, match="several columns"):
        both(path)
    assert both(path, mag="F212N")[0]["mag"] == [17]


def test_a_band_of_its_own_comes_before_the_nearest(tmp_path):
    assert both(text_file(tmp_path, "x,y,F210M,Ksmag\n0,0,16,17\n"))[0]["mag"] == [17]


@pytest.mark.parametrize(("name", "band"), [("Ks_2MASS", "K"), ("phot_g_mean_mag", "gaia_G"), ("kAperMag3", "K")])
def test_the_system_of_a_survey(tmp_path, name, band):
    block, notes = both(text_file(tmp_path, f"x,y,{name}\n0,0,16\n"), Brightness(band=band, system="AB"))
    assert (block["magband"], block["magsys"]) == (band, "vega")
    assert f"in {band} (vega); not those of /target/brightness, {band} (AB)" in notes


class TestRepeatedNames:
    """A name that two columns have says neither."""

    @pytest.mark.parametrize(
        ("names", "key"),
        [
            ("x,y,mag,mag", "mag"),
            ("x,y,Kmag,Kmag", "mag"),
            ("x,y,mag,x", "x"),
            ("x,y,mag,MAG", "mag"),
            ("x,Y,mag,y", "y"),
        ],
    )
    def test_they_are_refused(self, tmp_path, names, key):
        path = text_file(tmp_path, f"{names}\n1,2,16,17\n")
        with pytest.raises(RequestError, match=r"which|several columns") as caught:
            both(path)
        assert f"--column {key}=" in str(caught.value)

    @pytest.mark.parametrize(("number", "mag"), [("3", 16), ("4", 17)])
    def test_one_is_chosen_by_its_number(self, tmp_path, number, mag):
        path = text_file(tmp_path, "x,y,mag,mag\n1,2,16,17\n")
        assert both(path, mag=number)[0]["mag"] == [mag]
        with pytest.raises(RequestError, match="which"):
            both(path, mag="mag")

    def test_others_do_not_matter(self, tmp_path):
        block, notes = both(text_file(tmp_path, "x,y,mag,flag,flag\n1,2,16,0,1\n"))
        assert block["mag"] == [16]
        assert "columns not used: flag, flag5" in notes
