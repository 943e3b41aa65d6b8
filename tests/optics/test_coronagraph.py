"""Coronagraphs: analytic cases, transmissions and leaks of METIS's masks, the star's mean image, its speckles.

Numbers without a formula were computed independently for the ELT's pupil (hcipy's multi-scale vortex agrees with them
to four digits off axis and 0.4 % on it); those of HEEPS are of its own pupil.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from elvis_cli.base.arrays import Floats
from elvis_cli.instrument import telescopes
from elvis_cli.instrument.coronagraphs import make_stop
from elvis_cli.instrument.registry import find_shared, load
from elvis_cli.instrument.sourced_table import SourcedTable, read
from elvis_cli.model.coronagraph import ColdStop, Coronagraph
from elvis_cli.model.setup import Optics
from elvis_cli.model.telescope import Telescope
from elvis_cli.optics import coronagraph, occulted_star, otf, pupil
from elvis_cli.optics.ao.wavefront import Wavefront, integral, uniform_motion
from elvis_cli.optics.cold_stop import stop_amplitude
from elvis_cli.optics.coronagraph import Operator
from elvis_cli.sky.turbulence import NO_AIR, Air, fitting

WAVE = 3.81
D = 36.905
ELT = telescopes.make(SourcedTable(tree := read(find_shared("_telescopes", "elt.toml")), "elt", "", tree, []))
ROUND = Telescope("circle", 1.0, 10.0, 0.0, 0.0, ())
OPEN = ColdStop(10.0, 0.0, round_edge=True, round_hole=True)
ONE = np.array([WAVE]), np.array([1.0])


def metis(name: str) -> ColdStop:
    """Return one of METIS's cold stops."""
    plugin = load("metis")
    tree = plugin.document["stops"][name]
    return make_stop(SourcedTable(tree, "metis", name, plugin.document, []))


@cache
def device(name: str) -> Coronagraph:
    if name == "CVC":
        return Coronagraph(name, "vortex", metis("CLS-LM"))
    if name == "RAVC":
        return Coronagraph(name, "vortex", metis("RLS-LM"), ring=(9.577, 0.7909))
    margin = 38.542 * 0.0343
    arms = tuple((angle, (0.386 if angle == 90 else 0.202) + margin) for angle in range(30, 360, 60))
    lyot = ColdStop(36.8765 - 38.542 * 0.1095, 10.0529 + 38.542 * 0.0491, arms)  # ULS-LM
    return Coronagraph(name, "disc", lyot, radius=0.04)


def leak(operator: Operator, x: float = 0.0, y: float = 0.0, phase: Floats | float = 0.0, radius: float = 0.0) -> float:
    """Return the energy behind the stop over that of the entrance pupil."""
    field = operator.behind(operator.tilt(x, y) * np.exp(1j * np.asarray(phase)), radius)
    return float((np.abs(field) ** 2).sum() / (operator.pupil**2).sum())


def test_the_vortex_empties_a_clear_circle() -> None:
    """All light is outside, |E| = (R / r)^2; a tilt of t lambda / D lets pi^2 / 8 t^2 through (Mawet et al. 2005)."""
    clear = Operator(ROUND, Coronagraph("v", "vortex", OPEN), 10.0)
    field = np.abs(coronagraph.vortex(clear.entrance.astype(complex)))
    r = np.hypot(clear.x, clear.x[:, None])
    assert (field[r < 4.75] ** 2).sum() < 1e-8 * (clear.pupil**2).sum()
    inner = np.where(r < 2.5, 1.0, 0.0)
    outside = np.abs(coronagraph.vortex(inner.astype(complex)))[(r > 3.5) & (r < 4.5)]
    expected = (2.5 / r[(r > 3.5) & (r < 4.5)]) ** 2
    assert outside.mean() == pytest.approx(expected.mean(), rel=0.01)
    within = Operator(ROUND, Coronagraph("v", "vortex", replace(OPEN, outer=9.95)), 10.0)
    assert leak(within, 0.05) == pytest.approx(math.pi**2 / 8 * 0.05**2, rel=0.05)


