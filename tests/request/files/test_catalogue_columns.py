"""Columns of tables of sources: places, magnitudes and their bands, gaps."""

from typing import ClassVar

import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness
from tests.request.files.test_catalogue import FIVE, both, text_file


class TestPlaces:
    @pytest.mark.parametrize(
        ("ra", "dec"),
        [
            ("10:00:00.5", "-0:30:00"),
            ("10h00m00.5s", "-00d30m00.0s"),
            ("10 00 00.5", "\N{MINUS SIGN}00 30 00"),
            ("10h0m0.5s", "-0\N{DEGREE SIGN}30'00\""),
            ("150d00m7.5s", "-0.5"),
            ("150.00208333333333", "-00:30"),
        ],
    )
    def test_sexagesimal(self, tmp_path, ra, dec):
        block, _ = both(text_file(tmp_path, f"RA;DEC;mag\n{ra};{dec};16\n"))
        assert block["ra"] == pytest.approx([150 + 0.5 / 240], abs=1e-9)
        assert block["dec"] == pytest.approx([-0.5], abs=1e-9)

    @pytest.mark.parametrize("unit", ["h:m:s", "hourangle", "h", ""])
    def test_units_of_sexagesimal(self, tmp_path, unit):
        table = Table({"RAJ2000": ["10 00 00.5"], "DEJ2000": ["-00 30 00"], "mag": [16.0]})
        table.write(tmp_path / "stars.vot", format="votable")
        text = (tmp_path / "stars.vot").read_text().replace('ID="RAJ2000"', f'ID="RAJ2000" unit="{unit}"')
        assert both(text_file(tmp_path, text, "stars.vot"))[0]["ra"] == pytest.approx([150 + 0.5 / 240], abs=1e-9)

    @pytest.mark.parametrize("name", ["10:61:00", "10:00:99", "ten"])
    def test_no_angle(self, tmp_path, name):
        with pytest.raises(RequestError, match="column ra") as caught:
            both(text_file(tmp_path, f"ra,dec,mag\n10:00:00,1,16\n{name},2,17\n"))
        assert caught.value.details["pointer"] == "/elvis/catalogue/ra"

    @pytest.mark.parametrize("unit", ["hourangle", "h", "hr"])
    def test_hours(self, tmp_path, unit):
        path = text_file(tmp_path, f"ra [{unit}],dec [deg],mag\n10,2,16\n")
        assert both(path)[0]["ra"] == pytest.approx([150.0])

    @pytest.mark.parametrize(
        "names",
        [("RA_ICRS", "DE_ICRS"), ("_RAJ2000", "_DEJ2000"), ("ALPHA_J2000", "DELTA_J2000"), ("raMean", "decMean"),
         ("sky.ra", "sky.dec"), ("Right Ascension", "Declination")],
    )  # fmt: skip
    def test_names(self, tmp_path, names):
        path = text_file(tmp_path, f"{names[0]},{names[1]},mag\n150,2,16\n")
        block, notes = both(path)
        assert (block["ra"], block["dec"], notes) == ([150], [2], "")

    @pytest.mark.parametrize(("ra", "dec"), [("370", "1"), ("10", "90.5"), ("10:00:00", "-95:00:00")])
    def test_places_that_are_not_on_the_sky(self, tmp_path, ra, dec):
        with pytest.raises(RequestError, match="row 1 has"):
            both(text_file(tmp_path, f"ra,dec,mag\n{ra},{dec},16\n"))

    def test_names_that_differ_in_capitals(self, tmp_path):
        path = text_file(tmp_path, "RA,ra,dec,mag\n1,2,3,16\n")
        with pytest.raises(RequestError, match="which column"):
            both(path)
        assert both(path, ra="RA")[0]["ra"] == [1]

    def test_columns_of_the_cds(self, tmp_path):
        path = text_file(tmp_path, "RAh RAm RAs DE- DEd DEm DEs mag\n10 00 00.5 - 00 30 00 16\n10 0 0 + 0 30 0 17\n")
        block, _ = both(path)
        assert block["ra"] == pytest.approx([150 + 0.5 / 240, 150.0])
        assert block["dec"] == pytest.approx([-0.5, 0.5])

    @pytest.mark.parametrize("frame", ["icrs", "fk5", "galactic"])
    @pytest.mark.parametrize("name", ["coord", "position"])
    @pytest.mark.parametrize("suffix", ["ecsv", "fits"])
    def test_sky_coordinates(self, tmp_path, frame, name, suffix):
        places = SkyCoord(FIVE["ra"], FIVE["dec"], unit="deg")
        table = QTable({name: getattr(places, frame), "mag": FIVE["mag"]})
        table.write(tmp_path / f"stars.{suffix}")
        block, notes = both(tmp_path / f"stars.{suffix}")
        assert block["ra"] == pytest.approx(FIVE["ra"], abs=1e-8)
        assert block["dec"] == pytest.approx(FIVE["dec"], abs=1e-8)
        assert (frame in notes) == (frame != "icrs")

    def test_pixels_beside_the_sky(self, tmp_path):
        rows = "\n".join(f"{100 * n},{50 * n},{ra},{dec},18" for n, (ra, dec) in enumerate([(150, 2), (150.1, 2.1)]))
        path = text_file(tmp_path, f"x,y,ra,dec,mag\n{rows}\n")
        with pytest.raises(RequestError, match="have no unit"):
            both(path)
        assert set(both(path, ra="ra")[0]) == {"ra", "dec", "mag"}
        assert set(both(path, x="x")[0]) == {"x", "y", "mag"}
        path = text_file(tmp_path, f"x [pix],y [pix],ra,dec,mag\n{rows}\n")
        assert set(both(path)[0]) == {"ra", "dec", "mag"}

    def test_offsets_beside_the_sky(self, tmp_path):
        path = text_file(tmp_path, "x,y,ra,dec,mag\n0,0,150,0,18\n-36,36,150.01,0.01,18\n")
        block, notes = both(path)
        assert set(block) == {"x", "y", "mag"}
        assert "columns not used: ra, dec" in notes


