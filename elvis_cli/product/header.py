"""The primary and extension headers as data: (keyword, value, comment), in ESO's dictionary (DICD, ESO-044156).

Nothing here knows FITS syntax; `elvis_cli.product.fits` turns the cards into bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from elvis_cli import __version__
from elvis_cli.model.detector import Chip
from elvis_cli.model.psf_model import adaptive_optics
from elvis_cli.model.request import Request
from elvis_cli.model.sampling import Sampling
from elvis_cli.model.setup import Setup
from elvis_cli.prediction.types import Prediction
from elvis_cli.product import spectrograph_cards, wcs
from elvis_cli.product.quadrants import Part
from elvis_cli.scene import templates
from elvis_cli.sky.pointing import ExposureGeometry, isot
from elvis_cli.sky.turbulence import coherence_time, fried

Card = tuple[str, object, str]
"""Keyword without HIERARCH ("ESO DET DIT" or "EXPTIME"), value, comment."""

_CATEGORIES = ("DPR", "OBS", "TPL", "DET", "INS", "SEQ", "TEL", "ADA", "AOS", "SIM")
_OURS = frozenset(
    (
        "SIMPLE",
        "BITPIX",
        "NAXIS",
        "EXTEND",
        "ORIGIN",
        "SIMUL",
        "SIMULATED",
        "CHECKSUM",
        "DATASUM",
        "END",
        "COMMENT",
        "HISTORY",
    )
)
"""Keywords that a request cannot set."""
STAR_TYPE = "{star}"
"""In a card of a plugin: the target's spectral type, as HARPS has it in DPR TYPE."""
_DOTTED = re.compile(r"(?=.{1,40}$)[A-Z][A-Z0-9]*(\.[A-Z0-9_-]+)+")
"""A request key that is an ESO keyword, such as INS.FILT1.NAME, and fits on a card."""


def primary(request: Request, setup: Setup, prediction: Prediction, observation: ExposureGeometry) -> list[Card]:
    """Return the primary header below NAXIS, without CHECKSUM; ``setup.header`` wins over what is written here."""
    count = prediction.count
    cards = [
        *_standard(request, setup, observation),
        *_exposure(request, setup, observation, count),
        *_detector(setup, count),
        ("ESO INS MODE", setup.mode, "instrument mode"),
        ("ESO SIM INSTR", setup.instrument, "instrumentName of the ETC"),
        ("ESO SIM MODE", setup.mode, "ins_configuration of the ETC"),
        *([("ESO SIM ARM", setup.arm, "arm of the instrument")] if setup.arm else []),
        *spectrograph_cards.cards(setup),
        *_keys(request),
        *_telescope(request, setup, observation),
        *_simulation(request, setup),
        *((_full(keyword), value, comment) for keyword, value, comment in prediction.cards()),
    ]
    by_keyword = {keyword: (keyword, value, comment) for keyword, value, comment in cards}
    for name, card in setup.header.items():
        keyword = _full(name) if " " in name else name
        value, comment = card if isinstance(card, tuple) else (card, by_keyword.get(keyword, ("", "", ""))[2])
        if isinstance(value, str) and STAR_TYPE in value:
            value = value.replace(STAR_TYPE, _spectral_type(request))
        by_keyword[keyword] = (keyword, value, comment)
    for keyword, source in setup.repeated_cards.items():
        if source in by_keyword:  # some modes are without the key
            by_keyword.setdefault(keyword, (keyword, *by_keyword[source][1:]))
    for keyword, value, comment in _template(request):
        by_keyword[keyword] = (keyword, value, comment or by_keyword.get(keyword, ("", "", ""))[2])
    instrument = by_keyword["INSTRUME"][1]
    by_keyword["ARCFILE"] = ("ARCFILE", f"{instrument}.{isot(observation.start)}.fits", "archive file name")
    return sorted(by_keyword.values(), key=_order)


def _spectral_type(request: Request) -> str:
    """Return the spectral type of the star that represents the target, UNKNOWN where none does."""
    sed = request.target.sed
    if sed.kind != "template":
        return "UNKNOWN"
    catalog, _, name = templates.find(sed.catalog, sed.id).key.partition("/")
    return name if catalog == "Pickles" else "UNKNOWN"


