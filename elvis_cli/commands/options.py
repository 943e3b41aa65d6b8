"""The command line's options that change the request, declared once for all commands that read one."""

from __future__ import annotations

import enum
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elvis_cli.errors import RequestError, UsageError, json_pointer

if TYPE_CHECKING:
    from elvis_cli.model.request import Request


class Product(enum.StrEnum):
    """What a frame holds."""

    RAW = "raw"
    EXPECTED = "expected"


class Calibration(enum.StrEnum):
    """A calibration frame in place of the target's."""

    ARC = "arc"
    FLAT = "flat"
    DARK = "dark"
    BIAS = "bias"
    SKY = "sky"
    STD = "std"
    PINHOLE = "pinhole"
    TWILIGHT = "twilight"
    OFF = "off"
    DETLIN = "detlin"


class SkyModel(enum.StrEnum):
    """Where the sky comes from."""

    LOCAL = "local"
    SKYCALC = "skycalc"


class Unit(enum.StrEnum):
    """Unit of the wavelengths in an uploaded spectrum."""

    M = "m"
    UM = "um"
    NM = "nm"


class Errors(enum.StrEnum):
    """How errors and notes are written to stderr."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Options:
    """What the options of `collect` asked for."""

    overrides: dict[str, Any]
    """Keys of the request's ``elvis`` block."""
    strict: bool

    def read(self, text: bytes | str) -> Request:
        """Return the Request in ``text`` with these options; its instrument exists.

        Raises
        ------
        RequestError
            It is wrong.
        ResourceError
            There is no such instrument.
        """
        from elvis_cli.request import parse

        request = parse.read(text, self.overrides, strict=self.strict)
        from elvis_cli.instrument import registry

        plugin = registry.load(request.instrument)
        if self.strict:
            for key in plugin.unknown_keys(request):
                raise RequestError(json_pointer("instrument", key), "unknown key")
        return request


MICRONS = {Unit.M: 1e6, Unit.UM: 1.0, Unit.NM: 1e-3}


def collect(
    *,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all random streams.")] = None,
    window: Annotated[
        str | None, typer.Option(metavar="X0,Y0,NX,NY|full", help="Part of each chip, in pixels from 0.")
    ] = None,
    chips: Annotated[str | None, typer.Option(metavar="1,2,...|all", help="Chips to render.")] = None,
    ra: Annotated[float | None, typer.Option(min=0, max=360, help="Field centre, deg (ICRS).")] = None,
    dec: Annotated[float | None, typer.Option(min=-90, max=90, help="Field centre, deg (ICRS).")] = None,
    pa: Annotated[
        float | None, typer.Option(min=-360, max=360, help="Position angle, deg, North through East.")
    ] = None,
    date: Annotated[str | None, typer.Option(metavar="ISO8601", help="Start of the exposure, UTC.")] = None,
    sky: Annotated[
        SkyModel | None, typer.Option(help="Shipped tables, or ESO's SkyCalc service (needs the network).")
    ] = None,
    product: Annotated[
        Product | None, typer.Option(help="Raw frames in ADU, or the noiseless electrons per second.")
    ] = None,
    calibration: Annotated[
        Calibration | None, typer.Option(help="A calibration frame in place of the target's.")
    ] = None,
    lamp: Annotated[
        float | None, typer.Option(min=1e-6, max=100, help="Part of the full well that the calibration lamp fills.")
    ] = None,
    wavemap: Annotated[
        bool | None,
        typer.Option("--wavemap/--no-wavemap", help="Tell the wavelength of every pixel of a spectrograph."),
    ] = None,
    exposure: Annotated[int | None, typer.Option(min=1, help="Which of the exposures: each has its own noise.")] = None,
    stages: Annotated[str | None, typer.Option(metavar="A,B,...", help="Detector stages to run.")] = None,
    skip: Annotated[str | None, typer.Option(metavar="A,B,...", help="Stages to leave out, light included.")] = None,
    only: Annotated[str | None, typer.Option(metavar="A,B,...", help="Stages to run, light included.")] = None,
    also: Annotated[str | None, typer.Option(metavar="A,B,...", help="Stages to run that wait to be asked.")] = None,
    order: Annotated[str | None, typer.Option(metavar="NAME", help="Order of the stages, e.g. physical.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Model of a stage from a JSON (parameters) or FITS file (image)."),
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="all|A,B,...", help="Keep the image after these stages as extensions.")
    ] = None,
    sed: Annotated[
        Path | None, typer.Option(help="Spectrum of the target: wavelength and flux in two columns, # comments.")
    ] = None,
    sed_unit: Annotated[Unit, typer.Option(help="Unit of its wavelengths (m is the ETC's).")] = Unit.M,
    catalogue: Annotated[
        Path | None,
        typer.Option(help="Stars: an ECSV, FITS or CSV table of x, y or ra, dec; mag; sed, velocity, radius ..."),
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Template in the target's place: a FITS image with a WCS.")] = None,
    cube: Annotated[
        Path | None, typer.Option(help="Data cube in the target's place: FITS with a spectral WCS.")
    ] = None,
    psf: Annotated[
        str | None, typer.Option(metavar="FILE|tiptop", help="PSF in place of the built-in one: FITS image or cube.")
    ] = None,
    readout: Annotated[
        str | None, typer.Option(metavar="single|cds|mcds:N|utr[:N]", help="How an infrared array is sampled.")
    ] = None,
    reads: Annotated[
        bool | None, typer.Option("--reads/--no-reads", help="Keep the reads of an infrared array: extension READS.")
    ] = None,
    previous: Annotated[
        Path | None, typer.Option(help="FITS file of elvis: the exposure before, which the detector remembers.")
    ] = None,
    gap: Annotated[float, typer.Option(min=0, max=1e6, help="Time from its end to this one's start, s.")] = 30.0,
    truth: Annotated[
        bool | None, typer.Option("--truth/--no-truth", help="Tell what was put in, in the table TRUTH.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse keys that are not known.")] = False,
    errors: Annotated[Errors, typer.Option(help="How errors and notes are written to stderr.")] = Errors.TEXT,
) -> Options:
    """Return what the options ask for; ``errors`` is `cli.run`'s, which must know before the options are parsed.

    Raises
    ------
    UsageError
        A list of numbers is not one, or a file cannot be read.
    RequestError
        A file does not hold what it should.
    """
    stage_models = [text for text in model or () if not text.startswith("psf=")]
    psf = next((text[len("psf=") :] for text in reversed(model or ()) if text.startswith("psf=")), psf)
    given: dict[str, Any] = {
        "seed": seed,
        "window": window
        if window in (None, "full")
        else dict(zip(("x0", "y0", "nx", "ny"), _whole("--window", window, 4), strict=True)),
        "chips": chips if chips in (None, "all") else _whole("--chips", chips),
        "pointing": {k: v for k, v in (("ra", ra), ("dec", dec), ("position_angle", pa)) if v is not None} or None,
        "date": date,
        "sky": sky and sky.value,
        "product": product and product.value,
        "calibration": calibration and calibration.value,
        "lamp": lamp,
        "wavemap": wavemap,
        "exposure": exposure,
        "stages": _names(stages),
        "skip": _names(skip),
        "only": _names(only),
        "also": _names(also),
        "order": order,
        "keep": _names(keep),
        "models": models(stage_models) if stage_models else None,
        "readout": readout,
        "reads": reads,
        "sed": None if sed is None else spectrum(sed, sed_unit),
        "truth": truth,
    }
    if catalogue or image or psf:
        from elvis_cli.request.files import catalogue as uploads

        given["catalogue"] = uploads.catalogue(catalogue) if catalogue else None
        given["image"] = uploads.image(image) if image else None
        given["psf"] = uploads.psf(Path(psf)) if psf and psf != "tiptop" else psf
    if cube:
        from elvis_cli.request.files import cube as cubes

        given["cube"] = cubes.cube(cube)
    if previous:
        from elvis_cli.product.previous import read_previous

        given["previous"] = read_previous(previous, gap)
    return Options({key: value for key, value in given.items() if value is not None}, strict)


