"""A rotating grating: traces at any central wavelength from those at a few, and the blaze of an order.

The position on the detector depends on order times wavelength, so settings are compared by that product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from elvis_cli.base.curve import Curve
from elvis_cli.model.spectrograph import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """The traces at one angle of the grating."""

    at: float
    """Central wavelength, um."""
    order: int
    """The order that it is seen in; further orders of the traces keep their distance from it."""
    traces: tuple[Trace, ...]

    @property
    def phase(self) -> float:
        """Order times central wavelength, um."""
        return self.order * self.at


def order(first: float, centre: float) -> int:
    """Return the order whose blaze is nearest in angle to ``centre`` (um); ``first`` is the blaze of the first (um)."""
    return max(round(first / centre), 1)


def rotate(settings: Sequence[Setting], order: int, centre: float) -> tuple[Trace, ...]:
    """Return the traces at the central wavelength ``centre`` (um) in ``order``.

    Coefficients, and wavelengths times order, are linear in order times central wavelength between the two nearest
    settings and beyond them.

    Raises
    ------
    ValueError
        There are not two settings, or they differ in the number of traces.
    """
    phase = order * centre
    near = sorted(settings, key=lambda setting: abs(setting.phase - phase))[:2]
    if len(near) < 2 or len(near[0].traces) != len(near[1].traces):
        raise ValueError("two settings with as many traces each are needed")
    fraction = (phase - near[0].phase) / (near[1].phase - near[0].phase)
    return tuple(
        _between(a, b, fraction, a.order - near[0].order + order)
        for a, b in zip(near[0].traces, near[1].traces, strict=True)
    )


def _between(a: Trace, b: Trace, fraction: float, order: int) -> Trace:
    def wavelength(one: float, other: float) -> float:
        return ((1.0 - fraction) * one * a.order + fraction * other * b.order) / order

    return replace(
        a,
        order=order,
        wave=(wavelength(a.wave[0], b.wave[0]), wavelength(a.wave[1], b.wave[1])),
        l0=wavelength(a.l0, b.l0),
        lw=wavelength(a.lw, b.lw),
        x=(1.0 - fraction) * a.x + fraction * b.x,
        y=(1.0 - fraction) * a.y + fraction * b.y,
    )


def apply_blaze(trace: Trace, first: float, peak: float) -> Trace:
    """Return the trace with the efficiency of a blazed grating, peak sinc^2(order - first / wavelength).

    It falls to 0 at the blaze of the neighbouring orders; ``first`` (um) is the blaze of the first order.
    """
    wave = np.linspace(*trace.wave, 65)
    return replace(trace, efficiency=Curve(wave, peak * np.sinc(trace.order - first / wave) ** 2))
