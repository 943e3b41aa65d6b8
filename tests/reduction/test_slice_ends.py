"""Light that the blur takes across the ends of slices: HARMONI's touch on the chip, or have one pixel between them."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import cube, flat_response, layout, slice_ends
from elvis_cli.reduction.frame import COSMIC_RAY, Frame
from elvis_cli.request import parse

WIDE, HIGH = 560, 96
"""Columns and rows of a chip: five slices, of which the first and the second touch, and the second and third do not."""
DIT, READ_NOISE, REALISATIONS = 600.0, 6.0, 16


def document(**block):
    made = registry.load("harmoni").example("ifs_ltao")
    made["target"]["brightness"]["mag"] = 14
    window = {"x0": 0, "y0": 2000, "nx": WIDE, "ny": HIGH}
    made["elvis"] = {"chips": [1], "window": window, "product": "expected", **block}
    return made


def electrons(request):
    """The noiseless image of the window, electrons in an exposure."""
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(request)), out)
    return fits.getdata(io.BytesIO(out.getvalue())).astype(float) * DIT


@pytest.fixture(scope="module")
def setting():
    """The setting, its response to light beside a pixel, and the slices of the window."""
    setup = pipeline.configure(parse.read(json.dumps(document())))
    name = setup.detector.chip(1).extname
    return setup, slice_ends.response_of(setup), layout.of_chip(setup, name, (WIDE, HIGH, 1, 2001)).strips


def reduced(strips, light, variance, response, flags=None):
    """The pixels of slices with their ends restored: electron/s of ``light``, the electrons of an exposure."""
    sci, var = (np.asarray(each, np.float32) for each in (light / DIT, variance / DIT**2))
    frame = Frame(sci, var, np.zeros(light.shape, np.uint32) if flags is None else flags, {})
    pixels = [cube._pixels(strip, frame, np.zeros_like(sci), DIT, 1.0) for strip in strips]
    dark = [np.zeros_like(one.sci) for one in pixels]
    slice_ends.restore(strips, pixels, dark, [1.0] * len(strips), frame, response)
    return pixels


def profile(strip, pixels):
    """The mean over the rows of the pixels inside a slice."""
    return pixels.sci.mean(axis=0)[strip.inside.all(axis=0)]


def test_even_light_has_no_step_at_the_ends(setting):
    """A lamp: less than 1 %, between slices that touch, that do not, and at the side of the chip; a fifth without."""
    _, response, strips = setting
    lamp = electrons(document(calibration="flat"))
    before, after = (reduced(strips, lamp, lamp + 1.0, one) for one in (None, response))
    steps = [[], []]
    for strip, *both in list(zip(strips, before, after, strict=True))[:5]:
        for found, pixels in zip(steps, both, strict=True):
            light = profile(strip, pixels)
            found += [light[end] / light[end + step] - 1 for end, step in ((0, 5), (1, 5), (-1, -5), (-2, -5))]
    print(np.round(steps, 4))
    assert np.abs(steps[0]).max() > 0.15
    assert np.abs(steps[1]).max() < 0.01


def test_the_response_of_last_pixels_is_their_own(setting):
    """A flat's light crosses the ends as that of the sky does: what is lost there is not in the response too.

    The last pixel had none, and the second from the end, corrected twice, was 0.7 % too bright.
    """
    _, response, strips = setting
    response = replace(response, coupling=0.0)  # as in an image without a detector
    lamp, own = electrons(document(calibration="flat")), np.random.default_rng(3).normal(1.0, 0.01, (HIGH, WIDE))
    flat, light, measured = (lamp * own).astype(np.float32), np.zeros_like(lamp), np.ones_like(lamp)
    lamps = [flat_response.lamp(strip, flat) for strip in strips]
    for strip, each in zip(strips, lamps, strict=True):
        strip.paste(light, np.broadcast_to(each[:, None], strip.column.shape))
    for strip, each in zip(strips, lamps, strict=True):
        strip.paste(measured, flat_response.response(strip, flat, each, slice_ends.shown(strip, light, response)))
    even = reduced(strips, flat / measured, flat + 1.0, response)
    for strip, pixels in list(zip(strips, even, strict=True))[1:5]:
        step = profile(strip, pixels) / np.median(profile(strip, pixels)) - 1
        columns = strip.column[0][strip.inside.all(axis=0)]
        away = measured[:, columns] / own[:, columns] - 1
        ends = [0, 1, -2, -1]
        print(np.round(step[ends], 5), np.round(away[:, ends].mean(axis=0), 5), np.round(away[:, ends].std(axis=0), 5))
        assert np.abs(step[ends]).max() < 0.002
        assert np.abs(away[:, ends]).max() < 0.01


@pytest.fixture(scope="module")
def sky():
    bare = document()
    bare["target"]["brightness"]["mag"] = 60
    return electrons(bare)


@pytest.mark.parametrize(("number", "lost", "ghost"), [(0, 0.0, 0.3), (1, 0.1, 0.0)])
def test_a_star_at_the_end_of_a_slice_keeps_its_light(setting, sky, number, lost, ghost):
    """A star in the middle of the field, half of it on this chip: all of that, and no image in the next slice.

    Without the restoration the next slice that touches has a third of its peak, a gap a tenth of its light.
    """
    setup, response, strips = setting
    star = electrons(document(offset=[setup.spectrograph.apertures[number].x, 0.0])) - sky
    random, kept, image = np.random.default_rng(1), np.zeros(2), np.zeros(2)
    for _ in range(REALISATIONS):
        noisy = random.poisson(np.maximum(star, 0.0)) + random.normal(0.0, READ_NOISE, star.shape)
        for n, own in enumerate((None, response)):
            pixels = reduced(strips, noisy, np.maximum(noisy, 0.0) + READ_NOISE**2, own)
            light = [profile(*each) for each in zip(strips, pixels, strict=True)]
            kept[n] += sum(map(np.sum, light)) / (star.sum() / HIGH / DIT) / REALISATIONS
            image[n] += light[number + 1][0] / light[number].max() / REALISATIONS
    print(np.round(kept, 4), np.round(image, 4))
    assert kept[0] < 1.01 - lost
    assert image[0] >= ghost
    assert kept[1] == pytest.approx(1.0, abs=0.01)
    assert image[1] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 300.0])
def test_scatter_is_the_error(setting, level):
    """Where there is nothing but noise, and with light of details of a pixel on both sides of an end."""
    _, response, strips = setting
    random, light = np.random.default_rng(2), np.zeros((HIGH, WIDE))
    light[:, 105:120:4] = level
    last = int(np.flatnonzero(strips[0].inside.all(axis=0))[-1])
    values, variances = [], []
    for _ in range(2 * REALISATIONS):
        noisy = random.poisson(light) + random.normal(0.0, READ_NOISE, light.shape)
        end = reduced(strips, noisy, light + READ_NOISE**2, response)[0]
        values.append(end.sci[:, last])
        variances.append(end.var[:, last] + np.maximum(end.sci[:, last], 0.0) / DIT)
    scatter = np.std(values, axis=0) / np.sqrt(np.mean(variances, axis=0))
    assert np.median(scatter) == pytest.approx(1.0, abs=0.1)


def test_a_bad_pixel_tells_nothing(setting):
    """A cosmic ray in the next slice's first pixel leaves the end as it is without that pixel's value."""
    _, response, strips = setting
    ends = []
    for value in (0.0, 1e6):
        light = np.full((HIGH, WIDE), 100.0)
        first = int(strips[1].column[0, np.flatnonzero(strips[1].inside.all(axis=0))[0]])
        light[40, first] = value
        flags = np.zeros(light.shape, np.uint32)
        flags[40, first] = COSMIC_RAY
        ends.append(reduced(strips, light, light + 1.0, response, flags)[0].sci[strips[0].inside])
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_edges_in_the_flat_leave_slices_that_nearly_touch_where_they_are(setting):
    """One has a pixel to either neighbour, half as bright: its edges are not where the light falls to half."""
    setup, _, _ = setting
    name = setup.detector.chip(1).extname
    lamp = electrons(document(calibration="flat", window={"x0": 600, "y0": 2000, "nx": WIDE, "ny": HIGH})).astype(
        np.float32
    )
    for strip in layout.of_chip(setup, name, (WIDE, HIGH, 601, 2001)).strips:
        before = strip.s.copy()
        flat_response.find_aperture(strip, lamp)
        assert np.abs(strip.s - before).max() < 0.02 * strip.scale
