"""Spectra of a mask of slits, whose places the header of the raw frame tells."""

import io
import json
import os

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, layout, raw, sdp, spectra, spectrum_file
from tests.conftest import run

MASK = {"x": [0.0, -12.0, 8.0], "y": [0.0, 20.0, -24.0], "length": [12.0, 10.0, 10.0], "width": [1.0, 1.3, 1.0]}


@pytest.fixture(scope="module")
def night():
    """Stars of V = 19 and 20 in two slits of FORS2, a third with the sky alone."""
    if not os.environ.get("ELVIS_CLOSURE"):
        pytest.skip("make closure: ten seconds of rendering")
    document = registry.load("fors").example("mxu")
    document["target"]["brightness"]["mag"] = 19
    made = []
    for number, kind in enumerate([None, *["bias"] * 3, *["flat"] * 6, "arc"]):
        block = {
            "mask": MASK, "chips": [1], "window": {"x0": 700, "y0": 0, "nx": 500, "ny": 500},
            "date": f"2026-01-01T04:{number:02d}:00", "exposure": number + 1,
        }  # fmt: skip
        if kind:
            block["calibration"] = kind
        else:
            block["catalogue"] = {"x": [0.0, -12.0], "y": [0.0, 21.0], "mag": [19.0, 20.0]}
        made.append(run("--seed", str(number), stdin=json.dumps({**document, "elvis": block})))
    assert all(one.code == 0 for one in made), [one.err for one in made]
    return [one.out for one in made]


def test_the_header_tells_the_slits(night):
    slits = layout.configure(raw.open_all(night)[0]).spectrograph.apertures
    for name in ("x", "y", "length", "width"):
        assert [getattr(slit, name) for slit in slits] == pytest.approx(MASK[name], abs=1e-3)


def test_each_slit_with_a_star_has_a_spectrum(night):
    (files,) = associate.associate(raw.open_all(night))
    product = spectra.reduce(files, spectra.SpectrumOptions())
    bright, faint = sorted(product.spectra, key=lambda one: -one.signal)
    assert (bright.aperture, faint.aperture) == (1, 2)
    assert set(product.targets) == {1, 2}
    with fits.open(io.BytesIO(night[0])) as hdus:
        table = hdus["SNR"].data
        expected = np.interp(bright.wave, table["WAVELENGTH"], table["SNR_OPT"])
    noise = np.sqrt(np.square(bright.err) - np.square(bright.sky_err))  # the prediction has none of the sky's
    assert np.median((bright.flux / noise / expected)[~bright.bad]) == pytest.approx(1.0, abs=0.03)
    shared = np.linspace(max(bright.wave.min(), faint.wave.min()), min(bright.wave.max(), faint.wave.max()), 200)
    density = [np.interp(shared, *_ascending(each)) for each in (bright, faint)]
    # a magnitude, and a wider slit that loses less
    assert np.median(density[0] / density[1]) == pytest.approx(10**0.4, rel=0.15)
    out = io.BytesIO()
    spectrum_file.writers(product)["targets"](product, out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        assert sdp.validate(hdus) == []
        assert list(hdus["TARGETS"].data["APERTURE"]) == [1, 2]


def _ascending(one):
    order = np.argsort(one.wave)
    return one.wave[order], (one.flux / one.width)[order]
