"""Make the table of the night sky: ESO's SkyCalc by components, and how water vapour absorbs.

``sky.npy`` holds SkyCalc's components for Paranal as it gave them; ``sky_water.npy`` says which part of the molecular
absorption is water and how it grows with the water column. The second comes from ESO's line-by-line library, where
each wavelength has the transmission of a mean, a dry and a wet atmosphere: what differs between them is water.
It is resolved (R = 60000) before it is averaged into SkyCalc's samples, so that saturated lines grow as they should.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.data._build.packages import Provenance, fetch
from elvis_cli.sky.local import COLUMNS, DEPTHS, EMISSIONS, WATER_COLUMNS, van_rhijn
from elvis_cli.base.spectral_grid import table_wave

SKYCALC = "scopesim/tests/mocks/photometry/eso_skycalc_r_6000_wave_0.3_15nm_airmass_1_pwv_2.5.fits"
OTHER = "scopesim/tests/mocks/files/skycalc_override.fits"
"""SkyCalc for Armazones at airmass 1.2, R = 2000."""
OXYGEN = (1.24, 1.30)
"""The one band, um, whose airglow comes from the ground state that absorbs it on the way."""
LINES = "splat/resources/Telluric/ESO/LBL_A30_s5_R0060000_T.fits"
LINES_AIRMASS = 3.0
DRY_RATIO = 0.068
"""Depth of pure water lines in the library's dry atmosphere over that in its mean one (read off 2.5-2.8 um)."""
MEAN_WATER = 2.5 / 2.28
"""Precipitable water of the library's mean atmosphere, mm: with 2.28 times that column its bands at 0.81-2.5 um have
SkyCalc's depths for 2.5 mm (each of six bands alone gives 2.26-2.31)."""
OPAQUE = 1e-4
"""Transmission below which the library says nothing about an optical depth."""


def build(out_dir: Path) -> list[Provenance]:
    """Write sky.npy and sky_water.npy into ``out_dir`` and return where they come from.

    Raises
    ------
    RuntimeError
        A package is not the pinned one, or SkyCalc's components do not make up its totals.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = fetch("scopesim", "0.12.0", [SKYCALC, OTHER], folder)
        table, other = _read(files[SKYCALC]), _read(files[OTHER])
        lines = _read(fetch("splat", "1.14", [LINES], folder)[LINES])
    _check(table)
    molecular = _depth(table["trans_ma"])
    rows = {c: table[f"flux_{c}"] for c in EMISSIONS} | {c: _depth(table[f"trans_{c}"]) for c in DEPTHS}
    rows["self"] = _self_absorption(table, other)
    np.save(out_dir / "sky.npy", np.array([rows[c] for c in COLUMNS], dtype=np.float32))
    np.save(out_dir / "sky_water.npy", _water(lines, molecular).astype(np.float16))
    return [
        Provenance(
            package="scopesim",
            version="0.12.0",
            licence="GPL-3.0-or-later; the table is output of ESO's public SkyCalc service",
            member=SKYCALC,
            file="sky.npy",
            publication="SkyCalc 2.0.9 (Noll et al. 2012, A&A 543, A92; Jones et al. 2013, A&A 560, A91)",
            done=f"rows {', '.join(COLUMNS)}; transmissions as optical depths; float32",
        ),
        Provenance(
            package="scopesim",
            version="0.12.0",
            licence="GPL-3.0-or-later; the table is output of ESO's public SkyCalc service",
            member=OTHER,
            file="sky.npy",
            publication="SkyCalc 2 (Noll et al. 2012, A&A 543, A92; Jones et al. 2013, A&A 560, A91)",
            done="row self: what the airglow of oxygen at 1.27 um loses beyond the mean absorption of each sample",
        ),
        Provenance(
            package="splat",
            version="1.14",
            licence="MIT; the table is of the library of ESO's sky model",
            member=LINES,
            file="sky_water.npy",
            publication="Noll et al. 2012, A&A 543, A92 (LBLRTM, HITRAN)",
            done=f"optical depth of water for {', '.join(f'{c:g}' for c in WATER_COLUMNS)} mm over the depth of all "
            "molecules at 2.5 mm, averaged into SkyCalc's samples; float16",
        ),
    ]


def _read(path: Path) -> dict[str, Floats]:
    from astropy.io import fits

    data = fits.getdata(path, 1)
    return {name: np.asarray(data[name], dtype=float) for name in data.names}


def _check(table: dict[str, Floats]) -> None:
    """Raise unless the components make up the totals, on the grid that elvis_cli.sky.local computes."""
    product = np.prod([table[f"trans_{c}"] for c in DEPTHS], axis=0)
    total = np.sum([table[f"flux_{c}"] for c in EMISSIONS], axis=0)
    wave = table_wave(0, len(total))
    if not (
        np.allclose(product, table["trans"], rtol=0, atol=1e-12)
        and np.allclose(total, table["flux"], rtol=1e-12)
        and np.allclose(wave, table["lam"] / 1e3, rtol=1e-7)
    ):
        raise RuntimeError("the components of SkyCalc's table do not make up its totals, or its grid is another")


def _depth(transmission: Floats) -> Floats:
    return -np.log(np.clip(transmission, 1e-30, 1.0)) + 0.0


def _self_absorption(table: dict[str, Floats], other: dict[str, Floats]) -> Floats:
    """Return the depth per airmass that oxygen's airglow has beyond that of the molecules in each sample."""
    airmass = 1.2
    wave, coarse = table["lam"] / 1e3, other["lam"] / 1e3
    sample = np.clip(np.searchsorted((coarse[1:] + coarse[:-1]) / 2, wave), 0, len(coarse) - 1)

    def mean(values: Floats) -> Floats:
        count = np.bincount(sample, minlength=len(coarse))
        return np.asarray(np.bincount(sample, values, minlength=len(coarse)) / np.maximum(count, 1))

    lines = mean(table["flux_ael"])
    expected = mean(table["flux_ael"] * table["trans_ma"] ** (airmass - 1.0)) * van_rhijn(airmass)
    depth = np.log(np.maximum(expected, 1e-30) / np.maximum(other["flux_ael"], 1e-30)) / (airmass - 1.0)
    use = (lines > 1.0) & (coarse > OXYGEN[0]) & (coarse < OXYGEN[1])
    return np.where(use, np.maximum(depth, 0.0), 0.0)[sample]


