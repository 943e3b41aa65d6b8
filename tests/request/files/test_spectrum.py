"""Spectra of the target: in any format, unit and order they are the same spectrum, or are refused with a reason."""

import gzip
import io
import json

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request import parse
from elvis_cli.request.files.spectrum import read_spectrum

WAVE = np.linspace(1.2, 2.6, 8)
FLUX = np.linspace(1.0, 3.0, 8) * 1e-16
"""erg/s/cm2/Angstrom at WAVE um."""
FLAM = units.Unit("erg s-1 cm-2 Angstrom-1")
WATTS = FLUX * 10
"""W/m2/um."""


def text_file(tmp_path, text, name="spectrum.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(wave=WAVE, flux=FLUX, mark=" "):
    return "".join(f"{w:.10g}{mark}{f:.10g}\n" for w, f in zip(wave, flux, strict=True))


def shape(block):
    """Return the wavelengths and the flux relative to the first."""
    flux = np.array(block["flux"])
    return block["wavelength_um"], flux / flux[0]


def check(path, unit=None, tolerance=1e-8):
    """Check that a file has the spectrum, and return the notes."""
    block, notes = read_spectrum(path, unit)
    wave, flux = shape(block)
    assert wave == pytest.approx(WAVE, rel=tolerance)
    assert flux == pytest.approx(FLUX / FLUX[0], rel=tolerance)
    return "\n".join(notes)


UNITS = {
    "m": 1e-6, "um": 1, "micron": 1, "microns": 1, "nm": 1e3, "nanometer": 1e3, "Angstrom": 1e4, "angstrom": 1e4,
    "A": 1e4, "AA": 1e4, "mm": 1e-3,
}  # fmt: skip
INVERSE = {"Hz": 299792458e6, "GHz": 299792.458, "THz": 299.792458, "cm-1": 1e4, "1/cm": 1e4, "eV": 1.2398419843320026}


class TestText:
    @pytest.mark.parametrize("unit", UNITS)
    def test_units_of_wavelength(self, tmp_path, unit):
        assert check(text_file(tmp_path, rows(WAVE * UNITS[unit])), unit) == ""

    @pytest.mark.parametrize("unit", INVERSE)
    def test_units_of_frequency(self, tmp_path, unit):
        assert check(text_file(tmp_path, rows(INVERSE[unit] / WAVE)), unit) == ""

    @pytest.mark.parametrize("mark", [" ", "\t", ",", ";", " ; ", ", ", "  ", "|"])
    @pytest.mark.parametrize("header", ["", "wavelength{}flux\n", "lam{}f_lambda\n", "# wavelength flux\n"])
    def test_separators_and_names(self, tmp_path, mark, header):
        path = text_file(tmp_path, header.format(mark) + rows(WAVE * 1000, mark=mark))
        check(path, "nm")

    @pytest.mark.parametrize(
        "header",
        ["wave [um],flux\n", "wave (micron),flux [erg/s/cm2/A]\n", "Wavelength_um,Flux\n",
         "# wave [um]  flux [relative]\n", "#wave,flux\n#um,-\n", "wave,flux\num,FLAM\n----,----\n"],
    )  # fmt: skip
    def test_units_in_the_header(self, tmp_path, header):
        check(text_file(tmp_path, header + rows(mark=",")))

    @pytest.mark.parametrize(
        "text",
        [rows(WAVE[::-1], FLUX[::-1]), "% IDL\n" + rows(), "! a model\n\n" + rows(), "; IDL\n" + rows(),
         rows().replace(".", ","), rows().replace("e-", "D-"), "\ufeff" + rows(), rows().replace("\n", " # x\n"),
         rows().replace("\n", "\r\n"), rows() + "3 nan\n"],
    )  # fmt: skip
    def test_variants(self, tmp_path, text):
        check(text_file(tmp_path, text), "um")

    def test_other_columns(self, tmp_path):
        text = "id,flux_err,flux,wave\n" + "".join(f"1,9,{f},{w}\n" for w, f in zip(WAVE, FLUX, strict=True))
        assert "columns wave and flux are read, not id, flux_err" in check(text_file(tmp_path, text), "um")

    def test_shuffled(self, tmp_path):
        order = np.random.default_rng(1).permutation(8)
        assert "not in order" in check(text_file(tmp_path, rows(WAVE[order], FLUX[order])), "um")

    def test_the_digits_of_the_file_stay(self, tmp_path):
        for unit, scale in (("um", 1), ("nm", 1000), ("Angstrom", 10000)):
            block, _ = read_spectrum(text_file(tmp_path, rows(np.round(WAVE * scale, 6))), unit)
            assert block["wavelength_um"] == np.round(WAVE, 10).tolist()

    def test_without_a_unit_it_is_metres_and_a_note_says_so(self, tmp_path):
        assert "read in m" in check(text_file(tmp_path, rows(WAVE * 1e-6)))

    @pytest.mark.parametrize(
        ("scale", "unit", "likely"),
        [(1, None, "um"), (1000, None, "nm"), (1000, "um", "nm"), (1e4, "um", "Angstrom"), (1, "nm", "um"),
         (1e4, None, "Angstrom"), (1e-6, "um", "m"), (1e3, "Angstrom", "nm")],
    )  # fmt: skip
    def test_an_unlikely_unit_is_refused_and_the_likely_one_named(self, tmp_path, scale, unit, likely):
        with pytest.raises(RequestError, match=rf"is it in (\w+ or )?{likely}\b") as caught:
            read_spectrum(text_file(tmp_path, rows(WAVE * scale)), unit)
        assert caught.value.details["pointer"] == "/elvis/sed/wavelength_um"

    @pytest.mark.parametrize(
        ("text", "said"),
        [("1 1\n1.5 1\n1.5 2\n2 1\n", "1.5 um is there twice"), ("1\n2\n", "fewer than two"), ("", "fewer than two"),
         ("1 2\nx y\n", "'x'"), ("1 nan\n2 nan\n", "0 rows"), ("1 2\n", "1 rows"),
         ("wave,flux [counts]\n1,2\n2,3\n", "is in counts"),
         ("wave,flux [furlong]\n1,2\n2,3\n", "is in furlong"), ("wave [s],flux\n1,2\n2,3\n", "is in s"),
         ("wave [nm],flux\n1000,2\n2000,3\n", "--sed-unit says um")],
    )  # fmt: skip
    def test_wrong_content(self, tmp_path, text, said):
        with pytest.raises(RequestError, match=said) as caught:
            read_spectrum(text_file(tmp_path, text), "um")
        assert caught.value.details["pointer"].startswith("/elvis/sed")

    @pytest.mark.parametrize("unit", ["", "furlong", "Jy", "s"])
    def test_what_is_no_unit_of_wavelength(self, tmp_path, unit):
        with pytest.raises(UsageError, match="--sed-unit"):
            read_spectrum(text_file(tmp_path, rows()), unit)


class TestTables:
    @pytest.mark.filterwarnings("ignore:The unit ")
    @pytest.mark.parametrize("form", ["ascii.ecsv", "fits", "votable"])
    @pytest.mark.parametrize("names", [("wave", "flux"), ("WAVELENGTH", "FLUX"), ("a", "b")])
    def test_units(self, tmp_path, form, names):
        Table({names[0]: WAVE[::-1] * 1e4 * units.AA, names[1]: FLUX[::-1] * FLAM}).write(tmp_path / "s", format=form)
        assert "is scaled to /target/brightness" in check(tmp_path / "s")

    @pytest.mark.parametrize(
        "unit",
        ["Jy", "mJy", "erg s-1 cm-2 Hz-1", "W m-2 um-1", "W m-2 nm-1", "photon s-1 cm-2 Angstrom-1", "ABmag_as_Jy"],
    )
    def test_flux_is_converted(self, tmp_path, unit):
        unit = units.Unit(unit.replace("ABmag_as_", ""))
        flux = (FLUX * FLAM).to(unit, units.spectral_density(WAVE * units.um))
        Table({"freq": (WAVE * units.um).to(units.GHz, units.spectral()), "flux": flux}).write(tmp_path / "s.ecsv")
        check(tmp_path / "s.ecsv")
        block, _ = read_spectrum(tmp_path / "s.ecsv", absolute=True)
        assert block["flux"] == pytest.approx(WATTS, rel=1e-8)

    @pytest.mark.parametrize("unit", ["FLAM", "1e-17 erg/s/cm^2/Ang", "ergs/sec/cm**2/A", "10**-17 erg/s/cm2/Angstrom"])
    def test_flux_as_people_write_it(self, tmp_path, unit):
        columns = [
            fits.Column("WAVE", "D", unit="nm", array=WAVE * 1e3),
            fits.Column("FLUX", "D", unit=unit, array=FLUX),
        ]
        fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "s.fits")
        check(tmp_path / "s.fits")
        block, _ = read_spectrum(tmp_path / "s.fits", absolute=True)
        assert block["flux"] == pytest.approx(WATTS * (1e-17 if "17" in unit else 1), rel=1e-8)

    @pytest.mark.parametrize("unit", ["erg s-1 Angstrom-1", "Lsun Angstrom-1", "erg s-1 cm-2 Angstrom-1 sr-1"])
    def test_luminosities_have_a_shape_and_no_brightness(self, tmp_path, unit):
        Table({"wave": WAVE * units.um, "flux": FLUX * units.Unit(unit)}).write(tmp_path / "s.ecsv")
        check(tmp_path / "s.ecsv")
        with pytest.raises(RequestError, match="flux is in"):
            read_spectrum(tmp_path / "s.ecsv", absolute=True)

    def test_f_nu_by_name(self, tmp_path):
        path = text_file(tmp_path, "wave,fnu\n" + rows(flux=FLUX * WAVE**2, mark=","))
        assert "is taken as f_nu" in check(path, "um")

    def test_one_row_of_arrays(self, tmp_path):
        columns = {"WAVE": [WAVE * 10_000] * units.AA, "FLUX": [FLUX] * FLAM, "ERR": [FLUX]}
        Table(columns).write(tmp_path / "s.fits")
        check(tmp_path / "s.fits")

    def test_logarithms(self, tmp_path):
        Table({"flux": FLUX, "loglam": np.log10(WAVE * 1e4)}).write(tmp_path / "s.fits")
        check(tmp_path / "s.fits")

    def test_air(self, tmp_path):
        vacuum, air = 1.0, 1.0 - 2.7397e-4  # Morton (1991): n - 1 = 2.7397e-4 at 1 um
        path = text_file(tmp_path, f"wave_air [um],flux\n{air:.9f},1\n2,1\n")
        block, notes = read_spectrum(path)
        assert block["wavelength_um"][0] == pytest.approx(vacuum, abs=3e-7)
        assert "brought to vacuum" in notes[0]

    @pytest.mark.parametrize(
        "cards",
        [{"CRVAL1": 12000, "CDELT1": 2000, "CUNIT1": "Angstrom"},
         {"CRVAL1": 1.4, "CRPIX1": 2, "CD1_1": 0.2, "CUNIT1": "um"},
         {"CRVAL1": 1.2e-6, "CDELT1": 2e-7, "CTYPE1": "WAVE"}],
    )  # fmt: skip
    def test_images_of_one_dimension(self, tmp_path, cards):
        fits.PrimaryHDU(FLUX, fits.Header({"BUNIT": "erg/s/cm2/A", **cards})).writeto(tmp_path / "s.fits")
        check(tmp_path / "s.fits")

    def test_images_in_the_logarithm(self, tmp_path):
        wave = np.geomspace(1.2, 2.6, 8)
        step = np.log10(wave[1] / wave[0])
        for n, cards in enumerate(
            ({"CRVAL1": np.log10(1.2e4), "CDELT1": step, "DC-FLAG": 1, "CUNIT1": "Angstrom"},
             {"CRVAL1": 1.2, "CDELT1": 1.2 * np.log(wave[1] / wave[0]), "CTYPE1": "WAVE-LOG", "CUNIT1": "um"})
        ):  # fmt: skip
            fits.PrimaryHDU(FLUX, fits.Header(cards)).writeto(tmp_path / f"{n}.fits")
            assert read_spectrum(tmp_path / f"{n}.fits")[0]["wavelength_um"] == pytest.approx(wave)

    def test_compressed(self, tmp_path):
        check(text_file(tmp_path, gzip.compress(("wave [um] flux\n" + rows()).encode()), "s.txt.gz"))

    @pytest.mark.parametrize("content", [b"\0\1\2" * 50, b"SIMPLE  =                    T", None])
    def test_unreadable(self, tmp_path, content):
        path = tmp_path / "s.fits"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UsageError, match="--sed: cannot read"):
            read_spectrum(path)


