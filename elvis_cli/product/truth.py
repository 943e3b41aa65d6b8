"""The table TRUTH: what was put into the picture, to compare with what is found in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from elvis_cli.focalplane.geometry import deproject, field_to_pixel, field_to_sky
from elvis_cli.instrument import Setup
from elvis_cli.product.fits import Table
from elvis_cli.product.observation import observe
from elvis_cli.request import Request
from elvis_cli.scene.compose import Sources

EXTENSION = "TRUTH"


def extensions(request: Request, setup: Setup, sources: Sources) -> Iterator[Table]:
    """Yield the table, if the request wants it: a row for every source whose centre is on a chip that is drawn.

    NAME, CHIP, X, Y (1-based pixels of the chip's window, without pre- and overscans), RA, DEC (ICRS), MAG (NaN if the
    brightness is no magnitude), ELECTRONS, all that the source gives in one integration, on the chip or not, and ID if
    a catalogue has one. Places are those at the middle of the exposure.
    """
    if not request.extras.truth:
        return
    window = setup.window
    rows, chips, columns, lines = [], [], [], []
    for number in setup.chips:
        x, y = field_to_pixel(setup, setup.detector.chip(number), sources.x, sources.y)
        x, y = x - window.x0, y - window.y0
        here = np.flatnonzero((x >= -0.5) & (x < window.nx - 0.5) & (y >= -0.5) & (y < window.ny - 0.5))
        rows.append(here)
        chips.append(np.full(here.size, number, np.int32))
        columns.append(x[here] + 1.0)
        lines.append(y[here] + 1.0)
    row = np.concatenate(rows)
    observation = observe(request, setup, setup.count or 1)
    sky = field_to_sky(sources.x[row], sources.y[row], observation.position_angle)
    ra, dec = deproject(*sky, observation.ra, observation.dec)
    magnitudes = request.target.brightness.kind == "mag"
    yield Table(
        EXTENSION,
        {
            "NAME": sources.name[row].tolist(),
            "CHIP": np.concatenate(chips),
            "X": np.concatenate(columns),
            "Y": np.concatenate(lines),
            "RA": ra,
            "DEC": dec,
            "MAG": sources.mag[row] if magnitudes else np.full(row.size, np.nan),
            "ELECTRONS": sources.rate[row] * setup.dit,
            **({} if sources.id is None else {"ID": sources.id[row]}),
        },
        {"X": "pixel", "Y": "pixel", "RA": "deg", "DEC": "deg", "MAG": "mag", "ELECTRONS": "electron"},
        [
            ("ESO SIM TRUTH WHEN", "middle of the exposure", "when X, Y, RA, DEC hold"),
            ("ESO SIM TRUTH TIME", setup.dit, "[s] one integration: that of ELECTRONS"),
            ("ESO SIM TRUTH BAND", request.target.brightness.band, "band of MAG"),
        ],
    )
