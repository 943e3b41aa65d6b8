"""Equal stars on a square grid, to see the PSF all over the field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elvis_cli.model.request import SceneRequest
from elvis_cli.scene import frame
from elvis_cli.scene.component import Component, Points


def components(
    request: SceneRequest, *, n: int, spacing: float, magnitudes: Sequence[float] | None = None
) -> tuple[Component, ...]:
    """Return n x n stars ``spacing`` arcsec apart, along the field's axes; magnitudes change from row to row."""
    brightness, (x, y) = frame.magnitude(request, "/elvis/scene"), request.elvis.offset
    step = (np.arange(n) - (n - 1) / 2.0) * spacing
    first, last = magnitudes or (brightness.mag, brightness.mag)
    points = Points(
        np.tile(x + step, n),
        np.repeat(y + step, n),
        np.repeat(np.linspace(first, last, n), n),
        np.zeros(n * n, np.int64),
    )
    return (Component(points, (request.target.sed,), brightness, name="star"),)