WINDOW = ("--window", "1984,1984,128,128", "--product", "expected", "--truth")


class TestAbsolute:
    """`--sed-absolute`: the spectrum's own scale is the brightness."""

    def electrons(self, elvis, document, *options):
        done = elvis(*WINDOW, *options, stdin=json.dumps(document))
        assert done.code == 0, done.err
        with fits.open(io.BytesIO(done.out)) as hdus:
            return hdus["TRUTH"].data["ELECTRONS"][0], hdus["TRUTH"].data["MAG"][0], done

    def test_it_is_as_bright_as_its_unit_says(self, elvis, micado, tmp_path):
        wave = np.linspace(0.7, 2.8, 500)
        flux = 3.94e-11 * 10 ** (-0.4 * 20) * (2.15 / wave) ** 4  # K = 20 where the band is
        path = tmp_path / "s.ecsv"
        Table({"wave": wave * units.um, "flux": flux * FLAM}).write(path)
        document = micado({"target": {"brightness": {"magband": "K", "mag": 20.0}}})
        scaled, mag, _ = self.electrons(elvis, document, "--sed", str(path))
        document["target"]["brightness"]["mag"] = 5.0
        own, none, done = self.electrons(elvis, document, "--sed", str(path), "--sed-absolute")
        assert own == pytest.approx(scaled, rel=0.03)
        assert mag == 20
        assert np.isnan(none)
        assert "not as /target/brightness" in done.err
        Table(
            {
                "wave": wave * units.um,
                "flux": 2e3 * flux * FLAM.to(units.Unit("W m-2 um-1")) * units.Unit("mW m-2 um-1"),
            }
        ).write(tmp_path / "double.ecsv")
        twice, _, done = self.electrons(elvis, document, "--sed", str(tmp_path / "double.ecsv"), "--sed-absolute")
        assert twice == pytest.approx(2 * own, rel=1e-9)
        path.unlink()
        assert elvis("replay", stdin=done.out).out == done.out

    def test_it_needs_a_unit(self, tmp_path):
        with pytest.raises(RequestError, match="--sed-absolute needs one"):
            read_spectrum(text_file(tmp_path, rows()), "um", absolute=True)

    def test_an_infinite_target_has_no_flux(self):
        block = {"sed": {"wavelength_um": [1, 2], "flux": [1, 1], "absolute": True}}
        document = {
            "instrumentName": "x",
            "target": {"morphology": {"morphologytype": "extended", "extendedtype": "infinite"}},
        }
        with pytest.raises(RequestError, match="the target is infinite"):
            parse.read(json.dumps(document), block)

    @pytest.mark.parametrize("option", [["--sed-absolute"], ["--sed-unit", "um"]])
    def test_an_option_of_no_file(self, elvis, option):
        assert elvis(*option, stdin="{}").code == 2


