"""The requests behind the product of one ETC request: dithers, darks, flats, linearity and a standard star.

The integrations that the request asks for are shared by up to five dithers, so that the product has the signal-to-noise
ratio of the request. Every request is what `elvis` and `elvis batch` read.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from elvis_cli import pipeline
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.errors import RequestError
from elvis_cli.model.request import Request
from elvis_cli.product.fits import request_json
from elvis_cli.reduction.cube import is_cube
from elvis_cli.reduction.spectra import check_kind
from elvis_cli.request import parse
from elvis_cli.scene import standards
from elvis_cli.scene.frame import catalogue_magnitude
from elvis_cli.sky.pointing import observe

DITHERS = ((0.0, 0.0), (1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0))
"""Places of the telescope, x and y in the field, in steps."""
STARES = 3
"""Exposures of a spectrum."""
STEP = 40
"""Pixels of a step, at most a twelfth of the window."""
CALIBRATIONS = 5
"""Darks, biases and flats of each kind."""
DARK_DEPTH = 10
"""Integrations of each dark of a spectrum for each of the target: the five add a hundredth to the noise."""
LEVELS = (0.1, 0.3, 0.5, 0.8, 1.0, 1.3, 1.6, 1.8)
"""Integration times of the linearity frames, in units of that of the mode: half the full well at 1."""
OVERHEAD = 20.0
"""Seconds between exposures."""
STANDARD_BANDS = ("V", "R", "I", "J", "H", "K", "L", "M", "N")
MAX_FAINTER = 3.0
"""Magnitudes that a real standard star may be fainter than the brightest that does not saturate."""
FAINTEST = 20
"""Magnitude of the faintest made-up standard star."""

Document = dict[str, Any]


def documents(request: Request) -> list[Document]:
    """Return the requests behind an image or a spectrum, in the order of their times.

    Raises
    ------
    RequestError
        The request is one of a calibration.
    """
    if request.elvis.calibration:
        raise RequestError("/elvis/calibration", "a product is of a target, not of a calibration")
    ready = pipeline.prepare(request)
    base = json.loads(request_json(request))
    base["output"] = {}
    block = base.setdefault("elvis", {})
    for key in ("truth", "keep", "reads", "wavemap", "bare", "product"):
        block.pop(key, None)
    observation = observe(request.elvis, ready.setup)
    clock = _Clock(observation.start)
    spectra = ready.setup.spectrograph is not None
    cube = is_cube(ready.setup)
    if spectra and not cube:
        check_kind(ready.setup)
    made = list((_stares if spectra else _dithers)(base, ready, observation, clock))
    standard = _standard(made[0], ready)
    if standard is not None:
        made.append(_dated(standard, clock, ready.setup.exposure.dit))
    if cube:
        made += list(_skies(made[0], len(made) - (standard is not None), ready, clock))
    made += _calibrations(made[0], ready, clock)
    for number, each in enumerate(made, 1):
        each["elvis"]["exposure"] = number
    return made


def render(requests: list[Document]) -> Iterator[bytes]:
    """Yield the raw file of each request."""
    for document in requests:
        out = io.BytesIO()
        pipeline.render(parse.read(json.dumps(document)), out)
        yield out.getvalue()


class _Clock:
    """The time of the next exposure."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def take(self, seconds: float) -> str:
        """Return the start of an exposure of ``seconds``."""
        start = self.now
        self.now = start + timedelta(seconds=round(seconds + OVERHEAD, 3))
        return start.isoformat(timespec="milliseconds")


def _timed(document: Document, ready: pipeline.PreparedExposure, dit: float, count: int) -> Document:
    """Return a document with a number of integrations; keys of a requested signal-to-noise ratio go."""
    made = copy.deepcopy(document)
    exposure = ready.setup.exposure
    made["timesnr"] = {exposure.dit_key: dit, exposure.count_key: count}
    return made


