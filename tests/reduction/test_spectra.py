"""Spectra reduced from raw frames: against the prediction, the wavelengths of the instrument, and each other."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, layout, raw, sdp, spectra, spectrum_file, wavelength
from elvis_cli.scene.standards import StandardStar
from tests.conftest import run

WINDOW = {"x0": 874, "y0": 700, "nx": 300, "ny": 600}
APERTURE = 9
"""Pixels along the slit: that of the prediction."""


def requests():
    """A star on METIS' long slit in L, and its calibrations, on a part of the chip."""
    document = registry.load("metis").example("lss_l_scao")
    document["output"] = {"snr": {"snr": True, "noise_components": True}}
    kinds = [None, *["dark"] * 5, *["flat"] * 3, "arc", "std"]
    for number, kind in enumerate(kinds):
        block = {"window": WINDOW, "date": f"2026-01-01T04:{number:02d}:00", "exposure": number + 1}
        if kind is None:
            block["wavemap"] = True
        else:
            block["calibration"] = kind
        if kind == "std":
            block["standard"] = {"mag": 10, "band": "L", "system": "vega", "sed": "Pickles:A0V"}
        yield {**document, "elvis": block}


@pytest.fixture(scope="module")
def night():
    """The raw files, in memory."""
    made = [run("--seed", str(n), stdin=json.dumps(one)) for n, one in enumerate(requests())]
    assert all(one.code == 0 for one in made), [one.err for one in made]
    return [one.out for one in made]


@pytest.fixture(scope="module")
def product(night):
    """The spectrum."""
    (files,) = associate.associate(raw.open_all(night))
    return spectra.reduce(files, spectra.SpectrumOptions(aperture=APERTURE))


def predicted(night, table, column):
    with fits.open(io.BytesIO(night[0])) as hdus:
        rows = hdus[table].data
        return np.array(rows["WAVELENGTH"]), np.array(rows[column])


def test_the_signal_to_noise_ratio_is_the_predicted_one(night, product):
    """The prediction has no noise of the sky's subtraction."""
    one = product.spectra[0]
    for column, flux, err, sky, tolerance in (
        ("SNR", one.box, one.box_err, one.box_sky_err, 0.03),
        ("SNR_OPT", one.flux, one.err, one.sky_err, 0.03),
    ):
        expected = np.interp(one.wave, *predicted(night, "SNR", column))
        assert np.all(sky < 0.3 * err)
        assert np.median(flux / np.sqrt(np.square(err) - np.square(sky)) / expected) == pytest.approx(
            1.0, abs=tolerance
        )


def test_the_box_holds_the_predicted_electrons(night, product):
    one = product.spectra[0]
    dit = product.files.science[0].dit
    electrons = np.interp(one.wave, *predicted(night, "NOISE_COMPONENTS", "TARGET")) ** 2
    assert np.median(one.box * dit / electrons) == pytest.approx(1.0, abs=0.01)


def test_scatter_is_the_error(night, product):
    """Two exposures with the same calibrations differ by their errors."""
    other = run("--seed", "77", stdin=json.dumps(next(requests()))).out
    (files,) = associate.associate(raw.open_all([other, *night[1:]]))
    again = spectra.reduce(files, spectra.SpectrumOptions(aperture=APERTURE))
    one, two = product.spectra[0], again.spectra[0]
    pull = (one.flux - two.flux) / np.hypot(one.err, two.err)
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.1)
    assert np.mean(np.abs(pull) < 4) > 0.995


def test_wavelengths_come_from_the_arc(night):
    """A layout that is a pixel off leads to the same wavelengths."""
    files = raw.open_all(night)
    arc = next(one for one in files if "WAVE" in one.type)
    setup = layout.configure(arc, "arc")
    chip = layout.of_chip(setup, arc.chips[0], arc.windows[0])
    strip = chip.strips[0]
    true = strip.wave.copy()
    wavelength._move(strip, np.full(strip.s.shape, 1.0))
    image = layout.read(arc, arc.chips[0], chip)
    found = wavelength.solve(image, np.full_like(image, 10.0), chip, setup.calibration.lamps)
    assert found is not None
    away = (strip.wave - true) * strip.pixels_per_um()[:, None]
    assert np.abs(away[strip.inside]).max() < 0.05
    assert found.shift == pytest.approx(-1.0, abs=0.02)


