"""UVES: positions of ESO's physical model, resolving power, arms, read-outs, slicers, conservation, S/N of requests."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.focalplane import trace as traces
from elvis_cli.instrument import registry
from elvis_cli.request import parse

# setting, chip, order, air nm, x along the dispersion, y across (pixels from 1 after the pipeline's rotation),
# predicted by uves_cal_predict (cpl-plugin-uves 6.1.8) for the header of the setting, 10 C, 745 mm Hg
STANDARD = """
346 BLUE 121 383.62 505.14 1940.81 | 346 BLUE 153 306.34 2371.95 74.33 | 390 BLUE 104 449.98 2018.54 2012.82
390 BLUE 140 334.36 2086.42 123.6 | 437 BLUE 94 493.96 545.02 1948.39 | 437 BLUE 122 380.74 634.04 99.35
520 REDL 118 513.88 453.55 1983.73 | 520 REDU 115 528.34 876.56 137.3 | 564 REDL 109 556.72 603.81 1950.24
564 REDU 92 664.06 2145.34 2005.8 | 580 REDL 126 486.28 2883.47 188.35 | 580 REDU 90 674.86 794.11 1905.44
600 REDL 123 499.36 3579.88 55.91 | 600 REDU 99 618.82 2865.16 344.76 | 760 REDL 81 752.98 1720.21 2024.62
760 REDU 65 942.52 2872.46 1946.77 | 860 REDL 88 696.22 2877.5 313.52 | 860 REDU 70 875.2 2867.77 124.42
"""
FREE = """
370 BLUE 114 407.74 735.37 1946.97 | 370 BLUE 129 360.58 871.95 796.53 | 370 BLUE 141 331.6 1845.4 99.83
640 REDL 96 632.8 824.86 1948.91 | 640 REDL 111 551.2 2510.88 279.68 | 640 REDU 83 737.14 2523.42 1949.43
640 REDU 92 661.36 1178.55 397.04
"""
FAST = "225kHz,1x1,low"
CHIPS = {"BLUE": 1, "REDU": 1, "REDL": 2}
DICHROIC = {"390": "390+564", "564": "346+564", "760": "346+760"}


def rows(text):
    for row in text.replace("\n", "|").split("|"):
        if row.strip():
            setting, chip, order, *numbers = row.split()
            yield setting, chip, int(order), *map(float, numbers)


def vacuum(air):
    """Return um in vacuum of nm in air (Edlen's formula as in Ciddor 1996, to 1e-8)."""
    k = (1e3 / air) ** 2
    return air * 1e-3 * (1 + 8.34254e-5 + 2.406147e-2 / (130 - k) + 1.5998e-4 / (38.9 - k))


def configure(mode="red_slit_std", arm=None, timesnr=None, **keys):
    document = registry.load("uves").example(mode)
    document["instrument"] |= keys
    document["timesnr"] |= timesnr or {}
    document["elvis"] = {} if arm is None else {"arm": arm}
    return pipeline.configure(parse.read(json.dumps(document)))


def of_setting(setting, chip):
    if setting in DICHROIC:
        mode = "dic2_slit_std" if setting == "760" else "dic1_slit_std"
        return configure(mode, "blue" if chip == "BLUE" else "red", **{"INS.DICEXP.MODE": DICHROIC[setting]})
    arm, key = ("blue", "INS.BLUEEXP.MODE") if chip == "BLUE" else ("red", "INS.REDEXP.MODE")
    return configure(f"{arm}_slit_std", **{key: setting, "DET1.READ.SPEED": FAST, "DET2.READ.SPEED": FAST})


def places(setup, chip, order, air):
    """Return the pixels (x along the dispersion, y across) of a wavelength as ESO's pipeline counts them."""
    detector = setup.detector
    assert detector.row_binning == 1
    found = []
    for trace in setup.spectrograph.traces:
        wave = np.array([vacuum(air)])
        if trace.order != order or not trace.wave[0] <= wave[0] <= trace.wave[1]:
            continue
        u, v = traces.to_pixels(*trace.place(wave, np.zeros(1)), detector.chip(CHIPS[chip]), detector)
        if -0.5 < u[0] < detector.nx - 0.5:
            across = u[0] + 1 if chip == "BLUE" else detector.nx - u[0]
            found.append((detector.ny - v[0], across))
    return found


@pytest.mark.parametrize("row", list(rows(STANDARD)), ids=str)
def test_wavelengths_fall_where_eso_s_physical_model_has_them(row):
    setting, chip, order, air, x, y = row
    ((px, py),) = places(of_setting(setting, chip), chip, order, air)
    assert px == pytest.approx(x, abs=0.15)
    assert py == pytest.approx(y, abs=0.15)


@pytest.mark.parametrize("row", list(rows(FREE)), ids=str)
def test_free_central_wavelengths_are_right_within_20_pixels(row):
    setting, chip, order, air, x, y = row
    arm, key = ("blue", "INS.GRAT1.WLEN") if chip == "BLUE" else ("red", "INS.GRAT2.WLEN")
    ((px, py),) = places(
        configure(f"{arm}_slit_free", **{key: float(setting), "DET2.READ.SPEED": FAST}), chip, order, air
    )
    assert px == pytest.approx(x, abs=20)
    assert py == pytest.approx(y, abs=20)


@pytest.mark.parametrize(("arm", "product"), [("red", 38700), ("blue", 41400)])
def test_the_resolving_power_is_the_manual_s(arm, product):
    for width in (0.8, 1.0, 1.2):
        slit = {"INS.SLIT3.WID": width, "INS.SLIT2.WID": width}
        setup = configure("dic1_slit_std", arm, **slit)
        power = setup.spectrograph.resolving_power(setup.optics.band, setup.detector.pixel_mm)
        assert power * width == pytest.approx(product, rel=0.05)


def test_both_arms_have_their_own_read_out_time_and_slit():
    keys = {"DET1.READ.SPEED": "50kHz,2x3,high", "DET2.READ.SPEED": "225kHz,1x2,low", "INS.SLIT2.WID": 1.2}
    times = {"DET1.WIN1.UIT1": 900, "SEQ.NEXPOBLUE": 1, "DET2.WIN1.UIT1": 300, "SEQ.NEXPORED": 3}
    blue, red = (configure("dic1_slit_std", arm, times, **keys) for arm in ("blue", "red"))
    assert (blue.detector.nx, blue.detector.ny, red.detector.nx, red.detector.ny) == (1024, 1000, 2048, 2048)
    assert (blue.detector.chips[0].ron, red.detector.chip(1).ron) == (2.1, 3.7)
    assert (blue.exposure.dit, red.exposure.dit, red.exposure.count) == (900, 300, 3)
    assert (blue.spectrograph.apertures[0].width, red.spectrograph.apertures[0].width) == (1.2, 0.6)


def test_a_request_that_names_a_setting_of_one_arm_has_that_arm_alone():
    document = {"instrumentName": "uves", "instrument": {"INS.REDEXP.MODE": 580}}
    setup = pipeline.configure(parse.read(json.dumps(document)))
    assert (setup.mode, setup.arms, setup.header["ESO INS GRAT2 WLEN"]) == ("red_slit_std", ("red",), 580.0)


def test_a_slicer_puts_its_slices_one_behind_the_other():
    apertures = configure("red_imsl_std", **{"INS.SLIT1.NAME": "SLIC#3"}).spectrograph.apertures
    assert [round(one.x, 2) for one in apertures] == [-0.6, -0.3, 0.0, 0.3, 0.6]
    assert [round(one.offset, 2) for one in apertures] == [-4, -2, 0, 2, 4]


def test_a_setting_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(RequestError, match=r"INS.REDEXP.MODE.*allowed: 520, 580, 600, 860"):
        configure(**{"INS.REDEXP.MODE": 540})


def frame(keys=None, **block):
    document = registry.load("uves").example("red_slit_std")
    document["instrument"] |= {"DET2.READ.SPEED": FAST} | (keys or {})
    document["timesnr"]["DET2.WIN1.UIT1"] = 100
    document["elvis"] = {"chips": [1], **block}
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document)), out)
    out.seek(0)
    return fits.open(out)


