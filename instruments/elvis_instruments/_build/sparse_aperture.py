"""Write sparse_apertures.toml of MICADO: holes on segments of the ELT, no two pairs of which have the same baseline.

Where the holes of the real masks are is not public, their numbers are. Of many random choices that take a segment after
the other, as long as all baselines differ, the one whose baselines are spread most evenly up to the whole pupil is
taken. Run it from the project's root:

    python instruments/elvis_instruments/_build/sparse_aperture.py
"""

import math
from itertools import combinations
from pathlib import Path

import numpy as np

from elvis_cli.instrument import telescopes
from elvis_cli.instrument.sourced_table import SourcedTable, read
from elvis_cli.model.telescope import PupilMask, Telescope
from elvis_cli.optics import pupil

HERE = Path(__file__).parents[1]
RADIUS = 0.55
"""Of a hole, m: within a segment."""
CLEAR = RADIUS + 0.3
"""Of a hole's middle from the middle of an arm, m."""
TRIES = 1500
Place = tuple[int, int, float, float]
"""Axial coordinates of a segment on its lattice, and x, y of its middle, m."""


def places(telescope: Telescope) -> list[Place]:
    """Return the segments that no arm touches."""
    pitch, smallest, largest = telescope.segments
    found = []
    for q in range(-40, 41):
        for r in range(-25, 26):
            x, y = r * pitch * math.sqrt(3.0) / 2, (q + r / 2) * pitch  # columns along y
            free = smallest <= math.hypot(x, y) <= largest
            for angle in map(math.radians, telescope.spider_angles):
                along, across = y * math.cos(angle) - x * math.sin(angle), x * math.cos(angle) + y * math.sin(angle)
                free &= along <= 0 or abs(across) >= CLEAR
            if free:
                found.append((q, r, x, y))
    return found


def choose(free: list[Place], count: int, seed: int) -> list[Place]:
    """Return ``count`` places, or fewer, of which all baselines differ."""
    chosen: list[Place] = []
    known: set[tuple[int, int]] = set()
    for n in np.random.default_rng(seed).permutation(len(free)):
        q, r, *_ = free[n]
        new = {(s * (q - a), s * (r - b)) for a, b, *_ in chosen for s in (1, -1)}
        if len(new) == 2 * len(chosen) and not new & known:
            chosen.append(free[n])
            known |= new
        if len(chosen) == count:
            break
    return chosen


def unevenness(chosen: list[Place], telescope: Telescope) -> float:
    """Return how unevenly the lengths of baselines are spread, and 1 if the longest are missing."""
    lengths = [math.dist(a[2:], b[2:]) for a, b in combinations(chosen, 2)]
    spread = np.histogram(lengths, 6, (0.0, telescope.diameter))[0]
    return float(np.std(spread) / len(lengths)) + float(max(lengths) < 0.98 * telescope.diameter)


def main() -> None:
    """Write the file."""
    tree = read(HERE / "_telescopes" / "elt.toml")
    telescope = telescopes.make(SourcedTable(tree, "elt.toml", root=tree))
    free, whole = places(telescope), pupil.raster(telescope)[0].sum()
    source = 'source = "ELVIS: computed by _build/sparse_aperture.py; where the real holes are is not public", assumed = true'
    parts = ["# Written by _build/sparse_aperture.py: MICADO's sparse-aperture masks. x, y and radius of holes on the primary mirror.\n"]
    for count in (9, 18):
        masks = [one for one in (choose(free, count, seed) for seed in range(TRIES)) if len(one) == count]
        best = min(masks, key=lambda one: unevenness(one, telescope))
        holes = tuple((round(x, 3), round(y, 3), RADIUS) for _, _, x, y in best)
        passed = pupil.raster(telescope, PupilMask("", holes=holes))[0].sum() / whole
        rows = ", ".join(f"[{x:g}, {y:g}, {r:g}]" for x, y, r in holes)
        parts.append(
            f'\n[pupil_masks."SAM-{count}"]\n'
            f'angle = {{ value = 0.0, unit = "deg", source = "ELVIS: the pupil stands upright", assumed = true }}\n'
            f'holes = {{ value = [{rows}], unit = "m", {source} }}\n'
            f'[filters."SAM-{count}".transmission]\nvalue = {passed:.4f}\nunit = "1"\n'
            'source = "light that the holes pass, computed from their sizes"\nassumed = true\n'
        )
    (HERE / "micado" / "sparse_apertures.toml").write_text("".join(parts))


if __name__ == "__main__":
    main()