def extension(request: Request, setup: Setup, chip: Chip, part: Part, observation: ExposureGeometry) -> list[Card]:
    """Return the header of one chip's image, or part of it, below GCOUNT, without BZERO and CHECKSUM."""
    window, quadrant = part.window, part.quadrant
    extname = f"{chip.extname}.{quadrant.name}" if quadrant else chip.extname
    gain = quadrant.gain if quadrant and quadrant.gain is not None else chip.gain
    ron = quadrant.ron if quadrant and quadrant.ron is not None else chip.ron
    detector, binning, row_binning = setup.detector, setup.detector.binning, setup.detector.row_binning
    ccd = detector.kind == "ccd"
    unit = ("electron/s", "expected rate, no noise") if request.elvis.product == "expected" else ("adu", "raw counts")
    name = "ESO DET CHIP1" if ccd else "ESO DET CHIP"
    pixel = detector.pixel_mm * 1000.0 / binning
    return [
        ("EXTNAME", extname, "name of this extension"),
        ("INHERIT", True, "the primary header applies here too"),
        ("BUNIT", *unit),
        *wcs.cards(setup, chip, window, observation.ra, observation.dec, observation.position_angle, part.turned),
        *_quadrant(part),
        *spectrograph_cards.order_cards(setup, chip, window),
        *((keyword, value, "") for keyword, value in chip.header),
        ("ESO DET CHIP NO", chip.id, "number of the chip in the mosaic"),
        (f"{name} ID", f"{detector.name} {chip.id}", "chip identification"),
        (f"{name} NAME", detector.name, "kind of detector"),
        (f"{name} NX", detector.nx * binning, "[pixel] columns of the chip"),
        (f"{name} NY", detector.ny * row_binning, "[pixel] rows of the chip"),
        (f"{name} PSZX", pixel, "[um] pixel size along x"),
        (f"{name} PSZY", pixel, "[um] pixel size along y"),
        (f"{name} GAIN", gain, "[e/ADU] conversion from ADU to electrons"),
        (f"{name} RON", ron, "[e] read-out noise of one integration"),
        (f"{name} DARK", chip.dark, "[e/s] dark current per binned pixel"),
        ("ESO DET OUT1 CONAD", gain, "[e/ADU] conversion from ADU to electrons"),
        ("ESO DET OUT1 GAIN", 1.0 / gain, "[ADU/e] conversion from electrons to ADU"),
        ("ESO DET OUT1 RON", ron, "[e] read-out noise of one integration"),
        ("ESO DET WIN1 STRX", window.x0 + 1, "[binned pixel] first column of the window"),
        ("ESO DET WIN1 STRY", window.y0 + 1, "[binned pixel] first row of the window"),
        ("ESO DET WIN1 NX", window.nx, "[binned pixel] columns of the window"),
        ("ESO DET WIN1 NY", window.ny, "[binned pixel] rows of the window"),
        ("ESO DET WIN1 BINX", binning, "binning along x"),
        ("ESO DET WIN1 BINY", row_binning, "binning along y"),
    ]


def together(primary: Iterable[Card], own: Iterable[Card]) -> list[Card]:
    """Return the cards of a primary HDU that holds a chip's image; those of the primary header win."""
    cards = {card[0]: card for card in own if card[0] != "INHERIT"} | {card[0]: card for card in primary}
    return sorted(cards.values(), key=_order)


def _quadrant(part: Part) -> list[Card]:
    if part.quadrant is None:
        return []
    prescan, overscan, rows = part.scans
    right, top = part.quadrant.corner.endswith("right"), part.quadrant.corner.startswith("top")
    ny, nx = part.pixels.shape
    return [
        ("QUADID", part.quadrant.name, "amplifier"),
        ("PRESCANX", prescan, "[pixel] columns of prescan, on the amplifier's side"),
        ("OVRSCANX", overscan, "[pixel] columns of overscan, on the other"),
        ("OVRSCANY", rows, "[pixel] rows of overscan, far from the amplifier"),
        ("ESO DET OUT1 X", nx if right != part.turned else 1, "[pixel] column of this image at the amplifier"),
        ("ESO DET OUT1 Y", ny if top != part.turned else 1, "[pixel] row of this image at the amplifier"),
    ]


def remarks(request: Request, observation: ExposureGeometry, notes: Sequence[str]) -> list[str]:
    """Return the texts of the COMMENT cards of the primary header."""
    texts = dict.fromkeys((*notes, *request.warnings, *observation.notes))
    return ["SIMULATED DATA, made by ELVIS: no telescope took this exposure.", *(f"Note: {note}" for note in texts)]