def test_a_raw_frame_has_its_scans_and_the_cards_of_the_pipeline():
    with frame(window={"x0": 0, "y0": 2000, "nx": 2048, "ny": 64}) as hdus:
        head, image = hdus[0].header, hdus[1]
        assert image.data.shape == (64, 2148)
        assert np.median(image.data[:, :50]) == np.median(image.data[:, -50:]) == 150
        assert (image.header["CTYPE1"], image.header["CRVAL2"]) == ("PIXEL", 2001.0)
        assert (head["ESO INS PATH"], head["ESO INS GRAT2 ID"], head["ESO DET CHIPS"]) == ("RED", "CD#3", 2)


def test_binning_along_the_dispersion_conserves_the_electrons():
    window = {"x0": 1000, "y0": 1024, "nx": 400, "ny": 512}
    binned = {"x0": 1000, "y0": 512, "nx": 400, "ny": 256}
    with frame(product="expected", window=window) as whole:
        fine = whole[1].data.astype(float)
    with frame({"DET2.READ.SPEED": "225kHz,1x2,low"}, product="expected", window=binned) as half:
        coarse = half[1].data.astype(float)
    assert coarse.sum() == pytest.approx(fine.sum(), rel=1e-3)
    summed = fine.reshape(256, 2, 400).sum(axis=1)
    assert np.abs(coarse - summed).sum() < 0.05 * summed.sum()


HALPHA = {"0523m14": 8.37915e-21, "1439p19": 2.124222e-19, "2MASS0314p16": 8.340651974e-19}
"""W/m2 of the emission lines of the corpus's requests: flux in the line at 656.28 nm, 1000 s, airmass 1.7."""
PLANCK_C = 1.98644586e-25
"""J m."""


@pytest.mark.parametrize("name", HALPHA)
def test_signal_and_noise_of_the_requests_for_halpha(name):
    """The noise is that of the ETC's answers (9 x 3.7^2 e2 a spectral pixel of 0.0053928 nm); the signal is by hand."""
    text = (Path(__file__).parents[1] / "data" / "etc" / f"uves_v118_Halpha_{name}.json").read_text()
    ready = pipeline.prepare(parse.read(text))
    order = max(ready.prediction.orders, key=lambda spectrum: float(spectrum.target.max()))
    peak = int(order.target.argmax())
    assert order.wave[peak] == pytest.approx(0.65628, abs=order.dispersion[peak])
    assert order.dispersion[peak] * 1e3 == pytest.approx(0.0053928, rel=0.005)
    assert (order.npix[peak], order.ron2[peak]) == (9, pytest.approx(123.21))
    # photons of the line: on the mirror, through all that transmits, in the slit and in the aperture
    photons = HALPHA[name] * ready.setup.optics.telescope.area * 1000.0 * 656.28e-9 / PLANCK_C
    expected = photons * order.total[peak] * order.encircled[peak]
    assert order.target.sum() == pytest.approx(expected, rel=0.03)
    assert order.encircled[peak] < order.enslitted[peak] < 0.65
    noise = np.sqrt(order.target + order.sky + order.dark + order.ron2)
    assert order.single[peak] == pytest.approx((order.target / noise)[peak])
