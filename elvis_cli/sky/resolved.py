"""The sky at the resolution of spectrographs: lines of the molecules, of the airglow and of sunlight.

The table of R = 6000 (`elvis_cli.sky.local`) says how much each of its bins transmits and emits; optical depths at
600000 samples per unit of ln(wavelength), lists of airglow lines and the Sun's spectrum say where in the bin. So
averages over the table's bins stay as they are, and an image and a spectrum of the same sky agree.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import depths, npy
from elvis_cli.base.arrays import Floats
from elvis_cli.base.spectral_grid import bin_edges, grid
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.request import SkyConditions
from elvis_cli.scene import photospheres
from elvis_cli.scene.spectrum import average, in_bins
from elvis_cli.sky import local

DATA = Path(__file__).parents[1] / "data"
MIN_RESOLUTION = 3000.0
"""R above which a spectrograph sees more than the table of R = 6000 has."""
MARGIN = 0.002
"""Part of the wavelength that is added at either end of a band."""
ROUNDS, POWERS = 6, (0.3, 3.0)
"""How often the depths are fitted to the table, and by which powers of the transmission at most."""
USABLE = (0.01, 0.9995)
"""Mean transmissions of a bin between which a power is fitted: beyond, a power says nothing."""
EXACT_ROUNDS, OPAQUE, CLEAR = 5, 1e-5, 1.0 - 1e-6
"""Rounds in which the bins are met one by one, and the mean transmissions between which they are."""
CONTINUUM = 31
"""Bins over which a continuum is smooth: 0.5 % of the wavelength."""
FLOOR = 1e-4
"""Added to a transmission or an emissivity that shapes an emission: bins that are black have no shape."""
OXYGEN = (1.24, 1.30)
"""um: airglow of molecular oxygen, from the level whose lines absorb there."""
OH_SCALE = 0.025
"""Airglow's photon/s/m2/arcsec2 for an intensity of 1 of the list, at zenith beside the band of OXYGEN."""
NEIGHBOUR = 0.05
"""Weight of a line in the flux of a bin beside its own: where the table's bin has a line of its own, it gets all."""
ATOMS = np.array(
    [(0.5578887, 3000.0), (0.6302046, 3000.0), (0.6365536, 1000.0), (0.5891583, 600.0), (0.5897558, 300.0)]
)
"""O I 557.7339, 630.0304, 636.3776, Na D 588.9951, 589.5924 nm in air (NIST), in vacuum um; weights against OH's."""


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedSky:
    """Transmission and emission of the sky between its lines, and in them."""

    wave: Floats
    """um, vacuum, at rest with the observatory (n,)."""
    transmission: Floats
    """0..1 (n,)."""
    emission: Floats
    """Photon/s/m2/um/arcsec2 at the ground (n,), but for the airglow's lines."""
    sunlight: Floats
    """The Sun's flux over its mean at R = 6000 (n,)."""
    line_wave: Floats
    """um (m,), ascending."""
    line_photons: Floats
    """Photon/s/m2/arcsec2 at the ground (m,); their widths (0.7 km/s) are below the grid's resolution."""

    def transmitted(self, edges: Floats) -> Floats:
        """Return the transmission (n,) averaged between ``edges`` (um, (n + 1,)); 0 beyond the band."""
        part = self._near(edges)
        return average(self.wave[part], self.transmission[part], edges)

    def sunlit(self, edges: Floats) -> Floats:
        """Return the transmission times the Sun's lines (n,), averaged between ``edges`` (um, (n + 1,)).

        Twilight is sunlight that has crossed the air.
        """
        part = self._near(edges)
        return average(self.wave[part], self.transmission[part] * self.sunlight[part], edges)

    def emitted(self, edges: Floats) -> Floats:
        """Return photon/s/m2/um/arcsec2 (n,) averaged between ``edges`` (um, (n + 1,)); 0 beyond the band."""
        part = self._near(edges)
        lines = in_bins(self.line_wave, self.line_photons, edges)
        return average(self.wave[part], self.emission[part], edges) + lines

    def _near(self, edges: Floats) -> slice:
        start, stop = np.searchsorted(self.wave, (edges[0], edges[-1]))
        start = min(max(int(start) - 1, 0), self.wave.size - 2)
        return slice(start, max(int(stop) + 1, start + 2))