class TestGaps:
    @pytest.mark.parametrize("gap", ["", "nan", "99", "-99", "99.99", "999", "-999.0", "9999", "--", "INDEF", "null"])
    def test_no_magnitude(self, tmp_path, gap):
        block, notes = both(text_file(tmp_path, f"x,y,mag\n0,0,18\n1,1,{gap}\n2,2,19\n"))
        assert (block["mag"], block["id"]) == ([18, 19], [0, 2])
        assert "1 row of 3 without a magnitude: left out" in notes

    def test_masked(self, tmp_path):
        table = Table(FIVE, masked=True)
        table["mag"].mask[1] = table["ra"].mask[2] = True
        for suffix in ("ecsv", "fits", "vot"):
            table.write(tmp_path / f"stars.{suffix}", format="votable" if suffix == "vot" else None)
            block, notes = both(tmp_path / f"stars.{suffix}")
            assert block["mag"] == [16, 19, 20]
            assert "1 row of 5 without a magnitude" in notes
            assert "1 row of 5 without a place" in notes

    @pytest.mark.parametrize(
        ("name", "key", "gap", "neutral"),
        [("radial_velocity", "velocity", "", 0), ("rv", "velocity", "-999", 0), ("Teff", "temperature", "nan", 0),
         ("teff", "temperature", "-99", 0)],
    )  # fmt: skip
    def test_optional(self, tmp_path, name, key, gap, neutral):
        block, notes = both(text_file(tmp_path, f"x,y,mag,{name}\n0,0,18,4000\n1,1,19,{gap}\n"))
        assert block[key] == [4000, neutral]
        assert f"1 row without a {key}: taken as 0" in notes

    def test_galaxies(self, tmp_path):
        text = "x,y,mag,radius,index,angle\n0,0,18,0.5,4,30\n1,1,19,,,\n2,2,20,1,,\n"
        block, notes = both(text_file(tmp_path, text))
        assert (block["radius"], block["index"], block["angle"]) == ([0.5, 0, 1], [4, 1, 1], [30, 0, 0])
        assert "1 row without a radius: taken as 0 (a star)" in notes

    def test_shapes_without_a_radius_are_not_used(self, tmp_path):
        block, notes = both(text_file(tmp_path, "x,y,mag,index,pa\n0,0,18,0,3\n"))
        assert set(block) == {"x", "y", "mag"}
        assert "columns not used: index, pa" in notes

    @pytest.mark.parametrize("ids", [("Star 0", "Star 1"), ("4000000000000000001", "4000000000000000002"), ("1", "")])
    def test_names_in_place_of_numbers(self, tmp_path, ids):
        block, notes = both(text_file(tmp_path, f"id,x,y,mag\n{ids[0]},0,0,18\n{ids[1]},1,1,19\n"))
        assert block["id"] == [0, 1]
        assert "numbered by their rows" in notes


