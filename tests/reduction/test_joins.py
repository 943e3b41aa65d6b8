"""Where orders join: the flux of a star that two of them see is one flux, to 1 %."""

import functools
import json
from itertools import pairwise

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, flux_standard, layout, merge, raw, requests, spectra, wavelength
from elvis_cli.request import parse
from tests.conftest import closure_only

ECHELLES = {
    "UVES": ("uves", "red_slit_std", "", 9, (690, 0, 520, 2048)),
    "X-shooter UVB": ("xshooter", "slit", "uvb", 11, (640, 0, 360, 3000)),
    "X-shooter VIS": ("xshooter", "slit", "vis", 11, (900, 0, 540, 4000)),
    "X-shooter NIR": ("xshooter", "slit", "nir", 10, (0, 270, 2048, 420)),
    "CRIRES2": ("crires2", "spec_ngs", "", 6, (0, 700, 2048, 500)),
    "HARPS": ("harps", "unique", "harps", 7, (735, 0, 180, 4096)),
}
"""Instrument, mode, arm, the star's magnitude, chip and a window with two orders or more from end to end."""
SETTINGS = {"uves": {"SEQ.NEXPO": 3, "DET2.WIN1.UIT1": 20}, "harps": {"SEQ.NEXPO": 3, "DET1.WIN1.UIT1": 60}}
STEP = 0.01
"""Relative, of the merged flux."""
WATER = ((1.33, 1.46), (1.74, 2.03))
"""um: bands of water and CO2 in the air, through which no order has a flux of its own."""
WHOLE = 0.6
"""Of the pixels of the longest order: the window cuts others across the slit."""
END = 200
"""Pixels that are an order's end, where no other order sees the same wavelengths."""


def night(name, mode, arm, mag, window):
    """Yield the raw files of an A0V star on a part of the first chip, with all calibrations."""
    document = registry.load(name).example(mode)
    spectrum = {"spectrumtype": "template", "params": {"catalog": "Pickles", "id": "A0V"}}
    document["target"]["sed"] = {"sedtype": "spectrum", "spectrum": spectrum, "extinctionav": 0}
    document["target"]["brightness"]["mag"] = mag
    document["output"] = {}
    document["timesnr"] = SETTINGS.get(name, document["timesnr"])
    window = dict(zip(("x0", "y0", "nx", "ny"), window, strict=True))
    document["elvis"] = {"window": window, "chips": [1], **({"arm": arm} if arm else {})}
    return requests.render(requests.documents(parse.read(json.dumps(document))))


@functools.cache
def reduced(setting):
    """The spectra of a setting and the standard star that they were calibrated by."""
    (files,) = associate.associate(raw.open_all(list(night(*ECHELLES[setting]))))
    return spectra.reduce(files, spectra.SpectrumOptions()), flux_standard.star_of(files, None, [])


def ends(one, factor, star):
    """Return wavelengths, flux over the star's, and its error, of the good pixels of an order, ascending."""
    with np.errstate(invalid="ignore", divide="ignore"):
        truth = flux_standard.flux_density(star, one.wave)
        ratio, error = (each * factor / one.width / truth for each in (one.flux, one.err))
    good = ~one.bad & np.isfinite(ratio) & (error > 0)
    good &= one.blaze > merge.FAINT * one.blaze.max()
    for low, high in WATER:
        good &= (one.wave < low) | (one.wave > high)
    order = np.argsort(one.wave[good])
    return tuple(each[good][order] for each in (one.wave, ratio, error))


def step(blue, red):
    """Return how much the flux of one order differs from the next, relative, and the error of that.

    It is that of all wavelengths that both see, else that of their ends.
    """
    (at, level, noise), (wave, other, more) = blue, red
    both = (at >= wave[0]) & (at <= wave[-1])
    if both.any():
        error = np.hypot(noise / level, np.interp(at, wave, more) / np.interp(at, wave, other))[both]
        return np.median(np.interp(at, wave, other)[both] / level[both]) - 1, 1.25 * np.median(
            error
        ) / both.sum() ** 0.5
    parts = [(one[1][cut], one[2][cut]) for one, cut in ((blue, slice(-END, None)), (red, slice(END)))]
    (a, da), (b, db) = ((np.median(x), 1.25 * np.median(dx) / END**0.5) for x, dx in parts)
    return b / a - 1, np.hypot(da / a, db / b)


@closure_only
@pytest.mark.parametrize("setting", ECHELLES)
def test_the_flux_has_no_steps(setting):
    """By the standard star, and without one by the lamp alone: orders that see the same light have the same flux."""
    product, star = reduced(setting)
    signal = {one.aperture: one.signal for one in product.spectra}
    own = [one for one in product.spectra if one.aperture == max(signal, key=signal.get)]
    factors = {"standard": [product.response.at(one) for one in own]}
    if setting != "CRIRES2":  # its orders do not overlap, and the lamp has a colour
        factors["lamp"] = merge.blaze_factors(own)
    for way, each in factors.items():
        parts = [ends(one, factor, star) for one, factor in zip(own, each, strict=True) if factor is not None]
        whole = WHOLE * max(part[0].size for part in parts)
        parts = sorted((part for part in parts if part[0].size > whole), key=lambda part: part[0][0])
        assert len(parts) > 1
        for blue, red in pairwise(parts):
            size, error = step(blue, red)
            print(f"{setting}, {way}, {red[0][0]:.4f} um: {100 * size:+.2f} +- {100 * error:.2f} %")
            if blue[0][-1] > red[0][0] or setting == "CRIRES2":
                assert abs(size) < STEP


@closure_only
def test_the_flux_has_no_bumps():
    """CRIRES2's narrow traces pass from pixel to pixel: all light over that in a box is the same all along an order."""
    product, _ = reduced("CRIRES2")
    for one in product.spectra:
        rows = one.flux.size // 128 * 128
        light = [np.where(one.bad, np.nan, each)[:rows].reshape(-1, 128) for each in (one.flux, one.box)]
        ratio = np.nanmedian(light[0] / light[1], axis=1)
        print("CRIRES2", one.order, np.ptp(ratio) / np.median(ratio))
        assert np.abs(ratio / np.median(ratio) - 1).max() < 0.015


def test_tilted_lines_leave_the_dispersion_smooth():
    """Lines of X-shooter's infrared arm lean by 0.1 pixels a pixel, so that a step aside changes the wavelength."""
    document = registry.load("xshooter").example("slit")
    document["elvis"] = {"arm": "nir"}
    setup = pipeline.configure(parse.read(json.dumps(document)))
    strip = next(one for one in layout.of_chip(setup, "NIR", (2048, 420, 1, 271)).strips if one.order == 18)
    middle = strip.column.shape[1] // 2
    expected = np.gradient(strip.middle(strip.slit.offset))
    assert strip.dispersion()[:, middle] == pytest.approx(expected, rel=0.03)
    wavelength._move(strip, np.full(strip.wave.shape, 2.0))
    widths = np.gradient(strip.middle(strip.slit.offset))
    assert widths[5:-5] == pytest.approx(expected[5:-5], rel=0.01)
