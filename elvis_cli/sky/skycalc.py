"""The sky of ESO's SkyCalc service, asked through ESO's own client, for who wants it and has a network.

The only module that may use the network, and only for the request's ``"elvis": {"sky": "skycalc"}``.
Client: skycalc_cli, https://www.eso.org/observing/etc/doc/skycalc/helpskycalccli.html
"""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.spectral_grid import bin_edges
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.request import SkyConditions
from elvis_cli.scene.spectrum import average
from elvis_cli.sky.types import Sky

PATIENCE = 60.0
"""Seconds within which the service must answer: its client would wait for ever."""
RESOLUTION = 24000
"""Samples per unit of ln(wavelength) that are asked for: four in each bin of `spectral_grid.grid`."""
RANGE = (300.0, 30000.0)
"""nm."""
WATER = (0.5, 1.0, 1.5, 2.5, 3.5, 5.0, 7.5, 10.0, 20.0)
"""mm: the only columns that SkyCalc has."""
SITES = (2400.0, 2640.0, 3060.0)
"""m: La Silla, Paranal, Armazones."""


class NoAnswer(Exception):
    """The service cannot be reached, refuses, or answers with something else than a spectrum."""


def load(conditions: SkyConditions, site: Site, wave: Floats) -> Sky:
    """Return SkyCalc's sky averaged over the bins of ``wave`` (um).

    Raises
    ------
    NoAnswer
        The client is not installed, or the service does not answer.
    """
    edges = bin_edges(wave)
    asked, notes = parameters(conditions, site, edges)
    client = _client()
    points, transmission, emission, version = _read(_within(PATIENCE, lambda: _ask(client, asked)))
    if points[0] > wave[0] or points[-1] < wave[-1]:
        raise NoAnswer(f"it answered for {points[0]:.4g}-{points[-1]:.4g} um")
    edges = np.clip(edges, points[0], points[-1])
    told = f"sky: asked of SkyCalc {version}; its answer is not kept in the file, a replay asks again"
    return Sky(
        wave,
        transmission=average(points, transmission, edges),
        emission=average(points, emission, edges),
        model="skycalc",
        notes=(told, *notes),
    )


def _client() -> Any:
    """Return ESO's client."""
    try:
        return importlib.import_module("skycalc_cli.skycalc")
    except ImportError as error:
        raise NoAnswer(f"ESO's client is missing ({error}; pip install 'elvis-cli[skycalc]')") from error


def parameters(c: SkyConditions, site: Site, edges: Floats) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what to ask for the bins with these ``edges`` (um), in the client's words, and what that changes."""
    notes = []
    water = min(WATER, key=lambda column: abs(math.log(column / max(c.pwv, 1e-3))))
    if water != c.pwv:
        notes.append(f"sky: SkyCalc has no {c.pwv:g} mm of water: {water:g} mm are used")
    height = min(SITES, key=lambda known: abs(known - site.elevation))
    if abs(height - site.elevation) > 100.0:
        notes.append(f"sky: SkyCalc has no site at {site.elevation:g} m: that at {height:g} m is used")
    if not c.airglow:
        notes.append("sky: airglow off leaves out the continuum and keeps the lines, as the ETC's answers do")
    asked: dict[str, Any] = {
        "airmass": c.airmass,
        "pwv_mode": "pwv",
        "pwv": water,
        "incl_moon": "N",
        "incl_airglow": "Y" if c.airglow else "N",
        "vacair": "vac",
        "wmin": max(RANGE[0], float(edges[0]) * 1e3 * (1.0 - 1e-3)),
        "wmax": min(RANGE[1], float(edges[-1]) * 1e3 * (1.0 + 1e-3)),
        "wgrid_mode": "fixed_spectral_resolution",
        "wres": RESOLUTION,
        "observatory": f"{height:.0f}",
    }
    if c.fli > 0.0 and c.moon_altitude >= 0.0:
        target, lunar = math.degrees(math.acos(1.0 / c.airmass)), 90.0 - c.moon_altitude
        distance = min(max(c.moon_distance, abs(target - lunar)), target + lunar)
        if abs(distance - c.moon_distance) > 1e-6:
            notes.append(
                f"sky: no Moon at altitude {c.moon_altitude:g} deg is {c.moon_distance:g} deg from a target at airmass "
                f"{c.airmass:g}, and SkyCalc refuses it: {distance:.4g} deg is used"
            )
        asked |= {
            "incl_moon": "Y",
            "moon_sun_sep": math.degrees(math.acos(1.0 - 2.0 * c.fli)),
            "moon_target_sep": distance,
            "moon_alt": c.moon_altitude,
        }
    return asked, tuple(notes)


def _ask(client: Any, asked: dict[str, Any]) -> bytes:
    """Return the FITS file that the service makes."""
    model = client.SkyModel()

    # The client's own handlers print to stdout, where the FITS goes, and end the process.
    def broken(error: Exception, _message: str) -> None:
        raise NoAnswer(type(error).__name__)

    def refused(message: str, stop: bool = True) -> None:
        if model.data is None:  # it also complains about tidying up, after it has the data
            raise NoAnswer(message.strip()[:200])

    model.handle_exception, model.handle_error = broken, refused
    model.callwith(asked)
    return bytes(model.getdata() or b"")


def _within(seconds: float, work: Callable[[], bytes]) -> bytes:
    """Return what ``work`` returns, if it does so in time."""
    done: list[bytes] = []
    failed: list[str] = []

    def run() -> None:
        try:
            done.append(work())
        except NoAnswer as error:
            failed.append(str(error))
        except BaseException as error:  # SystemExit included: the client is known for it
            failed.append(type(error).__name__)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise NoAnswer(failed[0] if failed else f"no answer in {seconds:g} s")
    return done[0]


def _read(data: bytes) -> tuple[Floats, Floats, Floats, str]:
    """Return wavelength (um), transmission, emission (photon/s/m2/um/arcsec2) and SkyCalc's version."""
    from astropy.io import fits

    try:
        with fits.open(BytesIO(data)) as hdus:
            table = hdus[1].data
            columns = [np.asarray(table[name], dtype=float) for name in ("lam", "trans", "flux")]
            comments = [str(line) for line in hdus[0].header["COMMENT"]]
    except Exception as error:  # astropy meets damage with any exception there is
        raise NoAnswer("its answer is not a SkyCalc table") from error
    points, transmission, emission = columns
    if len(points) < 2 or not all(np.isfinite(c).all() for c in columns) or np.any(np.diff(points) <= 0):
        raise NoAnswer("its answer is not a spectrum")
    said = [line.rpartition(" ")[2] for line in comments if line.startswith("SkyCalc version")]
    return points / 1e3, transmission, emission, said[0] if said else "(version unknown)"
