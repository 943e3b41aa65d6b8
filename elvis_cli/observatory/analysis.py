"""The analysis of a source: detections, properties and histograms; pure, nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elvis_cli.observatory import detection, histogram
from elvis_cli.observatory.detection import Detection
from elvis_cli.observatory.finder import Finder, Peak
from elvis_cli.observatory.histogram import Histogram
from elvis_cli.observatory.lightcurve import LightCurve
from elvis_cli.observatory.parameters import Parameters
from elvis_cli.observatory.quality import EpochQuality, Quality
from elvis_cli.observatory.simulator import Event, Injection, Simulator
from elvis_cli.observatory.source import Source

COVERAGE, SCORES = "coverage", "scores"
OTHERS = {COVERAGE: ("quality", "mag", "exptime", "filter"), SCORES: ("mag", "exptime", "filter")}
"""Axes of the two histograms besides the scores: all epochs by quality; good epochs."""

Render = Callable[[Event, Injection, LightCurve], LightCurve]
"""Returns a light curve whose frames were rendered with an event."""


@dataclass(slots=True)
class Result:
    """What the analysis of one source says."""

    detections: list[Detection] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    has_data: bool = False
    histograms: dict[str, bytes] = field(default_factory=dict)
    """Parts by the name of the histogram."""
    injected: list[LightCurve] = field(default_factory=list)
    """The light curves with events; those without are as they were."""


@dataclass(frozen=True)
class Analysis:
    """Finds events in the light curves of a source, with and without injected ones."""

    parameters: Parameters = field(default_factory=Parameters)

    def histogram(self, name: str) -> Histogram:
        """Return an empty histogram: coverage or scores."""
        return Histogram(others=OTHERS[name], parameters=self.parameters.histograms)

    def events(self, key: bytes, source: str) -> list[Event]:
        """Return the events of a source: they follow from the key and its name."""
        p = self.parameters
        return Simulator(p.simulator).draw(detection.seed(key, p.analysis.name, source), p.analysis.num_injections)

    def analyse(self, source: Source, curves: Sequence[LightCurve], key: bytes, render: Render | None = None) -> Result:
        """Return detections, properties and histograms of a source.

        Each injected event is searched in a copy of its own, as a real one is: so they are alike. What is found there
        besides it is left out, and nothing of it enters the histograms. The order of the detections is that of their
        seals.
        """
        finder, quality = Finder(self.parameters.finder), Quality(self.parameters.quality)
        checked = [quality.check(curve) for curve in curves]
        result = Result(has_data=bool(curves), properties={"lightcurves": [curve.properties() for curve in curves]})
        count = 0
        for curve, good in zip(curves, checked, strict=True):
            for peak in finder.find(curve, good):
                result.detections.append(self._detection(source, curve, peak, key, count, injected=False))
                count += 1
        simulator = Simulator(self.parameters.simulator)
        changed = list(curves)
        for number, event in enumerate(self.events(key, source.name)):
            injection = simulator.place(event, curves)
            if injection is None:
                continue
            before = curves[injection.curve]
            after = simulator.add(event, before, injection) if render is None else render(event, injection, before)
            together = changed[injection.curve]
            changed[injection.curve] = together.with_flux(together.flux + after.flux - before.flux)
            hit = self._recovered(finder, quality.check(after), after, injection)
            if hit is not None:
                result.detections.append(self._detection(source, after, hit, key, number, injected=True))
        result.detections.sort(key=lambda each: each.seal)
        result.histograms = self._parts(source, curves, checked)
        result.injected = changed
        return result

    def _recovered(self, finder: Finder, quality: EpochQuality, curve: LightCurve, injection: Injection) -> Peak | None:
        """Return the event that is found where one was injected."""
        for peak in finder.find(curve, quality):
            if peak.start <= injection.peak <= peak.end:
                return peak
        return None

    def _detection(
        self, source: Source, curve: LightCurve, peak: Peak, key: bytes, number: int, *, injected: bool
    ) -> Detection:
        name = self.parameters.analysis.name
        mag = float(curve.mag[peak.at])
        return Detection(
            source.name,
            name,
            detection.seal(key, name, source.name, number, injected),
            peak.snr,
            abs(peak.snr),
            float(curve.mjd[peak.at]),
            float(curve.mjd[peak.start]),
            float(curve.mjd[peak.end]),
            mag if np.isfinite(mag) else None,
            float(curve.dmag[peak.at]),
            int(peak.is_bad),
            peak.offset if np.isfinite(peak.offset) else None,
            curve.observatory,
            curve.filter,
            curve.dataset,
        )

    def _parts(self, source: Source, curves: Sequence[LightCurve], checked: Sequence[EpochQuality]) -> dict[str, bytes]:
        """Return the parts of both histograms."""
        every, good = list[dict[str, Any]](), list[dict[str, Any]]()
        for curve, quality in zip(curves, checked, strict=True):
            columns: dict[str, Any] = {
                "snr": curve.dsnr,
                "dmag": curve.dmag,
                "offset": quality.offset,
                "mag": source.mag,
                "exptime": curve.exptimes,
                "filter": curve.filter,
            }
            every.append({**columns, "quality": np.where(quality.bad, "bad", "good")})
            kept = ~quality.bad
            good.append({key: np.broadcast_to(np.asarray(each), kept.size)[kept] for key, each in columns.items()})
        data = {COVERAGE: every, SCORES: good}
        return {name: histogram.pack(self.histogram(name).part(*data[name])) for name in OTHERS}
