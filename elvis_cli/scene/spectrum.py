"""The target's spectrum at the top of the atmosphere: shape, redshift, dust, then brightness."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.black_body import radiance
from elvis_cli.base.constants import LIGHT
from elvis_cli.base.spectral_grid import bin_edges
from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness, Sed, Target
from elvis_cli.scene import bands, dust, photospheres, templates

SAMPLES_PER_LN = 2000
"""Points per unit of ln(wavelength) where a spectrum is a formula."""
NARROW = 16
"""Bins: where a line is that all falls within so many is told by its light, not by the bins in which that is."""
MAX_UNCOVERED_FRACTION = 1e-3
"""Largest fraction of a band (by photons of a flat f_lambda) that a spectrum may leave uncovered."""


def flux(target: Target, wave: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Return the target's photon flux density (photon/s/m2/um, per arcsec2 if infinite) averaged over bins, and notes.

    ``wave`` is in um, ascending, (n,); the bins are those of `sky.bin_edges`, so that ``sum(flux * diff(edges))``
    conserves photons however coarse the bins are. The spectrum is shifted by (1 + z) and by the barycentric velocity,
    dimmed by dust, then scaled: magnitudes and line fluxes are observed ones.

    Raises
    ------
    RequestError
        The band or template does not exist, the spectrum does not reach the band, or the brightness is a flux
        though the spectrum is not a line.
    """
    edges = bin_edges(wave)
    if target.sed.kind in ("emissionline", "channel"):
        return _narrow(target, edges)
    points, values, notes = density(target, edges[0], edges[-1])
    return average(points, values, edges), (*notes, *_coverage_notes(points, edges))


def between(target: Target, edges: Floats, lines: bool = False) -> Floats:
    """Return `flux` averaged between ``edges`` (um, ascending, (n + 1,)), 0 where the spectrum does not reach.

    With ``lines`` a star's template has the absorption lines of its type.
    """
    if target.sed.kind in ("emissionline", "channel"):
        return _narrow(target, edges)[0]
    points, values, _ = density(target, edges[0], edges[-1])
    found = average(points, values, edges)
    star = _star(target.sed) if lines else None
    if star is None:
        return found
    shift = _shift(target.sed)
    wave, ratio = photospheres.ratio(
        *star, edges[0] / shift, edges[-1] / shift, target.sed.vsini, target.sed.macroturbulence
    )
    return found * (1.0 - average(wave * shift, 1.0 - ratio, edges))


def _star(sed: Sed) -> tuple[float, float] | None:
    """Return Teff (K) and log g of a template, None where it is not a star's."""
    if sed.kind != "template":
        return None
    choice = templates.find(sed.catalog, sed.id)
    return None if choice.temperature is None or choice.gravity is None else (choice.temperature, choice.gravity)


def line_notes(sed: Sed) -> tuple[str, ...]:
    """Return what the lines of a star's template lack."""
    star = _star(sed)
    return photospheres.notes(*star) if star else ()


def lines_of(sed: Sed) -> str:
    """Return whose lines a star's template has at R > 3000, and their resolution; "" for other spectra."""
    star = _star(sed)
    return photospheres.described(*star) if star else ""


