"""Patterns of telescope offsets: a list of places, gone through some times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from elvis_cli.errors import RequestError, choice_error
from elvis_cli.observing import offset as offsets
from elvis_cli.observing.checked_object import CheckedObject
from elvis_cli.observing.frames import Frame, SlitFrame
from elvis_cli.observing.offset import TelescopeOffset

MAX_PATTERN_OFFSETS = 2000
"""Most offsets of a pattern."""


@dataclass(frozen=True, slots=True)
class OffsetPattern:
    """Offsets in their order, all in frames of one class."""

    name: str
    offsets: tuple[TelescopeOffset, ...]
    repeat: int = 1

    @property
    def label(self) -> str:
        """Name and repeats; only for people, so that it cannot grow into the name."""
        return f"{self.name} x{self.repeat}"

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads."""
        return {"name": self.name, "repeat": self.repeat, "offsets": [one.to_dict() for one in self.offsets]}

    def header(self) -> dict[str, Any]:
        """Return the cards of Keck's dictionary."""
        cards: dict[str, Any] = {"OPNAME": self.name, "OPREPEAT": self.repeat, "OPLENGTH": len(self.offsets)}
        for number, one in enumerate(self.offsets[:99], start=1):
            for key, value in (
                ("NAME", one.posname),
                ("DX", one.dx),
                ("DY", one.dy),
                ("REL", one.relative),
                ("FRM", one.frame.name),
                ("GUID", one.guide),
            ):
                cards[f"OP{number:02d}{key}"] = value
        return cards


def _star(**changes: Any) -> TelescopeOffset:
    return replace(TelescopeOffset(posname="star"), **changes)


def _sky(dx: float, dy: float) -> TelescopeOffset:
    return TelescopeOffset(dx, dy, posname="sky", guide=False)


def stare() -> tuple[TelescopeOffset, ...]:
    """Return one place, the target's."""
    return (_star(),)


def star_sky(dx: float = 10.0, dy: float = 10.0) -> tuple[TelescopeOffset, ...]:
    """Return the target, then the sky."""
    return _star(), _sky(dx, dy)


def sky_star(dx: float = 10.0, dy: float = 10.0) -> tuple[TelescopeOffset, ...]:
    """Return the sky, then the target."""
    return _sky(dx, dy), _star()


def star_sky_star(dx: float = 10.0, dy: float = 10.0) -> tuple[TelescopeOffset, ...]:
    """Return the target, the sky, the target; two places as a sequence of offsets."""
    return _star(), _sky(dx, dy), _star()


def box5(dx: float = 10.0, dy: float = 10.0) -> tuple[TelescopeOffset, ...]:
    """Return the middle and the corners of a box of 2 dx by 2 dy."""
    corners = ((0, 0), (1, 1), (1, -1), (-1, -1), (-1, 1))
    return tuple(_star(dx=x * dx, dy=y * dy, posname=f"box{n}") for n, (x, y) in enumerate(corners, start=1))


def abba(throw: float = 2.5) -> tuple[TelescopeOffset, ...]:
    """Return nods along the slit, or the field's y where there is none: half the throw up, down, down, up."""
    half = throw / 2
    return tuple(_star(dy=sign * half, frame=SlitFrame(), posname="A" if sign > 0 else "B") for sign in (1, -1, -1, 1))


def mosaic(nx: int = 2, ny: int = 2, dx: float = 10.0, dy: float = 10.0) -> tuple[TelescopeOffset, ...]:
    """Return the middles of nx by ny tiles about the target, row by row, every other row backwards."""
    if nx * ny > MAX_PATTERN_OFFSETS:
        raise ValueError(f"at most {MAX_PATTERN_OFFSETS} tiles")
    tiles = ((i if j % 2 == 0 else nx - 1 - i, j) for j in range(ny) for i in range(nx))
    return tuple(_star(dx=(i - (nx - 1) / 2) * dx, dy=(j - (ny - 1) / 2) * dy, posname=f"{i},{j}") for i, j in tiles)


BUILT_IN_PATTERNS: dict[str, Callable[..., tuple[TelescopeOffset, ...]]] = {
    "Stare": stare,
    "StarSky": star_sky,
    "SkyStar": sky_star,
    "StarSkyStar": star_sky_star,
    "Box5": box5,
    "ABBA": abba,
    "Mosaic": mosaic,
}
PATTERN_ARGUMENTS = {
    "StarSky": ("dx", "dy"), "SkyStar": ("dx", "dy"), "StarSkyStar": ("dx", "dy"), "Box5": ("dx", "dy"),
    "ABBA": ("throw",), "Mosaic": ("nx", "ny", "dx", "dy"),
}  # fmt: skip


def from_dict(node: Any, pointer: str, own: Mapping[str, Any] | None = None) -> OffsetPattern:
    """Return the pattern that an object describes: by its offsets, or by the name of one that is built in.

    ``own`` are the instrument's patterns, objects of this kind by their names.

    Raises
    ------
    RequestError
        There is no such pattern, or a member is wrong, or frames of two classes are mixed.
    """
    if isinstance(node, str):
        node = {"name": node}
    members = CheckedObject(node, pointer)
    repeat = members.integer("repeat", 1, 1, MAX_PATTERN_OFFSETS)
    if "offsets" in members:
        members = CheckedObject(node, pointer, ("name", "repeat", "offsets"))
        listed = members.items("offsets")
        if not 1 <= len(listed) <= MAX_PATTERN_OFFSETS:
            raise RequestError(members.at("offsets"), f"has {len(listed)} items", allowed=f"1 to {MAX_PATTERN_OFFSETS}")
        listed_offsets = tuple(offsets.from_dict(one, f"{members.at('offsets')}/{n}") for n, one in enumerate(listed))
        _one_frame([one.frame for one in listed_offsets], members.at("offsets"))
        return OffsetPattern(members.text("name", "pattern"), listed_offsets, repeat)
    name = members.text("name")
    spelling = {key.casefold(): key for key in BUILT_IN_PATTERNS}
    if name.casefold() not in spelling:
        if name in (own or {}):
            return replace(from_dict({"name": name, **(own or {})[name]}, pointer), repeat=repeat)
        raise choice_error(members.at("name"), name, [*BUILT_IN_PATTERNS, *(own or {})])
    name = spelling[name.casefold()]
    names = PATTERN_ARGUMENTS.get(name, ())
    members = CheckedObject(node, pointer, ("name", "repeat", *names))
    read: dict[str, float] = {
        key: members.integer(key, 2, 1, 100) if key in ("nx", "ny") else members.number(key, low=-3600, high=3600)
        for key in names
        if key in members
    }
    try:
        return OffsetPattern(name, BUILT_IN_PATTERNS[name](**read), repeat)
    except ValueError as error:
        raise RequestError(pointer, str(error)) from None


def _one_frame(used: list[Frame], pointer: str) -> None:
    kinds = {frame.kind for frame in used}
    if len(kinds) > 1:
        raise RequestError(pointer, f"mixes {' and '.join(sorted(kinds))}", allowed="frames of one class")


DEFAULT = OffsetPattern("Stare", stare())
