"""The requests behind the product of one ETC request: dithers, darks, flats, linearity and a standard star.

The integrations that the request asks for are shared by up to five dithers, so that the product has the signal-to-noise
ratio of the request. Every request is what `elvis` and `elvis batch` read.
"""

from __future__ import annotations

import copy
import io
import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from elvis_cli import pipeline
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.geometry import field_to_pixel, pixel_to_field
from elvis_cli.light.lamps import capacity
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.product import pair_cards
from elvis_cli.product.fits import request_json
from elvis_cli.reduction import instrument_table
from elvis_cli.reduction.cube import is_cube
from elvis_cli.reduction.spectra import needs_sky
from elvis_cli.request import parse
from elvis_cli.scene import standards
from elvis_cli.scene.frame import catalogue_magnitude
from elvis_cli.sky.pointing import observe

DITHERS = ((0.0, 0.0), (1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0))
"""Places of the telescope, x and y in the field, in steps."""
CHOPS = (("A", "A", 0), ("A", "B", 1), ("B", "A", -1), ("B", "B", 0))
"""Nod position, half of the chop cycle, and place in throws along the field's x: the nod is opposite to the chop."""
NODS = 2
"""Nod cycles of a target that is chopped, each at another place."""
STARES = 3
"""Exposures of a spectrum."""
STEP = 40
"""Pixels of a step, at most an eighth of the window."""
CALIBRATIONS = 5
"""Darks, biases and flats of each kind."""
DARK_DEPTH = 10
"""Integrations of each dark of a spectrum for each of the target: the five add a hundredth to the noise."""
LEVELS = (0.1, 0.3, 0.5, 0.8, 1.0, 1.3, 1.6, 1.8)
"""Integration times of the linearity frames, in units of that of the mode: half the full well at 1."""
OVERHEAD = 20.0
"""Seconds between exposures."""
STANDARD_BANDS = ("V", "R", "I", "J", "H", "K", "L", "M", "N")
FILL = 0.6
"""Part of the full well that a standard star may fill in the brightest pixel."""
MAX_FAINTER = 1.8
"""Magnitudes that a real standard star may be fainter than the brightest that fits: a fifth of the light."""
FAINTEST = 20.0
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
    made = list((_stares if spectra else _dithers)(base, ready, observation, clock))
    exposures = len(made)
    made += _standards(made[0], ready, clock)
    if cube or (spectra and needs_sky(ready.setup)):
        made += _skies(made[0], exposures, ready, clock)
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
    infrared = setup.detector.kind == "ir"
    if not infrared:
        total = ready.prediction.count
    throw, angle = instrument_table.of_mode(setup.instrument, setup.mode).chop, observation.position_angle
    number = min(len(DITHERS), total)
    if throw:  # a half of the time is spent beside the target
        number, total = NODS * len(CHOPS), max(NODS * len(CHOPS), 2 * total)
    east, north = field_to_sky(*ready.request.elvis.offset, angle)
    target = deproject(east, north, observation.ra, observation.dec)  # type: ignore[arg-type]
    place = dict(zip(("ra", "dec"), (round(float(value), 9) for value in target), strict=True))
    for n, (dx, dy, cards) in enumerate(_places(setup, throw, number if infrared else total)):
        share = total // number + (n < total % number) if infrared else 1
        made = _timed(base, ready, setup.exposure.dit, share)
        _add_cards(made, cards)
        east, north = field_to_sky(dx, dy, angle)
        ra, dec = deproject(east, north, observation.ra, observation.dec)  # type: ignore[arg-type]
        made["elvis"]["pointing"] = {"ra": round(float(ra), 9), "dec": round(float(dec), 9), "position_angle": angle}
        made["elvis"].pop("offset", None)
        made["elvis"]["place"] = made["elvis"].get("place") or place
        yield _dated(made, clock, setup.exposure.dit * share)


def _places(setup: Setup, throw: float, number: int) -> Iterator[tuple[float, float, Document]]:
    """Yield places of the telescope (arcsec in the field) and their cards: dithers, or pairs chopped by ``throw``."""
    step = _step(setup)
    for n in range(number):
        cycle, half = divmod(n, len(CHOPS)) if throw else (n, 0)
        dx, dy = (step * part for part in DITHERS[cycle % len(DITHERS)])
        if not throw:
            yield dx, dy, {}
            continue
        nod, chop, place = CHOPS[half]
        yield dx + throw * place, dy, {**pair_cards.nod(nod, cycle + 1, throw), **pair_cards.chop(chop, 1, throw)}


def _add_cards(document: Document, cards: Document) -> None:
    if cards:
        document["elvis"]["keywords"] = {**document["elvis"].get("keywords", {}), **cards}


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
    cards = made["elvis"].pop("keywords", {})
    _add_cards(made, {key: value for key, value in cards.items() if not key.startswith(pair_cards.BEGINNINGS)})
    return made


