"""Visits -> the exposures of a night, each a complete request with its time, place and conditions.

Time runs through the visits: slew and acquisition, a new configuration, motions of the telescope, read-outs, and the
light itself, as the instrument's table ``overheads`` has it. Offsets are of the telescope: where it moves East, a star
moves West on the detector.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from elvis_cli import reader, registry
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.geometry import deproject, project, sky_to_field
from elvis_cli.instrument import Setup, Site
from elvis_cli.ob import ephemeris, templates, weather
from elvis_cli.ob.offset import Place
from elvis_cli.ob.templates import Overheads
from elvis_cli.ob.visit import Series, Shot, Visit
from elvis_cli.patch import merge
from elvis_cli.product.observation import EPOCH, isot

HIGHEST = 3.0
"""Airmass beyond which there is no sky model."""
LONGEST = 366.0
"""Days of a plan."""
OURS = ("pointing", "offset", "date", "exposure", "calibration", "obs", "template")
"""Members of a request's block ``elvis`` that the plan writes."""
BANDS = {"B": ("B", 0.44), "V": ("V", 0.55), "R": ("R", 0.64), "I": ("I", 0.8), "u": ("sdss_u", 0.36),
         "g": ("sdss_g", 0.47), "r": ("sdss_r", 0.62), "i": ("sdss_i", 0.75), "z": ("sdss_z", 0.89), "Y": ("Y", 1.02),
         "J": ("J", 1.25), "H": ("H", 1.65), "K": ("K", 2.2), "Ks": ("VISTA_Ks", 2.15), "L": ("L", 3.5),
         "M": ("M", 4.8), "N": ("N", 10.0)}  # fmt: skip
"""The ETC's names of a target's bands, and um."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the whole night has in common."""

    start: datetime | None = None
    """None = the first target is highest in the middle of its block, in the night of `EPOCH`."""
    seed: int | None = None
    steady: bool = False
    """No drift of seeing, water and airglow."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Merge patch to all requests."""

    @property
    def effective_seed(self) -> int:
        """The seed given, or that of the patch."""
        block = self.request.get("elvis")
        asked = block.get("seed") if isinstance(block, Mapping) else None
        return self.seed if self.seed is not None else asked if isinstance(asked, int) and asked >= 0 else 0


@dataclass(frozen=True, slots=True)
class Exposure:
    """One file of the night."""

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
    """Seconds from its end until the next thing can happen."""
    before: Mapping[str, float]
    """Seconds of overheads between the file before and this one, by name."""
    airmass: float | None
    document: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def wall(self) -> float:
        """All seconds since the file before, and its own."""
        return sum(self.before.values()) + self.shutter + self.readout


class _Clock:
    """The time, and what passed since the last file."""

    def __init__(self, now: datetime) -> None:
        self.now, self.first = now, now
        self.spent: dict[str, float] = {}

    def spend(self, name: str, seconds: float) -> None:
        """Let time pass without light."""
        if seconds > 0:
            self.spent[name] = self.spent.get(name, 0.0) + seconds
            self.go(seconds)

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(milliseconds=round(seconds * 1000))
        if (self.now - self.first).total_seconds() > LONGEST * 86400:
            raise RequestError("", f"the blocks take more than {LONGEST:g} days")


