"""Visits -> the exposures of a night, each a complete request with its time, place and conditions.

Time runs through the visits: slew and acquisition, a new configuration, motions of the telescope, read-outs, and the
light itself, as the instrument's table ``overheads`` has it. Offsets are of the telescope: where it moves East, a star
moves West on the detector.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from elvis_cli.base.merge import merge
from elvis_cli.errors import RequestError
from elvis_cli.observing import constraints, ephemeris, pointing, template_request
from elvis_cli.observing.constraints import Violation
from elvis_cli.observing.offset import TelescopePosition
from elvis_cli.observing.template_request import TemplateRequest
from elvis_cli.observing.visit import ExposureStep, TemplateRun, Visit
from elvis_cli.sky.pointing import EPOCH, isot

MAX_PLAN_DAYS = 366.0
"""Longest plan, days."""
SIDEREAL_RATE = 15.04107
"""deg by which the sky turns in an hour."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a plan."""

    start: datetime | None = None
    """UTC; None = the first target culminates in the middle of its block, in the night of `EPOCH`."""
    seed: int | None = None
    steady: bool = False
    """No drift of seeing, water and airglow."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Merge patch to all requests."""

    @property
    def effective_seed(self) -> int:
        """The seed of the options, else that of the patch, else 0."""
        block = self.request.get("elvis")
        seed = block.get("seed") if isinstance(block, Mapping) else None
        return self.seed if self.seed is not None else seed if isinstance(seed, int) and seed >= 0 else 0


@dataclass(frozen=True, slots=True)
class Exposure:
    """One file of the plan."""

    number: int
    """From 1."""
    block: str
    template: str
    type: str
    start: datetime
    """UTC."""
    shutter: float
    """Seconds of light."""
    readout: float
    """Seconds of the read-out."""
    before: Mapping[str, float]
    """Seconds of overheads between the file before and this one, by name."""
    airmass: float | None
    document: Mapping[str, Any] = field(repr=False)
    wall: float = 0.0
    """Seconds from the end of all files before to the end of this one; 0 where another arm took longer."""
    violations: tuple[Violation, ...] = ()
    """Constraints of its block that it violates."""


def plan(visits: Sequence[Visit], options: Options) -> Iterator[Exposure]:
    """Yield the exposures of visits, one after another.

    Raises
    ------
    RequestError
        A target cannot be observed when its turn comes, or the instrument refuses what a block asks for.
    """
    clock: _Clock | None = None
    number = 0
    configured: tuple[str, str] | None = None
    requests: dict[str, TemplateRequest] = {}
    for visit in visits:
        planner = _VisitPlanner(visit, options, requests)
        clock = clock or _Clock(_whole_ms(options.start or planner.best_start(EPOCH)))
        planner.slew(clock)
        for run in visit.runs:
            request = planner.request(run, None)
            setting = visit.instrument, json.dumps(request.document["instrument"], sort_keys=True)
            if configured not in (None, setting):
                clock.spend("setup", request.overheads.setup)
            configured = setting
            for exposure in planner.expose(run, clock, number):
                number = exposure.number
                yield exposure


class _Clock:
    """The time (UTC), and the overheads since the last file."""

    def __init__(self, now: datetime) -> None:
        self.now, self.first = now, now
        self.spent: dict[str, float] = {}

    def spend(self, name: str, seconds: float) -> None:
        """Add an overhead (s)."""
        if seconds > 0:
            self.spent[name] = self.spent.get(name, 0.0) + seconds
            self.go(seconds)

    def go(self, seconds: float) -> None:
        """Advance the time by ``seconds``."""
        self.now += timedelta(milliseconds=round(seconds * 1000))
        if (self.now - self.first).total_seconds() > MAX_PLAN_DAYS * 86400:
            raise RequestError("", f"the blocks take more than {MAX_PLAN_DAYS:g} days")


