"""What is above the telescope, whatever model it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.base.arrays import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """What is above the telescope."""

    wave: Floats
    """um, vacuum, (n,)."""
    transmission: Floats
    """0..1, (n,)."""
    emission: Floats
    """Photon/s/m2/um/arcsec2 at the ground: moonlight, stars, zodiacal light, airglow and the air's own heat, (n,)."""
    model: str
    """What it comes from, as the header names it."""
    notes: tuple[str, ...] = ()
