"""Products at random places on the sky, many about the poles and RA 0, for a store without files."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from elvis_cli.archive import footprint, obscore
from elvis_cli.archive.columns import COLUMNS
from elvis_cli.archive.obscore import Product
from elvis_cli.base.geometry import deproject

DRAWN = 2000
"""Products that are drawn; the others are like them, turned about the pole."""


@cache
def products(count: int, seed: int = 1) -> list[Product]:
    rng = np.random.default_rng(seed)
    places = np.stack([rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))], axis=1)
    kind = rng.integers(0, 5, count)
    places[kind == 0, 1] = 90 - rng.exponential(2.0, count)[kind == 0] % 90
    places[kind == 1, 1] = -90 + rng.exponential(2.0, count)[kind == 1] % 90
    places[kind == 2, 0] = rng.normal(0, 2.0, count)[kind == 2] % 360
    sizes = 10 ** rng.uniform(-2, 0.3, count)
    angles = rng.uniform(0, 90, count)
    made = [product(n, *places[n], sizes[n], angles[n]) for n in range(min(count, DRAWN))]
    return made + [turned(made[n % DRAWN], n) for n in range(DRAWN, count)]


def turned(one: Product, number: int) -> Product:
    """Return a product like another one, turned about the pole."""
    angle = 137.507764 * (number // DRAWN) % 360
    (outline,) = one.polygons
    outline = tuple(((ra + angle) % 360, dec) for ra, dec in outline)
    name = f"HAWKI.{number:08d}"
    more = {"s_ra": (one.values["s_ra"] + angle) % 360, "s_region": obscore.stcs(outline), "dp_id": name,
            "obs_publisher_did": f"ivo://elvis.local/HAWKI?{name}", "sha256": f"{number:064x}", "ob_id": number // 10,
            "obs_id": str(number), "t_min": 60000.0 + number / 100, "file_name": f"{name}.fits"}  # fmt: skip
    return Product(one.values | more, (outline,), (), ())


def product(number: int, ra: float, dec: float, size: float = 0.1, angle: float = 0.0, **more: Any) -> Product:
    turned = np.radians(angle + np.array([45, 135, 225, 315]))
    reach = size * 1800 * np.sqrt(2)
    outline = footprint.hull(
        list(zip(*deproject(reach * np.sin(turned), reach * np.cos(turned), ra, dec), strict=True))
    )
    values: dict[str, Any] = {column.name: None for column in COLUMNS}
    name = f"HAWKI.{number:08d}"
    values |= {
        "dataproduct_type": "image", "calib_level": 1 + number % 2, "obs_collection": "HAWKI", "obs_id": str(number),
        "obs_publisher_did": f"ivo://elvis.local/HAWKI?{name}", "access_format": "application/fits",
        "access_estsize": 10, "target_name": f"target {number}", "s_ra": float(ra) % 360, "s_dec": float(dec),
        "s_fov": footprint.diameter(outline), "s_region": obscore.stcs(outline), "t_min": 60000.0 + number / 100,
        "t_max": 60000.0 + number / 100 + 0.01, "t_exptime": 60.0, "em_min": 2e-6, "em_max": 2.3e-6, "pol_xel": 0,
        "facility_name": "ESO-VLT-U4", "instrument_name": "HAWKI", "dp_id": name, "ob_id": number // 10,
        "sha256": f"{number:064x}", "file_name": f"{name}.fits", "filter": "Ks" if number % 3 else "J",
        "o_ucd": "phot.count",
    }  # fmt: skip
    return Product(values | more, (outline,), (), ())


def fill(store: Any, found: list[Product]) -> None:
    with store.writing() as connection:
        store.add(connection, found, [("/nowhere", 1)] * len(found))
