"""The photon budget: throughput from the top of the atmosphere to electrons, sky and thermal emission."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.black_body import photon_radiance
from elvis_cli.base.constants import ARCSEC2
from elvis_cli.base.spectral_grid import bin_edges, grid
from elvis_cli.light import cells
from elvis_cli.model.request import SkyConditions
from elvis_cli.model.setup import Setup
from elvis_cli.optics.throughput import throughput
from elvis_cli.sky import local
from elvis_cli.sky.load import load
from elvis_cli.sky.resolved import MIN_RESOLUTION, ResolvedSky, resolve


@dataclass(frozen=True, slots=True, eq=False)
class PhotonBudget:
    """Transmission and background from the top of the atmosphere to the detector, whatever the target.

    Arrays are (n,) on ``wave`` (um), the grid of the sky table within the passband.
    """

    wave: Floats
    width: Floats
    """Bin widths, um."""
    atmosphere: Floats
    """Transmission, 0..1."""
    groups: dict[str, Floats]
    """Throughput of each group of surfaces (telescope, relay, instrument, filter) and of the detector."""
    total: Floats
    """Product of all of them and the atmosphere."""
    area: float
    """Collecting area, m2."""
    emission: Floats
    """Photon/s/m2/um/arcsec2 of the sky at the ground."""
    sky_model: str
    """Where the sky comes from."""
    density: dict[str, Floats]
    """Electrons/s/um/arcsec2 by origin: sky, then each emitting surface."""
    background: dict[str, float]
    """Electrons/s/pixel by origin: `density` over the passband and a pixel."""
    mean_throughput: float
    """Atmosphere to detector, averaged over photons of a flat photon spectrum through the filter alone."""
    notes: tuple[str, ...]
    passed: Floats
    """`total` without the atmosphere."""
    resolved: ResolvedSky | None = None
    """The sky at the resolution of the spectrograph; None where the table's R = 6000 is enough, or all there is."""
    cell: str = ""
    """The absorption cell (`elvis_cli.light.cells`) that all light from the sky passes, not part of `total`."""

    def electrons_per_photon(self, edges: Floats) -> Floats:
        """Return `total` averaged between ``edges`` (um, (n + 1,)), with all lines of the air and of a cell: (n,)."""
        middle = (edges[1:] + edges[:-1]) / 2
        if self.resolved is None:
            electrons = np.interp(middle, self.wave, self.total, left=0.0, right=0.0)
        else:
            passed = np.interp(middle, self.wave, self.passed, left=0.0, right=0.0)
            electrons = passed * self.resolved.transmitted(edges)
        return electrons * cells.transmission(self.cell, edges) if self.cell else electrons

    @property
    def background_rate(self) -> float:
        """Electrons/s/pixel of sky and warm surfaces."""
        return sum(self.background.values())


def compute(conditions: SkyConditions, setup: Setup, model: str = "local") -> PhotonBudget:
    """Return the photon budget of a Setup under a sky of ``conditions`` and a ``model`` (local or skycalc).

    Each warm surface adds its emissivity times the Planck radiance of its temperature, seen through everything that
    follows it; the beam has the telescope's etendue, area times the solid angle of a pixel.
    """
    optics = setup.optics
    wave = grid(*optics.band)
    width = np.diff(bin_edges(wave))
    sky = load(conditions, setup.atmosphere.site, wave, model)
    site = setup.atmosphere.site
    known = not site.space and sky.model == local.MODEL
    resolved = resolve(conditions, site, *optics.band) if known and needs_lines(setup) else None
    qe = setup.detector.qe.at(wave) * optics.throughput_factor
    area = optics.telescope.area

    groups: dict[str, Floats] = {}
    for surface in optics.surfaces:
        groups[surface.group] = groups.get(surface.group, np.ones_like(wave)) * surface.throughput.at(wave)
    groups["detector"] = qe
    passed = throughput(optics.surfaces, wave) * qe
    total = sky.transmission * passed

    density = {"sky": sky.emission * passed * area}
    behind = qe
    for surface in reversed(optics.surfaces):
        emissivity = surface.emissivity.at(wave)
        if emissivity.any():
            emission = emissivity * photon_radiance(wave, surface.temperature) * ARCSEC2 * behind * area
            density[surface.name] = density.get(surface.name, 0.0) + emission
        behind = behind * surface.throughput.at(wave)

    passband = groups.get("filter", np.ones_like(wave)) * width
    return PhotonBudget(
        wave=wave,
        width=width,
        atmosphere=sky.transmission,
        groups=groups,
        total=total,
        area=area,
        emission=sky.emission,
        sky_model=sky.model,
        density=density,
        background=per_pixel(density, width, optics.pixel_scale),
        mean_throughput=float(np.sum(total * width) / passband.sum()) if passband.sum() > 0 else 0.0,
        notes=sky.notes,
        passed=passed,
        resolved=resolved,
        cell="" if setup.spectrograph is None else setup.spectrograph.cell,
    )


def needs_lines(setup: Setup) -> bool:
    """Return whether a Setup's spectrograph resolves more than the table of R = 6000."""
    graph = setup.spectrograph
    return graph is not None and graph.resolving_power(setup.optics.band, setup.detector.pixel_mm) > MIN_RESOLUTION


def per_pixel(density: Mapping[str, Floats], width: Floats, pixel_scale: float) -> dict[str, float]:
    """Return electrons/s/pixel by origin of densities in electrons/s/um/arcsec2 on bins of ``width`` um."""
    pixel = pixel_scale**2
    return {origin: float(np.sum(values * width)) * pixel for origin, values in density.items()}
