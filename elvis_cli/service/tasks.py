"""What a process of the pool does for the service. Nothing of HTTP enters a request: the bytes are the filter's."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from elvis_cli.batch.work import Report, Settings
from elvis_cli.errors import ElvisError, RequestError, UsageError
from elvis_cli.instrument.request_options import RequestOptions
from elvis_cli.request.option_values import block_keys
from elvis_cli.service import problems
from elvis_cli.service.limits import ServiceLimits
from elvis_cli.service.problems import Problem, ServiceError

if TYPE_CHECKING:
    from elvis_cli.model.request import Request
    from elvis_cli.pipeline import PreparedExposure


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a task: a JSON value, or the size of the file that it wrote."""

    value: Any = None
    size: int = 0
    notes: tuple[str, ...] = ()
    instrument: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a client, as it came."""

    text: bytes
    options: RequestOptions
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    instrument: str | None = None
    """Of the path of the URL: the request must be for it."""
    path: str = ""
    """File that an answer in FITS or PNG goes to."""

    def do(self, settings: Settings, report: Report) -> Answer | Problem:
        """Return the answer, or what is wrong."""
        try:
            return self.answer(report)
        except Exception as error:  # whatever it is, the process goes on
            return problems.of(error)

    def lost(self, error: ElvisError) -> Problem:
        """Return the problem of a request whose process ended."""
        return problems.lost(error, self.limits.deadline, self.limits.memory)

    def answer(self, report: Report) -> Answer:
        """Return the answer."""
        raise NotImplementedError

    def read(self) -> Request:
        """Return the request; it is for the instrument of the path."""
        request = self.options.read(self.text)
        if self.instrument is not None:
            from elvis_cli.instrument import registry

            wanted, found = (registry.load(name).name for name in (self.instrument, request.instrument))
            if wanted != found:
                reason = f"{request.instrument!r} is not the instrument of the path"
                raise RequestError("/instrumentName", reason, found=request.instrument, allowed=self.instrument)
        return request

    def prepare(self, request: Request) -> PreparedExposure:
        """Return the exposure; it has no more pixels than an answer may have."""
        from elvis_cli import pipeline

        ready = pipeline.prepare(request)
        frame = ready.setup.frame
        pixels = len(frame.chips) * frame.window.nx * frame.window.ny
        most = self.limits.pixels
        if pixels > most:
            reason = f"the answer has {pixels} pixels, of at most {most}: POST /jobs renders it, or a smaller window"
            raise ServiceError(413, reason, pixels=pixels, limit=most, pointer="/elvis/window")
        return ready


class Render(Asked):
    """The frame as FITS."""

    __slots__ = ()

    def answer(self, report: Report) -> Answer:
        """Write the bytes that `elvis` writes."""
        with open(self.path, "wb") as out:
            request, notes = write_frame(self, out, report)
            return Answer(None, out.tell(), notes, request.instrument)


@dataclass(frozen=True, slots=True)
class Preview(Asked):
    """The frame as a picture."""

    picture: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `preview.draw.png`."""
    most: int | None = None
    """Pixels; of a larger frame a part is shown."""

    def answer(self, report: Report) -> Answer:
        """Write the PNG that `elvis preview` makes of the frame; the value is the query of the part, or None."""
        from elvis_cli.preview import draw

        frame = io.BytesIO()
        part = None if self.most is None else self._part(min(self.most, self.limits.pixels))
        asked = self if part is None else self._of(part)
        request, notes = write_frame(asked, frame, report)
        with open(self.path, "wb") as out:
            more = draw.png(frame.getvalue(), out, **self.picture)
            query = None if part is None else "&".join(f"{key}={value}" for key, value in part.items())
            return Answer(query, out.tell(), (*notes, *more), request.instrument)

    def _part(self, most: int) -> dict[str, str] | None:
        """Return the options of the part: the first chip, or its middle; None if the frame is not larger."""
        from elvis_cli import pipeline

        if self.options.overrides.get("product") == "reduced":
            raise UsageError("pixels: a product is reduced from whole frames")
        frame = pipeline.configure(self.read()).frame
        x0, y0, nx, ny = astuple(frame.window)
        if len(frame.chips) * nx * ny <= most:
            return None
        part = {"chips": str(frame.chips[0])}
        if nx * ny > most:
            width, height = (min(side, math.isqrt(most)) for side in (nx, ny))
            part["window"] = f"{x0 + (nx - width) // 2},{y0 + (ny - height) // 2},{width},{height}"
        return part

    def _of(self, part: dict[str, str]) -> Preview:
        keys = {**self.options.overrides, **block_keys(part)}
        return replace(self, options=replace(self.options, overrides=keys))


class Validate(Asked):
    """Whether a request is right, and what the ETC would say."""

    __slots__ = ()

    def answer(self, report: Report) -> Answer:
        """Return what `elvis validate` says, and the prediction."""
        from elvis_cli import pipeline

        request = self.read()
        ready = pipeline.prepare(request)
        notes = (*request.warnings, *ready.notes)
        frame, prediction = ready.setup.frame, ready.prediction
        value = {
            "valid": True,
            "summary": pipeline.summary(ready),
            "instrument": ready.setup.instrument,
            "mode": ready.setup.mode,
            "chips": list(frame.chips),
            "window": asdict(frame.window),
            "count_key": ready.setup.exposure.count_key,
            "count": prediction.count,
            "dit": ready.setup.exposure.dit,
            "snr": prediction.snr,
            "prediction": _numbers(prediction.cards()),
            "notes": list(dict.fromkeys(notes)),
        }
        return Answer(value, notes=notes, instrument=request.instrument)