def test_a_window_that_cuts_the_slit_has_the_wavelengths_of_the_arc():
    """MICADO's trace leans, so that a window ends at another place of the slit in each row; its lines lean too."""
    document = registry.load("micado").example("lss_4mas_scao")
    document["elvis"] = {
        "calibration": "arc", "chips": [1], "window": {"x0": 2500, "y0": 0, "nx": 160, "ny": 1500},
        "product": "expected",
    }  # fmt: skip
    (arc,) = raw.open_all([run("--seed", "1", stdin=json.dumps(document)).out])
    setup = layout.configure(arc, "arc")
    chip = layout.of_chip(setup, arc.chips[0], arc.windows[0])
    (strip,) = chip.strips
    true = strip.wave.copy()
    image = layout.read(arc, arc.chips[0], chip)
    assert wavelength.solve(image, np.full_like(image, 10.0), chip, setup.calibration.lamps) is not None
    away = (strip.wave - true) * strip.pixels_per_um()[:, None]
    assert np.sqrt(np.mean(np.square(away[strip.inside]))) < 0.05


def test_the_layout_is_that_of_the_frame(night):
    with fits.open(io.BytesIO(night[0])) as hdus:
        wave, place, header = hdus["WAVE"].data, hdus["POSITION"].data, hdus[1].header
    assert header["EXTNAME"] == "DET1.DATA"
    science = raw.open_all(night)[0]
    chip = layout.of_chip(layout.configure(science), science.chips[0], science.windows[0])
    strip = chip.strips[0]
    inside = strip.inside & np.isfinite(strip.cut(wave))
    away = (strip.cut(wave) - strip.wave) * strip.pixels_per_um()[:, None]
    assert np.abs(away[inside]).max() < 0.02
    assert np.abs((strip.cut(place) - strip.s)[inside]).max() < 0.02 * strip.scale


def test_the_flux_is_that_of_the_star(product):
    """An L = 12 star's flux, less what the slit loses of a star more than of another: they stand alike."""
    from elvis_cli.reduction.flux_standard import flux_density

    star = StandardStar("target", None, None, "L", 12.0, "vega", 0.0, "Pickles:G2V", "")
    merged = product.merged
    good = merged.quality == 0
    ratio = (merged.flux / flux_density(star, merged.wave))[good]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)


def test_the_product_is_as_the_archive_wants_it(product):
    out = io.BytesIO()
    spectrum_file.write_spectrum(product, out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        assert sdp.validate(hdus) == []
        assert hdus[0].header["FLUXCAL"] == "ABSOLUTE"
        assert hdus["SPECTRUM"].data["WAVE"].shape == (1, product.merged.wave.size)
        assert (np.diff(hdus["SPECTRUM"].data["WAVE"][0]) > 0).all()


def test_the_order_of_the_files_does_not_matter(night, product):
    (files,) = associate.associate(raw.open_all(night[::-1]))
    again = spectra.reduce(files, spectra.SpectrumOptions(aperture=APERTURE))
    np.testing.assert_array_equal(again.merged.flux, product.merged.flux)


def test_a_star_at_the_end_of_a_tilted_slit_has_its_own_wavelengths():
    """CRIRES2's slit leans by 0.048 pixels for each along y: 3 arcsec are 2.5 pixels along the dispersion."""
    document = registry.load("crires2").example("spec_noao")
    document["instrument"]["INS.WLEN.CWLEN"] = 1228.488
    document["target"]["brightness"]["mag"] = 6
    window = {"x0": 700, "y0": 1160, "nx": 400, "ny": 280}
    kinds = [{"wavemap": True, "offset": [0.0, 3.0]}, {"calibration": "dark"}, {"calibration": "arc"}]
    made = []
    for number, kind in enumerate(kinds):
        block = {"window": window, "chips": [2], "date": f"2026-01-01T04:0{number}:00", "seed": number, **kind}
        made.append(run(stdin=json.dumps({**document, "elvis": block})).out)
    (files,) = associate.associate(raw.open_all(made))
    (one,) = spectra.reduce(files, spectra.SpectrumOptions()).spectra
    with fits.open(io.BytesIO(made[0])) as hdus:
        wave, place = hdus["WAVE"].data, hdus["POSITION"].data
        lit = hdus["ORDER"].data == one.order
    column, pixel = 200, np.gradient(one.wave)[200]
    rows = np.flatnonzero(lit[:, column])
    at_star, in_middle = (np.interp(s, place[rows, column], wave[rows, column]) for s in (3.0, 0.0))
    assert (at_star - in_middle) / pixel == pytest.approx(2.45, abs=0.1)
    assert (one.wave[column] - at_star) / pixel == pytest.approx(0.0, abs=0.1)


def test_nods_are_subtracted(night, product):
    """Two exposures that nod: a spectrum for each place on the slit, less the other's sky; twice the light."""
    document = next(requests())
    document["elvis"] |= {"offset": [0.0, 0.3], "date": "2026-01-01T04:30:00", "exposure": 30}
    other = run("--seed", "30", stdin=json.dumps(document)).out
    (files,) = associate.associate(raw.open_all([*night, other]))
    assert len(files.science) == 2
    nods = spectra.reduce(files, spectra.SpectrumOptions(aperture=APERTURE))
    assert nods.sky_way == "nods"
    assert len(nods.spectra) == 2
    (alone,) = product.spectra
    for one in nods.spectra:
        flux = np.interp(alone.wave, one.wave[::-1], one.box[::-1])
        assert np.median(flux / alone.box) == pytest.approx(1.0, abs=0.02)
    pull = (nods.spectra[0].flux - nods.spectra[1].flux) / np.hypot(nods.spectra[0].err, nods.spectra[1].err)
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.1)


