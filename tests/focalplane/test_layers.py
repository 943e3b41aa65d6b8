"""The light of a trace as a sum of products: nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft

from elvis_cli.focalplane import layers
from elvis_cli.focalplane.trace import FINE


def test_transforms_are_as_long_as_scipy_would_have_them():
    lengths = [*range(1, 3000), *range(48_500, 48_700)]
    assert [layers._fast(n) for n in lengths] == [fft.next_fast_len(n, real=True) for n in lengths]


@pytest.mark.parametrize(("width", "blur"), [(0.0, 0.0), (2.0, 0.0), (3.5, 1.2)])
def test_a_line_is_averaged_over_pixel_and_strip_and_blurred(width, blur):
    line = np.zeros(800)
    line[400] = 1.0
    seen = layers.smoothed(line, width, blur)
    x = (np.arange(800) - 400) / FINE
    assert seen.sum() == pytest.approx(1.0, abs=1e-9)
    assert (seen * x).sum() == pytest.approx(0.0, abs=1e-3)
    if blur:
        assert (seen * x**2).sum() == pytest.approx((1.0 + width**2) / 12.0 + blur**2, rel=1e-3)


def test_the_wings_of_a_crowd_hold_what_the_cores_do_not():
    rng = np.random.default_rng(0)
    strips = [10.0 ** rng.uniform(-5.0, 0.0, (3, 40)) for _ in range(12)]
    spectra = [rng.uniform(0.5, 1.5, 60).astype(np.float32) for _ in range(12)]
    cores, profile, spectrum = layers.split_wings(strips, spectra)
    before = sum(one.sum() * own for one, own in zip(strips, spectra, strict=True))
    after = sum(one.sum() * own for one, own in zip(cores, spectra, strict=True)) + profile.sum() * spectrum
    assert after == pytest.approx(before, rel=1e-6)
    along = sum(one * own.sum(dtype=float) for one, own in zip(strips, spectra, strict=True))
    kept = sum(one * own.sum(dtype=float) for one, own in zip(cores, spectra, strict=True))
    assert kept + profile * spectrum.sum(dtype=float) == pytest.approx(along, rel=1e-6)
    assert all((core[core > 0] >= layers.WING * core.max()).all() for core in cores)