class TestMagnitudes:
    HEADERS: ClassVar = ["Jmag,Hmag,Ksmag", "mag_J,mag_H,mag_Ks", "J,H,Ks", "j_m,h_m,k_m", "J_2MASS,H_2MASS,Ks_2MASS"]

    @pytest.mark.parametrize("header", HEADERS)
    @pytest.mark.parametrize(("band", "mag"), [("J", 16), ("H", 17), ("K", 18), ("VISTA_Ks", 18)])
    def test_that_of_the_band(self, tmp_path, header, band, mag):
        path = text_file(tmp_path, f"x,y,{header},e_Jmag\n0,0,16,17,18,0.1\n")
        block, notes = both(path, Brightness(band=band))
        assert block["mag"] == [mag]
        assert f"column {header.split(',')[mag - 16]}, taken in the target's band {band}" in notes

    @pytest.mark.parametrize("header", [*HEADERS, "phot_g_mean_mag,phot_bp_mean_mag,W1mag", "r,i,gmag"])
    def test_none_of_the_band(self, tmp_path, header):
        path = text_file(tmp_path, f"x,y,{header}\n0,0,16,17,18\n")
        with pytest.raises(RequestError, match="no column of magnitudes in the target's band V") as caught:
            both(path, Brightness(band="V"))
        assert "--column mag=NAME" in str(caught.value)
        block, notes = both(path, Brightness(band="V"), mag=header.split(",")[1])
        assert block["mag"] == [17]
        assert "taken in the target's band V" in notes

    def test_gaia(self, tmp_path):
        path = text_file(tmp_path, "ra,dec,phot_g_mean_mag,phot_rp_mean_mag\n1,2,16,15\n")
        assert both(path, Brightness(band="gaia_GRP"))[0]["mag"] == [15]

    @pytest.mark.parametrize(("band", "mag"), [("R", 16), ("sdss_r", 17), ("lsst_r", 17)])
    def test_capitals_are_other_bands(self, tmp_path, band, mag):
        path = text_file(tmp_path, "x,y,Rmag,rmag\n0,0,16,17\n")
        assert both(path, Brightness(band=band))[0]["mag"] == [mag]

    def test_several_of_the_band(self, tmp_path):
        path = text_file(tmp_path, "x,y,Kmag,Ks_VVV\n0,0,16,17\n")
        with pytest.raises(RequestError, match="several columns"):
            both(path)
        assert both(path, mag="ks_vvv")[0]["mag"] == [17]

    def test_the_plain_name_comes_first(self, tmp_path):
        assert both(text_file(tmp_path, "x,y,Ksmag,mag\n0,0,16,17\n"))[0]["mag"] == [17]

    @pytest.mark.parametrize("how", ["unit", "name"])
    def test_systems(self, tmp_path, how):
        table = Table({"x": [0.0], "y": [0.0]})
        table["mag" if how == "unit" else "Kmag_AB"] = [18.0] * (units.ABmag if how == "unit" else units.mag)
        table.write(tmp_path / "stars.ecsv")
        assert both(tmp_path / "stars.ecsv", Brightness(band="K", system="AB"))[0]["mag"] == [18]
        block, notes = both(tmp_path / "stars.ecsv")
        assert block["magsys"] == "AB"
        assert "in K (AB); not those of /target/brightness, K (vega)" in notes

    @pytest.mark.parametrize("unit", ["Jy", "adu", "erg/s"])
    def test_fluxes_are_no_magnitudes(self, tmp_path, unit):
        with pytest.raises(RequestError, match="column mag is in"):
            both(text_file(tmp_path, f"x,y,mag [{unit}]\n0,0,16\n"))
