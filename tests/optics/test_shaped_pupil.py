"""Shaped pupils and the dimming spot of HARMONI's high-contrast mode; a star's speckles over the wavelengths of a cube.

Transmissions are those of FastCurves (ABidot/FastCurves, src/config.py): 0.84 without a mask.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.base.arrays import Floats
from elvis_cli.model.setup import Setup
from elvis_cli.optics import occulted_star, pupil
from elvis_cli.optics.occulted_star import OccultedStar
from elvis_cli.optics.psf_types import Psf
from elvis_cli.request import parse

WAVE = 1.6


@cache
def setup(apodiser: str, **keys: Any) -> Setup:
    """Return the Setup with an apodiser."""
    instrument = {"name": "harmoni", "ins_configuration": "ifs_hcao", "INS.APOD.NAME": apodiser, **keys}
    return pipeline.configure(parse.read(json.dumps({"instrument": instrument})))


def star(apodiser: str) -> tuple[Floats, Floats]:
    """Return the star without turbulence, its peak being 1, and the distances of its samples, lambda / D."""
    optics = setup(apodiser).optics
    assert optics.coronagraph is not None
    parts = occulted_star.operator(optics.telescope, optics.coronagraph)
    k = np.arange(-20.0, 20.01, 0.25)
    wave = np.exp(-2j * np.pi / parts.diameter * np.outer(k, parts.x))
    image = np.abs(wave @ parts.plain @ wave.T) ** 2
    return image / image.max(), np.hypot(k, k[:, None])


@pytest.mark.parametrize(
    ("apodiser", "transmission"), [("open", 0.84), ("SP1", 0.45), ("SP2", 0.35), ("SP3", 0.53), ("SP4", 0.59)]
)
def test_transmissions_of_the_apodisers(apodiser: str, transmission: float) -> None:
    optics = setup(apodiser).optics
    passed = [
        float(one.throughput.at(np.array([WAVE]))[0])
        for one in optics.surfaces
        if one.name in ("high-contrast module", "open")
    ]
    assert len(passed) == 2
    assert np.prod(passed) == pytest.approx(transmission, abs=0.01)


@pytest.mark.parametrize(("apodiser", "ring", "contrast"), [("SP1", (5.5, 12), 3e-6), ("SP3", (4, 9), 2e-5)])
def test_a_ring_is_dark(apodiser: str, ring: tuple[float, float], contrast: float) -> None:
    """Less than a tenth of what is there without a mask, and light where the ring ends."""
    image, r = star(apodiser)
    bare, _ = star("open")
    zone = (r > ring[0]) & (r < ring[1])
    assert image[zone].mean() < contrast
    assert image[zone].mean() < 0.1 * bare[zone].mean()
    outside = (r > ring[1] + 1) & (r < ring[1] + 3)
    assert image[outside].mean() > 5.0 * image[zone].mean()


def test_a_spot_dims_what_is_behind_it() -> None:
    """1e-4 within its radius, all light beyond, at any wavelength."""
    optics = setup("SP1").optics
    assert optics.coronagraph is not None
    unit = occulted_star.unit(optics, WAVE)
    table = occulted_star.transmission(optics.telescope, optics.coronagraph, optics.coronagraph.radius / unit)
    at = np.array([0.0, 0.069, 0.071, 0.3]) / unit
    assert table.of_peak(at) == pytest.approx([1e-4, 1e-4, 1.0, 1.0])
    assert table.of_energy(at) == pytest.approx([1e-4, 1e-4, 1.0, 1.0])


@pytest.mark.parametrize(
    ("key", "name"), [("INS.GRAT.NAME", "J"), ("INS.SCALE.NAME", "10x10"), ("INS.APOD.NAME", "SP_Prox")]
)
def test_what_the_mode_lacks_is_refused(key: str, name: str) -> None:
    instrument = {"name": "harmoni", "ins_configuration": "ifs_hcao", key: name}
    with pytest.raises(Exception, match=name):
        pipeline.configure(parse.read(json.dumps({"instrument": instrument})))


def test_speckles_grow_with_the_wavelength() -> None:
    """One pattern against theta / lambda: images of neighbouring wavelengths agree when one is shrunk, else not."""
    from elvis_cli.focalplane import behind_mask
    from elvis_cli.focalplane.behind_mask import BehindMask, Dimming, ExposureState

    device = replace(setup("SP1").optics.coronagraph, mask="none", static=0.0, drift=0.0)
    own = setup("SP1")
    own = replace(own, optics=replace(own.optics, coronagraph=device), exposure=replace(own.exposure, dit=0.3, count=1))
    nodes = []
    for wave in (1.5, 1.7):
        flat, none = np.full((1, 128, 128), 1e-4, np.float32), np.zeros((1, 128, 128), np.float32)
        halo = Psf(flat, flat[:, ::4, ::4], 1, 4, 60.0, 0.002, 1.0, 0.01)
        light = OccultedStar(replace(halo, fine=none), halo, 0.0)
        table = occulted_star.transmission(own.optics.telescope, device, 1.0)
        dim = Dimming(own, table, occulted_star.unit(own.optics, wave))
        nodes.append(BehindMask(halo, halo, halo, dim, 0.0, wave, True, light))
    waves = np.array([1.5, 1.6, 1.7])
    drawn = behind_mask.over_band(nodes, waves, ExposureState(1, 1, 0.0, 0.0))
    assert [one.wave for one in drawn] == list(waves)
    first, last = (one.star.fine[0] for one in (drawn[0], drawn[2]) if one.star is not None)
    shrunk = occulted_star.stretched(last, 1.5 / 1.7)
    offset = np.arange(128) - 64
    ring = np.abs(np.hypot(offset, offset[:, None]) - 45) < 10
    assert np.corrcoef(first[ring], shrunk[ring])[0, 1] > 0.95
    assert np.corrcoef(first[ring], last[ring])[0, 1] < 0.4
    mean = behind_mask.over_band(nodes, waves, ExposureState(1, 1, 0.0, 0.0, mean=True))[1].star
    assert mean is not None
    # a flat halo at the middle of two wavelengths: dimmed as (lambda_node / lambda)^2
    assert mean.fine[0][64, 64] == pytest.approx(1e-4 * 0.5 * ((1.5 / 1.6) ** 2 + (1.7 / 1.6) ** 2), rel=1e-5)


def test_the_phase_plate_of_the_integral_field() -> None:
    """0.62 to 0.66 of the peak is left (HEEPS: 0.65), three images stand in the field, and one side is dark."""
    own = pipeline.configure(parse.read('{"instrument": {"name": "metis", "ins_configuration": "lms_app"}}'))
    mask, telescope = own.optics.pupil_mask, own.optics.telescope
    assert mask is not None
    shape, step = pupil.raster(telescope, mask)
    wheel = next(one for one in own.optics.surfaces if one.name == "APP-LMS")
    open_part = float((shape**2).sum() / (pupil.raster(telescope)[0] ** 2).sum())
    assert float(wheel.throughput.at(np.array([3.8]))[0]) == pytest.approx(open_part, abs=0.001)
    field = shape * np.exp(1j * pupil.phase(replace(mask, grating=0.0), pupil.extent(telescope), step))
    assert np.abs(field.sum()) ** 2 / shape.sum() ** 2 == pytest.approx(0.64, abs=0.02)
    k, at = np.arange(-12.0, 12.01, 0.5), (np.arange(len(shape)) - (len(shape) - 1) / 2) * step
    wave = np.exp(-2j * np.pi / pupil.extent(telescope) * np.outer(k, at))
    image = np.abs(wave @ field @ wave.T) ** 2
    r = np.hypot(k, k[:, None])
    sides = [image[(r > 2.2) & (r < 10) & (side * k > 1.5)].mean() / image.max() for side in (1, -1)]
    assert min(sides) < 5e-5 < 1e-3 < max(sides)
    reach = mask.grating * 3.8e-6 / pupil.extent(telescope) * 206264.8
    assert reach < own.spectrograph.apertures[0].length / 2 if own.spectrograph else False
