"""Persistence from each exposure to the next: the expected counts of the exposure before, without noise."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from elvis_cli.base.merge import merge
from elvis_cli.observing.plan import Exposure
from elvis_cli.request.payload import pack

_DARK_PIXEL = {"chip": 1, "window": {"x0": 0, "y0": 0, "nx": 1, "ny": 1}, "data": pack(b"\0")}
"""A chip of one pixel without light."""
MAX_GAP = 1e6
"""s: after a longer gap there is no persistence left."""


def add_persistence(exposures: Iterable[Exposure]) -> Iterator[Exposure]:
    """Yield the exposures of a night, each with the block ``previous`` of the one before on the same detector.

    Each request is then complete: it can be rendered without the one before, in any order. The exposure before is
    rendered without persistence, whose effect is of second order.

    Raises
    ------
    RequestError
        A detector has no figures for persistence.
    """
    exposures = list(exposures)
    for document in {_detector(one.document): one.document for one in exposures}.values():
        _check(document)
    last: Exposure | None = None
    for exposure in exposures:
        result = exposure
        if last is not None and _detector(last.document) == _detector(exposure.document):
            gap = (exposure.start - last.start) / timedelta(seconds=1) - last.shutter
            if gap <= MAX_GAP:
                block = {**_light(last.document), "gap": round(gap, 3)}
                result = replace(exposure, document=merge(exposure.document, {"elvis": {"previous": block}}))
        yield result
        last = exposure


def _detector(document: Mapping[str, Any]) -> tuple[Any, ...]:
    return document["instrumentName"], document["instrument"].get("ins_configuration")


def _check(document: Mapping[str, Any]) -> None:
    """Raise RequestError if a detector has no figures for persistence, before the first exposure is written."""
    from elvis_cli import pipeline
    from elvis_cli.request import parse

    nothing = {"dit": 1, "count": 1, "gap": 0, "chips": [_DARK_PIXEL]}
    pipeline.configure(parse.read(json.dumps(merge(document, {"elvis": {"previous": nothing}}))))


def _light(document: Mapping[str, Any]) -> dict[str, Any]:
    from astropy.io import fits

    from elvis_cli import pipeline
    from elvis_cli.product import previous
    from elvis_cli.request import parse

    out = io.BytesIO()
    changes = {"product": "expected", "truth": False, "keep": None, "reads": None}
    pipeline.render(parse.read(json.dumps(merge(document, {"elvis": changes}))), out)
    out.seek(0)
    with fits.open(out) as hdus:
        return previous.block("the exposure before", hdus)
