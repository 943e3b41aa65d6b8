"""The table ``[reduction]`` of an instrument: how its images are reduced.

``sky`` is "dithers" (pixel by pixel where the flat's noise on the sky asks for it, else smooth), "pixel" or "smooth";
``kernel`` is that of the drizzling; ``chop`` is the throw (arcsec) of modes that chop and nod.
``[reduction.modes.MODE]`` has them for one mode. What the user chooses goes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from elvis_cli.errors import ResourceError
from elvis_cli.instrument import registry
from elvis_cli.reduction.raw import RawFile

SKY = ("dithers", "pixel", "smooth")


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """How the images of a mode are reduced."""

    sky: str = "dithers"
    kernel: str | None = None
    """Of the drizzling; None = by the FWHM."""
    chop: float = 0.0
    """arcsec between the halves of a chop cycle, and of a nod; 0 = dithers."""


def of(first: RawFile) -> ImageRecipe:
    """Return the recipe of the instrument and mode that a raw header names; the usual one if it names none.

    Raises
    ------
    ResourceError
        The instrument's table has an unknown key or value.
    """
    return of_mode(first.get("ESO SIM INSTR"), first.get("ESO SIM MODE"))


def of_mode(instrument: object, mode: object) -> ImageRecipe:
    """Return the recipe of a mode, the usual one where ``instrument`` is None; errors as `of`."""
    table = tree(instrument)
    known = {each.name for each in fields(ImageRecipe)}
    own = table.get("modes", {}).get(str(mode), {})
    chosen = {key: value for key, value in {**table, **own}.items() if key not in ("modes", "esorex")}
    wrong = sorted(set(chosen) - known)
    if wrong:
        raise ResourceError(f"[reduction] has no key {', '.join(wrong)}", allowed=", ".join(sorted(known)))
    recipe = ImageRecipe(**chosen)
    if recipe.sky not in SKY:
        raise ResourceError(f"[reduction] sky is {recipe.sky!r}", allowed=", ".join(SKY))
    return recipe


def tree(instrument: object) -> Mapping[str, Any]:
    """Return the table of an instrument; {} if it is None or has none."""
    plugin = registry.load(str(instrument)) if instrument else None
    found: Mapping[str, Any] = getattr(plugin, "document", {}).get("reduction", {})
    return found
