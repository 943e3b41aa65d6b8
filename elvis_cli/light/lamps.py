"""Lamps: what they shine, and how bright an operator sets them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.black_body import photon_radiance
from elvis_cli.light import cells, etalon
from elvis_cli.light.budget import PhotonBudget, per_pixel
from elvis_cli.light.uniform import UniformSource
from elvis_cli.model.calibration import Lamp
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Aperture, Trace, disc_peak
from elvis_cli.scene.spectrum import in_bins

POINTS = 65
"""Places along a trace at which its dispersion is looked at."""


def capacity(setup: Setup) -> float:
    """Return the electrons that a pixel can hold and the ADC can tell."""
    detector = setup.detector
    return min([detector.full_well, *((detector.adc_max - detector.bias) * chip.gain for chip in detector.chips)])


def instead(light: PhotonBudget, density: Mapping[str, Floats], setup: Setup) -> PhotonBudget:
    """Return the light with other uniform sources: electrons/s/um/arcsec2 (n,) on ``light.wave`` by origin."""
    background = per_pixel(density, light.width, setup.optics.pixel_scale)
    return replace(light, density=dict(density), background=background, resolved=None)


def continuum(lamps: tuple[Lamp, ...], light: PhotonBudget) -> Floats:
    """Return the lamps' black bodies as detected, any unit (n,), on ``light.wave``."""
    return _black_bodies(lamps, light.wave) * light.total


def behind_air(lamps: tuple[Lamp, ...], light: PhotonBudget) -> Floats:
    """Return `continuum` without the transmission of the air, (n,)."""
    return _black_bodies(lamps, light.wave) * light.passed


def _black_bodies(lamps: tuple[Lamp, ...], wave: Floats) -> Floats:
    shapes = [photon_radiance(wave, lamp.temperature) for lamp in lamps if lamp.temperature]
    return np.asarray(sum(shapes, np.zeros_like(wave)))


def lines(lamps: tuple[Lamp, ...], light: PhotonBudget) -> tuple[Floats, Floats]:
    """Return wavelengths (um, ascending) and strengths as detected of the lamps' lines within the band."""
    wave = np.concatenate([lamp.wave for lamp in lamps])
    strength = np.concatenate([lamp.strength for lamp in lamps])
    order = np.argsort(wave, kind="stable")
    wave, strength = wave[order], strength[order]
    return wave, strength * np.interp(wave, light.wave, light.total, left=0.0, right=0.0)


def brightest(density: Floats, light: PhotonBudget, setup: Setup, feed: str = "") -> float:
    """Return the most that a pixel gets of a uniform source: electrons/s, for electrons/s/um/arcsec2 (n,).

    The source is in front of the apertures with this ``feed`` alone, of all if none is given.
    """
    if setup.spectrograph is None:
        return float(np.sum(density * light.width)) * setup.optics.pixel_scale**2
    return max(
        float(np.max(np.interp(wave, light.wave, density) * efficiency * dispersion)) * width
        for _, width, wave, dispersion, efficiency in _traces(setup, feed)
    ) * setup.optics.pixel_scale  # fmt: skip


def brightest_line(wave: Floats, strength: Floats, setup: Setup, feed: str = "") -> float:
    """Return the most electrons/s that a pixel gets of a uniform source of lines of electrons/s/arcsec2.

    ``feed`` is as in `brightest`.
    """
    graph, most = setup.spectrograph, 0.0
    if graph is None:
        return most
    for trace, width, _, _, _ in _traces(setup, feed):
        inside = (wave >= trace.wave[0]) & (wave <= trace.wave[1])
        if not inside.any():
            continue
        detected = strength[inside] * trace.efficiency.at(wave[inside])
        widths = np.maximum(graph.line_widths(graph.apertures[trace.aperture], wave[inside]), 1.0)
        brightest_one = int(np.argmax(detected / widths))
        most = max(most, float(detected[brightest_one]) * width * (1.0 / float(widths[brightest_one])))
    return most * setup.optics.pixel_scale


