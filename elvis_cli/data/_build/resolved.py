"""Lay out the tables of high resolution as ELVIS reads them, and compute the Sun's residual spectrum.

What they are made from - HITRAN's lines, the solar FTS atlas, ESO's library at R = 60000, a list of solar lines, an
LTE synthesis with linemake's lines - is larger than public packages hold, or is not in one; so the tables are computed
elsewhere, and `make data` keeps the shipped files. With ELVIS_HIGH_RESOLUTION, a folder of their sources (air.npz,
oh.npz, stars.npz, sun.npz), they are laid out anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from elvis_cli.base import depths
from elvis_cli.base.arrays import Floats
from elvis_cli.data._build.packages import Provenance

FOLDER = "ELVIS_HIGH_RESOLUTION"
SUN_FIRST, SUN_LAST, STEP = 0.38, 5.45, 1 / 300000
"""um; step of ln(wavelength)."""
REACH = 60.0
"""cm-1 to either side of a solar line, and so many widths for a broad one."""


def sun(source: Path) -> Floats:
    """Return flux over continuum at the samples, exp(-sum s exp(-x^2 / sqrt(d^4 + x^2 y^2))) with x in cm-1."""
    with np.load(source) as lines:
        place, depth, wing, doppler = (lines[name].astype(float) for name in ("wavenumber", "strength", "wing", "doppler"))
    wave = SUN_FIRST * np.exp(STEP * np.arange(int(np.log(SUN_LAST / SUN_FIRST) / STEP)))
    wavenumber = 1e4 / wave[::-1]
    total = np.zeros(wave.size)
    for nu, s, y, d in zip(place, depth, wing, doppler, strict=True):
        # Where the exponent is 12: x^2 = 12 sqrt(d^4 + x^2 y^2).
        reach = min(np.sqrt(72.0 * y**2 + np.sqrt(5184.0 * y**4 + 144.0 * d**4)), REACH)
        a, b = np.searchsorted(wavenumber, (nu - reach, nu + reach))
        x2 = (wavenumber[a:b] - nu) ** 2
        total[a:b] += s * np.exp(-x2 / np.sqrt(d**4 + x2 * y**2))
    return np.exp(-total[::-1])


def build(out: Path) -> list[Provenance]:
    """Write the tables if their sources are at hand; return their provenance in any case."""
    if folder := os.environ.get(FOLDER):
        _write(Path(folder), out)
    else:
        print(f"air, airglow_lines, photospheres and sun are not rebuilt: no public package has what they are made from "
              f"(set {FOLDER} to the folder of their sources)", file=sys.stderr)  # fmt: skip
    return _PROVENANCE


def _write(folder: Path, out: Path) -> None:
    with np.load(folder / "air.npz") as air:
        scale = float(air["k"]), float(air["x0"])
        for name, start in (("air", ""), ("air_mid", "mid_")):
            steps = np.stack([air[f"{start}water"], air[f"{start}dry"]])
            q = np.cumsum(steps, axis=1, dtype=np.int32)
            depths.save(out / name, depths.pack(q, float(air[f"{start}first"]), float(air[f"{start}ratio"]), scale))
    with np.load(folder / "oh.npz") as oh:
        np.save(out / "airglow_lines.npy", np.stack([oh["wave"], oh["intensity"].astype(float)]))
    with np.load(folder / "stars.npz") as stars:
        b = np.cumsum(stars["depth"], axis=1, dtype=np.uint8)
        depths.save(out / "photospheres", depths.pack(b, float(stars["first"]), float(stars["ratio"])))
    b = np.rint(255.0 * np.sqrt(np.clip(1.0 - sun(folder / "sun.npz"), 0.0, 1.0))).astype(np.uint8)
    depths.save(out / "sun", depths.pack(b[None], SUN_FIRST, float(np.exp(STEP))))


_PROVENANCE = [
    Provenance(
        "computed for ELVIS",
        "2026",
        "computed tables; HITRAN2020 parameters as published by Allart et al. 2022 (MIT); atlas and library of splat 1.14 (MIT)",
        "HITRAN2020; NSO FTS atlas; LBL_A30_s5_R0060000_T",
        "air.npy, air_index.npz, air_mid.npy, air_mid_index.npz",
        "Gordon et al. 2022, JQSRT 277, 107949; Allart et al. 2022, A&A 666, A196; Livingston & Wallace 1991, NSO Technical "
        "Report 91-001; Noll et al. 2012, A&A 543, A92. NSO/Kitt Peak FTS data used here were produced by NSF/NOAO",
        "optical depth per airmass of water (per mm) and of all other molecules above 2640 m: Voigt lines in 14 layers at "
        "0.40-0.80 and 0.90-1.78 um; the atlas's telluric column at 1.78-1.82, 1.93-2.50, 2.88-4.17 and 4.55-5.19 um; ESO's "
        "library elsewhere and as the anchor of all; 600000 samples per unit of ln(wavelength), 60000 beyond 5.4 um",
    ),
    Provenance(
        "computed for ELVIS",
        "2026",
        "published list, as public pipelines carry it (BSD-3-Clause)",
        "OH lines",
        "airglow_lines.npy",
        "Rousselot et al. 2000, A&A 354, 1134",
        "vacuum wavelengths (um) and relative intensities of the 2628 lines that have one",
    ),
    Provenance(
        "computed for ELVIS",
        "2026",
        "computed tables; model of synspec 1.0.3; lines of linemake (no licence stated; cited)",
        "LTE synthesis",
        "photospheres.npy, photospheres_index.npz",
        "MARCS Sun (Gustafsson et al. 2008); linemake: Placco et al. 2021, RNAAS 5, 92, and Kurucz; Barklem & Collet 2016; "
        "John 1988",
        "flux over continuum of 11 stars at 0.38-2.5 um, R = 150000: plane-parallel LTE, atoms and first ions, no molecules; "
        "1 - (b/255)^2",
    ),
    Provenance(
        "computed for ELVIS",
        "2026",
        "computed spectrum; the list is of a public retrieval code (Caltech/JPL, BSD-type)",
        "solar line list",
        "sun.npy, sun_index.npz",
        "G. C. Toon 2010, disc-integrated solar lines",
        "flux over continuum computed from the list's strengths, wings and Doppler widths at 0.38-5.45 um; 1 - (b/255)^2; the "
        "list itself is not shipped",
    ),
]