def density(target: Target, lo: float, hi: float) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return wavelengths (um, (n,)), photon/s/m2/um at them (linear between them) of a continuous spectrum, and notes.

    They reach from ``lo`` to ``hi`` and over the band of its magnitude, or as far as the spectrum is known.

    Raises
    ------
    RequestError
        As `flux`.
    """
    brightness, shift = target.brightness, _shift(target.sed)
    if brightness.kind == "flux" and target.sed.kind in ("cube", "upload"):
        points, shape, notes = _shape(target.sed, lo / shift, hi / shift)
        values = shape * 10.0 ** (-0.4 * target.sed.extinction_av * dust.curve(points * shift))
        watts = float(np.trapezoid(values, points)) * shift
        return points * shift, points * shift * values * (bands.PHOTONS * brightness.flux / watts), notes
    if brightness.kind != "mag":
        raise RequestError(
            "/target/brightness/brightnesstype",
            "a flux in W/m2 is that of an emission line; a continuous spectrum is scaled by a magnitude",
            found=brightness.kind,
            allowed=["mag"],
        )
    band = bands.load(brightness.band)
    lo, hi = min(band.wave[0], lo), max(band.wave[-1], hi)
    points, shape, notes = _shape(target.sed, lo / shift, hi / shift)
    points = points * shift
    _check_coverage(points, band)
    values = points * shape * 10.0 ** (-0.4 * target.sed.extinction_av * dust.curve(points))
    photons = band.integral(points, values)
    if not photons > 0:
        raise RequestError(
            "/target/brightness/magband", f"the spectrum has no light in band {band.name}", found=band.name
        )
    scale = 10.0 ** (-0.4 * brightness.mag) * band.zero_point(brightness.system) / photons
    return points, scale * values, (*notes, *band.notes)


def reach(sed: Sed) -> tuple[float, float] | None:
    """Return the wavelengths (um) that enclose all light of a line or channel; None for a continuous spectrum."""
    if sed.kind == "channel" and sed.uploaded is not None:
        return sed.uploaded[0][0], sed.uploaded[0][-1]
    if sed.kind != "emissionline":
        return None
    centre, sigma = gaussian(sed)
    return centre - 6 * sigma, centre + 6 * sigma


def moving(sed: Sed, velocity: float) -> Sed:
    """Return the spectrum of a source that moves away at ``velocity`` (km/s) besides its redshift.

    Relativistic: wavelengths grow by sqrt((1 + v/c) / (1 - v/c)).
    """
    if not velocity:
        return sed
    beta = velocity * 1e3 / LIGHT
    return replace(sed, redshift=(1 + sed.redshift) * math.sqrt((1 + beta) / (1 - beta)) - 1)


def _shift(sed: Sed) -> float:
    """Return the ratio of observed to emitted wavelength.

    The barycentric correction is added to a measured velocity: where it is positive the light arrives bluer.
    """
    shift = (1 + sed.redshift) / (1 + sed.velocity * 1e3 / LIGHT)
    if not (math.isfinite(shift) and shift > 0):
        raise RequestError("/target/sed/redshift/redshift", "leaves no light", found=sed.redshift, allowed="above -1")
    return shift


def _shape(sed: Sed, lo: float, hi: float) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return emitted wavelength (um), f_lambda (any unit) over lo..hi as far as the spectrum reaches, and notes."""
    if sed.kind == "template":
        template = templates.load(sed.catalog, sed.id, lo, hi)
        return template.wave, template.flux, template.notes
    if sed.kind in ("upload", "cube"):
        if sed.uploaded is None:
            raise RequestError(
                "/target/sed/spectrum/spectrumtype", "upload: give the spectrum with --sed FILE or in /elvis/sed"
            )
        points, values = np.array(sed.uploaded)
        # The unit is the user's own: keep its size out of the arithmetic.
        return points, values / values.max(), ()
    points = np.geomspace(lo, hi, max(3, math.ceil(SAMPLES_PER_LN * math.log(hi / lo)) + 1))
    if sed.kind == "blackbody":
        return points, radiance(points, sed.temperature), ()
    return points, (points / points[0]) ** sed.exponent, ()


def _check_coverage(points: Floats, band: bands.Band) -> None:
    covered = np.array([points[0], points[-1]])
    whole = np.array([band.wave[0], band.wave[-1]])
    part = band.integral(covered, covered) / band.integral(whole, whole)
    if part < 1 - MAX_UNCOVERED_FRACTION:
        raise RequestError(
            "/target/brightness/magband",
            f"the spectrum covers {points[0]:.4g}-{points[-1]:.4g} um (observed), "
            f"band {band.name} needs {band.wave[0]:.4g}-{band.wave[-1]:.4g} um",
            found=band.name,
        )


def _coverage_notes(points: Floats, edges: Floats) -> tuple[str, ...]:
    """Return a note if the spectrum covers only part of ``edges``; raise RequestError if it covers nothing."""
    if points[-1] <= edges[0] or points[0] >= edges[-1]:
        raise RequestError(
            "/target/sed/spectrum",
            f"the spectrum covers {points[0]:.4g}-{points[-1]:.4g} um (observed), nothing of the {edges[0]:.4g}-"
            f"{edges[-1]:.4g} um that are seen",
        )
    # One sample at either end is outside the passband.
    if points[0] > edges[2] or points[-1] < edges[-3]:
        return (
            f"the spectrum covers {points[0]:.4g}-{points[-1]:.4g} um (observed): no light from the target outside",
        )
    return ()