def test_a_ring_makes_up_for_the_obscuration() -> None:
    """An annulus leaks r0^2; with its ring (Mawet et al. 2013) nothing."""
    r0 = 0.2838
    annulus = replace(ROUND, inner=10.0 * r0)
    plain = Operator(annulus, Coronagraph("v", "vortex", replace(OPEN, inner=10.0 * r0)), 10.0)
    # the vortex moves the light of the hole's rim within the annulus and leaves r0^2 of it behind the whole stop
    assert leak(plain) == pytest.approx(r0**2, rel=0.05)
    t = 1.0 - (r0**2 + r0 * math.sqrt(r0**2 + 8.0)) / 4.0
    r1 = r0 / math.sqrt(1.0 - t)
    assert (t, r1) == pytest.approx((0.7782, 0.6026), abs=1e-4)
    stop = ColdStop(9.95, 10.0 * r1 + 0.05, round_edge=True, round_hole=True)
    ringed = Operator(annulus, Coronagraph("v", "vortex", stop, ring=(5.0 * r1, t)), 10.0)
    assert leak(ringed) < 1e-6


@pytest.mark.parametrize(
    ("name", "throughput", "on_axis"), [("CVC", 0.852, 0.0480), ("RAVC", 0.387, 0.00327), ("CLC", 0.646, 0.0108)]
)
def test_throughput_and_leak(name: str, throughput: float, on_axis: float) -> None:
    """Those of METIS's stops on the ELT's pupil."""
    operator = Operator(ELT, device(name), D)
    assert operator.throughput == pytest.approx(throughput, abs=0.001)
    assert leak(operator, radius=1.878) == pytest.approx(on_axis, rel=0.01)


@pytest.mark.parametrize(
    ("name", "peak", "energy"),
    [
        ("CVC", [0.013, 0.081, 0.258, 0.312, 0.489, 0.675, 0.807, 0.913],
         [0.067, 0.269, 0.476, 0.497, 0.636, 0.790, 0.871, 0.941]),
        ("RAVC", [0.008, 0.101, 0.275, 0.323, 0.521, 0.742, 0.873, 0.951],
         [0.022, 0.262, 0.487, 0.497, 0.654, 0.842, 0.917, 0.964]),
    ],
)  # fmt: skip
def test_off_axis_transmission(name: str, peak: list[float], energy: list[float]) -> None:
    """Behind a vortex half of the light passes at 1.25 lambda / D, nine tenths of the peak at 10."""
    table = occulted_star.transmission(replace(ELT, diameter=D), device(name), 0.0)
    at = np.array([0.1, 0.5, 1.0, 1.25, 2.0, 3.0, 5.0, 10.0])
    assert table.of_peak(at) == pytest.approx(peak, abs=0.01)
    assert table.of_energy(at) == pytest.approx(energy, abs=0.01)
    assert table.of_peak(np.array([1e3])) == 1.0


def test_a_disc_hides_what_is_behind_it() -> None:
    """METIS's Lyot disc of 80 mas: 1.878 lambda / D in radius."""
    table = occulted_star.transmission(replace(ELT, diameter=D), device("CLC"), 1.878)
    assert table.of_peak(np.array([0.5, 2.5, 4.0])) == pytest.approx([0.016, 0.81, 0.99], abs=0.01)


def test_transmissions_are_kept_on_disk_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELVIS_CACHE", str(tmp_path))
    occulted_star.transmission.cache_clear()
    computed = occulted_star.transmission(ELT, device("CVC"), 0.0)
    assert len(list(tmp_path.rglob("*.npy"))) == 1
    occulted_star.transmission.cache_clear()
    monkeypatch.setattr(Operator, "transmission", None)  # another process does not compute them
    read_back = occulted_star.transmission(ELT, device("CVC"), 0.0)
    assert read_back is not computed
    assert np.array_equal(read_back.peak, computed.peak)
    assert np.array_equal(read_back.energy, computed.energy)
    with pytest.raises(TypeError):  # of another mask there are none
        occulted_star.transmission(ELT, device("RAVC"), 0.0)