class Explain(Asked):
    """The numbers behind a request."""

    __slots__ = ()

    def answer(self, report: Report) -> Answer:
        """Return what `elvis explain --json` prints."""
        from elvis_cli import pipeline

        request = self.read()
        return Answer([asdict(value) for value in pipeline.explain(request)], instrument=request.instrument)


class Check(Asked):
    """Whether the first request of a job is right."""

    __slots__ = ()

    def answer(self, report: Report) -> Answer:
        """Return the requests, one in a line if they are one JSON document, and notes on the first."""
        from elvis_cli import pipeline
        from elvis_cli.batch.documents import documents

        text = self.text
        with suppress(ValueError):
            json.loads(text)
            text = text.replace(b"\r", b" ").replace(b"\n", b" ")  # in JSON they are only between values
        _, first = next(documents(text.splitlines(keepends=True)))
        request = replace(self, text=first).read()
        return Answer(
            text, notes=(*request.warnings, *pipeline.configure(request).notes), instrument=request.instrument
        )


@dataclass(frozen=True, slots=True)
class PlanNight:
    """The requests of Observing Blocks."""

    text: bytes
    options: Mapping[str, Any]
    """Values of the query."""
    limits: ServiceLimits = field(default_factory=ServiceLimits)

    def do(self, settings: Settings, report: Report) -> Answer | Problem:
        """Return a line of JSON for each exposure, or what is wrong."""
        try:
            return self.plan()
        except Exception as error:  # whatever it is, the process goes on
            return problems.of(error)

    def lost(self, error: ElvisError) -> Problem:
        """Return the problem of blocks whose process ended."""
        return problems.lost(error, self.limits.deadline, self.limits.memory)

    def plan(self) -> Answer:
        """Return what `elvis ob` prints, and its notes."""
        from elvis_cli.base.dates import parse_date
        from elvis_cli.observing import night, plan, schedule
        from elvis_cli.observing.languages import Language
        from elvis_cli.request.parse import parse_json

        found = self.options
        patch = parse_json(found.get("request", "{}"))
        if not isinstance(patch, dict):
            raise UsageError("request: it is not a JSON object")
        start = found.get("start")
        options = plan.Options(
            start=None if start is None else parse_date(start, "start", (1980, 2097)),
            seed=found.get("seed"),
            steady=found.get("steady", False),
            request=patch,
        )
        language = Language(found.get("format", "auto"))
        blocks = night.read(self.text, language, options, calibrations=found.get("calibrations", 0))
        documents = list(blocks.documents(persistence=found.get("persistence", False)))
        lines = [json.dumps(document, separators=(",", ":")) for document in documents]
        if not lines:
            raise RequestError("", "the blocks have no exposure")
        if found.get("check"):
            rows = [schedule.row(exposure) for exposure in blocks.exposures]
            told = {"valid": True, "exposures": len(lines), "columns": schedule.COLUMNS, "schedule": rows}
            return Answer(told | {"requests": documents, "notes": blocks.notes}, notes=blocks.notes)
        return Answer(lines, notes=blocks.notes)


@dataclass(frozen=True, slots=True)
class Warm:
    """One small frame of each instrument, so that modules, kernels and tables are loaded."""

    instruments: tuple[str, ...]

    def do(self, settings: Settings, report: Report) -> tuple[str, ...]:
        """Return the instruments that failed."""
        from elvis_cli import pipeline
        from elvis_cli.instrument import registry
        from elvis_cli.request import parse

        failed = []
        for name in self.instruments:
            try:
                document = registry.load(name).example()
                document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}}
                pipeline.render(parse.read(json.dumps(document)), io.BytesIO())
            except Exception:  # a plugin that is broken must not keep the others from work
                failed.append(name)
        return tuple(failed)

    def lost(self, error: ElvisError) -> tuple[str, ...]:
        """Return the instruments: all failed."""
        return self.instruments


def write_frame(asked: Asked, out: Any, report: Report) -> tuple[Request, tuple[str, ...]]:
    """Write the FITS file that `elvis` writes for a request; return the request and notes."""
    from elvis_cli import pipeline

    options = asked.options
    product = options.overrides.get("product")
    if product == "reduced":
        from elvis_cli.reduction import installed

        installed.check()
        asked = replace(asked, options=replace(options, overrides={**options.overrides, "product": "raw"}))
    request = asked.read()
    ready = asked.prepare(request)
    if product == "reduced":
        from elvis_cli.reduction.in_memory import reduce

        return request, (*request.warnings, *reduce(request, out))
    notes = pipeline.render_prepared(ready, out, report)
    return request, tuple(dict.fromkeys((*request.warnings, *notes)))


def _numbers(cards: Any) -> list[dict[str, Any]]:
    """Return header cards as JSON-serialisable objects."""
    return [{"keyword": keyword, "value": value, "comment": comment} for keyword, value, comment in cards]