def average(points: Floats, density: Floats, edges: Floats) -> Floats:
    """Return the exact averages between ``edges`` of a ``density`` that is linear between ``points``, 0 outside."""
    total = np.concatenate([[0.0], np.cumsum(np.diff(points) * (density[1:] + density[:-1]) / 2)])
    at = np.clip(edges, points[0], points[-1])
    k = np.clip(np.searchsorted(points, at, side="right") - 1, 0, len(points) - 2)
    dx = at - points[k]
    slope = (density[k + 1] - density[k]) / (points[k + 1] - points[k])
    primitive = total[k] + dx * (density[k] + 0.5 * slope * dx)
    return np.asarray(np.diff(primitive) / np.diff(edges))


def in_bins(wave: Floats, strength: Floats, edges: Floats) -> Floats:
    """Return lines per um averaged between ``edges`` (n + 1,): each shared by two bins so that its place is kept."""
    middle, found = (edges[1:] + edges[:-1]) / 2, np.zeros(edges.size - 1)
    at = np.interp(wave, middle, np.arange(middle.size), left=-1.0, right=-1.0)
    inside = at >= 0.0
    low = np.minimum(at[inside].astype(int), max(middle.size - 2, 0))
    part = at[inside] - low
    np.add.at(found, low, strength[inside] * (1.0 - part))
    np.add.at(found, np.minimum(low + 1, middle.size - 1), strength[inside] * part)
    return found / np.diff(edges)


def _narrow(target: Target, edges: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Return the photon flux density of a line or a channel in each bin, and notes.

    The light of one that is narrow compared with the bins is shared by neighbours so that its place is kept.
    """
    band = reach(target.sed)
    if band is None or band[1] - band[0] >= NARROW * (edges[1] - edges[0]):
        return _averaged(target, edges)
    near = np.linspace(*band, 8 * NARROW + 1)
    found, _ = _averaged(target, near)
    _, notes = _averaged(target, edges)
    return in_bins((near[1:] + near[:-1]) / 2, found * np.diff(near), edges), notes


def _averaged(target: Target, edges: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Return the photon flux density of a line or a channel averaged over each bin, and notes."""
    if target.sed.uploaded is not None:
        points, density = np.array(target.sed.uploaded)
        return average(points, density, edges), ()
    return _line(target.sed, target.brightness, edges)


def gaussian(sed: Sed) -> tuple[float, float]:
    """Return the observed centre and sigma (um) of a line."""
    shift = _shift(sed)
    return sed.line_wavelength * 1e-3 * shift, max(sed.line_fwhm * 1e-3 * shift, 1e-9) / math.sqrt(8 * math.log(2))


def _line(sed: Sed, brightness: Brightness, edges: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Return the photon flux density of a Gaussian line averaged over each bin, and notes."""
    centre, sigma = gaussian(sed)
    notes: tuple[str, ...] = ()
    if brightness.kind == "flux":
        photons = brightness.flux * bands.PHOTONS * centre
        if sed.extinction_av:
            notes = ("the line's flux is the observed one: extinction does not dim it further",)
    else:
        band = bands.load(brightness.band)
        near = centre + sigma * np.linspace(-6, 6, 241)
        passed = band.integral(near, np.exp(-0.5 * ((near - centre) / sigma) ** 2)) / (sigma * math.sqrt(2 * math.pi))
        if passed < MAX_UNCOVERED_FRACTION:
            raise RequestError(
                "/target/brightness/magband",
                f"the line at {centre * 1e3:.6g} nm lies outside band {band.name}, so its magnitude there says nothing "
                f"about it; give its flux, or a band that holds it",
                found=band.name,
            )
        photons = 10.0 ** (-0.4 * brightness.mag) * band.zero_point(brightness.system) / passed
        notes = band.notes
    z = (edges - centre) / (sigma * math.sqrt(2))
    below = np.where(z > 0, 1.0, 0.0)
    close = np.flatnonzero(np.abs(z) < 6)
    below[close] = [0.5 + 0.5 * math.erf(v) for v in z[close]]
    inside = below[-1] - below[0]
    if inside < MAX_UNCOVERED_FRACTION:
        notes += (
            f"the line at {centre * 1e3:.6g} nm lies outside the {edges[0]:.4g}-{edges[-1]:.4g} um that are seen",
        )
    return photons * np.diff(below) / np.diff(edges), notes
