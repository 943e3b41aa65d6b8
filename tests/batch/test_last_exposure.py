"""Requests that differ by their seeds alone share all but the noise."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.batch import last_exposure
from elvis_cli.batch.work import Job, Settings, make
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.model.limits import DEFAULT
from elvis_cli.request import parse

SCENE = {"scene": {"name": "globular-cluster", "core_radius": 0.3}}
CATALOGUE = {"catalogue": {"x": [0.0, 0.05], "y": [0.0, -0.04], "mag": [17.0, 18.0]}}
CASES = {
    "image": ("micado", None, {}),
    "catalogue": ("micado", None, CATALOGUE),
    "a scene drawn by the seed": ("micado", None, SCENE),
    "kept stages": ("micado", None, {"keep": ["background", "stars"]}),
    "no noise": ("micado", None, {"product": "expected"}),
    "calibration": ("micado", None, {"calibration": "flat"}),
    "speckles by the seed": ("metis", "img_lm_ravc", {}),
    "spectra": ("crires2", None, {}),
}


def text(instrument: str = "micado", mode: str | None = None, /, **block: object) -> str:
    document = registry.load(instrument).example(mode)
    setup = pipeline.configure(parse.read(json.dumps(document)))
    corner = {"x0": setup.detector.nx // 2 - 16, "y0": setup.detector.ny // 2 - 16, "nx": 32, "ny": 32}
    document["elvis"] = {**document.get("elvis", {}), "window": corner, "chips": [setup.frame.chips[0]], **block}
    return json.dumps(document)


@pytest.fixture
def prepared(monkeypatch):
    """Return the seeds of the exposures that are made ready from now on."""
    seeds, prepare = [], pipeline.prepare
    monkeypatch.setattr(last_exposure, "_last", last_exposure._Last())
    monkeypatch.setattr(pipeline, "prepare", lambda request: seeds.append(request.elvis.seed) or prepare(request))
    return seeds


@pytest.mark.parametrize("case", CASES)
def test_files_are_those_of_a_process_for_each(case, tmp_path):
    instrument, mode, block = CASES[case]
    for seed in (1, 2, 3):
        request = text(instrument, mode, **block, seed=seed)
        alone = io.BytesIO()
        pipeline.render(parse.read(request), alone)
        assert make(Settings(str(tmp_path)), Job(seed, request.encode(), "id", f"{seed}.fits")).status == "made"
        assert (tmp_path / f"{seed}.fits").read_bytes() == alone.getvalue()


def test_only_the_first_is_made_ready(prepared):
    first, second = (last_exposure.prepare(parse.read(text(seed=n))) for n in (1, 2))
    assert prepared == [1]
    assert (first.request.elvis.seed, second.request.elvis.seed) == (1, 2)
    frames = [next(iter(pipeline.frames(each)))[1] for each in (first, second)]
    assert not np.array_equal(*frames)


@pytest.mark.parametrize("other", [{"date": "2026-11-20T05:00:00"}, {"offset": [0.1, 0.0]}, {"exposure": 2}])
def test_another_request_is_made_ready_anew(prepared, other):
    for block in ({}, other, {}):
        last_exposure.prepare(parse.read(text(seed=1, **block)))
    assert prepared == [1, 1, 1]


def test_limits_hold_for_each_request(prepared):
    request = parse.read(text(seed=1))
    last_exposure.prepare(request)
    with pytest.raises(RequestError, match="output"):
        last_exposure.prepare(parse.read(text(seed=2), limits=replace(DEFAULT, output=1)))


def test_the_name_of_a_file_needs_the_setup_once(monkeypatch):
    monkeypatch.setattr(last_exposure, "_last", last_exposure._Last())
    setups = [last_exposure.configure(parse.read(text(seed=n))) for n in (1, 2)]
    assert setups[0] is setups[1]


@pytest.mark.parametrize(("most", "requests", "kept"), [(4096, 1, False), (4096, 2, True), (4095, 2, False)])
def test_images_of_a_small_frame_are_kept_from_the_second_request_on(prepared, monkeypatch, most, requests, kept):
    monkeypatch.setattr(last_exposure, "MAX_KEPT_BYTES", most)
    for seed in range(requests):
        ready = last_exposure.prepare(parse.read(text(seed=seed)))
    chip = ready.setup.detector.chip(ready.setup.frame.chips[0])
    first, second = (ready.illuminate(chip, frozenset(["stars"])) for _ in range(2))
    assert (first is second) == kept