def _standards(document: Document, ready: pipeline.PreparedExposure, clock: _Clock) -> Iterator[Document]:
    """Yield the requests of a standard star: of images three dithers or a nod cycle, of spectra one exposure."""
    made = _standard(document, ready)
    if made is None:
        return
    setup = ready.setup
    if setup.spectrograph is not None:
        yield _dated(made, clock, setup.exposure.dit)
        return
    star, x, y = made["elvis"]["pointing"], *_middle(setup)
    angle = star.get("position_angle", 0.0)
    throw = instrument_table.of_mode(setup.instrument, setup.mode).chop
    for dx, dy, cards in _places(setup, throw, len(CHOPS) if throw else STARES):
        each = copy.deepcopy(made)
        ra, dec = deproject(*field_to_sky(dx - x, dy - y, angle), star["ra"], star["dec"])  # type: ignore[arg-type]
        _add_cards(each, cards)
        each["elvis"]["place"] = {"ra": star["ra"], "dec": star["dec"]}
        each["elvis"]["pointing"] = {"ra": round(float(ra), 9), "dec": round(float(dec), 9), "position_angle": angle}
        yield _dated(each, clock, setup.exposure.dit)


def _step(setup: Setup) -> float:
    """Return the step of the dithers, arcsec."""
    window = setup.frame.window
    return min(STEP, window.nx // 8, window.ny // 8) * setup.optics.pixel_scale


def _middle(setup: Setup) -> tuple[float, float]:
    """Return a place in the field (arcsec) that is well inside a chip's window: 0, 0 or the middle of the window."""
    window = setup.frame.window
    chips = [setup.detector.chip(number) for number in setup.frame.chips]
    for chip in chips:
        x, y = field_to_pixel(setup, chip, 0.0, 0.0)
        if 0.25 <= (x - window.x0) / window.nx <= 0.75 and 0.25 <= (y - window.y0) / window.ny <= 0.75:
            return 0.0, 0.0
    fx, fy = pixel_to_field(setup, chips[0], window.x0 + window.nx / 2, window.y0 + window.ny / 2)
    return float(fx), float(fy)


def _standard(document: Document, ready: pipeline.PreparedExposure) -> Document | None:
    """Return the request of a standard star in the middle of the field, as long as the first exposure of the target.

    It is the brightest star of the catalogue that fills no pixel to more than `FILL`, in the band of the target's
    magnitude; a made-up A0V star if all do, or if the others are fainter by more than `MAX_FAINTER`. None if the
    instrument takes no such frame, or none fits.
    """
    made = _plain(document)
    asked = ready.request
    brightness = catalogue_magnitude(asked) if asked.elvis.catalogue else asked.target.brightness
    band = brightness.band if brightness.kind == "mag" and brightness.band in STANDARD_BANDS else "K"
    made["elvis"]["calibration"] = "std"
    centre = observe(asked.elvis, ready.setup)
    made["elvis"]["pointing"] = {"ra": centre.ra, "dec": centre.dec, "position_angle": centre.position_angle}
    brightest = _brightest(made, band)
    if brightest is None or brightest > FAINTEST:
        return None
    known = [star for star in standards.read() if star.sed or ready.setup.spectrograph is None]
    real = [star for star in known if star.band == band and brightest <= star.mag <= brightest + MAX_FAINTER]
    if real:
        chosen = min(real, key=lambda star: star.mag)
        made["elvis"]["standard"] = {"name": chosen.name, "band": band}
        made["elvis"]["pointing"] = {**made["elvis"]["pointing"], "ra": chosen.ra, "dec": chosen.dec}
    else:
        made["elvis"]["standard"] = _made_up(brightest, band)
    return made


def _made_up(mag: float, band: str) -> dict[str, Any]:
    return {"mag": mag, "band": band, "system": "vega", "sed": "Pickles:A0V"}


def _brightest(document: Document, band: str) -> float | None:
    """Return the magnitude (to 0.1) of an A0V star that fills the brightest pixel to `FILL` of the full well.

    None if the instrument takes no such frame; above `FAINTEST` if the sky alone does.
    """
    mag = 12.0
    for _ in range(3):
        document["elvis"]["standard"] = _made_up(mag, band)
        try:
            star = pipeline.prepare(parse.read(json.dumps(document)))
        except RequestError:
            return None
        cards: dict[str, Any] = {name.rsplit("SIM ", 1)[-1]: value for name, value, _ in star.prediction.cards()}
        empty = float(cards["SKY ELEC"]) + float(cards["DARK ELEC"])
        room = FILL * capacity(star.setup) - empty
        if room <= 0:
            return FAINTEST + 1.0
        step = 2.5 * math.log10(max(float(cards["PEAK ELEC"]) - empty, 1e-9) / room)
        if abs(step) < 0.1:  # adaptive optics may depend on the star, so that one step is not enough
            break
        mag = max(math.ceil(10.0 * (mag + step)) / 10.0, 0.0)
    return mag


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
    usual = _usual_time(plain | {"elvis": plain["elvis"] | {"calibration": "detlin"}})
    for level in LEVELS if usual else ():
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


def _usual_time(document: Document) -> float:
    """Return the integration time at which a linearity frame fills half of the full well; 0 without such frames."""
    try:
        calibration = pipeline.configure(parse.read(json.dumps(document))).calibration
    except RequestError:
        return 0.0
    return calibration.time if calibration else 0.0