def resolve(conditions: SkyConditions, site: Site, low: float, high: float) -> ResolvedSky:
    """Return the sky in these conditions from ``low`` to ``high`` um, on the samples of the depths' tables."""
    coarse_wave = grid(*(np.clip((low * (1 - MARGIN), high * (1 + MARGIN)), 0.3, 14.9)))
    coarse = local.components(conditions, site, coarse_wave)
    edges = bin_edges(coarse_wave)
    wave, water, dry = _depths(float(edges[0]), float(edges[-1]), coarse)
    pressure = math.exp((local.ELEVATION - site.elevation) / local.SCALE_HEIGHT)
    depth = conditions.airmass * (dry * pressure + conditions.pwv * water)
    depth = _anchored(depth, wave, coarse, edges)
    molecules = np.exp(-depth)
    at, sun = photospheres.solar(float(wave[0]), float(wave[-1]))
    sun = np.interp(wave, at, sun)
    place, photons, rest = _lines(coarse, edges, wave, molecules, dry)
    scattered = coarse.zodiacal if coarse.moon is None else coarse.zodiacal + coarse.moon
    emission = (
        _shaped(scattered, molecules * sun, wave, edges, coarse_wave)
        + _shaped(coarse.starlight + (coarse.glow - coarse.lines), molecules, wave, edges, coarse_wave)
        + _shaped(coarse.thermal, -np.expm1(-depth), wave, edges, coarse_wave)
        + np.interp(wave, coarse_wave, rest)
    )
    transmission = molecules * np.exp(-np.interp(wave, coarse_wave, coarse.smooth))
    return ResolvedSky(wave, transmission, emission, sun, place, photons)


@functools.cache
def _table(name: str) -> depths.PackedRows:
    return depths.load(DATA / name)


def _depths(low: float, high: float, coarse: local.Components) -> tuple[Floats, Floats, Floats]:
    """Return wavelengths (um) and the depths per airmass of water (per mm) and of the rest.

    Below the tables the molecules are those of the coarse grid, all of them dry.
    """
    waves, rows = [], []
    first, last = _table("air"), _table("air_mid")
    seam = last.first
    start = first.first
    if low < start:
        below = coarse.wave[coarse.wave < start]
        waves.append(below)
        rows.append(np.stack([np.zeros(below.size), coarse.molecules_table[: below.size]]))
    for table, lo, hi in ((first, low, min(high, seam)), (last, max(low, seam), high)):
        part = table.part(lo, hi) if lo < hi else slice(0, 0)
        wave = table.wave(part)
        keep = wave > waves[-1][-1] if waves and waves[-1].size else np.ones(wave.size, bool)
        waves.append(wave[keep])
        rows.append(table.depths(part)[:, keep])
    water, dry = np.concatenate(rows, axis=1)
    return np.concatenate(waves), water, dry


def _anchored(depth: Floats, wave: Floats, coarse: local.Components, edges: Floats) -> Floats:
    """Return the depth times a power of each bin, so that its mean transmission is that of the coarse grid.

    A power on the transmission keeps it below 1, where a factor would not. Depth that a whole neighbourhood of bins
    lacks is a continuum, and is added: as a power it would deepen the lines. First the power is interpolated between
    the bins; what is left is solved bin by bin (Newton's method on ln of -ln of the mean). Where the table or the
    depths are opaque or clear (OPAQUE, CLEAR) a power says nothing.
    """
    wanted = np.exp(-coarse.molecules)
    depth = depth + np.interp(wave, coarse.wave, _continuum(depth, wave, coarse, edges))
    for _ in range(ROUNDS):
        mean = np.clip(average(wave, np.exp(-depth), edges), 1e-12, 1.0 - 1e-12)
        fits = (mean > USABLE[0]) & (mean < USABLE[1]) & (wanted > 0.0)
        power = np.ones(mean.size)
        power[fits] = np.clip(coarse.molecules[fits] / -np.log(mean[fits]), *POWERS)
        depth = depth * np.interp(wave, coarse.wave, power)
    home = np.clip(np.searchsorted(edges, wave, side="right") - 1, 0, edges.size - 2)
    target = np.maximum(coarse.molecules, 1e-12)
    for _ in range(EXACT_ROUNDS):
        passed = np.exp(-depth)
        mean = np.clip(average(wave, passed, edges), 1e-12, 1.0 - 1e-12)
        fits = (mean > OPAQUE) & (wanted > OPAQUE) & (mean < CLEAR)
        growth = np.maximum(average(wave, depth * passed, edges) / (mean * -np.log(mean)), 0.05)
        power = np.ones(mean.size)
        power[fits] = np.clip((target[fits] / -np.log(mean[fits])) ** (1.0 / growth[fits]), *POWERS)
        depth = depth * power[home]
    return depth