def _standard(request: Request, setup: Setup, observation: ExposureGeometry) -> list[Card]:
    start = observation.start
    ra, dec, _ = wcs.axis_pointing(setup, observation.ra, observation.dec, observation.position_angle)
    seconds = (start - start.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    return [
        ("ORIGIN", "ELVIS", "simulated, not observed"),
        ("DATE", isot(observation.created), "[UTC] date of this file"),
        ("TELESCOP", setup.optics.telescope.name, "simulated telescope"),
        ("INSTRUME", setup.instrument.upper(), "simulated instrument"),
        ("OBJECT", _target_name(request), "target"),
        ("RA", ra, "[deg] the telescope's axis"),
        ("DEC", dec, "[deg] the telescope's axis"),
        ("EQUINOX", 2000.0, "[yr] standard FK5 equinox"),
        ("RADESYS", "ICRS", "celestial reference frame"),
        ("EXPTIME", observation.duration, "[s] integration time that was summed"),
        ("MJD-OBS", observation.mjd, "[d] start of the exposure (UTC)"),
        ("DATE-OBS", isot(start), "[UTC] start of the exposure"),
        ("TIMESYS", "UTC", "time scale"),
        ("UTC", round(seconds, 3), "[s] start of the exposure"),
        *_sidereal(setup, observation),
        ("PI-COI", "ELVIS", "simulated"),
        ("OBSERVER", "ELVIS", "simulated"),
        ("SIMUL", True, "THIS IS A SIMULATION"),
    ]


def _sidereal(setup: Setup, observation: ExposureGeometry) -> list[Card]:
    if setup.atmosphere.site.space:
        return []
    return [("LST", round(observation.sidereal_time * 240.0, 3), "[s] local sidereal time at start")]


def _exposure(request: Request, setup: Setup, observation: ExposureGeometry, count: int) -> list[Card]:
    number, files = setup.exposure.number, setup.exposure.files
    first = isot(observation.first)
    name, arm = _target_name(request), "spec" if setup.spectrograph else "img"
    return [
        ("ESO DPR CATG", "SCIENCE", "observation category"),
        ("ESO DPR TECH", spectrograph_cards.TECHNIQUES[setup.kind], "observation technique"),
        ("ESO DPR TYPE", "OBJECT", "observation type"),
        ("ESO OBS ID", 0, "observation block; 0 when simulated without one"),
        ("ESO OBS NAME", f"{name} {setup.optics.filter_name}", "name of the block"),
        ("ESO OBS PROG ID", "SIMULATED", "programme"),
        ("ESO OBS TARG NAME", name, "target"),
        ("ESO OBS TPLNO", 1, "number of the template in the block"),
        ("ESO OBS START", first, "[UTC] start of the block"),
        ("ESO TPL ID", f"{setup.instrument.upper()}_{arm}_obs", "template signature"),
        ("ESO TPL NAME", "Spectroscopy" if setup.spectrograph else "Imaging", "template name"),
        ("ESO TPL START", first, "[UTC] start of the template"),
        ("ESO TPL NEXP", files, "exposures of the template"),
        ("ESO TPL EXPNO", number, "number of this exposure"),
    ]


def _template(request: Request) -> Iterable[Card]:
    """Yield what an Observing Block says of its exposure, which wins over all else."""
    block, template = request.elvis.obs, request.elvis.template
    if block:
        yield "OBJECT", block.target, ""
        yield "ESO OBS ID", block.id, "observation block"
        yield "ESO OBS NAME", block.name, ""
        yield "ESO OBS PROG ID", block.programme, ""
        yield "ESO OBS TARG NAME", block.target, ""
        yield "ESO OBS TPLNO", block.template, ""
        yield "ESO OBS START", block.start, ""
    if template:
        yield "ESO TPL ID", template.id, ""
        yield "ESO TPL NAME", template.name, ""
        yield "ESO TPL START", template.start, ""
        yield "ESO TPL NEXP", template.nexp, ""
        yield "ESO TPL EXPNO", template.expno, ""
        for name, value in (("CATG", template.category), ("TYPE", template.type), ("TECH", template.tech)):
            if value is not None:
                yield f"ESO DPR {name}", value, ""
    for keyword, card in request.elvis.keywords.items():
        if keyword not in _OURS and not keyword.startswith("ESO SIM "):
            yield keyword, *(card if isinstance(card, (list, tuple)) else (card, ""))


def _detector(setup: Setup, count: int) -> list[Card]:
    cards: list[Card] = [
        ("ESO DET NAME", setup.detector.name, "detector"),
        ("ESO DET CHIPS", len(setup.frame.chips), "chips in this file"),
        ("ESO DET DIT", setup.exposure.dit, "[s] integration time"),
    ]
    if setup.detector.kind == "ccd":
        return [
            *cards,
            ("ESO DET NDIT", 1, "integrations summed in this file"),
            ("ESO DET WIN1 DIT1", setup.exposure.dit, "[s] integration time"),
            ("ESO DET WIN1 UIT1", setup.exposure.dit, "[s] integration time asked for"),
        ]
    return [
        *cards,
        ("ESO DET NDIT", count, "integrations; the pixels are their mean"),
        *_sampling(setup.detector.sampling),
    ]


def _sampling(sampling: Sampling) -> list[Card]:
    if sampling.reads == 2:
        return [
            ("ESO DET NCORRS", 2, "read-out mode: double correlated sampling"),
            ("ESO DET NCORRS NAME", "Double", "read-out mode"),
            ("ESO DET NDSAMPLES", 2, "reads of one integration"),
        ]
    name = "FowlerNsamp" if sampling.step is not None else "Uncorr" if sampling.reads == 1 else "NonDest"
    return [
        ("ESO DET NCORRS NAME", name, "read-out mode"),
        ("ESO DET NDSAMPLES", sampling.reads, "reads of one integration"),
    ]


def _keys(request: Request) -> Iterable[Card]:
    """Yield the ESO keywords among the request's instrument keys."""
    for key, value in request.keys.items():
        if _DOTTED.fullmatch(key) and isinstance(value, (str, int, float)):
            yield f"ESO {key.replace('.', ' ')}", value, "as requested"


def _telescope(request: Request, setup: Setup, observation: ExposureGeometry) -> Iterable[Card]:
    if not setup.atmosphere.site.space:
        yield from _ground(request, setup, observation)
    ra, dec = request.elvis.place or (observation.ra, observation.dec)  # the target's, wherever offsets point
    yield "ESO TEL TARG ALPHA", float(_sexagesimal(ra / 15.0)), "hhmmss.sss right ascension"
    yield "ESO TEL TARG DELTA", float(_sexagesimal(dec)), "ddmmss.sss declination"
    yield "ESO ADA POSANG", observation.position_angle, "[deg] position angle of +y, North through East"


def _ground(request: Request, setup: Setup, observation: ExposureGeometry) -> Iterable[Card]:
    site, airmass = setup.atmosphere.site, request.sky.airmass
    yield "ESO TEL GEOELEV", site.elevation, "[m] elevation above sea level"
    yield "ESO TEL GEOLAT", site.latitude, "[deg] latitude, North positive"
    yield "ESO TEL GEOLON", site.longitude, "[deg] longitude, East positive"
    yield "ESO TEL ALT", _degrees(observation.altitude), "[deg] altitude at start"
    yield "ESO TEL AZ", _degrees(observation.azimuth + 180.0) % 360.0, "[deg] azimuth at start, S=0 W=90"
    for when, altitude in (("START", observation.altitude), ("END", observation.altitude_end)):
        # A block's exposure is simulated at the airmass of its middle, and stands where its date puts it.
        known = request.elvis.obs is not None and altitude > 10.0
        at = round(1.0 / math.sin(math.radians(altitude)), 6) if known else airmass
        yield f"ESO TEL AIRM {when}", at, "airmass" if known else "airmass, as simulated"
        yield f"ESO TEL AMBI FWHM {when}", setup.atmosphere.seeing, "[arcsec] zenith seeing at 500 nm"
        yield f"ESO TEL AMBI IWV {when}", request.sky.pwv, "[mm] precipitable water vapour at zenith"
        yield f"ESO TEL AMBI PRES {when}", site.pressure, "[hPa] pressure"
    yield "ESO TEL PARANG START", _degrees(observation.parallactic), "[deg] parallactic angle at start"
    yield "ESO TEL PARANG END", _degrees(observation.parallactic_end), "[deg] parallactic angle at end"
    yield "ESO TEL AMBI RHUM", site.humidity * 100.0, "[%] relative humidity"
    yield "ESO TEL AMBI TEMP", round(site.temperature - 273.15, 6), "[C] temperature"


def _simulation(request: Request, setup: Setup) -> Iterable[Card]:
    yield "ESO SIM VERSION", __version__, "version of ELVIS"
    yield "ESO SIM SEED", request.elvis.seed, "random seed"
    yield "ESO SIM PRODUCT", request.elvis.product, "raw or expected"
    yield "ESO SIM ETCGEN", request.generation, "generation of the ETC JSON"
    if not setup.atmosphere.site.space:
        sky = request.sky
        yield "ESO SIM ATM FLI", sky.fli, "fractional lunar illumination"
        yield "ESO SIM ATM MOONSEP", sky.moon_distance, "[deg] moon to target"
        yield "ESO SIM ATM MOONALT", sky.moon_altitude, "[deg] altitude of the moon"
        yield "ESO SIM ATM SEEING", setup.atmosphere.seeing, "[arcsec] at zenith and 500 nm"
    ao = adaptive_optics(setup.psf)
    yield "ESO SIM AO KIND", ao.system.kind if ao else "none", "adaptive optics"
    if ao:
        tau0 = coherence_time(setup.atmosphere.turbulence, fried(setup.atmosphere.seeing)) * 1e3
        yield "ESO SIM ATM PROFILE", setup.atmosphere.turbulence.name, "profile of the turbulence above the site"
        yield "ESO SIM ATM TAU0", round(tau0, 6), "[ms] coherence time at zenith and 500 nm"
        yield "ESO SIM ATM L0", setup.atmosphere.turbulence.outer_scale, "[m] outer scale"
        yield "ESO SIM AO RATE", ao.system.rate, "[Hz] of the loop"
        yield "ESO SIM AO NCPA", ao.system.residual, "[nm] wavefront error besides the atmosphere"
        yield "ESO SIM AO JITTER", ao.system.jitter, "[mas] image motion besides the atmosphere"
        yield "ESO SIM AO GSMAG", ao.guide_star_mag, "[mag] guide star"
        if ao.guide_stars:
            yield "ESO SIM AO GSX", ao.guide_stars[0][0], "[arcsec] first guide star in the field, +x West"
            yield "ESO SIM AO GSY", ao.guide_stars[0][1], "[arcsec] first guide star in the field, +y North"
        else:
            yield "ESO SIM AO GSSEP", request.image_quality.separation, "[arcsec] guide star to target"
    if request.elvis.stages is not None:
        yield "ESO SIM STAGES", " ".join(request.elvis.stages), "detector stages that were run"
    if request.elvis.skip:
        yield "ESO SIM SKIP", " ".join(request.elvis.skip), "detector stages left out"
    if request.elvis.only is not None:
        yield "ESO SIM ONLY", " ".join(request.elvis.only), "stages that were run, light included"
    if request.elvis.also:
        yield "ESO SIM ALSO", " ".join(request.elvis.also), "stages that were run since they were asked for"
    if request.elvis.order is not None:
        yield "ESO SIM ORDER", request.elvis.order, "order of the stages"
    if request.elvis.models:
        yield "ESO SIM MODELS", " ".join(request.elvis.models), "stages with the user's own model"


def _target_name(request: Request) -> str:
    """Return a name for the target: the request's own if it has one, else what it looks like."""
    name: Any = request.document
    for key in ("sky", "almanac", "targetName"):
        name = name.get(key) if isinstance(name, Mapping) else None
    if isinstance(name, str) and name.strip():
        return name.strip()
    if request.elvis.scene or request.elvis.image or request.elvis.cube:
        return request.elvis.scene.name if request.elvis.scene else "image" if request.elvis.image else "cube"
    if request.elvis.catalogue and not request.elvis.motion:
        sources = "stars" if request.elvis.catalogue.radius is None else "sources"
        return f"catalogue of {len(request.elvis.catalogue.x)} {sources}"
    sed = request.target.sed
    spectrum = f"{sed.catalog} {sed.id}" if sed.kind == "template" else sed.kind
    return f"{request.target.morphology.kind} {spectrum}"


def _degrees(angle: float) -> float:
    """Return an angle to the microdegree, never -0: beyond that it depends on the machine's mathematical library."""
    return round(angle, 6) + 0.0


def _sexagesimal(value: float) -> str:
    """Return degrees or hours as ESO's one number: 123456.789 is 12 34 56.789."""
    milli = round(abs(value) * 3_600_000)
    minutes, rest = divmod(milli, 60_000)
    whole, minute = divmod(minutes, 60)
    return f"{'-' if math.copysign(1.0, value) < 0 else ''}{whole:02d}{minute:02d}{rest / 1000:06.3f}"


def _full(keyword: str) -> str:
    """Return a keyword of the ESO hierarchy in full: "SIM SNR" and "HIERARCH ESO SIM SNR" are "ESO SIM SNR"."""
    keyword = keyword.removeprefix("HIERARCH ").removeprefix("ESO ")
    return f"ESO {keyword}"


def _order(card: Card) -> int:
    """Return where the card's category stands; the sort is stable inside it."""
    words = card[0].split()
    if words[0] != "ESO":
        return -1
    return _CATEGORIES.index(words[1]) if words[1] in _CATEGORIES else len(_CATEGORIES)
