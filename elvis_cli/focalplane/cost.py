"""Memory and processor time that drawing spectra takes, known before anything is drawn; measured factors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from elvis_cli.focalplane import convolution, crowd_plane, many_stars, slit_plane
from elvis_cli.focalplane.aperture_light import MAX_KEPT_BYTES, ApertureLight
from elvis_cli.focalplane.fibre_light import FibreLight
from elvis_cli.focalplane.samples import MIN_REACH
from elvis_cli.focalplane.slit_plane import SlitPlane
from elvis_cli.focalplane.spectrometer import Spectrometer
from elvis_cli.focalplane.trace import SampledTrace, to_pixels
from elvis_cli.light.compose import Scene
from elvis_cli.light.groups import Group
from elvis_cli.model.detector import Detector
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.limits import Cost
from elvis_cli.model.setup import Frame

FLOAT, DOUBLE = 4, 8
"""Bytes of a number of an image, and of a spectrum."""
SECONDS = {
    "star": 3e-6,
    "transform": 2e-7,
    "zone": 0.03,
    "fibre": 2e-3,
    "order": 1.5e-6,
    "spectrum": 2e-7,
    "extracted": 2e-7,
    "layer": 4e-8,
}
"""Processor seconds for a star, a pixel of a transform, the PSF of a zone, a fibre at a wavelength, a sample of
an order, one of the spectrum in a fibre, one that the prediction extracts, and an element of the layers of a trace."""
RESOLVED_BYTES, TRANSFORM_BYTES = 80e6, 40
"""Bytes of memory of the resolved spectrum of the sky, and for a pixel of a transform."""
BESIDE = 1.3
"""How many times as much memory as its arrays a slit plane takes."""
SHOWN = 9
"""Places along a trace at which it is looked for on a chip."""


def estimate(spectrometer: Spectrometer, frame: Frame) -> Cost:
    """Return what drawing a frame takes beyond the request's arrays and the program."""
    light = spectrometer.apertures
    cost = (
        _of_fibres(light, spectrometer.scene.centre) if isinstance(light, FibreLight) else _of_apertures(light, frame)
    )
    return cost if light.light.budget.resolved is None else replace(cost, memory=cost.memory + RESOLVED_BYTES)


def _of_fibres(light: FibreLight, target: tuple[float, float]) -> Cost:
    """Return the cost of the spectra of all fibres in all orders, and of extracting those near the target."""
    scenes = [group.scene for group in light.groups]
    parts = len({one.part for one in light.light.uniform} | {part for scene in scenes for part in _parts(scene)})
    seeing = sum(one.feed == "sky" for one in light.spectrograph.apertures)
    points = sum(scene.x.size for scene in scenes)
    around = max(len(patch.members) for patch in light.plane.patches)
    lit = seeing if any("galaxies" in _parts(scene) for scene in scenes) else min(seeing, points * around)
    kept = sum(len(band.traces) * band.sampled.wave.size for band in light.bands) * FLOAT * parts
    most = max(_bins([band.sampled]) + band.sampled.wave.size for band in light.bands) * DOUBLE * lit
    seconds = SECONDS["fibre"] * lit * light.plane.wave.size + SECONDS["star"] * points
    seconds += (SECONDS["order"] + SECONDS["spectrum"] * lit) * sum(band.sampled.wave.size for band in light.bands)
    near = light.spectrograph.near(target, MIN_REACH * light.light.setup.optics.pixel_scale)
    seconds += SECONDS["extracted"] * sum(light.traces[number].wave.size for number in near)
    return Cost(kept + most, seconds)