def _dithers(base: Document, ready: pipeline.PreparedExposure, observation: Any, clock: _Clock) -> Iterator[Document]:
    setup, total = ready.setup, ready.setup.exposure.integrations
    if setup.detector.kind != "ir":
        total = ready.prediction.count
    number = min(len(DITHERS), total)
    window = setup.frame.window
    step = min(STEP, window.nx // 12, window.ny // 12) * setup.optics.pixel_scale
    angle = observation.position_angle
    east, north = field_to_sky(*ready.request.elvis.offset, angle)
    target = deproject(east, north, observation.ra, observation.dec)  # type: ignore[arg-type]
    place = dict(zip(("ra", "dec"), (round(float(value), 9) for value in target), strict=True))
    for n in range(number):
        share = total // number + (n < total % number) if setup.detector.kind == "ir" else 1
        dx, dy = (step * part for part in DITHERS[n])
        made = _timed(base, ready, setup.exposure.dit, share)
        east, north = field_to_sky(dx, dy, angle)
        ra, dec = deproject(east, north, observation.ra, observation.dec)  # type: ignore[arg-type]
        made["elvis"]["pointing"] = {"ra": round(float(ra), 9), "dec": round(float(dec), 9), "position_angle": angle}
        made["elvis"].pop("offset", None)
        made["elvis"]["place"] = made["elvis"].get("place") or place
        yield _dated(made, clock, setup.exposure.dit * share)
    if setup.detector.kind != "ir":
        for _ in range(total - number):
            made = copy.deepcopy(made)
            yield _dated(made, clock, setup.exposure.dit)


def _stares(base: Document, ready: pipeline.PreparedExposure, observation: Any, clock: _Clock) -> Iterator[Document]:
    """Yield exposures of one place: all integrations shared by up to three, so that cosmic rays stand out."""
    setup = ready.setup
    ccd = setup.detector.kind != "ir"
    total = ready.prediction.count if ccd else setup.exposure.integrations
    number = total if ccd else min(STARES, total)
    for n in range(number):
        share = 1 if ccd else total // number + (n < total % number)
        made = _timed(base, ready, setup.exposure.dit, share)
        place = {"ra": observation.ra, "dec": observation.dec, "position_angle": observation.position_angle}
        made["elvis"]["pointing"] = place
        yield _dated(made, clock, setup.exposure.dit * share)


def _skies(document: Document, number: int, ready: pipeline.PreparedExposure, clock: _Clock) -> Iterator[Document]:
    """Yield exposures of the sky, as many and as long as those of the target, if the instrument takes such."""
    made = _plain(document)
    made["elvis"]["calibration"] = "sky"
    if not _offered(made):
        return
    for _ in range(number):
        yield _dated(copy.deepcopy(made), clock, ready.setup.exposure.dit)


def _dated(document: Document, clock: _Clock, seconds: float) -> Document:
    document["elvis"]["date"] = clock.take(seconds)
    return document


def _plain(document: Document) -> Document:
    """Return a document without what is in the sky."""
    made = copy.deepcopy(document)
    for key in ("catalogue", "scene", "image", "cube", "motion", "offset", "place", "lamp", "previous"):
        made["elvis"].pop(key, None)
    return made


def _standard(document: Document, ready: pipeline.PreparedExposure) -> Document | None:
    """Return the request of a standard star in the middle of the field, as long as the first exposure of the target.

    It is the brightest star of the catalogue that does not saturate, in the band of the target's magnitude; if all do,
    a made-up A0V star one magnitude fainter than the brightest that does not. None if the instrument takes no such
    frame, or none fits.
    """
    made = _plain(document)
    asked = ready.request
    brightness = catalogue_magnitude(asked) if asked.elvis.catalogue else asked.target.brightness
    band = brightness.band if brightness.kind == "mag" and brightness.band in STANDARD_BANDS else "K"
    made["elvis"]["calibration"] = "std"
    centre = ready.request.elvis.pointing
    if centre is not None:
        made["elvis"]["pointing"] = {"ra": centre.ra, "dec": centre.dec, "position_angle": centre.position_angle}
    bright, faint = -1, FAINTEST + 1
    while faint - bright > 1:  # bright saturates, faint does not
        middle = (bright + faint) // 2
        made["elvis"]["standard"] = {"mag": middle, "band": band, "system": "vega", "sed": "Pickles:A0V"}
        try:
            star = pipeline.prepare(parse.read(json.dumps(made)))
        except RequestError:
            return None
        bright, faint = (middle, faint) if _saturates(star.prediction.cards()) else (bright, middle)
    if faint > FAINTEST:
        return None
    known = [star for star in standards.read() if star.sed or ready.setup.spectrograph is None]
    real = [star for star in known if star.band == band and faint <= star.mag <= faint + MAX_FAINTER]
    if real:
        chosen = min(real, key=lambda star: star.mag)
        made["elvis"]["standard"] = {"name": chosen.name, "band": band}
        made["elvis"]["pointing"] = {**made["elvis"].get("pointing", {}), "ra": chosen.ra, "dec": chosen.dec}
        return made
    made["elvis"]["standard"]["mag"] = min(faint + 1, FAINTEST)
    return made


def _saturates(cards: Any) -> bool:
    return any(name.endswith("PEAK SATUR") and value for name, value, _ in cards)


def _calibrations(document: Document, ready: pipeline.PreparedExposure, clock: _Clock) -> Iterator[Document]:
    """Yield biases or darks, flats, arcs of spectra, linearity frames of images, as far as there are any."""
    plain, dit = _plain(document), ready.setup.exposure.dit
    for kind in ("dark" if ready.setup.detector.kind == "ir" else "bias", "flat"):
        deep = kind == "dark" and ready.setup.spectrograph is not None
        for _ in range(CALIBRATIONS):
            made = _timed(plain, ready, dit, DARK_DEPTH * ready.setup.exposure.integrations if deep else 1)
            made["elvis"]["calibration"] = kind
            yield _dated(made, clock, dit)
    if ready.setup.spectrograph is not None:
        made = _timed(plain, ready, dit, 1)
        made["elvis"]["calibration"] = "arc"
        if _offered(made):
            yield _dated(made, clock, dit)
        if ready.setup.detector.kind != "ir":
            return
    usual = _usual_time(ready)
    for level in LEVELS:
        made = _timed(plain, ready, float(f"{usual * level:.6g}"), 1)
        made["elvis"]["calibration"] = "detlin"
        if _offered(made):
            yield _dated(made, clock, usual * level)


def _offered(document: Document) -> bool:
    """Return whether an instrument takes such a frame, and its detector this time."""
    try:
        pipeline.prepare(parse.read(json.dumps(document)))
    except RequestError:
        return False
    return True


def _usual_time(ready: pipeline.PreparedExposure) -> float:
    """Return the integration time at which a linearity frame fills half of the full well."""
    from elvis_cli.instrument import registry

    example: Mapping[str, Any] = registry.load(ready.request.instrument).example(ready.setup.mode)
    return float(example["timesnr"][ready.setup.exposure.dit_key])
