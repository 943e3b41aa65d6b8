"""The target and fainter points beside it: a binary, a planet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from elvis_cli.model.request import SceneRequest, Sed
from elvis_cli.scene import frame, library, starlight
from elvis_cli.scene.component import Component, Points


def components(request: SceneRequest, *, companions: Sequence[Mapping[str, float]]) -> tuple[Component, ...]:
    """Return the target, as bright as it says, and its companions at ``separation`` (arcsec), ``position_angle`` (deg).

    ``contrast`` (mag) is how much fainter than the target one is; with ``temperature`` (K) it has its own spectrum,
    with ``velocity`` (km/s) it moves away from the target.
    """
    brightness, (x0, y0) = frame.magnitude(request, "/elvis/scene"), request.elvis.offset
    made = [library.target(request)]
    for companion in companions:
        dx, dy = frame.displacement(request, companion["separation"], companion["position_angle"])
        seds: tuple[Sed, ...] = (request.target.sed,)
        if "temperature" in companion:
            seds, _ = starlight.seds(request.target.sed, np.array([float(companion["temperature"])]))
        mag = np.array([brightness.mag + companion["contrast"]])
        point = Points(np.array([x0 + dx]), np.array([y0 + dy]), mag, np.zeros(1, np.int64))
        velocity = companion.get("velocity", 0.0)
        made.append(Component(point, seds, brightness, name="companion", velocity=velocity))
    return tuple(made)