def _of_apertures(light: ApertureLight, frame: Frame) -> Cost:
    """Return the cost of the images of the slit plane and of the layers of all traces."""
    plane, groups = light.plane, light.groups
    windows = {plane.window(number) for number in range(len(light.spectrograph.apertures))}
    pixels = sum(window.nx * window.ny for window in windows)
    crowded = crowd_plane.is_crowded(plane, [group.scene for group in groups])
    haloes = crowd_plane.MAX_HALOES if crowded else 0
    shown, elements = _reaching(light, windows) if crowded else (groups, 0)
    parts = [(group, len(_parts(group.scene)) - bool(crowded and group.scene.rate.size)) for group in shown]
    images = sum(_drawn(light, group) * count for group, count in parts) + haloes * plane.wave.size
    psfs = plane.psfs[0]
    margin = math.ceil(min(2.0 * psfs.fine_radius, convolution.CORE))
    transformed = [(window.nx + 2 * margin) * (window.ny + 2 * margin) for window in windows]
    zones = [one.zones.places.size for one in set(plane.imagers) if isinstance(one.zones, many_stars.PsfGrid)]
    core = (2 * (many_stars.HALF + 3) * psfs.oversample) ** 2
    bank = (many_stars.PHASES + 1) ** 2 * (2 * many_stars.HALF + 1) ** 2
    stars = sum(one.psf.fine.nbytes + one.psf.coarse.nbytes for one in set(plane.imagers))
    stars += FLOAT * (core * sum(zones) + bank * min(max(zones, default=0), _zones_within(plane)))
    layers = [_layers(light, shown, haloes, sampled) for sampled in light.traces]
    seen = max(sum(layers[n] for n in _shown(light.traces, light, frame, chip)) for chip in frame.chips)
    buffers = TRANSFORM_BYTES * max(transformed) if images > plane.wave.size else 0
    orders = {sampled.trace.order: sampled for sampled in light.traces}.values()
    spectra = sum(_bins([one]) * DOUBLE for one in orders) * (len(groups) + len(light.light.uniform))
    memory = float(spectra + stars + buffers) + pixels * (FLOAT * images + DOUBLE * plane.wave.size) + FLOAT * elements
    memory += (sum(layers) if sum(layers) < MAX_KEPT_BYTES else seen) + 5 * max(layers)
    seconds = SECONDS["transform"] * sum(transformed) * images
    seconds += SECONDS["zone"] * sum(zones) + SECONDS["layer"] * sum(layers) / FLOAT
    return Cost(BESIDE * memory, seconds)


def _parts(scene: Scene) -> list[str]:
    """Return which parts of the light a scene has."""
    wide = scene.extended or scene.galaxies or scene.surface
    return ["stars"] * bool(scene.rate.size) + ["galaxies"] * bool(wide)


def _drawn(light: ApertureLight, group: Group) -> int:
    """Return at how many wavelengths the plane is drawn for a group."""
    low, high = light.plane.neighbours(group.band)
    return high + 1 - low


def _layers(light: ApertureLight, shown: Sequence[Group], haloes: int, sampled: SampledTrace) -> float:
    """Return the bytes of the layers of a trace, of the groups that are ``shown`` and some ``haloes``."""
    aperture, waves = light.aperture(sampled), light.plane.wave
    low, high = sampled.trace.wave
    crossed = min(int(np.count_nonzero((waves > low) & (waves < high))) + 2, waves.size)
    lit = [one for one in shown if one.band is None or (one.band[1] > low and one.band[0] < high)]
    strips = slit_plane.strips(aperture, light.spectrograph.dispersion_scale)
    along = 2 * aperture.length / sampled.spatial_scale
    wings = 0 if haloes else waves.size
    spectra = (len(lit) + haloes + len(light.light.uniform) + wings + 1) * sampled.wave.size
    parts = haloes + sum(len(_parts(one.scene)) for one in lit)
    return FLOAT * (spectra + parts * crossed * strips * along)


def _reaching(light: ApertureLight, windows: Iterable[Window]) -> tuple[list[Group], int]:
    """Return the groups of a crowd that windows of the slit plane may show, and the elements of their cores' images."""
    groups, elements = [], 0
    for group in light.groups:
        boxes = [lit for window in windows if (lit := crowd_plane.box(light.plane, group.scene, window))]
        if boxes or "galaxies" in _parts(group.scene):
            groups.append(group)
        elements += sum((y.stop - y.start) * (x.stop - x.start) for y, x in boxes)
    return groups, elements * light.plane.wave.size


def _zones_within(plane: SlitPlane) -> int:
    """Return how many zones of the PSF the cores on a slit plane may need."""
    detector, scale = plane.setup.detector, plane.setup.optics.pixel_scale
    sides = [math.ceil(n * scale / many_stars.LEAST_PITCH) + 2 for n in (detector.nx, detector.ny)]
    return sides[0] * sides[1]


def _bins(members: Sequence[SampledTrace]) -> int:
    """Return the number of bins of the spectra of some traces."""
    low, high = (float(f(one.wave[n] for one in members)) for f, n in ((min, 0), (max, -1)))
    return math.ceil((high - low) / min(float(np.diff(one.wave).min()) for one in members)) + 1


def _shown(traces: Sequence[SampledTrace], light: ApertureLight, frame: Frame, chip: int) -> Iterable[int]:
    """Yield the numbers of the traces that a window of a chip may show."""
    detector: Detector = light.light.setup.detector
    window, one = frame.window, detector.chip(chip)
    for number, sampled in enumerate(traces):
        aperture = light.aperture(sampled)
        wave = np.linspace(*sampled.trace.wave, SHOWN)
        ends = [sampled.trace.place(wave, np.full(SHOWN, aperture.offset + side * aperture.length)) for side in (-1, 1)]
        x, y = np.concatenate([np.stack(to_pixels(*end, one, detector)) for end in ends], axis=1)
        across = x.max() > window.x0 and x.min() < window.x0 + window.nx
        if across and y.max() > window.y0 and y.min() < window.y0 + window.ny:
            yield number