class _VisitPlanner:
    """The exposures of one visit, with the position of the telescope and the time as they go on."""

    def __init__(self, visit: Visit, options: Options, requests: dict[str, TemplateRequest]) -> None:
        """``requests`` are those of the visits before, by all that they depend on: many runs have the same."""
        self.visit, self.options = visit, options
        self.target = visit.target if visit.target is not None and visit.target.placed else None
        self.position = TelescopePosition()
        self.start = self.origin = datetime.min
        """Start of the block, and end of its acquisition: the time at which the target's coordinates hold."""
        self._requests = requests
        self._own_key = json.dumps([visit.instrument, visit.request, visit.target and dict(visit.target.mag)])
        self._arms: dict[str, tuple[str, ...]] = {}
        self._start_violations: tuple[Violation, ...] = ()
        self._stars: dict[str, Any] | None = None

    def request(self, run: TemplateRun, step: ExposureStep | None, arm: str | None = None) -> TemplateRequest:
        """Return the request that the exposures of a run have in common, or those with the read-out of ``step``.

        Without ``arm`` it is that of the run's first one.
        """
        own = step if step is not None and step.has_own_readout else None
        arm = self.arms(run)[0] if arm is None else arm
        own_key = own and [own.dit, own.count, own.dit_factor, own.calibration, dict(own.elvis), dict(own.keys)]
        standard = self.visit.target.name if run.object_type == "STD" and self.visit.target else ""
        common = [run.mode, dict(run.keys), dict(run.timing), run.calibration, own_key, arm, standard]
        key = self._own_key + json.dumps(common)
        if key not in self._requests:
            self._requests[key] = template_request.make(self.visit, run, own, self.options.request, arm)
        return self._requests[key]

    def arms(self, run: TemplateRun) -> tuple[str, ...]:
        """Return the arms that a run exposes, ("",) for an instrument without."""
        if run.mode not in self._arms:
            found = template_request.arms(self.visit, run, self.options.request)
            self._arms[run.mode] = found or ("",)
        return self._arms[run.mode]

    def best_start(self, near: datetime) -> datetime:
        """Return the start of the visit for which its target culminates in the middle of it, nearest to a time.

        If that is in daylight: in the night of the year in which it is nearest to midnight. The start lies within the
        first absolute time constraint, if there is one, and the block within the ephemeris, if there is one.
        """
        if self.target is None or not self.visit.runs:
            return near
        span = self.target.ephemeris.span if self.target.ephemeris is not None else None
        first = self.request(self.visit.runs[0], None)
        site = first.setup.atmosphere.site
        if site.space:
            return span[0] if span else near
        windows = self.visit.windows[:1] or ((span,) if span else ())
        near = windows[0][0] + (windows[0][1] - windows[0][0]) / 2 if windows else near
        at = self.target.at(ephemeris.decimal_year(near))
        angle = ephemeris.local_position(*at, near, site).hour_angle
        culmination = near - timedelta(hours=((angle + 180.0) % 360.0 - 180.0) / SIDEREAL_RATE)
        if not self.visit.windows and ephemeris.moon(culmination, site).sun_altitude > constraints.MAX_SUN_ALTITUDE:
            nights = [culmination + timedelta(hours=n * 360.0 / SIDEREAL_RATE) for n in range(-182, 183, 2)]
            within = [time for time in nights if not span or span[0] <= time <= span[1]]
            culmination = min(within or [culmination], key=lambda time: ephemeris.moon(time, site).sun_altitude)
        slewing = first.overheads.preset + first.overheads.acquisition if self.visit.slews else 0.0
        files = [(self.request(run, step), step) for run in self.visit.runs for step in run.steps]
        light = sum(one.shutter + one.readout for one, _ in files)
        start = culmination - timedelta(seconds=min(slewing + light / 2, 6 * 3600.0))
        if windows:
            start = min(max(start, windows[0][0]), windows[0][1])
        return max(min(start, span[1] - timedelta(seconds=slewing + light)), span[0]) if span else start

    def slew(self, clock: _Clock) -> None:
        """Slew to the target and acquire it."""
        self.start = clock.now
        if self.visit.runs:
            self._start_violations = constraints.start_violations(
                self.visit, clock.now, self.request(self.visit.runs[0], None).setup.atmosphere.site
            )
        if self.visit.runs and self.visit.slews:
            overheads = self.request(self.visit.runs[0], None).overheads
            clock.spend("preset", overheads.preset)
            if self.visit.acquires:
                clock.spend("acquisition", overheads.acquisition + self.visit.alignment)
        self.origin = clock.now

    def expose(self, run: TemplateRun, clock: _Clock, number: int) -> Iterator[Exposure]:
        """Yield the exposures of a template run; ``number`` exposures came before."""
        started: datetime | None = None
        counts = Counter[str]()
        for planned in run.steps:
            request = self.request(run, planned)
            step = pointing.align_to_slit(planned, request.setup)
            if step.move is not None and self.target is not None:
                angle = pointing.position_angle(self.target, clock.now, self.origin, request.setup.atmosphere.site)
                before, self.position = self.position, self.position.after(step.move, angle)
                if self.position != before:
                    clock.spend("offset", request.overheads.offset)
            started = started or clock.now
            spent, clock.spent = clock.spent, {}
            elapsed = 0.0
            for begin, arm in self._together(run, planned):
                request = self.request(run, planned, arm)
                number, time = number + 1, clock.now + timedelta(milliseconds=round(begin * 1000))
                counts[arm] += 1
                document, violations = self._document(run, step, request, time, number)
                nexp = len(run.steps) * request.repeats
                document["elvis"]["template"] = _template(run, step, started, counts[arm], nexp)
                airmass = document["sky"].get("airmass") if self._is_on_sky(run, request) else None
                kind = document["elvis"]["template"].get("type") or step.calibration or run.calibration or ""
                end = begin + request.shutter + request.readout
                wall = sum(spent.values()) + max(end - elapsed, 0.0)
                yield Exposure(number, self.visit.name, run.template, kind, time, request.shutter, request.readout,
                               spent, airmass, document, wall, self._start_violations + violations)  # fmt: skip
                self._start_violations, spent, elapsed = (), {}, max(end, elapsed)
            clock.go(elapsed)
        if run.returns and self.position != TelescopePosition():
            self.position = TelescopePosition()
            clock.spend("offset", self.request(run, None).overheads.offset)

    def _together(self, run: TemplateRun, step: ExposureStep) -> list[tuple[float, str]]:
        """Return start (s) and arm of the files of a step, in this order: its arms expose side by side."""
        files = []
        for arm in self.arms(run):
            request = self.request(run, step, arm)
            files += [(n * (request.shutter + request.readout), arm) for n in range(request.repeats)]
        return sorted(files, key=lambda file: file[0])

    def _is_on_sky(self, run: TemplateRun, request: TemplateRequest) -> bool:
        """Return whether the light comes from the sky, through the atmosphere."""
        return (
            self.target is not None
            and not request.setup.atmosphere.site.space
            and run.calibration in (None, "std", "sky")
        )

    def _document(
        self, run: TemplateRun, step: ExposureStep, request: TemplateRequest, time: datetime, number: int
    ) -> tuple[dict[str, Any], tuple[Violation, ...]]:
        """Return the request of one file, and the constraints that it violates."""
        visit, target, site = self.visit, self.target, request.setup.atmosphere.site
        document = merge(request.document, {})
        block: dict[str, Any] = document["elvis"]
        if self.options.seed is not None:
            block["seed"] = self.options.seed
        block |= {"exposure": number, "date": isot(time)}
        keywords = {**visit.cards, **run.cards, **step.cards}
        violations: tuple[Violation, ...] = ()
        if target is not None:
            middle = time + timedelta(seconds=request.shutter / 2)
            if target.ephemeris is not None:
                target.ephemeris.check(time, time + timedelta(seconds=request.shutter), visit.pointer)
            at = pointing.follow(target, middle, self.origin)
            angle = pointing.position_angle(target, middle, self.origin, site)
            block |= pointing.pointing_section(target, at, self.position, step.chop, angle, visit.pointer)
            keywords |= pointing.offset_cards(step, self.position, angle)
            if block.get("catalogue"):
                self._stars = self._stars or pointing.fix_catalogue(target, block["catalogue"], self.origin, site)
                block["catalogue"] = self._stars
            if block.get("catalogue") or target.ephemeris is not None:
                block |= {"motion": moving} if (moving := pointing.motion(target, middle)) else {}
            if self._is_on_sky(run, request):
                section, violations = constraints.sky_section(at, middle, site, visit)
                document["sky"] |= section
                hour_angle = ephemeris.local_position(*at, middle, site).hour_angle
                keywords["ESO TEL HA"] = [round(hour_angle, 6), "[deg] hour angle, middle of the exposure"]
            elif not site.space:  # a lamp does not mind, but the header has it
                document["sky"] |= constraints.airmass_section(at, middle, site)
        if not self.options.steady and not site.space:
            document = merge(
                document, constraints.weather_patch(document, request.setup, time, self.options.effective_seed)
            )
        name = visit.target.name if visit.target else (run.calibration or "none").upper()
        document["elvis"]["obs"] = {
            "id": visit.id,
            "name": visit.name,
            "programme": visit.programme,
            "target": name,
            "start": isot(self.start),
            "template": run.number,
        }
        document["elvis"]["keywords"] = {**(block.get("keywords") or {}), **keywords}
        return document, violations


def _template(run: TemplateRun, step: ExposureStep, started: datetime, number: int, files: int) -> dict[str, Any]:
    """Return the block ``template`` of a request, the ``number``-th of ``files`` of its arm."""
    members = {
        "id": run.template,
        "name": run.title,
        "start": isot(started),
        "nexp": files,
        "expno": number,
        "category": step.category or (run.sky_category if step.sky else run.category),
        "type": step.type or (run.sky_type if step.sky else run.object_type),
        "tech": run.tech,
    }
    return {key: value for key, value in members.items() if value is not None}


def _whole_ms(time: datetime) -> datetime:
    return time.replace(microsecond=0) + timedelta(milliseconds=round(time.microsecond / 1000))