def test_transmission_is_a_mean_of_directions() -> None:
    """Behind the VLT's arms a point along x is brighter or fainter as the pupil is turned; its mean is not."""
    telescope = telescopes.make(
        SourcedTable(tree := read(find_shared("_telescopes", "vlt_ut4.toml")), "vlt", "", tree, [])
    )
    eris = load("eris").document
    stop = make_stop(SourcedTable(eris["stops"]["Lyot"], "eris", "Lyot", eris, []))
    means, along_x = [], []
    for angle in (0.0, 135.0):
        agpm = Coronagraph("AGPM", "vortex", stop, angle=angle)
        means.append(occulted_star.transmission(telescope, agpm, 0.0).of_peak(np.array([1.0, 2.0, 5.0])))
        half = Operator(telescope, agpm, telescope.diameter).coarsened(2)
        along_x.append([half._point_transmission(distance, 0.0, 0.0)[0] for distance in (1.0, 2.0, 5.0)])
    assert along_x[0] == pytest.approx([0.338, 0.6246, 0.9171], abs=0.002)
    assert means[0] == pytest.approx(along_x[0], abs=0.01)
    assert means[1] == pytest.approx(means[0], abs=0.002)
    assert max(np.subtract(along_x[1], along_x[0])) > 0.01


def test_far_from_the_axis_a_vortex_dims_no_direction() -> None:
    """Means over samples would take a fifth of the light along diagonals at 40 lambda / D and 16 cm a sample."""
    part = Operator(ELT, device("CVC"), D).coarsened(occulted_star.COARSER[-1])
    along = [part._point_transmission(40.0, math.radians(angle), 0.0) for angle in (0.0, 45.0)]
    assert along[1] == pytest.approx(along[0], abs=0.005)
    assert along[0][1] == pytest.approx(0.994, abs=0.003)


def test_a_tilt_behind_an_annulus() -> None:
    """A hole of radius a, a stop from b to c, a tilt of k = 2 pi t / D, to second order.

    The Beurling transforms of 1, x and x^2 over two discs give the field a^2 / z^2 + i k (conj(z) + a^4 / z^3) / 2
    - k^2 (2 r^2 - R^2 + conj(z)^2 + a^4 / z^2 + a^6 / z^4) / 8, of which the light is integrated over the stop.
    """
    a, b, c, r = 0.3 * 5.0, 0.4 * 5.0, 0.95 * 5.0, 5.0
    annulus = replace(ROUND, inner=2 * a)
    stopped = Operator(
        annulus, Coronagraph("v", "vortex", ColdStop(2 * c, 2 * b, round_edge=True, round_hole=True)), 2 * r
    )
    still = a**4 * (1 / b**2 - 1 / c**2)
    for t in (0.0, 0.1):
        k = 2 * math.pi * t / (2 * r)
        tilted = (c**4 - b**4) / 2 + a**8 / 2 * (1 / b**4 - 1 / c**4)
        tilted -= a**2 * (c**2 - b**2) + a**6 * (1 / b**2 - 1 / c**2)
        assert leak(stopped, t) == pytest.approx((still + k**2 / 4 * tilted) / (r**2 - a**2), rel=0.01)


@pytest.mark.parametrize(("name", "tilted", "moved"), [("CVC", 0.07444, 0.0735), ("RAVC", 0.01774, 0.0173)])
def test_image_motion_leaks(name: str, tilted: float, moved: float) -> None:
    """0.12 lambda / D rms of motion on the mask: the mean over a Gaussian (Gauss-Hermite) to a half per cent.

    ``tilted`` is what hcipy's multi-scale vortex lets through on this raster at a tilt of sqrt(2) 0.12 lambda / D.
    """
    sigma = 0.12
    optics = behind(replace(device(name), jitter=sigma * WAVE * 1e-6 / D * 206264806.2))
    _, total = occulted_star.leaking(optics, WAVE, 0.0)
    whole = occulted_star.operator(optics.telescope, device(name))
    assert leak(whole, math.sqrt(2.0) * sigma) == pytest.approx(tilted, rel=0.004)
    node, weight = np.polynomial.hermite_e.hermegauss(3)
    mean = 0.0
    for x, a in zip(node, weight, strict=True):
        for y, b in zip(node, weight, strict=True):
            mean += a * b / (2 * math.pi) * leak(whole, sigma * x, sigma * y)
    leaked = total * whole.throughput
    assert leaked == pytest.approx(mean, rel=0.005)
    assert leaked == pytest.approx(moved, rel=0.01)