def plan(visits: Sequence[Visit], options: Options) -> Iterator[Exposure]:
    """Yield the exposures of visits, one after another.

    Raises
    ------
    RequestError
        A target cannot be observed when its turn comes, or the instrument refuses what a block asks for.
    """
    clock: _Clock | None = None
    number = 0
    configured: tuple[str, str, str] | None = None
    for visit in visits:
        run = _Run(visit, options)
        if clock is None:
            clock = _Clock(_whole_ms(options.start or run.best(EPOCH)))
        began = clock.now
        run.slew(clock)
        for series in visit.series:
            frame = run.frame(series, None)
            setting = (visit.instrument, series.mode, json.dumps(frame.document["instrument"], sort_keys=True))
            if configured is not None and setting != configured:
                clock.spend("setup", frame.overheads.setup)
            configured = setting
            for exposure in run.expose(series, clock, began, number):
                number += 1
                yield exposure


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A series made ready: what all its files have in common."""

    document: Mapping[str, Any]
    setup: Setup
    overheads: Overheads
    count: int

    @property
    def shutter(self) -> float:
        return self.setup.dit * (self.count if self.setup.detector.kind == "ir" else 1)

    @property
    def readout(self) -> float:
        further = self.count - 1 if self.setup.detector.kind == "ir" else 0
        return self.overheads.readout + further * self.overheads.integration


class _Run:
    """One visit under way."""

    def __init__(self, visit: Visit, options: Options) -> None:
        self.visit, self.options = visit, options
        self.place = Place()
        self.origin: datetime | None = None
        """When the target's coordinates hold, and a rotator at rest has its angle."""
        self._frames: dict[str, _Frame] = {}

    def frame(self, series: Series, shot: Shot | None) -> _Frame:
        """Return what the files of a series, or one of them, have in common."""
        key = json.dumps([series.number, shot and [shot.dit, shot.count, dict(shot.elvis)]])
        if key not in self._frames:
            self._frames[key] = self._frame(series, shot)
        return self._frames[key]

    def _frame(self, series: Series, shot: Shot | None) -> _Frame:
        visit = self.visit
        plugin = registry.load(visit.instrument)
        document = plugin.example(series.mode)
        dit_key, count_key = document["timesnr"]
        document["output"] = {}
        patch = merge(merge({}, self.options.request), visit.request)
        _free(patch.get("elvis"), visit.pointer)
        document = merge(document, {key: value for key, value in patch.items() if key != "instrumentName"})
        document["instrument"] = {**document.get("instrument", {}), "ins_configuration": series.mode, **series.keys}
        times = document["timesnr"] = {**document.get("timesnr", {}), **series.timing}
        if shot is not None and shot.dit is not None:
            times |= {dit_key: shot.dit, count_key: shot.count or 1}
        if shot is not None and shot.elvis:
            document["elvis"] = {**document.get("elvis", {}), **shot.elvis}
        try:
            request = reader.read(json.dumps(document))
            setup = plugin.configure(request)
        except RequestError as error:
            raise RequestError(
                series.pointer, f"{series.template} asks for what cannot be: {error.message}",
                found=error.details["found"],
            ) from None  # fmt: skip
        if setup.detector.kind != "ir":
            document["timesnr"][count_key] = 1  # further exposures are files of their own
        elif setup.count is None:
            raise RequestError(series.pointer, f"{series.template} needs {count_key}, no signal-to-noise ratio")
        document = _bright(document, patch, visit, setup)
        signatures = templates.load(visit.instrument)
        return _Frame(document, setup, signatures.overheads(request.keys), setup.count or 1)

    def best(self, near: datetime) -> datetime:
        """Return when the visit may start so that its target is highest in its middle, nearest to a time."""
        target = self.visit.target
        if target is None or not target.placed or not self.visit.series:
            return near
        frame = self.frame(self.visit.series[0], None)
        if frame.setup.site.space:
            return near
        ra, dec = target.at(ephemeris.decimal_year(near))
        angle = ephemeris.sight(ra, dec, near, frame.setup.site).hour_angle
        culmination = near - timedelta(hours=((angle + 180.0) % 360.0 - 180.0) / 15.04107)
        seconds = frame.overheads.preset + frame.overheads.acquisition if self.visit.slews else 0.0
        light = sum(
            len(s.shots) * (self.frame(s, None).shutter + self.frame(s, None).readout) for s in self.visit.series
        )
        return culmination - timedelta(seconds=min(seconds + light / 2, 6 * 3600.0))

    def slew(self, clock: _Clock) -> None:
        """Go to the target."""
        if self.visit.series and self.visit.slews:
            overheads = self.frame(self.visit.series[0], None).overheads
            clock.spend("preset", overheads.preset)
            if self.visit.acquires:
                clock.spend("acquisition", overheads.acquisition + self.visit.alignment)
        self.origin = clock.now

    def expose(self, series: Series, clock: _Clock, began: datetime, number: int) -> Iterator[Exposure]:
        """Yield the files of a series."""
        started: datetime | None = None
        for n, shot in enumerate(series.shots, start=1):
            frame = self.frame(series, shot if shot.dit is not None or shot.elvis else None)
            if shot.move is not None:
                before = self.place
                angle = self._position_angle(frame, clock.now)
                self.place = before.moved(shot.move, angle)
                if self.place != before:
                    clock.spend("offset", frame.overheads.offset)
            started = started or clock.now
            clock.now = _whole_ms(clock.now)
            document, airmass, notes = self._document(series, shot, frame, clock.now, started, began, number + n, n)
            yield Exposure(
                number + n,
                self.visit.name,
                series.template,
                document["elvis"]["template"].get("type") or series.calibration or "",
                clock.now,
                frame.shutter,
                frame.readout,
                dict(clock.spent),
                airmass,
                document,
                notes,
            )
            clock.spent = {}
            clock.go(frame.shutter + frame.readout)
        if series.returns and self.place != Place():
            self.place = Place()
            clock.spend("offset", self.frame(series, None).overheads.offset)

    def _position_angle(self, frame: _Frame, time: datetime) -> float:
        """Return the position angle (deg) of the detector's +y without offsets.

        pa: that of the target. vertical: that of the zenith, and the target's further on. stationary: the rotator
        stands still at a Nasmyth focus, where the field turns by the parallactic angle less the altitude.
        """
        target, site = self.visit.target, frame.setup.site
        if target is None or not target.placed:
            return 0.0
        angle, mode = target.pa or 0.0, target.rotmode or "pa"
        if mode == "pa" or site.space:
            return angle
        now = self._sight(time, site)
        if mode == "vertical":
            return angle + now.parallactic
        then = self._sight(self.origin or time, site)
        return angle + (now.parallactic - now.altitude) - (then.parallactic - then.altitude)

    def _at(self, time: datetime) -> tuple[float, float]:
        target = self.visit.target
        assert target is not None
        hours = (time - (self.origin or time)) / timedelta(hours=1)
        return target.at(ephemeris.decimal_year(time), hours)

    def _sight(self, time: datetime, site: Site) -> ephemeris.Sight:
        return ephemeris.sight(*self._at(time), time, site)

    def _document(
        self, series: Series, shot: Shot, frame: _Frame, time: datetime, started: datetime, began: datetime,
        number: int, expno: int,
    ) -> tuple[dict[str, Any], float | None, tuple[str, ...]]:  # fmt: skip
        """Return the request of one file, its airmass, and what its user should know."""
        visit, site = self.visit, frame.setup.site
        document = merge(frame.document, {})
        block: dict[str, Any] = document.setdefault("elvis", {})
        block.setdefault("window", "full")
        block.setdefault("chips", "all")
        if self.options.seed is not None:
            block["seed"] = self.options.seed
        block["exposure"] = number
        block["date"] = isot(time)
        cards = {**visit.cards, **series.cards, **shot.cards}
        airmass: float | None = None
        notes: tuple[str, ...] = ()
        middle = time + timedelta(seconds=frame.shutter / 2)
        if visit.target is not None and visit.target.placed:
            angle = self._position_angle(frame, middle)
            at = self._at(middle)
            cards |= self._point(block, shot, angle, at)
            if not site.space and series.calibration in (None, "std", "sky"):
                seen = ephemeris.sight(*at, middle, site)
                airmass = max(1.0, seen.airmass)
                if airmass > HIGHEST:
                    raise RequestError(
                        f"{visit.pointer}/target",
                        f"{visit.target.name} stands at an altitude of {seen.altitude:.1f} deg at {isot(middle)}",
                        found=round(seen.altitude, 3),
                        allowed=f"airmass up to {HIGHEST:g}, another time (--start)",
                    )
                notes = self._sky(document, at, airmass, middle, site)
                cards |= {"ESO TEL HA": [round(seen.hour_angle, 6), "[deg] hour angle, middle of the exposure"]}
        if not self.options.steady and not site.space:
            _drift(document, frame.setup, time, int(block.get("seed", 0)))
        if series.calibration:
            block["calibration"] = series.calibration
        name = visit.target.name if visit.target else (series.calibration or "none").upper()
        block["obs"] = {
            "id": visit.id,
            "name": visit.name,
            "programme": visit.programme,
            "target": name,
            "start": isot(began),
            "template": series.number,
        }
        told = {
            "category": series.sky_category if shot.sky else series.category,
            "type": series.sky_type if shot.sky else series.object_type,
            "tech": series.tech,
        }
        block["template"] = {
            "id": series.template,
            "name": series.title,
            "start": isot(started),
            "nexp": len(series.shots),
            "expno": expno,
            **{key: value for key, value in told.items() if value is not None},
        }
        if cards:
            block["keywords"] = {**block.get("keywords", {}), **cards}
        return document, airmass, notes

    def _point(self, block: dict[str, Any], shot: Shot, angle: float, at: tuple[float, float]) -> dict[str, Any]:
        """Say where the telescope points and where the target then is; return the cards about offsets."""
        place = self.place
        angle += place.rotation
        east, north = place.east, place.north
        if shot.chop is not None:
            chopped = shot.chop.frame.offset(*shot.chop.arcsec(), angle)
            east, north = east + chopped[0], north + chopped[1]
        ra, dec = _round(*deproject(np.float64(east), np.float64(north), *at))  # type: ignore[arg-type]
        own = self.visit.target
        assert own is not None
        # The target itself is not where the telescope points if its coordinates have offsets of their own.
        star = _back(at, own.ra_offset, own.dec_offset)
        away = project(np.float64(star[0]), np.float64(star[1]), ra, dec)  # type: ignore[arg-type]
        x, y = sky_to_field(float(away[0]), float(away[1]), angle)
        if not abs(math.hypot(x, y)) < 36000:
            raise RequestError(self.visit.pointer, "the offsets lead more than 10 deg away from the target")
        block["pointing"] = {"ra": ra, "dec": dec, "position_angle": round((angle + 180.0) % 360.0 - 180.0, 9)}
        block["offset"] = [round(x, 9), round(y, 9)]
        fx, fy = place.on_detector(angle - place.rotation)
        cards: dict[str, Any] = {
            "RAOFF": [round(place.east, 6) + 0.0, "[arcsec] telescope from the target, East"],
            "DECOFF": [round(place.north, 6) + 0.0, "[arcsec] telescope from the target, North"],
            "INSTXOFF": [round(fx, 6) + 0.0, "[arcsec] the same along x of the field"],
            "INSTYOFF": [round(fy, 6) + 0.0, "[arcsec] the same along y of the field"],
            "ESO SEQ CUMOFFSETA": [round(place.east, 6) + 0.0, "[arcsec] cumulative offset, East"],
            "ESO SEQ CUMOFFSETD": [round(place.north, 6) + 0.0, "[arcsec] cumulative offset, North"],
            "ESO SEQ CUMOFFSETX": [round(fx, 6) + 0.0, "[arcsec] cumulative offset along x"],
            "ESO SEQ CUMOFFSETY": [round(fy, 6) + 0.0, "[arcsec] cumulative offset along y"],
            "ESO SEQ CUMOFFSETR": [round(place.rotation, 6) + 0.0, "[deg] cumulative change of the position angle"],
        }
        if shot.move is not None:
            dx, dy = shot.move.arcsec()
            axes = "AD" if shot.move.frame.kind == "SkyFrame" else "XY"
            how = "from the place before" if shot.move.relative else "from the target"
            for axis, value in zip((*axes, "R"), (dx, dy, shot.move.dr), strict=True):
                unit = "deg" if axis == "R" else "arcsec"
                cards[f"ESO SEQ RELOFFSET{axis}"] = [round(value, 6) + 0.0, f"[{unit}] commanded, {how}"]
            cards["ESO SEQ GUIDE"] = [shot.move.guide, "whether the telescope guides here"]
            if shot.move.posname:
                cards["ESO SEQ POSNAME"] = [shot.move.posname, "name of the place"]
        return cards

    def _sky(
        self, document: dict[str, Any], at: tuple[float, float], airmass: float, time: datetime, site: Site
    ) -> tuple[str, ...]:
        """Say how the sky is; return what breaks the block's constraints."""
        moon = ephemeris.moon(time, site)
        distance = moon.separation(*at)
        document["sky"] = {
            **document.get("sky", {}),
            "airmass": round(airmass, 4),
            "fli": round(min(1.0, max(0.0, moon.illumination)), 4),
            "moonDistance": round(distance, 3),
            "moon_alt": round(moon.altitude, 3),
        }
        for old in ("moon_fli", "moon_target_sep", "moon_sun_sep"):
            document["sky"].pop(old, None)
        limits = self.visit.constraints
        name = self.visit.name
        notes = [
            f"{name}: {what} {value:.3g} at {isot(time)[:16]}, the constraint is {limits[key]}"
            for key, what, value, worse in (
                ("airmass", "airmass", airmass, 1),
                ("fli", "lunar illumination", moon.illumination if moon.altitude > 0 else 0.0, 1),
                ("moonDistance", "distance of the Moon", distance, -1),
            )
            if isinstance(limits.get(key), (int, float)) and worse * (value - limits[key]) > 0
        ]
        if moon.sun_altitude > -6.0:
            notes.append(
                f"{name}: the Sun stands at {moon.sun_altitude:.0f} deg at {isot(time)[:16]}; the sky is a night's"
            )
        return (*notes, *self._windows(time))

    def _windows(self, time: datetime) -> tuple[str, ...]:
        """Return a note if it is not one of the times that the block asks for."""
        windows = [
            (parse_date(a, self.visit.pointer), parse_date(b, self.visit.pointer)) for a, b in self.visit.windows
        ]
        if not windows or any(a <= time <= b for a, b in windows):
            return ()
        return (f"{self.visit.name}: {isot(time)[:16]} is outside its absolute time constraints",)


