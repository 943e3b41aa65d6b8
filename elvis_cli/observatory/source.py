"""A source of the catalogue, its names, and sources that are one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from elvis_cli.base.arrays import Floats


@dataclass(frozen=True, slots=True)
class Source:
    """One object of the sky."""

    name: str
    """Of letters A to Z, digits and underscores; the names of the catalogue are among the aliases."""
    ra: float
    """Degrees, ICRS, at the time of the observations."""
    dec: float
    mag: float = float("nan")
    magerr: float = float("nan")
    filter: str = ""
    aliases: tuple[str, ...] = ()
    local_names: Mapping[str, str] = field(default_factory=dict)
    """By observatory."""

    @property
    def folder(self) -> str:
        """Folder of its files: RA000 to RA359."""
        return f"RA{int(self.ra) % 360:03d}"


def legal(name: str) -> str:
    """Return a name of A to Z, digits and underscores that does not begin with a digit.

    Signs of coordinates become P and M, so that names of two hemispheres stay two.
    """
    signed = re.sub(r"(?<=[0-9])\+(?=[0-9])", "P", name.strip())
    signed = re.sub(r"(?<=[0-9])[-\u2212](?=[0-9])", "M", signed)
    made = re.sub(r"[^A-Z0-9_]", "_", signed.upper())
    return f"_{made}" if not made or made[0].isdigit() else made


def unit_vectors(ra: Floats, dec: Floats) -> Floats:
    """Return unit vectors (n, 3) of places in degrees."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)


def chord(radius: float) -> float:
    """Return the distance between unit vectors that are ``radius`` arcsec apart."""
    return 2.0 * float(np.sin(np.radians(radius / 3600.0) / 2.0))


def merged(sources: Sequence[Source], radius: float = 2.0) -> list[Source]:
    """Return the sources, those within ``radius`` arcsec of each other as one: the brightest, with all aliases.

    Places are those at the time of the observations. The order is that of the first of each.
    """
    from scipy.spatial import cKDTree

    if len(sources) < 2 or radius <= 0.0:
        return list(sources)
    places = unit_vectors(np.array([one.ra for one in sources]), np.array([one.dec for one in sources]))
    pairs = cKDTree(places).query_pairs(chord(radius), output_type="ndarray")
    if len(pairs) == 0:
        return list(sources)
    head = list(range(len(sources)))

    def first(n: int) -> int:
        while head[n] != n:
            n = head[n]
        return n

    for i, j in pairs:
        low, high = sorted((first(int(i)), first(int(j))))
        head[high] = low
    groups: dict[int, list[Source]] = {}
    for n, one in enumerate(sources):
        groups.setdefault(first(n), []).append(one)
    return [_one(group) for group in groups.values()]


def _one(group: Sequence[Source]) -> Source:
    best = min(group, key=lambda one: (one.mag if np.isfinite(one.mag) else np.inf, one.name))
    names = [name for one in group for name in (one.name, *one.aliases)]
    local = {key: value for one in reversed(group) for key, value in one.local_names.items()}
    return replace(
        best,
        aliases=tuple(dict.fromkeys(name for name in names if name != best.name)),
        local_names={**local, **best.local_names},
    )