@pytest.mark.parametrize(("name", "mode", "leaks"), [("CVC", "astigmatism", 0.0485), ("RAVC", "coma", 0.00414)])
def test_slow_aberrations_leak(name: str, mode: str, leaks: float) -> None:
    """30 nm rms of one mode at 3.81 um."""
    operator = Operator(ELT, device(name), D)
    u, v = operator.x / (D / 2), operator.x[:, None] / (D / 2)
    shape = u**2 - v**2 if mode == "astigmatism" else (3.0 * (u**2 + v**2) - 2.0) * u
    weight = operator.pupil / operator.pupil.sum()
    shape = shape - (shape * weight).sum()
    if mode == "coma":
        shape = shape - u * (shape * u * weight).sum() / (u * u * weight).sum()
    shape *= 30.0 / math.sqrt((shape**2 * weight).sum())
    assert leak(operator, phase=2 * math.pi / (WAVE * 1e3) * shape) == pytest.approx(leaks, rel=0.05)


def behind(mask: Coronagraph) -> Optics:
    return Optics(replace(ELT, diameter=D), (), (3.6, 4.0), "L", WAVE, 0.00547, 0.3, coronagraph=mask)


@cache
def residual() -> tuple[Wavefront, Air]:
    """Return 64 nm of low orders inside 1/m and the turbulence of r0 0.157 m, L0 25 m outside: 125 nm in all."""
    air = Air(0.157, 25.0, *np.ones((3, 1)))
    shift, outside = fitting(1.0, air, 60.0)
    df = 1 / 80
    axis = np.arange(math.ceil(1.0 / df) + 1) * df
    f = np.hypot(axis, axis[:, None])
    spectrum = np.clip((1.0 - f) / df + 0.5, 0.0, 1.0) / (f**2 + (2 / D) ** 2)
    spectrum[0, 0] = 0.0
    spectrum *= 64.0**2 / integral(spectrum, spectrum, df)
    return Wavefront(shift, outside, (spectrum, spectrum), df, 64.0**2 + 0.5 * float(outside[-1])), air


