"""The table TRUTH: what was put into the picture, to compare with what is found in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import pieces
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.focalplane.geometry import field_to_pixel
from elvis_cli.light.compose import Sources
from elvis_cli.model.request import SceneRequest
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Spectrograph
from elvis_cli.product.fits import ELECTRONS, Table
from elvis_cli.scene.frame import catalogue_magnitude
from elvis_cli.sky.pointing import observe

EXTENSION = "TRUTH"


def extensions(request: SceneRequest, setup: Setup, sources: Sources) -> Iterator[Table]:
    """Yield the table, if the request wants it: a row for every source that is seen.

    Its centre is on a chip that is drawn, or in an aperture of a spectrograph. Columns are NAME, the place, RA, DEC
    (ICRS), MAG (NaN if the brightness is no magnitude), ELECTRONS, all that the source gives in one integration, on the
    chip or not (for a spectrograph: if all orders were efficient), and ID if a catalogue has one. The place is CHIP, X,
    Y (1-based pixels of the chip's window, without pre- and overscans), or APERTURE (from 1), S and T (arcsec, along it
    as in its traces and across). Places are those at the middle of the exposure.
    """
    if not request.elvis.truth:
        return
    graph = setup.spectrograph
    row, places, units = _on_chips(setup, sources) if graph is None else _in_apertures(graph, sources)
    observation = observe(request.elvis, setup)
    ra, dec = np.empty(row.size), np.empty(row.size)
    for part in pieces(row.size):
        sky = field_to_sky(sources.x[row[part]], sources.y[row[part]], observation.position_angle)
        ra[part], dec[part] = deproject(*sky, observation.ra, observation.dec)
    brightness = catalogue_magnitude(request) if request.elvis.catalogue else request.target.brightness
    band = brightness.band
    if request.elvis.motion and band != request.target.brightness.band:
        band += f", of the target {request.target.brightness.band}"
    yield Table(
        EXTENSION,
        {
            "NAME": sources.name[row],
            **places,
            "RA": ra,
            "DEC": dec,
            "MAG": sources.mag[row] if brightness.kind == "mag" else np.full(row.size, np.nan),
            "ELECTRONS": sources.rate[row] * setup.exposure.dit,
            **({} if sources.id is None else {"ID": sources.id[row]}),
        },
        {**units, "RA": "deg", "DEC": "deg", "MAG": "mag", "ELECTRONS": ELECTRONS},
        [
            ("ESO SIM TRUTH WHEN", "middle of the exposure", "when places hold"),
            ("ESO SIM TRUTH TIME", setup.exposure.dit, "[s] one integration: that of ELECTRONS"),
            ("ESO SIM TRUTH BAND", band, "band of MAG"),
        ],
    )


Places = tuple[NDArray[np.int64], dict[str, Any], dict[str, str]]


def _on_chips(setup: Setup, sources: Sources) -> Places:
    """Return the sources whose centres are on chips, where they are, and the units."""
    window = setup.frame.window
    rows, chips, columns, lines = [], [], [], []
    for number in setup.frame.chips:
        for part in pieces(sources.x.size):
            x, y = field_to_pixel(setup, setup.detector.chip(number), sources.x[part], sources.y[part])
            x, y = x - window.x0, y - window.y0
            here = np.flatnonzero((x >= -0.5) & (x < window.nx - 0.5) & (y >= -0.5) & (y < window.ny - 0.5))
            rows.append(here + part.start)
            chips.append(np.full(here.size, number, np.int32))
            columns.append(x[here] + 1.0)
            lines.append(y[here] + 1.0)
    places = {name: np.concatenate(found) for name, found in (("CHIP", chips), ("X", columns), ("Y", lines))}
    return np.concatenate(rows), places, {"X": "pixel", "Y": "pixel"}


def _in_apertures(spectrograph: Spectrograph, sources: Sources) -> Places:
    """Return the sources whose centres are in apertures, where they are, and the units."""
    rows, numbers, along, across = [], [], [], []
    for number, aperture in enumerate(spectrograph.apertures, start=1):
        t, s = aperture.within(sources.x, sources.y)
        if aperture.fibre:
            here = np.flatnonzero(np.hypot(t, s) <= aperture.extent[0] / 2)
        else:
            here = np.flatnonzero((np.abs(t) <= aperture.width / 2) & (np.abs(s) <= aperture.length / 2))
        rows.append(here)
        numbers.append(np.full(here.size, number, np.int32))
        along.append(s[here] + aperture.offset)
        across.append(t[here])
    places = {name: np.concatenate(found) for name, found in (("APERTURE", numbers), ("S", along), ("T", across))}
    return np.concatenate(rows), places, {"S": "arcsec", "T": "arcsec"}
