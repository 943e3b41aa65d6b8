"""What astronomers ask of images, each answered by a number that `elvis detect` measures on a product."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy import special

from elvis_cli.instrument import registry
from tests.conftest import run

pytestmark = pytest.mark.skipif(not os.environ.get("ELVIS_CLOSURE"), reason="make closure")
WINDOW = {"x0": 1968, "y0": 1968, "nx": 160, "ny": 160}


def product(document: dict[str, Any], *options: str) -> bytes:
    """Return the reduced image of a request."""
    result = run("--product", "reduced", *options, stdin=json.dumps(document))
    assert result.code == 0, result.err
    return bytes(result.out)


def detected(image: bytes, *options: str) -> Table:
    """Return what `elvis detect` finds in a product."""
    result = run("detect", *options, stdin=image)
    assert result.code == 0, result.err
    return Table.read(io.BytesIO(result.out), format="ascii.ecsv")


def found(image: bytes, folder: Any, mag: float, places: np.ndarray) -> float:
    """Return the part of stars put into a product at places (n, 2) that `elvis detect` finds."""
    table, kept = folder / "stars.ecsv", folder / "put_in.ecsv"
    Table({"X": places[:, 0], "Y": places[:, 1], "MAG": np.full(len(places), mag)}).write(table, overwrite=True)
    more = run("inject", "--at", str(table), "--table", str(kept), stdin=image)
    assert more.code == 0, more.err
    return float(np.mean(detected(bytes(more.out), "--injected", str(kept))["FOUND"]))


def clumps(separation: float) -> dict[str, Any]:
    """Two clumps of a galaxy at z = 4, Ks = 24 each, ``separation`` mas apart: MICADO's 1.5 mas, ten hours."""
    document: dict[str, Any] = registry.load("micado").example("img_1.5mas_mcao")
    document["target"]["brightness"] |= {"mag": 24}
    document["timesnr"] = {"DET.DIT": 120, "DET.NDIT": 300}
    half = separation / 2000
    document["elvis"] = {
        "window": WINDOW,
        "chips": [5],
        "catalogue": {"x": [-half, half], "y": [0.0, 0.0], "mag": [24.0, 24.0]},
    }
    return document


def test_two_clumps_15_mas_apart_are_two_sources():
    both = detected(product(clumps(15.0)), "--threshold", "10")
    assert len(both) == 2
    apart = 1.5 * np.hypot(*(both[axis][0] - both[axis][1] for axis in ("X", "Y")))
    assert apart == pytest.approx(15.0, abs=0.5)
    assert both["FLUX"][0] / both["FLUX"][1] == pytest.approx(1.0, abs=0.1)


def test_a_telescope_of_6_5_m_sees_one(tmp_path):
    """Its diffraction pattern, (2 J1(x) / x)^2 with x = pi D theta / lambda at 2.15 um, as the user's own PSF."""
    scale = 0.003
    y, x = np.indices((401, 401)) - 200.0
    argument = np.pi * 6.5 / 2.15e-6 * np.radians(np.hypot(x, y) * scale / 3600) + 1e-9
    airy = fits.PrimaryHDU((2 * special.j1(argument) / argument) ** 2)
    airy.header["PIXSCALE"] = scale
    airy.writeto(tmp_path / "airy.fits")
    table = detected(product(clumps(15.0), "--psf", str(tmp_path / "airy.fits")), "--threshold", "10")
    assert len(table) == 1


def test_the_limit_of_a_product_falls_with_the_distance_of_the_guide_star(tmp_path):
    """MICADO SCAO in H, 100 s: the magnitude of 5 sigma, and how many stars of one magnitude are found."""
    limits, parts = [], []
    places = np.stack(
        [axis.ravel() for axis in np.meshgrid(np.arange(24.0, 150, 14), np.arange(24.0, 150, 14))], axis=1
    )
    for separation in (0, 20):
        document = registry.load("micado").example("img_4mas_scao")
        document["instrument"]["INS.FILT2.NAME"] = "H"
        document["target"]["brightness"] |= {"magband": "H", "mag": 19}
        document["timesnr"] = {"DET.DIT": 20, "DET.NDIT": 5}
        document["seeing"] = {**document.get("seeing", {}), "separation": separation}
        document["elvis"] = {"window": WINDOW, "chips": [5]}
        image = product(document)
        with fits.open(io.BytesIO(image)) as hdus:
            limits.append(hdus[0].header["ABMAGLIM"])
            vega = hdus["SCI"].header["MAGZPT"] - hdus["SCI"].header["ESO QC MAGZPT AB"]
        parts.append(found(image, tmp_path, limits[0] + vega - 0.3, places))
    assert 0.5 < limits[0] - limits[1] < 4.0
    assert parts[0] > 0.5
    assert parts[1] < 0.3


def test_completeness_falls_towards_the_core_of_a_cluster(tmp_path):
    """Stars of one magnitude put into MICADO's product of a globular cluster, 100 s in Ks."""
    document = registry.load("micado").example("img_4mas_scao")
    document["target"]["brightness"]["mag"] = 12
    document["timesnr"] = {"DET.DIT": 20, "DET.NDIT": 5}
    scene = {"name": "globular-cluster", "stars": 100000, "core_radius": 0.3, "tidal_radius": 20, "segregation": 0}
    window = {"x0": 1808, "y0": 1808, "nx": 480, "ny": 480}
    document["elvis"] = {"scene": scene, "window": window, "chips": [5]}
    image = product(document)
    ny, nx = fits.getdata(io.BytesIO(image), "SCI").shape
    angle, radius = np.arange(120) * 2.399963, np.linspace(5, 60, 120)
    inner = np.stack([nx / 2 + radius * np.cos(angle), ny / 2 + radius * np.sin(angle)], axis=1)
    outer = np.stack([nx / 2 + (150 + radius) * np.cos(angle), ny / 2 + (150 + radius) * np.sin(angle)], axis=1)
    near, far = (found(image, tmp_path, 22.0, places) for places in (inner, outer))
    assert near < far - 0.1
    assert found(image, tmp_path, 19.0, inner) > near