LONG = np.linspace(12000.0, 26000.0, 300)
"""Angstrom."""
LOGARITHMIC = 10 ** (np.log10(12000.0) + 1e-3 * np.arange(300))


def slope(wave):
    """Return the flux at wavelengths (Angstrom)."""
    return 1.0 + 0.5 * (wave / 12000.0 - 1.0)


def image(data, wave=None, name="", **cards):
    """Return an image of a spectrum; ``wave`` puts linear wavelengths into the header."""
    hdu = fits.ImageHDU(np.asarray(data, np.float32), name=name) if name else fits.PrimaryHDU(np.float32(data))
    if wave is not None:
        cards = {"CRVAL1": wave[0], "CD1_1": wave[1] - wave[0], "CRPIX1": 1, "CTYPE1": "LINEAR", **cards}
    hdu.header.update({key.replace("__", "-"): value for key, value in cards.items()})
    return hdu


def multispec(kind, first, step):
    words = f'wtype=multispec spec1 = "1 1 {kind} {first} {step} 300 0. 20. 30."'
    iraf = {"CTYPE1": "MULTISPE", "CTYPE2": "MULTISPE", "CD1_1": 1.0, "WAT1_001": "wtype=multispec units=angstroms"}
    return {**iraf, "WAT2_001": words[:68].ljust(68), "WAT2_002": words[68:]}