def test_wavelengths_of_the_barycentre(night, product):
    """As astropy's correction, to 20 m/s."""
    from astropy import units as u
    from astropy.coordinates import EarthLocation, SkyCoord
    from astropy.time import Time

    (files,) = associate.associate(raw.open_all(night))
    moved = spectra.reduce(files, spectra.SpectrumOptions(aperture=APERTURE, barycentric=True))
    header = files.science[0].header
    place = EarthLocation.from_geodetic(*(header[f"ESO TEL GEO{key}"] for key in ("LON", "LAT", "ELEV")))
    middle = Time(files.science[0].mjd + files.science[0].dit * files.science[0].ndit / 2 / 86400, format="mjd")
    star = SkyCoord(header["RA"] * u.deg, header["DEC"] * u.deg)
    expected = star.radial_velocity_correction("barycentric", middle, place).to_value("km/s")
    assert moved.velocity == pytest.approx(expected, abs=0.02)
    shift = (moved.merged.wave / product.merged.wave - 1) * 299792.458
    assert shift == pytest.approx(np.full(shift.size, expected), abs=0.02)
    out = io.BytesIO()
    spectrum_file.write_spectrum(moved, out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        assert hdus[0].header["SPECSYS"] == "BARYCENT"
        assert sdp.validate(hdus) == []


def test_scans_are_cut():
    """A flat of X-shooter's UVB arm has 48 columns of prescan and overscan; a map has none."""
    document = registry.load("xshooter").example("slit")
    document["elvis"] = {"arm": "uvb", "calibration": "flat", "window": {"x0": 600, "y0": 1000, "nx": 400, "ny": 300}}
    (file,) = raw.open_all([run("--seed", "1", stdin=json.dumps(document)).out])
    assert file.windows == ((400, 300, 601, 1001),)
    image = file.read("UVB")[0] - 1000.0
    assert image.shape == (300, 400)
    chip = layout.of_chip(layout.configure(file), "UVB", file.windows[0])
    assert chip.strips
    turned = chip.turn(image)
    lit = np.zeros(turned.shape, bool)
    for strip in chip.strips:
        rows = np.broadcast_to(strip.row[:, None], strip.column.shape)
        lit[rows[strip.inside], strip.column[strip.inside]] = True
    assert np.median(turned[~lit]) < 0.05 * np.median(turned[lit])


@pytest.mark.parametrize("method", ["standard", "sky"])
def test_the_lines_of_the_air_are_taken_out(night, product, method):
    """The star's flux between 3.3 and 3.9 um, over what it is above the air: its scatter falls to a third."""
    from elvis_cli.reduction.flux_standard import flux_density

    (files,) = associate.associate(raw.open_all(night))
    made = spectra.reduce(files, spectra.SpectrumOptions(aperture=APERTURE, telluric=method))
    star = StandardStar("target", None, None, "L", 12.0, "vega", 0.0, "Pickles:G2V", "")

    def ratio(merged):
        good = merged.quality == 0
        return (merged.flux / flux_density(star, merged.wave))[good]

    before, after = ratio(product.merged), ratio(made.merged)
    assert np.median(after) == pytest.approx(1.0, abs=0.02)
    assert after.size > 0.95 * before.size
    assert np.std(after) < (0.1 if method == "sky" else 0.35) * np.std(before)


def test_spectra_wait_for_no_modules_of_images():
    """Celestial coordinates, drizzling, photometry and SciPy take most of a second to import."""
    words = "import sys; from elvis_cli.reduction import cube_file, products, spectrum_file; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout.split()
    assert not {"astropy.wcs", "drizzle", "photutils", "scipy"} & set(found)