HEAD = ("start (UTC)", "no", "block", "template", "type", "shutter s", "wall s", "overheads s", "airmass")


def row(exposure: Exposure) -> tuple[str, ...]:
    """Return the line of the schedule's table."""
    spent = ", ".join(
        f"{name} {seconds:g}" for name, seconds in (*exposure.before.items(), ("readout", exposure.readout))
    )
    template = exposure.document["elvis"]["template"]
    return (
        isot(exposure.start)[:-4],
        str(exposure.number),
        exposure.block,
        f"{exposure.template} {template['expno']}/{template['nexp']}",
        exposure.type,
        f"{exposure.shutter:g}",
        f"{exposure.wall:g}",
        spent,
        "" if exposure.airmass is None else f"{exposure.airmass:.3f}",
    )


def summary(visits: Sequence[Visit], exposures: Sequence[Exposure]) -> str:
    """Return the plan in a line."""
    light, wall = (sum(values) for values in ([e.shutter for e in exposures], [e.wall for e in exposures]))
    when = f", {isot(exposures[0].start)[:-4]} to {isot(exposures[-1].start)[:-4]}" if exposures else ""
    return f"{len(visits)} blocks, {len(exposures)} exposures{when}, {light:g} s of light in {wall:g} s"


def parse_date(text: str, pointer: str) -> datetime:
    """Return a date in UTC without time zone.

    Raises
    ------
    RequestError
        It is none.
    """
    try:
        when = datetime.fromisoformat(text.strip())
        when = when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    except (ValueError, OverflowError):
        when = datetime.min
    if not 1980 <= when.year < 2098:
        raise RequestError(
            pointer, f"{text[:40]!r} is not a date", found=text[:40], allowed="ISO 8601 UTC, 1980 to 2097"
        )
    return when


