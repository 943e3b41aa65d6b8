"""Write apodizer.toml of ERIS and METIS: a phase over the pupil that leaves half of the field around a star dark.

The patterns of the real plates are not public. These are odd about the axis, so that the focal-plane field is real,
and are found by Gauss-Newton steps on that field in the dark zone, with a penalty on the phase that is relaxed as the
steps go (the idea of Codona et al. 2006, SPIE 6269; Por 2017, SPIE 10400). Run it from the project's root:

    python instruments/elvis_instruments/_build/apodizer.py eris metis
"""

import sys
from pathlib import Path

import numpy as np

from elvis_cli.optics import pupil
from elvis_cli.instrument.sourced_table import SourcedTable, read
from elvis_cli.instrument import telescopes
from elvis_cli.instrument.coronagraphs import make_stop
from elvis_cli.model.telescope import PupilMask

HERE = Path(__file__).parents[1]
PLATES = {"eris": ("vlt_ut4", "APP", None), "metis": ("elt", "APP-LM", "APP-LM")}
"""Telescope, name of the plate, and its stop in the instrument's high_contrast.toml."""
INNER, OUTER, EDGE = 2.2, 10.0, 1.5
"""Dark zone: radii, and the straight edge's distance from the star, lambda/D."""
ORDER = 10
"""Sines of up to this many cycles across the pupil, along each axis."""
PENALTY, STEPS = 0.01, 25


def solve(instrument: str) -> tuple[np.ndarray, float, float]:
    """Return amplitudes (2 ORDER + 1, ORDER) in rad, Strehl ratio and mean intensity of the zone over the peak."""
    name, plate, stop = PLATES[instrument]
    tree = read(HERE / "_telescopes" / f"{name}.toml")
    telescope = telescopes.make(SourcedTable(tree, f"{name}.toml", root=tree))
    around = None
    if stop is not None:
        tables = read(HERE / instrument / "high_contrast.toml")
        around = make_stop(SourcedTable(tables["stops"][stop], "high_contrast.toml", root=tables))
    mask, step = pupil.raster(telescope, PupilMask(plate, stop=around))
    coarse = mask.reshape(len(mask) // 4, 4, -1, 4).mean(axis=(1, 3))
    axis = (np.arange(len(coarse)) - (len(coarse) - 1) / 2) * (4 * step / pupil.extent(telescope))
    x, y = (part[coarse > 0] for part in np.meshgrid(axis, axis))
    light = coarse[coarse > 0] / coarse.sum()
    v, u = (part.ravel() for part in np.meshgrid(np.arange(-ORDER, ORDER + 1), np.arange(1, ORDER + 1), indexing="ij"))
    sines = np.sin(2 * np.pi * (np.outer(u, x) + np.outer(v, y)))
    k = np.arange(-2 * OUTER, 2 * OUTER + 1) / 2
    kx, ky = np.meshgrid(k, k)
    radius = np.hypot(kx, ky)
    zone = (radius >= INNER) & (radius <= OUTER) & (kx >= EDGE)
    wave = np.exp(-2j * np.pi * (np.outer(kx[zone], x) + np.outer(ky[zone], y)))
    amplitude = np.zeros(len(sines))
    for n in range(STEPS):
        field = light * np.exp(1j * (amplitude @ sines))
        dark = (wave @ field).real
        slope = (wave @ (1j * field[:, None] * sines.T)).real
        square = slope.T @ slope
        weight = np.trace(square) / len(square) * max(PENALTY, 0.5 * 1.6**-n)
        goal = np.linalg.solve(square + weight * np.eye(len(square)), slope.T @ (slope @ amplitude - dark))
        amplitude += 0.5 * (goal - amplitude)
    amplitude = amplitude.round(3)
    field = light * np.exp(1j * (amplitude @ sines))
    peak = abs(field.sum()) ** 2
    return amplitude.reshape(2 * ORDER + 1, ORDER), peak, float(np.mean(abs(wave @ field) ** 2) / peak)


def main(instrument: str) -> None:
    """Write the file of an instrument."""
    amplitude, strehl, contrast = solve(instrument)
    plate = PLATES[instrument][1]
    rows = ",\n    ".join("[" + ", ".join(f"{a:g}" for a in row) + "]" for row in amplitude)
    (HERE / instrument / "apodizer.toml").write_text(
        f"# Written by _build/apodizer.py. Strehl ratio {strehl:.3f}; {contrast:.1e} of the peak in the dark zone, "
        f"a half disc\n# of {INNER:g} to {OUTER:g} lambda/D beyond {EDGE:g} lambda/D from the star.\n\n"
        f'[pupil_masks."{plate}".sines]\n'
        f"# row: {-ORDER}..{ORDER} cycles across the pupil along y; column: 1..{ORDER} along x\n"
        f'value = [\n    {rows},\n]\nunit = "rad"\nassumed = true\n'
        'source = "ELVIS: computed by _build/apodizer.py; the real pattern is not public"\n'
    )


if __name__ == "__main__":
    for each in sys.argv[1:]:
        main(each)