def _continuum(depth: Floats, wave: Floats, coarse: local.Components, edges: Floats) -> Floats:
    """Return the depth (n,) that most bins about each lack, 0 where they lack none: of water, of colliding N2 and O2.

    Median over the transparent ones of CONTINUUM bins, smoothed over as many.
    """
    mean = np.clip(average(wave, np.exp(-depth), edges), 1e-12, 1.0)
    lacking = np.where(coarse.molecules < 1.0, coarse.molecules + np.log(mean), np.nan)
    if lacking.size < CONTINUUM:
        return np.zeros(lacking.size)
    half = CONTINUUM // 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(lacking, half, constant_values=np.nan), CONTINUUM)
    known = np.isfinite(windows).any(axis=1)
    median = np.zeros(lacking.size)
    median[known] = np.maximum(np.nanmedian(windows[known], axis=1), 0.0)
    box = np.ones(CONTINUUM) / CONTINUUM
    return np.asarray(np.convolve(np.pad(median, half, mode="edge"), box, "valid"))


def _shaped(coarse: Floats, shape: Floats, wave: Floats, edges: Floats, coarse_wave: Floats) -> Floats:
    """Return an emission with a ``shape`` (0..1, on ``wave``) whose means over the bins are those of ``coarse``."""
    shape = shape + FLOOR
    level = coarse / average(wave, shape, edges)
    for _ in range(ROUNDS):
        found = np.interp(wave, coarse_wave, level) * shape
        mean = average(wave, found, edges)
        level = level * np.clip(np.divide(coarse, mean, out=np.ones_like(mean), where=mean > 0.0), *POWERS)
    return np.interp(wave, coarse_wave, level) * shape


def _lines(
    coarse: local.Components, edges: Floats, wave: Floats, molecules: Floats, dry: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return wavelengths (um, ascending) and photon/s/m2/arcsec2 of the airglow's lines within the band.

    The third are photon/s/m2/um/arcsec2 (n,) of the bins near which no line is known.
    """
    flux = coarse.lines * np.diff(edges)
    place, intensity = _line_list()
    inside = (place > edges[0]) & (place < edges[-1])
    place, weight = place[inside], intensity[inside] * np.interp(place[inside], wave, molecules)
    own = np.minimum(np.histogram(place, edges, weights=weight)[0] * OH_SCALE, flux)
    glowing = (coarse.wave > OXYGEN[0]) & (coarse.wave < OXYGEN[1])
    oxygen = np.where(glowing, flux - own, 0.0)
    hydroxyl, served = _shared(place, weight, flux - oxygen, edges)
    peaks = 1 + np.flatnonzero((dry[1:-1] > dry[:-2]) & (dry[1:-1] >= dry[2:]) & (dry[1:-1] > 0.01))
    peaks = peaks[(wave[peaks] > OXYGEN[0]) & (wave[peaks] < OXYGEN[1])]
    band, served_band = _shared(wave[peaks], dry[peaks], oxygen, edges)
    rest = np.where(served, 0.0, flux - oxygen) + np.where(served_band, 0.0, oxygen)
    place, photons = np.concatenate([place, wave[peaks]]), np.concatenate([hydroxyl, band])
    order = np.argsort(place, kind="stable")
    return place[order], photons[order], rest / np.diff(edges)


def _shared(place: Floats, weight: Floats, flux: Floats, edges: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the photons (m,) of lines at ``place`` that share the ``flux`` (n,) of bins, and which bins have a line.

    A bin's flux goes to the lines in it and in its neighbours by ``weight``; those of neighbours count NEIGHBOUR.
    """
    home: NDArray[np.intp] = np.searchsorted(edges, place) - 1
    photons = np.zeros(place.size)
    near = [(home + shift, weight * (1.0 if shift == 0 else NEIGHBOUR)) for shift in (-1, 0, 1)]
    demand = np.zeros(flux.size)
    for at, part in near:
        inside = (at >= 0) & (at < flux.size)
        demand += np.bincount(at[inside], part[inside], flux.size)
    for at, part in near:
        inside = (at >= 0) & (at < flux.size) & (part > 0.0)
        photons[inside] += flux[at[inside]] * part[inside] / demand[at[inside]]
    return photons, demand > 0.0


@functools.cache
def _line_list() -> tuple[Floats, Floats]:
    """Return wavelengths (um, ascending) and relative intensities of OH's and atoms' lines."""
    place, intensity = np.concatenate([npy.load(DATA / "airglow_lines.npy"), ATOMS.T], axis=1)
    order = np.argsort(place, kind="stable")
    return place[order], intensity[order]
