"""Write shaped_pupils.toml of HARMONI: amplitudes over the pupil that darken a ring around a star.

The drawings of the real masks are not public; their transmissions and smallest separations are. The masks here are
squares of grey (in print: of dots), symmetric about both axes; the least bounded squares of the field in the ring
(as Carlotti et al. 2011, Opt. Express 19, 26796, who make its largest value small) for the light that is to pass.
Run it from the project's root:

    python instruments/elvis_instruments/_build/shaped_pupil.py
"""

from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

from elvis_cli.instrument import telescopes
from elvis_cli.instrument.sourced_table import SourcedTable, read
from elvis_cli.optics import pupil

HERE = Path(__file__).parents[1] / "harmoni"
MASKS = {"SP1": (5.5, 12.0, 0.45), "SP2": (8.0, 16.0, 0.35), "SP3": (4.0, 9.0, 0.53), "SP4": (2.4, 6.0, 0.59)}
"""Dark ring (lambda/D) and transmission, which is BARE without a mask."""
BARE = 0.84
COARSER = 10
"""Samples of the pupil's raster in a square."""
PITCH = 0.7
"""lambda/D between the places at which the ring is held dark."""
ENOUGH = 0.008
"""Of the light that passes: 0.007 of the transmission."""
HOLD = 30.0
"""Weight of the light that is to pass."""


def solve(inner: float, outer: float, energy: float) -> tuple[np.ndarray, float, float, float]:
    """Return the squares (j, i) of a quarter, their pitch (m), the light that passes, and the ring's mean contrast."""
    tree = read(HERE / "_telescopes" / "elt_m6.toml")
    telescope = telescopes.make(SourcedTable(tree, "elt_m6.toml", root=tree))
    shape, step = pupil.raster(telescope)
    coarse = shape.reshape(len(shape) // COARSER, COARSER, -1, COARSER).mean(axis=(1, 3))
    half, pitch = len(coarse) // 2, step * COARSER
    quarter = coarse[half:, half:]
    axis = (np.arange(half) + 0.5) * pitch
    y, x = (part[quarter > 0] for part in np.meshgrid(axis, axis, indexing="ij"))
    light = quarter[quarter > 0] / quarter.sum()
    k = np.arange(0.0, outer + PITCH, PITCH)
    ky, kx = (part.ravel() for part in np.meshgrid(k, k, indexing="ij"))
    ring = (np.hypot(kx, ky) >= inner) & (np.hypot(kx, ky) <= outer)
    unit = 2 * np.pi / telescope.diameter
    field = light * np.cos(unit * np.outer(kx[ring], x)) * np.cos(unit * np.outer(ky[ring], y))
    passed = np.sqrt(energy) * 0.95
    for _ in range(5):  # the mean amplitude for which its mean square is the energy
        rows = np.concatenate([field, HOLD * light[None]])
        best = lsq_linear(rows, np.append(np.zeros(len(field)), HOLD * passed), (0.0, 1.0), tol=1e-6).x.round(2)
        got = float(light @ best**2)
        contrast = float(np.mean((field @ best) ** 2)) / float(light @ best) ** 2
        print(f"{inner}-{outer}: mean {passed:.4f}, energy {got:.4f}, contrast {contrast:.2e}", flush=True)
        if abs(got - energy) < ENOUGH:
            break
        passed *= (energy / got) ** 0.6
    if abs(got - energy) >= ENOUGH:
        raise SystemExit(f"{inner:g}-{outer:g} lambda/D: {got:.3f} passes, not {energy:.3f}")
    squares = np.zeros_like(quarter)
    squares[quarter > 0] = best
    return squares, pitch, got, contrast


def main() -> None:
    """Write the file."""
    parts = ["# Written by _build/shaped_pupil.py: HARMONI's apodisers, a quarter of each in squares.\n"]
    for name, (inner, outer, transmission) in MASKS.items():
        squares, pitch, energy, contrast = solve(inner, outer, transmission / BARE)
        rows = ",\n    ".join("[" + ",".join(f"{a:g}" for a in row) + "]" for row in squares)
        source = 'source = "ELVIS: computed by _build/shaped_pupil.py; the real mask is not public"'
        parts.append(
            f"\n# {energy:.3f} of the light passes; {contrast:.1e} of the peak from {inner:g} to {outer:g} lambda/D\n"
            f"[apodisers.{name}]\n"
            f'pitch = {{ value = {pitch:.6f}, unit = "m", {source}, assumed = true }}\n'
            f'[apodisers.{name}.pixels]\n# row: along y from the axis; column: along x\nvalue = [\n    {rows},\n]\n'
            f'unit = "1"\nassumed = true\n{source}\n'
        )
    (HERE / "shaped_pupils.toml").write_text("".join(parts))


if __name__ == "__main__":
    main()
