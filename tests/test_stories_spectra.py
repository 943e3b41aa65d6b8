"""What astronomers ask of spectra and cubes, each answered by a number that is measured on reduced products."""

from __future__ import annotations

import copy
import io
import json
import os
from typing import Any

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, cube, layout, raw, requests, spectra
from elvis_cli.request import parse
from tests.test_stories import LIGHT, STARS, disc, long_slit

pytestmark = pytest.mark.skipif(not os.environ.get("ELVIS_CLOSURE"), reason="make closure")
SEEDS = 20
GIANT = {"spectrumtype": "template", "params": {"catalog": "Pickles", "id": "K0III"}}


def rendered(document: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document)), out)
    return out.getvalue()


def night(document: dict[str, Any]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the requests of the target's exposures, and the raw files of all others behind the product."""
    made = requests.documents(parse.read(json.dumps(document)))
    target = [each for each in made if not each["elvis"].get("calibration")]
    return target, [rendered(each) for each in made if each["elvis"].get("calibration")]


def exposures(target: list[dict[str, Any]], **block: Any) -> list[bytes]:
    """Return the raw files of the target with other keys of the block."""
    return [rendered({**each, "elvis": copy.deepcopy(each["elvis"]) | block}) for each in target]


def spectrum(files: list[bytes], **options: Any) -> Any:
    """Return the merged spectrum of raw files."""
    (own,) = associate.associate(raw.open_all(files))
    return spectra.reduce(own, spectra.SpectrumOptions(**options)).merged


def velocity(star: Any, template: Any, reach: float) -> tuple[float, float]:
    """Return the velocity (km/s) of a star against its ``template`` at rest, and its error by the star's ERR.

    The template is scaled by a parabola. The error is that of the photons (Bouchy et al. 2001, A&A 374, 733, eq. 9).
    """
    good = (star.quality == 0) & (star.err > 0)
    good[:40] = good[-40:] = False
    across = np.linspace(-1, 1, star.wave.size)
    known = template.quality == 0
    wave, shape = template.wave[known], template.flux[known]

    def model(v: float) -> np.ndarray:
        seen = np.interp(star.wave / np.sqrt((1 + v / LIGHT) / (1 - v / LIGHT)), wave, shape)
        base = seen[:, None] * across[:, None] ** np.arange(3)
        weighted = base[good] / np.square(star.err[good, None])
        return np.asarray(base @ np.linalg.solve(weighted.T @ base[good], weighted.T @ star.flux[good]))

    grid = np.arange(-reach, reach + 0.1, reach / 100)
    for _ in range(3):
        away = [np.sum(np.square((star.flux - model(v)) / np.where(good, star.err, np.inf))) for v in grid]
        k = int(np.argmin(away))
        square, linear, _ = np.polyfit(grid[k - 2 : k + 3] - grid[k], away[k - 2 : k + 3], 2)
        best = grid[k] - linear / square / 2
        grid = best + (grid - grid.mean()) / 10
        rest = np.abs(star.flux - model(best)) / np.where(star.err > 0, star.err, np.inf)
        good &= rest < 5 * max(1.0, 1.4826 * float(np.median(rest[good])))
    slope = model(best + 0.5) - model(best - 0.5)
    return float(best), float(1 / np.sqrt(np.sum(np.square(slope[good] / star.err[good]))))


def test_the_velocity_of_a_star_near_the_galactic_centre():
    """The brightest of three stars in MICADO's slit against a standard of velocity: a product each, the same night."""
    document = long_slit()
    document["elvis"]["window"] |= {"ny": 1500}
    target, others = night(document)
    single = {"x": [0.0], "y": [0.15], "mag": [12.0], "velocity": [0.0]}
    at_rest = spectrum([*exposures(target, catalogue=single, seed=3), *others], telluric="sky")
    found = [
        velocity(spectrum([*exposures(target, catalogue=STARS, seed=seed), *others], telluric="sky"), at_rest, 400.0)
        for seed in (1, 2)
    ]
    print("Galactic centre", found)
    values, errors = np.array(found).T
    assert np.abs(values - STARS["velocity"][1]).max() < 0.3
    assert 0.02 < errors.mean() < 0.1


def test_the_velocity_of_a_giant_and_its_error():
    """A K giant at 30 km/s with CRIRES2: each of twenty seeds is within 3 sigma, and their scatter is the error."""
    document = registry.load("crires2").example("spec_noao")
    document["instrument"]["INS.WLEN.CWLEN"] = 1582.339
    document["target"]["sed"] = {"sedtype": "spectrum", "spectrum": GIANT}
    document["target"]["brightness"] |= {"magband": "H", "mag": 8}
    document["timesnr"] = {"DET1.DIT": 60, "DET1.NDIT": 4}
    document["elvis"] = {"chips": [1], "window": {"x0": 0, "y0": 940, "nx": 2048, "ny": 220}}
    target, others = night(document)
    star = {"x": [0.0], "y": [0.0], "mag": [8.0]}
    longer = [{**each, "timesnr": {"DET1.DIT": 60, "DET1.NDIT": 400}} for each in target]
    rest = exposures(longer, catalogue=star | {"velocity": [0.0]}, seed=50)
    template = spectrum([*rest, *others], telluric="sky")
    found = []
    for seed in range(SEEDS):
        frames = exposures(target, catalogue=star | {"velocity": [30.0]}, seed=100 + seed)
        found.append(velocity(spectrum([*frames, *others], telluric="sky"), template, 60.0))
    values, errors = np.array(found).T
    pulls = (values - 30.0) / errors
    print("K giant", values.mean(), values.std(), errors.mean(), np.abs(pulls).max())
    assert np.abs(pulls).max() < 3.0
    assert values.std() == pytest.approx(errors.mean(), rel=0.35)  # 20 seeds tell a scatter to 16 %


def test_the_gap_of_a_disc():
    """METIS's integral field on a gap of 16 mas at 0.25 arcsec: the cube of the disc less that of its star alone."""
    depths = {}
    target, others = night(disc(0.016))
    star = exposures(night_of_star(), exposure=200)
    for width in (0.016, 0.0):
        scene = target[0]["elvis"]["scene"] | ({} if width else {"rings": []})
        frames = exposures(target, scene=scene)
        cubes = [white([*files, *others]) for files in (frames, star)]
        depths[width] = gap(cubes[0] - cubes[1])
    print("gap", depths)
    assert depths[0.016] > 0.2
    assert depths[0.0] < 0.1


def night_of_star() -> list[dict[str, Any]]:
    """Return the exposures of the star without its disc."""
    made = requests.documents(parse.read(json.dumps(disc(None))))
    return [each for each in made if not each["elvis"].get("calibration")]


def white(files: list[bytes]) -> Any:
    """Return the median of a cube's planes (y, x) that all slices reach, electron/s."""
    own = next(each for each in associate.associate(raw.open_all(files)) if each.science)
    made = cube.reduce(own, layout.configure(own.science[0], "arc"))
    return np.nanmedian(np.where(made.cube.dq == 0, made.cube.sci, np.nan), axis=0)


def gap(image: Any) -> float:
    """Return how far the light in the gap falls below the ring outside, both sides of the middle together."""
    half = image.shape[1] // 2
    line = image[:, half - 1 : half + 1].sum(axis=1)
    middle = line.size // 2
    half_line = (line + line[::-1])[middle:] / 2
    bottom = 25 + int(np.nanargmin(half_line[25:36]))  # pixels of 8.2 mas: 0.25 arcsec is 30.5
    return float(1.0 - half_line[bottom] / np.nanmax(half_line[bottom : bottom + 16]))