def brightest_point(target: Floats, light: PhotonBudget, setup: Setup) -> float:
    """Return the most electrons/s that a pixel gets of a point of ``target`` electrons/s/um (n,) in a perfect image.

    The peak of the image is area / wavelength^2 per sr, but not more than all of it in a pixel.
    """
    pixel = math.radians(setup.optics.pixel_scale / 3600.0)
    wave = light.wave * 1e-6
    if setup.spectrograph is None:
        share = np.minimum(setup.optics.telescope.area * (pixel / wave) ** 2, 1.0)
        return float(np.sum(target * light.width * share))
    share = np.minimum(setup.optics.telescope.diameter * pixel / wave, 1.0)
    return max(
        float(np.max(np.interp(wave, light.wave, target * share) * efficiency * dispersion))
        for _, _, wave, dispersion, efficiency in _traces(setup)
    )


def filtered(lamps: Sequence[Lamp], density: Callable[[Floats], Floats], edges: Floats) -> Floats:
    """Return a continuum ``density`` averaged between ``edges`` (n + 1,), um, behind the lamps' etalons and cells."""
    found = density(edges)
    for lamp in lamps:
        if lamp.etalon is not None:
            found = found * etalon.transmission(lamp.etalon, edges)
        if lamp.cell:
            found = found * cells.transmission(lamp.cell, edges)
    return found


def _traces(setup: Setup, feed: str = "") -> Iterator[tuple[Trace, float, Floats, Floats, Floats]]:
    """Yield each trace, the width (arcsec) that a pixel sees, wavelengths (um) with um per pixel, and efficiency.

    Of fibres that lie in one slit it is the brightest. With a ``feed`` those of its apertures alone.
    """
    graph = setup.spectrograph
    assert graph is not None
    seen: dict[tuple[int, int], tuple[Trace, float]] = {}
    widths = {one: _width_of_row(one, graph.blur, setup.optics.pixel_scale) for one in set(graph.apertures)}
    for trace in graph.traces:
        if feed and graph.apertures[trace.aperture].feed != feed:
            continue
        width = widths[graph.apertures[trace.aperture]]
        course = (id(trace.x), id(trace.y)) if graph.apertures[trace.aperture].fibre else (id(trace), 0)
        if course not in seen or seen[course][1] < width:
            seen[course] = trace, width
    for trace, width in seen.values():
        wave = np.linspace(*trace.wave, POINTS)
        offset = graph.apertures[trace.aperture].offset
        dispersion = trace.dispersion(wave, offset, setup.detector.pixel_mm)
        yield trace, width, wave, dispersion, trace.efficiency.at(wave)


def _width_of_row(aperture: Aperture, blur: float, pixel_scale: float) -> float:
    """Return the width (arcsec) that a pixel sees; of a fibre, as its brightest row of pixels had it."""
    if not aperture.fibre:
        return aperture.width
    area = math.pi / 4 * aperture.extent[0] ** 2 * aperture.transmission / len(aperture.images)
    return area * disc_peak(aperture.length / pixel_scale, blur) / pixel_scale


def reference(light: PhotonBudget, setup: Setup) -> tuple[UniformSource, ...]:
    """Return the reference lamp of a spectrograph, which shines into fibres beside those that see the sky.

    Its brightest pixel is filled alike in exposures of any time, as by a filter of variable density.
    """
    graph = setup.spectrograph
    if graph is None or not graph.lamps or not any(one.feed == "lamp" for one in graph.apertures):
        return ()
    front = np.maximum(light.atmosphere * light.groups.get("telescope", np.ones_like(light.wave)), 1e-6)
    behind = replace(light, total=light.total / front)
    level = graph.fill * capacity(setup) / setup.exposure.dit if setup.exposure.dit > 0 else 0.0
    sources = []
    wave, strength = lines(graph.lamps, behind) if any(lamp.wave.size for lamp in graph.lamps) else (np.zeros(0),) * 2
    if (most := brightest_line(wave, strength, setup, "lamp")) > 0.0:
        sources.append(UniformSource("background", partial(in_bins, wave, strength * (level / most)), "lamp"))
    shine = continuum(graph.lamps, behind)
    if (most := brightest(shine, behind, setup, "lamp")) > 0.0:
        scaled = shine * (level / most)
        through = partial(filtered, graph.lamps, partial(_between, light.wave, scaled))
        sources.append(UniformSource("background", through, "lamp"))
    return tuple(sources)


def _between(wave: Floats, values: Floats, edges: Floats) -> Floats:
    return np.interp((edges[1:] + edges[:-1]) / 2, wave, values, left=0.0, right=0.0)