def request_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `collect`, handed over as its keyword argument ``options``."""
    own = inspect.signature(command, eval_str=True)
    more = inspect.signature(collect, eval_str=True).parameters

    @wraps(command)
    def wrapper(**given: Any) -> None:
        options = collect(**{name: given.pop(name) for name in more})
        command(**given, options=options)

    kept = [p for p in own.parameters.values() if p.name != "options"]
    wrapper.__signature__ = own.replace(parameters=[*kept, *more.values()])  # type: ignore[attr-defined]
    return wrapper


def _whole(option: str, text: str, count: int | None = None) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or (count and len(numbers) != count):
        raise UsageError(f"{option}: {text!r} is not {count or 'a list of'} whole numbers separated by commas")
    return numbers


def limits(text: str | None) -> tuple[float, float] | str | None:
    """Return "zscale" or two numbers, what `elvis_cli.preview.draw` takes for limits."""
    if text in (None, "zscale"):
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"--limits: {text!r} is neither zscale nor two numbers LOW,HIGH")
    return low, high


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def models(given: list[str]) -> dict[str, Any]:
    """Return the files of ``NAME=FILE`` as the block ``elvis.models``."""
    found = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UsageError(f"--model: {text!r} is not NAME=FILE")
        from elvis_cli.request.files import catalogue as uploads

        found[name.strip()] = uploads.model(name.strip(), Path(file))
    return found


def spectrum(path: Path, unit: Unit) -> dict[str, list[float]]:
    """Return the two columns of a spectrum's file as the block ``elvis.sed``."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--sed: cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    wave: list[float] = []
    flux: list[float] = []
    for number, line in enumerate(lines, 1):
        columns = line.partition("#")[0].replace(",", " ").split()
        if not columns:
            continue
        try:
            first, second = float(columns[0]), float(columns[1])
        except (ValueError, IndexError):
            first = second = math.nan
        if not (math.isfinite(first) and math.isfinite(second)):
            raise RequestError("/elvis/sed", f"{path.name} line {number} is not two finite numbers", found=line[:60])
        wave.append(first * MICRONS[unit])
        flux.append(second)
    if wave and not (min(wave) >= 0.001 and max(wave) <= 10000):
        raise RequestError(
            "/elvis/sed/wavelength_um",
            f"{path.name} holds {min(wave):.4g} to {max(wave):.4g} um when read in {unit}",
            allowed="0.001 to 10000 um; --sed-unit m, um or nm",
        )
    return {"wavelength_um": wave, "flux": flux}
