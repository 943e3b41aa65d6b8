"""The air's absorption lines in spectra: from the model of the sky, at the airmass and the water of the header.

What a pipeline has from a fit of a model of the air to the spectrum (Smette et al. 2015, A&A 576, A77) is here the
model of the simulation at the conditions that the header tells; nothing is fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.spectral_grid import bin_edges, grid
from elvis_cli.errors import ResourceError
from elvis_cli.kernels.smooth import gaussian_taps
from elvis_cli.light.budget import needs_lines
from elvis_cli.model.request import SkyConditions
from elvis_cli.model.setup import Setup
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.raw import RawFile
from elvis_cli.sky import local
from elvis_cli.sky.resolved import resolve

OPAQUE = 0.05
"""Transmission below which nothing is known of the light above the air."""
CLEAR = 0.9
"""Transmission, over the most within `NEAR` pixels, from which a pixel is outside the air's lines."""
NEAR = 401
PARTS = 8
"""Of a pixel, in which the transmission is computed before lines are as wide as the spectrograph's."""
BINNED = 2 * 2.355**2 / 12
"""Pixels squared that a measured FWHM has in its square for the length of a pixel and that of a bin of the profile."""
MARGIN = 1e-3
"""Relative reach beyond a spectrum's ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """The air in front of the exposures of one set."""

    setup: Setup
    conditions: SkyConditions
    fwhm: float = math.inf
    """arcsec, of the source along the slit, as measured: its lines are narrower than the slit's where it is."""

    def transmission(self, aperture: int, wave: Floats) -> Floats:
        """Return the transmission (n,) that pixels of an aperture, from 1, see at ``wave`` (um, ascending or not)."""
        graph = self.setup.spectrograph
        assert graph is not None
        ascending = wave if wave[-1] > wave[0] else wave[::-1]
        edges = bin_edges(ascending)
        pixel = np.arange(edges.size)
        fine = np.interp(np.arange((edges.size - 1) * PARTS + 1) / PARTS, pixel, edges)
        low, high = fine[0] * (1 - MARGIN), fine[-1] * (1 + MARGIN)
        site = self.setup.atmosphere.site
        if needs_lines(self.setup):
            light = resolve(self.conditions, site, low, high).transmitted(fine)
        else:
            coarse = local.load(self.conditions, site, grid(low, high))
            light = np.interp((fine[1:] + fine[:-1]) / 2, coarse.wave, coarse.transmission)
        source = math.sqrt(max(self.fwhm**2 - BINNED * self.setup.optics.pixel_scale**2, 0.0))
        width = min(
            float(np.median(graph.line_widths(graph.apertures[aperture - 1], wave))),
            math.hypot(source / graph.dispersion_scale, graph.blur),
        )
        sigma = width * PARTS / 2.355
        half = gaussian_taps(sigma)
        taps = np.concatenate([half[:0:-1], half])
        blurred = np.convolve(np.pad(light, half.size - 1, "edge"), taps, "valid")
        seen = blurred.reshape(-1, PARTS).mean(axis=1)
        return np.asarray(seen if wave[-1] > wave[0] else seen[::-1])


def outside_lines(transmission: Floats) -> NDArray[np.bool_]:
    """Return which pixels (n,) of an order are outside the air's lines."""
    near = np.lib.stride_tricks.sliding_window_view(np.pad(transmission, NEAR // 2, "edge"), NEAR)
    return np.asarray(transmission > CLEAR * near.max(axis=1))


def air(file: RawFile, setup: Setup, fwhm: float) -> Air:
    """Return the air in front of an exposure of a source of ``fwhm`` arcsec.

    Raises
    ------
    ResourceError
        The header tells no airmass or no water, or the telescope is above the air.
    """
    if setup.atmosphere.site.space:
        raise ResourceError("--telluric sky: there is no air above this telescope")
    ends = [file.get(f"ESO TEL AIRM {when}") for when in ("START", "END")]
    water = file.get("ESO TEL AMBI IWV START")
    if None in ends or water is None:
        raise ResourceError(f"{file.name}: no TEL AIRM or TEL AMBI IWV, which --telluric sky needs")
    return Air(setup, SkyConditions(airmass=(float(ends[0]) + float(ends[1])) / 2, pwv=float(water)), fwhm)


def correction(
    files: FileSet, setup: Setup, method: str, fwhm: tuple[float, float] = (math.inf, math.inf)
) -> dict[str, Any]:
    """Return what `flux_standard.measure` needs to take the air's lines out of a set's spectra by a ``method``.

    ``fwhm`` (arcsec) are those of star and target. The air in front of the star tells in any case where lines are.
    """
    assert files.standard is not None
    star, target = files.standard.science[0], files.science[0]
    if method == "sky":
        seen = air(star, setup, fwhm[0])
        return {"lines": seen, "air": (seen, air(target, setup, fwhm[1]))}
    try:
        known: dict[str, Any] = {"lines": air(star, setup, fwhm[0])}
    except ResourceError:  # above the air, or a header that does not tell: the response is smoothed over all pixels
        known = {}
    if method == "standard":
        masses = [float(each.get("ESO TEL AIRM START", 1.0)) for each in (target, star)]
        known["power"] = masses[0] / masses[1]
    return known