SDSS = {"COEFF0": np.log10(12000.0), "COEFF1": 1e-3, "CRVAL1": np.log10(12000.0), "CD1_1": 1e-3, "DC__FLAG": 1,
        "BUNIT": "1.0E-17 erg/cm/s/Ang"}  # fmt: skip
ROWS = np.outer([1.0, 0.1, 0.01], np.ones(300))
IN_IRAF = "wtype=linear label=Wavelength units=angstroms"
IMAGES = {
    "SDSS spSpec": (LOGARITHMIC, lambda: [
        image(ROWS * slope(LOGARITHMIC), **SDSS),
        fits.table_to_hdu(Table({"wave": [1.0, 2.0], "sigma": [3.0, 4.0]})),
    ]),
    "COEFF0": (LOGARITHMIC, lambda: [image(slope(LOGARITHMIC), COEFF0=np.log10(12000.0), COEFF1=1e-3)]),
    "DC-FLAG": (LOGARITHMIC, lambda: [
        image(slope(LOGARITHMIC), CRVAL1=np.log10(12000.0), CDELT1=1e-3, DC__FLAG=1, WAT1_001=IN_IRAF)
    ]),
    "WAT units": (LONG, lambda: [image(slope(LONG), LONG, WAT1_001=IN_IRAF)]),
    "IRAF bands": (LONG, lambda: [image((ROWS * slope(LONG))[:, None], LONG, WAT1_001=IN_IRAF)]),
    "multispec": (LONG, lambda: [image(slope(LONG)[None], **multispec(0, LONG[0], LONG[1] - LONG[0]))]),
    "multispec log": (LOGARITHMIC, lambda: [image(slope(LOGARITHMIC)[None], **multispec(1, np.log10(12000.0), 1e-3))]),
    "PHOENIX": (LOGARITHMIC, lambda: [image(
        slope(LOGARITHMIC), CRVAL1=np.log(12000.0), CDELT1=1e-3 * np.log(10), CTYPE1="WAVE-LOG", CUNIT1="Angstrom"
    )]),
    "errors first": (LONG, lambda: [
        fits.PrimaryHDU(), image(0.1 + 0 * LONG, LONG, "ERR", CUNIT1="Angstrom"),
        image(slope(LONG), LONG, "SCI", CUNIT1="Angstrom"),
    ]),
    "image of wavelengths": (LONG, lambda: [
        fits.PrimaryHDU(), image(slope(LONG), name="FLUX"), image(LONG / 10, name="WAVE", BUNIT="nm"),
        image(0 * LONG, name="ERRS"),
    ]),
    "image of logarithms": (LOGARITHMIC, lambda: [
        fits.PrimaryHDU(), image(slope(LOGARITHMIC), name="FLUX"), image(np.log10(LOGARITHMIC), name="LOGLAM"),
    ]),
}  # fmt: skip
"""Wavelengths and HDUs."""


