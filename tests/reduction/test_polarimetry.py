"""Polarised spectra of CRIRES2: what is put in comes back whatever the gains and times; the null spectrum is noise."""

import io
import json
import math

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.errors import ResourceError
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, polarimetry, products, raw, sdp
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.image_options import ImageOptions
from elvis_cli.reduction.spectrum_options import SpectrumOptions
from tests.conftest import closure_only, run

SIGNS = {"V": (1, -1, -1, 1), "Q": (1, 1, -1, -1)}
OPTIONS = products.Options(ImageOptions(), SpectrumOptions())


def beam(rng, flux, shift, sigma=1e-3):
    """Return a spectrum with a line; the wavelengths are ``shift`` pixels from those of the first beam."""
    wave = 2.0 + 1e-5 * (np.arange(400) + shift)
    line = 1.0 - 0.5 * np.exp(-(((wave - 2.002) / 3e-5) ** 2))
    err = flux * line * sigma
    zero, good = np.zeros(400), np.zeros(400, bool)
    noisy = flux * line + err * rng.standard_normal(400)
    return Spectrum(26, 1, wave, np.full(400, 1e-5), noisy, err, noisy, err, zero, good, 0)


@pytest.mark.parametrize("stokes", ["V", "Q"])
def test_ratios_forget_beams_and_times(stokes):
    """Beams of unlike gains, sub-exposures through unlike air: p and its errors, and no null."""
    rng = np.random.default_rng(3)
    p, air, gain = 0.01, (1.0, 0.7, 1.3, 0.5), (1.0, 0.8)
    pairs = [
        tuple(
            beam(rng, t * g * (1 + n * s * p) / 2, 0.4 * k) for k, (g, n) in enumerate(zip(gain, (1, -1), strict=True))
        )
        for s, t in zip(SIGNS[stokes], air, strict=True)
    ]
    one = polarimetry.demodulate("CHIP1", 26, pairs, SIGNS[stokes])
    good = ~one.bad
    assert good.sum() > 390
    pull = (one.stokes[good] - p) / one.err[good]
    assert abs(pull.mean()) < 4.0 / np.sqrt(good.sum())
    assert pull.std() == pytest.approx(1.0, abs=0.15)
    assert (one.null[good] / one.err[good]).std() == pytest.approx(1.0, abs=0.15)
    assert abs((one.null[good] / one.err[good]).mean()) < 4.0 / np.sqrt(good.sum())


def night(polarisation, stokes="V"):
    """Return four sub-exposures of a star of K = 5 on part of an order of K2148, and their calibrations."""
    document = registry.load("crires2").example("spec_ngs")
    document["instrument"] |= {"INS.POL.TYPE": stokes, "INS.OPTI8.ID": "Decker2"}
    document["target"]["brightness"]["mag"] = 5
    made = []
    for number, kind in enumerate([1, 2, 3, 4, "dark", "dark", "flat", "flat"]):
        block = {
            "window": {"x0": 900, "y0": 700, "nx": 160, "ny": 170}, "chips": [2], "seed": number,
            "date": f"2026-01-01T04:{number:02d}:00", "exposure": number + 1, "offset": [0.0, -1.25],
        }  # fmt: skip
        if isinstance(kind, int):
            document["instrument"]["polarimeter_exposure"] = str(kind)
            block["polarisation"] = polarisation
        else:
            block["calibration"] = kind
        made.append(run(stdin=json.dumps({**document, "elvis": block})))
    assert all(one.code == 0 for one in made), [one.err for one in made]
    return [one.out for one in made]


@pytest.fixture(scope="module")
def raw_files():
    return night({"v": 0.01})


@closure_only
def test_one_per_cent_of_circular_polarisation_comes_back(raw_files):
    (files,) = associate.associate(raw.open_all(raw_files))
    product, writers = products.make(files, OPTIONS)
    (order,) = product.orders
    good = ~order.bad
    assert (product.stokes, order.order) == ("V", 26)
    weight = 1.0 / np.square(order.err[good])
    mean, error = (order.stokes[good] * weight).sum() / weight.sum(), weight.sum() ** -0.5
    null = (order.null[good] * weight).sum() / weight.sum()
    assert error < 0.001
    # the lower beam lies between pixels, whose shared noise the mean has in full: 2 in place of 1.5 of the variance
    error *= math.sqrt(2.0 / 1.5)
    assert abs(mean - 0.01) < 4 * error
    assert abs(null) < 4 * error
    assert 1.4826 * np.median(np.abs(order.null[good] / order.err[good])) == pytest.approx(1.0, abs=0.25)
    out = io.BytesIO()
    writers["polarimetry"](product, out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        assert sdp.validate(hdus) == []
        assert hdus[0].header["ESO QC POL STOKES"] == "V"
        assert hdus["POLARIMETRY"].data["STOKES"][0][: order.wave.size] == pytest.approx(order.stokes, nan_ok=True)


@closure_only
def test_sub_exposures_must_be_there(raw_files):
    (files,) = associate.associate(raw.open_all([raw_files[0], *raw_files[2:]]))
    with pytest.raises(ResourceError, match="sub-exposures 1 to 4"):
        products.make(files, OPTIONS)
