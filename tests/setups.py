"""A Setup from plain numbers, and changes of its parts by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from elvis_cli.base.arrays import Floats
from elvis_cli.focalplane import many_stars
from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.exposure import Exposure
from elvis_cli.model.psf_model import AoPsf
from elvis_cli.model.setup import Frame, Goal, Optics, Setup
from elvis_cli.optics.ao.corrected import Corrected
from elvis_cli.optics.psf_types import Psf
from elvis_cli.request import places

PARTS = {"optics": Optics, "atmosphere": Atmosphere, "exposure": Exposure, "frame": Frame, "goal": Goal}
HOMES = {item.name: part for part, kind in PARTS.items() for item in fields(kind)}
"""The part of the Setup that a name belongs to."""
PSF = frozenset(("system", "guide_star_mag", "guide_stars", "guide"))
"""Names in an AoPsf."""


def target_in_field(document: Mapping[str, Any]) -> tuple[float, float]:
    """Return x, y (arcsec) in the field of the target of a request that has its place on the sky."""
    return places.offset(document["elvis"]["place"], document["elvis"])


def make(**values: Any) -> Setup:
    """Return a Setup; names of its parts' fields go to the parts, others are its own."""
    own = {name: value for name, value in values.items() if name not in HOMES}
    parts = {part: kind(**_of(part, values)) for part, kind in PARTS.items()}
    return Setup(**parts, **own)


def change(setup: Setup, **values: Any) -> Setup:
    """Return a Setup with fields of its parts, of its AoPsf, or of its own replaced."""
    own = {name: value for name, value in values.items() if name not in HOMES and name not in PSF}
    parts = {part: replace(getattr(setup, part), **_of(part, values)) for part in PARTS}
    psf = {name: value for name, value in values.items() if name in PSF}
    if psf:
        assert isinstance(setup.psf, AoPsf)
        own["psf"] = replace(setup.psf, **psf)
    return replace(setup, **parts, **own)


def _of(part: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if HOMES.get(name) == part}


def psf_at(setup: Setup, airmass: float, wave: Floats, weight: Floats, at: Floats) -> Psf:
    """Return the PSF of a Setup at another airmass."""
    return many_stars.psf_at(change(setup, airmass=airmass), wave, weight, at)


def corrected(setup: Setup, airmass: float, diameter: float) -> Corrected:
    """Return the error budget of a Setup's adaptive optics at another airmass."""
    assert isinstance(setup.psf, AoPsf)
    return Corrected(setup.psf, setup.optics.telescope, replace(setup.atmosphere, airmass=airmass), diameter)
