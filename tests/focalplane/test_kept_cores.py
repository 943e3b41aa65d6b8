"""Cores of a crowd's zones that are kept on disk give the same bytes as those that are computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from elvis_cli.base.disk_store import FOLDER
from elvis_cli.focalplane import many_stars
from elvis_cli.instrument import registry
from tests.conftest import run

SEEDED = {"seed": 3, "window": {"x0": 2000, "y0": 2000, "nx": 64, "ny": 64}}


def crowded(pitch: float = 0.02) -> str:
    places = np.arange(10) * pitch
    stars = {"x": places.tolist(), "y": places.tolist(), "mag": [18.0] * 10}
    return json.dumps({**registry.load("micado").example(), "elvis": {**SEEDED, "catalogue": stars}})


def test_a_crowd_from_the_disk_has_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1793577600")
    made = []
    for folder in ("", str(tmp_path), str(tmp_path)):
        monkeypatch.setenv(FOLDER, folder)
        many_stars.RECENT.clear()
        if made[1:]:  # the last time nothing is computed
            monkeypatch.setattr(many_stars, "psf_at", _only_of_the_target(many_stars.psf_at))
        made.append(run(stdin=crowded()).out)
    many_stars.RECENT.clear()
    assert made[0] == made[1] == made[2]
    assert list((tmp_path / "psf").iterdir())


def _only_of_the_target(psf_at):  # type: ignore[no-untyped-def]
    def only(setup, wave, weight, positions):  # type: ignore[no-untyped-def]
        assert len(positions) == 1, "the zones are on the disk"
        return psf_at(setup, wave, weight, positions)

    return only