def _free(block: Any, pointer: str) -> None:
    """Raise if a patch says what follows from the block."""
    for key in OURS:
        if isinstance(block, Mapping) and key in block:
            raise RequestError(f"{pointer}/elvis/{key}", "follows from the block: a patch cannot say it")


def _bright(document: dict[str, Any], patch: Mapping[str, Any], visit: Visit, setup: Setup) -> dict[str, Any]:
    """Return the document with the target's magnitude: that of the band next to the filter, if the target has some."""
    magnitudes = visit.target.mag if visit.target else {}
    told = patch.get("target")
    if not magnitudes or (isinstance(told, Mapping) and told.get("brightness")):
        return document
    band = min(magnitudes, key=lambda name: abs(math.log(BANDS[name][1] / setup.filter_centre)))
    name, _ = BANDS[band]
    brightness = {
        "brightnesstype": "mag",
        "magband": name,
        "mag": magnitudes[band],
        "magsys": "AB" if name.startswith("sdss") else "vega",
    }
    return {**document, "target": {**document.get("target", {}), "brightness": brightness}}


def _drift(document: dict[str, Any], setup: Setup, time: datetime, seed: int) -> None:
    """Let seeing, water and airglow be what they are at this time."""
    block = document["elvis"]
    seeing = min(5.0, max(0.05, setup.seeing * weather.SEEING.factor(seed, time)))
    block["atmosphere"] = {**block.get("atmosphere", {}), "seeing": round(seeing, 4)}
    sky = document.setdefault("sky", {})
    water = float(sky.get("waterVapour", sky.pop("pwv", 2.5)))
    sky["waterVapour"] = round(min(30.0, max(0.05, water * weather.WATER.factor(seed, time))), 4)
    block["airglow"] = round(float(block.get("airglow", 1.0)) * weather.AIRGLOW.factor(seed, time), 4)


def _back(at: tuple[float, float], east: float, north: float) -> tuple[float, float]:
    if east == north == 0.0:
        return at
    ra, dec = deproject(np.float64(-east), np.float64(-north), *at)  # type: ignore[arg-type]
    return float(ra), float(dec)


def _round(ra: Any, dec: Any) -> tuple[float, float]:
    return round(float(ra), 9) % 360.0, round(float(dec), 9)


def _whole_ms(time: datetime) -> datetime:
    return time.replace(microsecond=0) + timedelta(milliseconds=round(time.microsecond / 1000))