def rings(image: Floats, step: float) -> Iterator[float]:
    """Yield the mean in rings of half width 0.5 at 1, 2, 3, 5, 10, 20; ``step`` is in lambda / D."""
    offset = (np.arange(len(image)) - len(image) // 2) * step
    r = np.hypot(offset, offset[:, None])
    yield from (float(image[np.abs(r - at) < 0.5].mean()) for at in (1, 2, 3, 5, 10, 20))


@pytest.mark.parametrize(
    ("name", "coherent", "all_light"),
    [
        ("CVC", [4.24e-3, 2.60e-3, None, 1.28e-4, 1.62e-5, None], [4.29e-3, 2.66e-3, 9.2e-5, 1.58e-4, 2.56e-5, 6.7e-6]),
        ("RAVC", [None, 2.9e-4, None, 1.5e-5, 6.0e-6, None], [9.6e-4, 3.8e-4, 1.9e-4, 5.8e-5, 1.9e-5, 4.3e-6]),
    ],
)  # fmt: skip
def test_raw_contrast(name: str, coherent: list[float | None], all_light: list[float]) -> None:
    """Mean of rings over the peak of the star beside the mask, without turbulence, and as 30 phase screens gave it."""
    optics = behind(device(name))
    wavefront, air = residual()
    held = math.exp(-wavefront.variance * (2 * math.pi / (WAVE * 1e3)) ** 2)
    assert held == pytest.approx(0.959, abs=0.003)
    unit = occulted_star.unit(optics, WAVE)
    grid = otf.Grid(unit / 8, 1, 512, 16, 256)  # a pixel of lambda / 4 D fills the dark ring at 3 lambda / D
    star = occulted_star.image(optics, grid, ONE, wavefront, air)
    still = uniform_motion(90.0, 0.0)
    beside = otf.build(grid, occulted_star.aperture(optics.telescope, device(name)), *ONE, NO_AIR, [still], 1)
    peak = float(beside.fine.max())
    for image, expected in ((star.coherent, coherent), (star.mean(), all_light)):
        for found, wanted in zip(rings(image.fine[0] / peak / held, 0.125), expected, strict=True):
            assert wanted is None or found == pytest.approx(wanted, rel=0.1)


def test_speckles_are_a_modified_rician() -> None:
    """Their variance is h^2 + 2 h c over the number of patterns, their mean the mean image; the seed decides."""
    optics = behind(device("CVC"))
    wavefront, air = residual()
    star = occulted_star.image(
        optics, otf.Grid(occulted_star.unit(optics, WAVE) / 4, 1, 128, 4, 128), ONE, wavefront, air
    )
    many = [star.exposed(optics, WAVE, 99.0, np.random.default_rng(n)).fine[0] for n in range(150)]
    c, h = star.coherent.fine[0], star.halo.fine[0]
    expected = (h**2 + 2 * h * c) / 100.0
    offset = np.arange(128) - 64
    at = np.abs(np.hypot(offset, offset[:, None]) / 4 - 8) < 3
    assert np.var(many, axis=0)[at].sum() == pytest.approx(expected[at].sum(), rel=0.1)
    assert np.mean(many, axis=0)[at].sum() == pytest.approx((c + h)[at].sum(), rel=0.01)
    again = star.exposed(optics, WAVE, 99.0, np.random.default_rng(0)).fine[0]
    assert np.array_equal(again, many[0])
    near = many[0] - np.mean(many, axis=0)  # neighbours within lambda / D look alike, distant ones do not
    assert np.corrcoef(near[at], np.roll(near, 1, 1)[at])[0, 1] > 0.6
    assert abs(np.corrcoef(near[at], np.roll(near, 16, 1)[at])[0, 1]) < 0.2


def test_slow_aberrations_have_their_size_and_grow() -> None:
    """The static ones are the instrument's, those that grow belong to the seed."""
    mask = replace(device("CVC"), static=36.0, drift=28.0, drift_time=3600.0)
    optics = behind(mask)
    weight = occulted_star.operator(optics.telescope, mask).pupil ** 2
    first, later, other = (
        occulted_star.slow_aberrations(mask, optics.telescope, elapsed, seed)
        for elapsed, seed in ((0.0, 1), (1800.0, 1), (1800.0, 2))
    )
    assert first is not None
    assert later is not None
    assert other is not None

    def rms(values: Floats) -> float:
        return math.sqrt(float((values**2 * weight).sum() / weight.sum()))

    assert rms(first) == pytest.approx(36.0, rel=1e-6)
    assert rms(later - first) == pytest.approx(14.0, rel=1e-6)
    assert rms(other - later) > 10.0


def test_hcipy_agrees() -> None:
    """hcipy's vortex on the same raster: off the axis and on it to 0.4 %."""
    hcipy = pytest.importorskip("hcipy", reason="hcipy is not installed: pip install hcipy")
    operator = Operator(ELT, device("CVC"), D)
    n = len(operator.x)
    grid = hcipy.make_pupil_grid(n, n * operator.step / D)
    vortex = hcipy.VortexCoronagraph(grid, 2)
    for tilt in (0.0, 0.17, 2.0, 5.0):
        entrance = hcipy.Field((operator.entrance * operator.tilt(tilt, 0.0)).ravel(), grid)
        field = np.array(vortex(hcipy.Wavefront(entrance)).electric_field).reshape(n, n) * operator.stop
        theirs = float((np.abs(field) ** 2).sum() / (operator.pupil**2).sum())
        assert leak(operator, tilt) == pytest.approx(theirs, rel=0.004, abs=1e-5)


def test_stops_of_a_turned_pupil_turn() -> None:
    """Arms are counted from +y through -x."""
    stop = ColdStop(10.0, 2.0, ((90.0, 1.0),), round_edge=True, round_hole=True)
    shape = stop_amplitude(stop, pupil.ACROSS, 10.0 / (pupil.ACROSS - 4))
    assert shape[pupil.ACROSS // 2, pupil.ACROSS // 4] == 0.0
    assert shape[pupil.ACROSS // 2, 3 * pupil.ACROSS // 4] == 1.0
    turned = stop_amplitude(replace(stop, arms=((0.0, 1.0),)), pupil.ACROSS, 10.0 / (pupil.ACROSS - 4), 90.0)
    assert np.allclose(shape, turned)
