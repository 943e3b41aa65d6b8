"""Memory and time of spectra are known, and refused, before anything is drawn."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.focalplane import cost, imager
from elvis_cli.instrument import registry
from elvis_cli.model.limits import Cost, Limits
from elvis_cli.model.request import Request
from elvis_cli.request import parse


class Stop(Exception):
    """Nothing needs to be drawn."""


WINDOW = {"x0": 500, "y0": 500, "nx": 64, "ny": 64}


def request(name: str, limits: Limits | None = None, **block: Any) -> Request:
    """Return an instrument's example with a block ``elvis``."""
    document = {**registry.load(name).example(), "elvis": block}
    return parse.read(json.dumps(document), limits=limits or Limits())


def cube(planes: int) -> dict[str, Any]:
    """Return a cube of few elements and many spectra."""
    data = base64.b64encode(zlib.compress(np.ones((planes, 8, 8), "<f4").tobytes())).decode()
    return {
        "data": data,
        "shape": [planes, 8, 8],
        "scale": 0.02,
        "wavelength_um": np.linspace(1.95, 2.45, planes).tolist(),
    }


@pytest.mark.parametrize("limit", [{"memory": 800_000_000}, {"time": 60}], ids=["memory", "time"])
def test_a_cube_of_many_spectra_is_refused_before_it_is_drawn(limit: dict[str, int], monkeypatch: Any) -> None:
    monkeypatch.setattr(imager, "add_picture", lambda *_: pytest.fail("it is drawn"))
    with pytest.raises(RequestError, match=rf"/elvis/cube: .*the limit {next(iter(limit))}, ") as refused:
        pipeline.prepare(request("harmoni", Limits(**limit), window=WINDOW, cube=cube(100)))
    assert refused.value.exit_code == 65


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Cost]:
    """Return the estimated costs of the exposures that are prepared; preparing one then ends by ``Stop``."""
    costs: list[Cost] = []

    def check(_: Request, expected: Cost) -> None:
        costs.append(expected)
        raise Stop

    monkeypatch.setattr(pipeline, "_check_cost", check)
    return costs


def test_the_cost_grows_with_spectra_and_with_fibres_that_are_lit(seen: list[Cost]) -> None:
    """Peaks of memory that were measured: 500 MB of one target of 4MOST, 760 MB of one in each fibre."""
    places = np.random.default_rng(1).uniform(-4000, 4000, (2, 3000))
    catalogue = {"x": places[0].tolist(), "y": places[1].tolist(), "mag": [15.0] * 3000}
    for block in ({}, {"catalogue": catalogue}):
        with pytest.raises(Stop):
            pipeline.prepare(request("fourmost", window=WINDOW, **block))
    few, many = (250e6 + one.memory for one in seen)
    assert 500e6 / 1.5 < few < 500e6 * 1.5
    assert 760e6 / 1.5 < many < 760e6 * 1.5
    assert seen[1].seconds > 5 * seen[0].seconds
    for planes in (10, 20):
        with pytest.raises(Stop):
            pipeline.prepare(request("harmoni", window=WINDOW, cube=cube(planes)))
    assert seen[3].seconds == pytest.approx(2 * seen[2].seconds, rel=0.2)
    assert cost.MAX_KEPT_BYTES < seen[2].memory < seen[3].memory


def test_time_of_fibres_that_a_star_lights_together_counts_their_spectra_and_their_extraction(seen: list[Cost]) -> None:
    """Measured: 6.4 s of 61 fibres in 18 orders, 2.1 s of 169 in one; the estimate is within a factor of two."""
    for name, mode, seconds in (("andes", "ifu", 6.4), ("mosaic", "mifu", 2.1)):
        document = {**registry.load(name).example(mode), "elvis": {"window": WINDOW}}
        with pytest.raises(Stop):
            pipeline.prepare(parse.read(json.dumps(document)))
        assert seconds / 2 < seen[-1].seconds < 2 * seconds
