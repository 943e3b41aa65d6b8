"""Events that are drawn and added to light curves, to be found again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.observatory.lightcurve import MAG_PER_RELATIVE_FLUX, LightCurve
from elvis_cli.observatory.parameters import SimulatorParameters

NEGATIVE = ("dip", "transit")


@dataclass(frozen=True, slots=True)
class Event:
    """An event before it is known which light curve takes it."""

    kind: str
    snr: float | None
    """Amplitude in units of the noise at the peak, positive."""
    mag: float | None
    """Amplitude in magnitudes, in place of snr."""
    width: float
    """Days: FWHM, length, or the time in which a flare falls to 1/e."""
    curve: float
    """0..1: which light curve."""
    place: float
    """0..1: which epoch is the peak."""


@dataclass(frozen=True, slots=True)
class Injection:
    """An event in a light curve."""

    curve: int
    peak: int
    mjd: float
    amplitude: float
    """Flux at the peak, negative for dips."""


@dataclass(frozen=True)
class Simulator:
    """Draws events and adds them."""

    parameters: SimulatorParameters = field(default_factory=SimulatorParameters)

    def draw(self, seed: int, mean: float) -> list[Event]:
        """Return a Poisson number of events of this ``mean``; they follow from ``seed`` alone."""
        random, p = np.random.default_rng(seed), self.parameters
        events = []
        for _ in range(int(random.poisson(mean))):
            kind = p.kinds[int(random.integers(len(p.kinds)))]
            low, high = p.mag or p.snr
            amplitude = float(random.uniform(low, high))
            shortest, longest = map(math.log, p.width)
            width = math.exp(float(random.uniform(shortest, longest)))
            snr, mag = (amplitude, None) if p.mag is None else (None, amplitude)
            events.append(Event(kind, snr, mag, width, float(random.random()), float(random.random())))
        return events

    def place(self, event: Event, curves: Sequence[LightCurve]) -> Injection | None:
        """Return where an event falls and its flux; None if there is nothing to put it in."""
        if not curves:
            return None
        number = int(event.curve * len(curves))
        curve = curves[number]
        peak = int(event.place * len(curve))
        sign = -1.0 if event.kind in NEGATIVE else 1.0
        if event.snr is not None:
            amplitude = sign * event.snr * float(curve.noise[peak])
        else:
            amplitude = curve.mean * (10.0 ** (sign * 0.4 * (event.mag or 0.0)) - 1.0)
        if not math.isfinite(amplitude):
            return None
        return Injection(number, peak, float(curve.mjd[peak]), amplitude)

    def add(self, event: Event, curve: LightCurve, injection: Injection) -> LightCurve:
        """Return the light curve with an event."""
        return curve.with_flux(curve.flux + injection.amplitude * profile(event, curve.mjd - injection.mjd))


def profile(event: Event, t: Floats) -> Floats:
    """Return the shape of an event, 1 at its peak, at times ``t`` (d) from there.

    A moving source crosses the aperture as a Gaussian does; a transit has slopes of a tenth of its length.
    """
    width = event.width
    if event.kind in ("gaussian", "dip", "moving"):
        return np.asarray(np.exp(-4.0 * math.log(2.0) * np.square(t / width)))
    if event.kind == "flare":
        return np.where(t >= 0.0, np.exp(-np.maximum(t, 0.0) / width), 0.0)
    if event.kind == "step":
        return (t >= 0.0).astype(np.float64)
    if event.kind == "transit":
        return np.clip((0.55 * width - np.abs(t)) / (0.1 * width), 0.0, 1.0)
    return np.asarray(np.abs(t) <= 0.5 * width, np.float64)


def brightening(event: Event, injection: Injection, curve: LightCurve, mjd: Floats) -> Floats:
    """Return the change (mag, positive is brighter) of a source of the curve's mean flux at times ``mjd``."""
    relative = injection.amplitude * profile(event, mjd - injection.mjd) / curve.mean
    return np.asarray(MAG_PER_RELATIVE_FLUX * np.log(np.maximum(1.0 + relative, 1e-6)))