def _water(lines: dict[str, Floats], molecular: Floats) -> Floats:
    """Return depth of water for each of WATER_COLUMNS over ``molecular``, the depth of all molecules at 2.5 mm."""
    mean, dry = lines["trans"], lines["mnstrans"]
    depth, depth_dry = _depth(mean), _depth(dry)
    clear = mean > OPAQUE
    # Other molecules differ by 2 % between the two atmospheres, with the temperature: not water.
    varies = depth_dry < 0.95 * depth
    water = np.where(clear & varies, (depth - depth_dry) / (1 - DRY_RATIO), 0.0)
    water = np.where(~clear & (dry > OPAQUE), depth_dry / DRY_RATIO, water)
    water = np.maximum(water, 0.0)
    other = np.where(clear, np.maximum(depth - water, 0.0), np.where(dry > OPAQUE, 0.0, depth))

    water /= LINES_AIRMASS * MEAN_WATER
    other = np.exp(-other / LINES_AIRMASS)
    wave = table_wave(0, len(molecular))
    bins = np.append(wave * 11999 / 12000, wave[-1] * 12001 / 12000)
    fine = lines["lam"]
    edges = np.concatenate([fine[:1], (fine[1:] + fine[:-1]) / 2, fine[-1:]])

    def average(values: Floats) -> Floats:
        integral = np.concatenate([[0.0], np.cumsum(values * np.diff(edges))])
        return np.asarray(np.diff(np.interp(bins, edges, integral)) / np.diff(bins))

    base = average(other)
    depths = np.array([_depth(average(other * np.exp(-water * c)) / np.maximum(base, 1e-30)) for c in WATER_COLUMNS])
    reference = depths[WATER_COLUMNS.index(2.5)]
    # SkyCalc has the last word on how deep a band is; the library says which part is water and how it grows.
    # (Where SkyCalc gives no light at all, the library alone can tell.)
    total = np.where(molecular < 10.0, molecular, np.maximum(reference + _depth(base), 1e-30))
    scale = np.minimum(1.0, total / np.maximum(reference, 1e-30)) / np.maximum(total, 1e-30)
    return np.where(molecular > 1e-6, depths * scale, 0.0)