class TestImages:
    @pytest.mark.parametrize("kind", IMAGES)
    def test_forms_of_observatories(self, tmp_path, kind):
        wave, hdus = IMAGES[kind]
        fits.HDUList(hdus()).writeto(tmp_path / "spectrum.fits", output_verify="ignore")
        block, _ = read_spectrum(tmp_path / "spectrum.fits", None)
        found, flux = shape(block)
        assert found == pytest.approx(wave / 1e4, rel=1e-5 if "log" in kind else 1e-7)
        assert flux == pytest.approx(slope(wave), rel=1e-6)

    def test_an_extension_is_chosen(self, tmp_path):
        path = tmp_path / "two.fits"
        two = [image(scale * slope(LONG), LONG, name, CUNIT1="Angstrom") for name, scale in (("A", 1.0), ("B", 2.0))]
        fits.HDUList([fits.PrimaryHDU(), *two]).writeto(path)
        for name, scale in (("1", 1.0), ("2", 2.0), ("A", 1.0), ("b", 2.0)):
            assert read_spectrum(tmp_path / f"two.fits[{name}]", None)[0]["flux"][0] == pytest.approx(scale)
        with pytest.raises(RequestError, match="which one"):
            read_spectrum(path, None)
        with pytest.raises(UsageError, match="no extension"):
            read_spectrum(tmp_path / "two.fits[C]", None)

    def test_a_dispersion_that_is_no_line_is_refused(self, tmp_path):
        fits.HDUList([image(slope(LONG)[None], **multispec(2, LONG[0], 4.0))]).writeto(tmp_path / "spectrum.fits")
        with pytest.raises(RequestError, match="multispec"):
            read_spectrum(tmp_path / "spectrum.fits", None)

    def test_the_unit_of_the_whole_file(self, tmp_path):
        table = fits.table_to_hdu(Table({"flux": slope(LOGARITHMIC), "loglam": np.log10(LOGARITHMIC)}))
        primary = fits.PrimaryHDU()
        primary.header["BUNIT"] = "1E-17 erg/cm^2/s/Ang"
        fits.HDUList([primary, table]).writeto(tmp_path / "spec.fits")
        block, notes = read_spectrum(tmp_path / "spec.fits", None, absolute=True)
        assert block["flux"][0] == pytest.approx(1e-16)
        assert "BUNIT" in "\n".join(notes)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("log_flux", np.log10(FLUX)),
        ("logF", np.log10(FLUX)),
        ("ABmag", -2.5 * np.log10(FLUX * WAVE**2)),
        ("mag_AB", -2.5 * np.log10(FLUX * WAVE**2)),
        ("nuFnu", FLUX * WAVE),
        ("lambda_F_lambda", FLUX * WAVE),
    ],
)
def test_columns_that_are_no_flux_density(tmp_path, name, values):
    header = f"wave_um {name}\n"
    assert name in check(text_file(tmp_path, header + rows(flux=values)), tolerance=1e-7)


def test_magnitudes_of_an_unknown_system_are_refused(tmp_path):
    with pytest.raises(RequestError, match="holds magnitudes"):
        read_spectrum(text_file(tmp_path, "wave_um mag\n" + rows()), None)
