"""Cards that tell where in a nod and in a chop an exposure was taken, of which pairs are made."""

from __future__ import annotations

NOD_POSITION = "ESO SEQ NODPOS"
NOD_CYCLE = "ESO SEQ NODCYCLE"
CHOP_HALF = "ESO SEQ CHOP POS"
CHOP_CYCLE = "ESO SEQ CHOP CYCLE"
BEGINNINGS = ("ESO SEQ NOD", "ESO SEQ CHOP")
"""Of all keywords of pairs."""

Cards = dict[str, str | int | float]


def nod(position: str, cycle: int, throw: float) -> Cards:
    """Return the cards of ``position`` (A or B) of a nod ``throw`` arcsec wide; cycles count from 1."""
    return {NOD_POSITION: position, "ESO SEQ NODTHROW": throw, NOD_CYCLE: cycle}


def chop(half: str, cycle: int, throw: float) -> Cards:
    """Return the cards of a ``half`` (A or B) of a chop ``throw`` arcsec wide; cycles count from 1."""
    return {CHOP_HALF: half, "ESO SEQ CHOP THROW": throw, CHOP_CYCLE: cycle}
