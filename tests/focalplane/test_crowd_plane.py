"""Crowds of many spectra on the slit plane hold the light, and the places, that stars drawn whole have."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.focalplane import convolution, crowd_plane, many_stars
from elvis_cli.focalplane.aperture_light import ApertureLight
from elvis_cli.focalplane.shared_spectra import MAX_RATIO, SharedSpectra, covering
from elvis_cli.focalplane.trace import edges_between
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse

SPECTRA = 9


@pytest.fixture(scope="module")
def light() -> ApertureLight:
    """The light of a dozen stars of as many velocities in the slices of METIS, before anything is drawn."""
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-0.3, 0.3, (2, SPECTRA))
    columns: dict[str, Any] = {"x": x.tolist(), "y": y.tolist(), "mag": rng.uniform(10, 14, SPECTRA).tolist()}
    columns["velocity"] = np.linspace(-90.0, 90.0, SPECTRA).tolist()
    document = registry.load("metis").example("lms_scao")
    document["elvis"] = {"catalogue": columns}
    request = parse.read(json.dumps(document))
    setup = pipeline.configure(request)
    assert setup.spectrograph is not None
    kept = pipeline._check_cost
    pipeline._check_cost = lambda *_: None
    try:
        lit = pipeline.calibration.illuminate(request, setup)[1]
        apertures = pipeline._spectrometer(request, lit, setup.spectrograph).apertures
    finally:
        pipeline._check_cost = kept
    assert isinstance(apertures, ApertureLight)
    return apertures


def test_cores_and_haloes_are_the_stars(light: ApertureLight, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum over all spectra, each times its electrons, is that of stars drawn whole."""
    monkeypatch.setattr(convolution, "CORE", 96)  # small transforms
    number, plane = light.plane.wave.size // 2, light.plane
    cut = slice(number, number + 1)
    alike = replace(plane.imagers[number], zones=many_stars.everywhere(plane.imagers[number].psf))
    one = replace(plane, wave=plane.wave[cut], imagers=(alike,), chips=plane.chips[cut])
    scenes = [group.scene for group in light.groups]
    crowd = crowd_plane.gather(one, scenes, [[np.full(3, 1.0 + n) for n in range(len(scenes))]])
    assert crowd is not None
    assert len(scenes) == SPECTRA
    assert len(crowd.haloes) == crowd_plane.MAX_HALOES
    assert sorted(n for members in crowd.haloes for n in members) == list(range(SPECTRA))
    detector = plane.setup.detector
    frame = Window(detector.nx // 4, detector.ny // 4, detector.nx // 2, detector.ny // 2)
    whole = slice(0, frame.ny), slice(0, frame.nx)
    electrons = [*crowd.electrons, *(float(own[0]) for own in crowd.mean([np.array([e]) for e in crowd.electrons]))]
    seen = sum(electrons[n] * several[0][whole] for n, several in crowd.images(frame).items())
    expected = sum(
        own * one.draw(scene, frozenset({"stars"}), frame)[0]
        for own, scene in zip(crowd.electrons, scenes, strict=True)
    )
    assert np.abs(seen - expected).max() < 2e-3 * expected.max()
    assert seen.sum() == pytest.approx(expected.sum(), rel=2e-3)


def test_a_patch_is_the_part_of_an_image_that_is_lit() -> None:
    whole = np.zeros((40, 50), np.float32)
    whole[10:20, 30:45] = np.random.default_rng(1).random((10, 15))
    patch = crowd_plane.Patch(whole[10:20, 30:45], 10, 30)
    for rows, columns in ((slice(0, 40), slice(0, 50)), (slice(12, 18), slice(20, 33)), (slice(0, 5), slice(0, 50))):
        np.testing.assert_array_equal(patch[rows, columns], whole[rows, columns])
        assert patch.is_lit((rows, columns)) == whole[rows, columns].any()


def test_the_brightest_spectra_have_haloes_of_their_own() -> None:
    light = np.arange(20.0)
    haloes = crowd_plane.share(light)
    assert [members[0] for members in haloes[:-1]] == [19, 18, 17, 16, 15, 14, 13]
    assert haloes[-1] == tuple(range(1, 13))  # number 0 is dark


@pytest.mark.parametrize("stretch", [1.0, 1.05])
def test_spectra_of_another_trace_keep_their_electrons_and_lines(stretch: float) -> None:
    """A line two pixels wide at a quarter of a pixel: the same electrons and place; other dispersions are refused."""
    wave = np.linspace(2.0, 2.1, 4001)
    other = 2.01 + np.arange(2500) * (wave[1] - wave[0]) * stretch

    def line(at: Any) -> Any:
        return np.exp(-0.5 * ((at - 2.05) / (3.4 * (wave[1] - wave[0]))) ** 2)

    covered = covering([wave, other])
    assert covered[0] <= min(wave[0], other[0])
    assert covered[-1] >= max(wave[-1], other[-1])
    density = (line(covered) * np.diff(edges_between(covered)))[None].astype(np.float32)
    shared = SharedSpectra(covered, density)
    seen = shared.along(other)
    assert seen is not None
    assert seen.sum() == pytest.approx(density.sum(), rel=1e-3)
    assert (seen[0] * other).sum() / seen.sum() == pytest.approx(2.05, abs=0.02 * (wave[1] - wave[0]))
    assert shared.along(2.01 + np.arange(900) * (wave[1] - wave[0]) * (MAX_RATIO + 0.1)) is None
    assert replace(shared, spectra=2 * density).along(other) == pytest.approx(2 * seen)
