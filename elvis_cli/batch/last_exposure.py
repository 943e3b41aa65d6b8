"""The exposure that this process made ready last: on a steady night the next request differs from it by its seed alone.

Such a request needs no light, prediction or expected image of its own, only its noise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from elvis_cli import pipeline
from elvis_cli.base.recent import Recent

if TYPE_CHECKING:
    from elvis_cli.model.request import Request
    from elvis_cli.model.setup import Setup

MAX_KEPT_BYTES = 64 << 20
"""Expected images that are kept: one of a large chip, or those of all chips of a small window."""


@dataclass(slots=True)
class _Last:
    """Setup, exposure and expected images of the last request, as far as they were asked for."""

    key: str = ""
    setup: Setup | None = None
    exposure: pipeline.PreparedExposure | None = None
    images: Recent[Any] | None = None
    """Its expected images, from the second request on: on a changing night they would only take memory."""


_last = _Last()


def configure(request: Request) -> Setup:
    """Return the Setup of a request, as `pipeline.configure` does."""
    last = _of(request)
    if last.setup is None:
        last.setup = pipeline.configure(request)
    return last.setup


def prepare(request: Request) -> pipeline.PreparedExposure:
    """Return the exposure that a request describes, as `pipeline.prepare` does."""
    last = _of(request)
    if last.exposure is None:
        exposure = pipeline.prepare(request)
        if not _has_random_light(exposure):
            last.exposure = exposure
        return exposure
    if last.images is None:
        last.images = _room(last.exposure.setup)
    known = last.exposure.request
    own = replace(known, elvis=replace(known.elvis, seed=request.elvis.seed), document=request.document)
    return replace(last.exposure, request=own, images=last.images)


def _of(request: Request) -> _Last:
    """Return Setup, exposure and images of the last request if it differs by the seed alone; else empty ones."""
    global _last  # noqa: PLW0603 - one exposure of the process
    block = {**(request.document.get("elvis") or {}), "seed": None}
    key = repr(request.limits) + json.dumps({**request.document, "elvis": block}, default=dict)
    if key != _last.key:
        _last = _Last(key)
    return _last


def _has_random_light(exposure: pipeline.PreparedExposure) -> bool:
    """Return whether the expected light depends on the seed: scenes are drawn by it, and speckles behind a mask."""
    return exposure.request.elvis.scene is not None or exposure.setup.optics.coronagraph is not None


def _room(setup: Setup) -> Recent[Any]:
    """Return where the expected images of all chips go; there is no room for some of them."""
    size = 4 * len(setup.frame.chips) * setup.frame.window.nx * setup.frame.window.ny
    return pipeline.kept_images(MAX_KEPT_BYTES if size <= MAX_KEPT_BYTES else 0)
