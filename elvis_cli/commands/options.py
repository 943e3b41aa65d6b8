"""Options shared by commands; those that change a request are declared once, in `collect`."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from elvis_cli.commands.console import note
from elvis_cli.errors import UsageError
from elvis_cli.instrument.request_options import RequestOptions
from elvis_cli.model.limits import DEFAULT, Limits
from elvis_cli.request.option_values import block_keys

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Write to this file, all or nothing, instead of stdout.", rich_help_panel="Output"
    ),
]
Mode = Annotated[str | None, typer.Option(help="Mode of the instrument; without it, the default mode.")]


class Product(enum.StrEnum):
    """Quantity in the pixels of a frame."""

    RAW = "raw"
    EXPECTED = "expected"
    REDUCED = "reduced"


class Calibration(enum.StrEnum):
    """Kind of calibration frame."""

    ARC = "arc"
    COMB = "comb"
    FABRY_PEROT = "fabry-perot"
    CELL = "cell"
    FLAT = "flat"
    ORDERS = "orders"
    FORMAT = "format"
    DARK = "dark"
    BIAS = "bias"
    SKY = "sky"
    STD = "std"
    PINHOLE = "pinhole"
    PUPIL = "pupil"
    TWILIGHT = "twilight"
    OFF = "off"
    DETLIN = "detlin"


class SkyModel(enum.StrEnum):
    """Source of the sky's transmission and emission."""

    LOCAL = "local"
    SKYCALC = "skycalc"


class Errors(enum.StrEnum):
    """Format of errors and notes on stderr."""

    TEXT = "text"
    JSON = "json"


_POINTING = "Pointing and sky"
_INFRARED = "Infrared detector"


