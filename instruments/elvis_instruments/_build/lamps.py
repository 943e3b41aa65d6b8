"""Make the line lists of ``_lamps`` from those of public packages; run in the folder where their wheels are unpacked.

- pypeit 2.0.1 (BSD-3-Clause), ``NIRSPEC-ArNeKrXe_lines.dat``: Ne, Ar, Kr, Xe of NIST from 0.95 to 3.4 um;
- rascal 0.3.11 (BSD-3-Clause), ``all_nist.csv``: the same below, and Hg, scaled to the former where both have a line;
- pycrires 0.5.1 (MIT), ``lines_u_sarmiento.txt``, ``lines_u_redman.txt``, ``lines_thar.txt``: uranium and thorium;
- pypeit 2.0.1, ``ThAr_lines.dat``: thorium and argon below 1.089 um.

Strengths are relative, wavelengths vacuum. Of a crowd of lines the strongest are kept: MOST in each of WINDOW, of the
hollow cathodes, which echelles use, CATHODE_MOST.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Lines = NDArray[np.float64]
"""(n, 2): wavelength, um; strength."""
HERE = Path.cwd()
OUT = Path(__file__).parents[1] / "_lamps"
WINDOW, MOST, CATHODE_MOST = 0.01, 12, 40
NAMES = {"Ne": "neon", "Ar": "argon", "Kr": "krypton", "Xe": "xenon"}


def infrared(element: str) -> Lines:
    """Return an element's lines of the NIRSPEC list."""
    rows = []
    for line in (HERE / "pypeit/data/arc_lines/lists/NIRSPEC-ArNeKrXe_lines.dat").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0].startswith(element) and cells[4]:
            rows.append((float(cells[1]) * 1e-4, float(cells[4])))
    return np.array(rows)


def visible(element: str) -> Lines:
    """Return the lines of an element in the table of NIST that have a number for their strength, whatever flags it."""
    rows = []
    with (HERE / "rascal/arc_lines/all_nist.csv").open() as file:
        for row in csv.reader(file):
            try:
                wave, strength = float(row[2]) * 1e-4, float(row[4].rstrip("*bcdfhlpqrsw:?-, "))
            except ValueError:
                continue
            if row[0] == element and wave > 0.3 and strength > 0:
                rows.append((wave, strength))
    return np.array(rows)


def text(name: str) -> Lines:
    """Return a two-column list in nm; a line without strength is left out."""
    rows = [line.split() for line in (HERE / "pycrires/calib_data" / name).read_text().splitlines()]
    return np.array([(float(row[0]) * 1e-3, float(row[1])) for row in rows if len(row) == 2])


def thorium_argon() -> Lines:
    """Return the lines of thorium and argon of pypeit's list, without the unidentified."""
    rows = []
    for line in (HERE / "pypeit/data/arc_lines/lists/ThAr_lines.dat").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0].startswith(("Th ", "Ar ")) and float(cells[4]) > 0:
            rows.append((float(cells[1]) * 1e-4, float(cells[4])))
    return np.array(rows)


def joined(first: Lines, second: Lines, above: bool) -> Lines:
    """Return ``first`` and what of ``second`` lies above (or below) it, scaled by the lines of both."""
    apart = np.abs(first[:, 0] - second[:, 0][:, None])
    same = apart.min(axis=1) < 1e-5
    ratio = np.median(first[apart.argmin(axis=1)[same], 1] / second[same, 1])
    beyond = second[:, 0] > first[-1, 0] if above else second[:, 0] < first[0, 0]
    return np.vstack([first, second[beyond] * [1.0, ratio]])


def thinned(lines: Lines, most: int) -> Lines:
    """Return ascending lines, one of those at the same place, and only the strongest of each window."""
    lines = lines[np.lexsort((lines[:, 1], lines[:, 0]))]
    lines = lines[lines[:, 1] > 0]
    last = np.append(np.diff(lines[:, 0]) > 5e-7, True)
    lines = lines[last]
    kept: list[NDArray[np.float64]] = []
    for window in np.unique(lines[:, 0] // WINDOW):
        some = lines[lines[:, 0] // WINDOW == window]
        strong = some[np.argsort(some[:, 1])[-most:]]
        kept.append(strong[np.argsort(strong[:, 0])])
    return np.vstack(kept)


def write(name: str, title: str, source: str, lines: Lines, most: int = MOST) -> None:
    """Write one lamp's file."""
    lines = thinned(lines, most)
    lines[:, 1] /= lines[:, 1].max()
    digits = 8 if most == CATHODE_MOST else 7
    wave = ", ".join(f"{w:.{digits}g}" for w in lines[:, 0])
    value = ", ".join(f"{v:.3g}" for v in lines[:, 1])
    path = OUT / f"{name}.toml"
    path.write_text(
        f'# Made by _build/lamps.py.\nname = "{title}"\n'
        f'lines = {{ wave = [{wave}], value = [{value}], unit = "1", source = "{source}" }}\n'
    )
    print(f"{path.name}: {len(lines)} lines, {lines[0, 0]:.3f} to {lines[-1, 0]:.3f} um")


def main() -> None:
    """Make all files."""
    nist = "NIST ASD, relative intensities, through pypeit 2.0.1 (BSD-3-Clause) above 0.95 um and rascal 0.3.11 below"
    for element, name in NAMES.items():
        write(name, f"{name} lamp", nist, joined(infrared(element), visible(element), above=False))
    write("mercury", "mercury lamp", "NIST ASD through rascal 0.3.11 (BSD-3-Clause)", visible("Hg"))
    uranium = joined(text("lines_u_sarmiento.txt"), text("lines_u_redman.txt"), above=True)
    write(
        "uranium",
        "uranium hollow cathode",
        "Sarmiento et al. 2018 (A&A 618, A118) below 1.44 um, Redman et al. 2011 (ApJS 195, 24) above, "
        "through pycrires 0.5.1 (MIT)",
        uranium,
        CATHODE_MOST,
    )
    write(
        "thorium",
        "thorium-argon hollow cathode",
        "below 1.089 um ThAr_lines.dat of pypeit 2.0.1 (BSD-3-Clause): Palmer & Engleman 1983, Norlen 1973, Murphy et al. "
        "2007; above pycrires 0.5.1 (MIT): Kerber et al. 2008 (ApJS 178, 374), Engleman et al. 2003",
        joined(text("lines_thar.txt"), thorium_argon(), above=False),
        CATHODE_MOST,
    )


if __name__ == "__main__":
    main()