def collect(
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse unknown keys.", rich_help_panel="Request")] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="memory|output|time=AMOUNT",
            help="Refuse requests that take more (memory=2GB, output=20GB, time=1800 processor seconds).",
            rich_help_panel="Request",
        ),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            envvar="ELVIS_OFFLINE",
            help="Refuse what needs the network or another program: SkyCalc, TIPTOP.",
            rich_help_panel="Request",
        ),
    ] = False,
    errors: Annotated[
        Errors, typer.Option(help="Format of errors and notes on stderr.", rich_help_panel="Request")
    ] = Errors.TEXT,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of all random numbers (0).", rich_help_panel="Frame")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,NX,NY|full", help="Part of each chip, binned pixels from 0.", rich_help_panel="Frame"
        ),
    ] = None,
    chips: Annotated[
        str | None, typer.Option(metavar="1,2,...|all", help="Chips to render.", rich_help_panel="Frame")
    ] = None,
    product: Annotated[
        Product | None,
        typer.Option(
            help="Raw frames in ADU, noiseless electrons per second, or the reduced image of dithers and calibrations.",
            rich_help_panel="Frame",
        ),
    ] = None,
    arm: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Arm of a spectrograph; without it, the one whose S/N or wavelength is asked for, else the first.",
            rich_help_panel="Frame",
        ),
    ] = None,
    exposure: Annotated[
        int | None,
        typer.Option(min=1, help="Number of the exposure; each has its own noise.", rich_help_panel="Frame"),
    ] = None,
    ra: Annotated[
        float | None,
        typer.Option(
            min=0, max=360, help="Right ascension of the field centre, deg (ICRS).", rich_help_panel=_POINTING
        ),
    ] = None,
    dec: Annotated[
        float | None,
        typer.Option(min=-90, max=90, help="Declination of the field centre, deg (ICRS).", rich_help_panel=_POINTING),
    ] = None,
    pa: Annotated[
        float | None,
        typer.Option(
            min=-360, max=360, help="Position angle of +y, deg, North through East.", rich_help_panel=_POINTING
        ),
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="ISO8601", help="Start of the exposure, UTC.", rich_help_panel=_POINTING)
    ] = None,
    ephemeris: Annotated[
        Path | None,
        typer.Option(
            help="Pointing and motion at --date: text of JPL Horizons, or ECSV with times, RA and Dec.",
            rich_help_panel=_POINTING,
        ),
    ] = None,
    sky: Annotated[
        SkyModel | None,
        typer.Option(help="Shipped tables, or ESO's SkyCalc service (needs the network).", rich_help_panel=_POINTING),
    ] = None,
    sed: Annotated[
        Path | None,
        typer.Option(
            help="Spectrum of the target: text, ECSV, FITS or VOTable with wavelength and flux.",
            rich_help_panel="Sources",
        ),
    ] = None,
    sed_unit: Annotated[
        str | None,
        typer.Option(
            metavar="m|um|nm|Angstrom|Hz|GHz|cm-1",
            help="Unit of the wavelengths in --sed, if the file names none (m).",
            rich_help_panel="Sources",
        ),
    ] = None,
    sed_absolute: Annotated[
        bool,
        typer.Option(
            "--sed-absolute",
            help="The target is as bright as the flux in --sed says, in the unit that the file names.",
            rich_help_panel="Sources",
        ),
    ] = False,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            help="Stars and galaxies: CSV, ECSV, FITS, VOTable with x, y or ra, dec; mag; sed, velocity, radius ...",
            rich_help_panel="Sources",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN",
            help="Column of --catalogue that holds a quantity, such as mag=Ks_2MASS.",
            rich_help_panel="Sources",
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            help="Image in place of the target: FITS; FILE[2] or FILE[SCI] is an extension.", rich_help_panel="Sources"
        ),
    ] = None,
    cube: Annotated[
        Path | None,
        typer.Option(
            help="Data cube in place of the target: FITS with wavelengths; FILE[EXT] too.", rich_help_panel="Sources"
        ),
    ] = None,
    calibration: Annotated[
        Calibration | None,
        typer.Option(help="Calibration frame in place of the science frame.", rich_help_panel="Calibration"),
    ] = None,
    lamp: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=100,
            help="Level of the lamp in the brightest pixel, as a fraction of the full well (0.5).",
            rich_help_panel="Calibration",
        ),
    ] = None,
    psf: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|tiptop",
            help="PSF in place of the built-in one: FITS image, cube or field of PSFs; FILE[EXT] too.",
            rich_help_panel="Optics",
        ),
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Run only these stages of the detector.", rich_help_panel="Detector"),
    ] = None,
    skip: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Leave out these stages, light included.", rich_help_panel="Detector"),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Run only these stages, light included.", rich_help_panel="Detector"),
    ] = None,
    also: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Run these optional stages too.", rich_help_panel="Detector"),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Order of the stages, e.g. physical.", rich_help_panel="Detector"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Model of a stage: JSON (parameters) or FITS (image).",
            rich_help_panel="Detector",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="all|A,B,...", help="Write the image after these stages as extensions.", rich_help_panel="Detector"
        ),
    ] = None,
    readout: Annotated[
        str | None,
        typer.Option(
            metavar="single|cds|mcds:N|utr[:N]", help="Sampling of an infrared detector.", rich_help_panel=_INFRARED
        ),
    ] = None,
    reads: Annotated[
        bool | None,
        typer.Option("--reads/--no-reads", help="Write every read, in the extension READS.", rich_help_panel=_INFRARED),
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option(help="Exposure before this one, a FITS file of elvis: persistence.", rich_help_panel=_INFRARED),
    ] = None,
    gap: Annotated[
        float,
        typer.Option(
            min=0, max=1e6, help="Time from the end of --previous to the start, s.", rich_help_panel=_INFRARED
        ),
    ] = 30.0,
    truth: Annotated[
        bool | None,
        typer.Option("--truth/--no-truth", help="Write the table TRUTH of all sources.", rich_help_panel="Output"),
    ] = None,
    wavemap: Annotated[
        bool | None,
        typer.Option(
            "--wavemap/--no-wavemap",
            help="Write wavelength and position along the slit of every pixel of a spectrograph.",
            rich_help_panel="Output",
        ),
    ] = None,
    bare: Annotated[
        bool | None,
        typer.Option(
            "--bare/--no-bare",
            help="Write the frames alone, as the instrument does: no tables, no replay.",
            rich_help_panel="Output",
        ),
    ] = None,
) -> RequestOptions:
    """Return the values of the options; `cli.run` reads ``errors`` itself, before the options are parsed.

    Raises
    ------
    UsageError
        A list of numbers is malformed, or a file cannot be read.
    RequestError
        The content of a file is wrong.
    """
    stage_models = [text for text in model or () if not text.startswith("psf=")]
    psf = next((text[len("psf=") :] for text in reversed(model or ()) if text.startswith("psf=")), psf)
    given: dict[str, Any] = {
        "seed": seed,
        "window": window,
        "chips": chips,
        "ra": ra,
        "dec": dec,
        "pa": pa,
        "date": date,
        "sky": sky and sky.value,
        "product": product and product.value,
        "calibration": calibration and calibration.value,
        "lamp": lamp,
        "wavemap": wavemap,
        "bare": bare,
        "arm": arm,
        "exposure": exposure,
        "stages": stages,
        "skip": skip,
        "only": only,
        "also": also,
        "order": order,
        "keep": keep,
        "models": models(stage_models) if stage_models else None,
        "readout": readout,
        "reads": reads,
        "truth": truth,
    }
    given = block_keys(given)
    file_notes: list[str] = []
    limits = _limits(limit or [], offline) if limit or offline else DEFAULT
    if sed:
        from elvis_cli.request.files.spectrum import read_spectrum

        with _reading("--sed", sed, limits):
            given["sed"], file_notes = read_spectrum(sed, sed_unit, sed_absolute)
    elif sed_unit or sed_absolute:
        raise UsageError(
            f"{'--sed-unit' if sed_unit else '--sed-absolute'} is about the file of --sed, and there is none"
        )
    if catalogue:
        from elvis_cli.request.files.catalogue import columns_named, read_catalogue

        with _reading("--catalogue", catalogue, limits):
            given["catalogue"] = read_catalogue(catalogue, columns_named(column or ()))
    elif column:
        raise UsageError("--column is about the table of --catalogue, and there is none")
    if image:
        from elvis_cli.request.files.image import read_image

        with _reading("--image", image, limits):
            given["image"], notes = read_image(image)
        note(notes)
    if psf == "tiptop":
        given["psf"] = psf
    elif psf:
        from elvis_cli.request.files.psf import read_psf

        with _reading("--psf", Path(psf), limits):
            given["psf"], notes = read_psf(Path(psf))
        note(notes)
    if cube:
        from elvis_cli.request.files.cube import read_cube

        with _reading("--cube", cube, limits):
            given["cube"], notes = read_cube(cube)
        note(notes)
    if previous:
        from elvis_cli.product.previous import read_previous

        with _reading("--previous", previous, limits):
            given["previous"] = read_previous(previous, gap)
    places = None
    if ephemeris:
        if ra is not None or dec is not None:
            raise UsageError("--ephemeris cannot be combined with --ra and --dec")
        from elvis_cli.request.files.ephemeris import read_ephemeris

        with _reading("--ephemeris", ephemeris, limits):
            places = read_ephemeris(ephemeris)
    return RequestOptions(given, strict, tuple(file_notes), places, limits)


def _reading(option: str, path: Path, limits: Limits = DEFAULT) -> AbstractContextManager[None]:
    """Return the context in which a file of the user is read: its faults become errors of ours."""
    from elvis_cli.request.files.guard import reading

    return reading(option, path, limits)


def _limits(texts: list[str], offline: bool) -> Limits:
    from elvis_cli.request.budget import parse_limits

    try:
        return parse_limits(texts, offline)
    except ValueError as error:
        raise UsageError(f"--limit: {error}") from None


def request_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `collect` to a command, which receives them as its keyword argument ``options``."""
    own = inspect.signature(command, eval_str=True)
    more = _collected()

    @wraps(command)
    def wrapper(**given: Any) -> None:
        options = collect(**{name: given.pop(name) for name in more})
        command(**given, options=options)

    kept = [p for p in own.parameters.values() if p.name != "options"]
    wrapper.__signature__ = own.replace(parameters=[*kept, *more.values()])  # type: ignore[attr-defined]
    return wrapper


@cache
def _collected() -> Mapping[str, inspect.Parameter]:
    """Return the parameters of `collect`, once: to evaluate their annotations takes milliseconds."""
    return inspect.signature(collect, eval_str=True).parameters


def models(given: list[str]) -> dict[str, Any]:
    """Return the stage models of ``NAME=FILE`` as the block ``elvis.models``."""
    found = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UsageError(f"--model: {text!r} is not NAME=FILE")
        from elvis_cli.request.files.model import read_model

        with _reading("--model", Path(file)):
            found[name.strip()] = read_model(name.strip(), Path(file))
    return found
