"""The image of a FITS file that an option means: FILE, FILE[2], FILE[SCI] or FILE[SCI,1]."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from astropy.io import fits

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request.files import guard
from elvis_cli.request.files.errors import one_line

_CHOICE = re.compile(r"(?P<file>.+)\[(?P<name>[^\[\],]+)(?:,\s*(?P<version>\d+)\s*)?\]")
_NOT_LIGHT = re.compile(
    r"(wht|ctx|err|errs|error|errors|qual|quality_flag|snr|var|variance|stat|dq|dqi|mask|quality|ivar|weights?|context|exp|exptime|expmap|sigma|noise|"
    r"stddev|uncert|uncertainty|wmap|bpm|flags|cov|rms|badpix|sdq|var_\w+|npix|nimage|time|unc|psf|disp|specres)",
    re.IGNORECASE,
)
_LIGHT = re.compile(r"(primary|sci|science|data|flux|signal)", re.IGNORECASE)


def split_choice(path: Path) -> tuple[Path, str, int | None]:
    """Return file, number or name of the extension ("" = none is named) and EXTVER of ``FILE[NAME,VER]``."""
    found = _CHOICE.fullmatch(str(path))
    if found is None or path.exists():
        return path, "", None
    return Path(found["file"]), found["name"].strip(), int(found["version"]) if found["version"] else None


@contextmanager
def opened(option: str, path: Path) -> Iterator[tuple[Path, fits.HDUList, Any]]:
    """Open ``FILE`` or ``FILE[NAME]``; yield the file, its HDUs, and the one that is named, or None.

    Raises
    ------
    UsageError
        The file cannot be read as FITS, or has no such extension.
    """
    file, name, version = split_choice(path)
    try:
        with guard.open_fits(file) as hdus:
            yield file, hdus, _named(option, file, hdus, name, version) if name else None
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise UsageError(f"{option}: cannot read {file}: {one_line(error)}") from None


def _named(option: str, file: Path, hdus: fits.HDUList, name: str, version: int | None) -> Any:
    if name.isdecimal():
        if int(name) < len(hdus):
            return hdus[int(name)]
    else:
        for hdu in hdus:
            if hdu.name.casefold() == name.casefold() and version in (None, hdu.ver):
                return hdu
    wanted = name if version is None else f"{name},{version}"
    raise UsageError(f"{option}: {file} has no extension [{wanted}]; it has {names(hdus)}")


def label(number: int, hdu: Any) -> str:
    """Return an HDU's number and its name."""
    return f"[{number}] {hdu.name}".strip()


def names(hdus: fits.HDUList) -> str:
    """Return the numbers and names of all HDUs."""
    return ", ".join(label(number, hdu) for number, hdu in enumerate(hdus))


def select(
    file: Path, hdus: fits.HDUList, named: Any, pointer: str, suits: Callable[[tuple[int, ...]], bool], kind: str
) -> tuple[Any, list[str]]:
    """Return the image HDU whose shape ``suits`` (the named one, or the only one of light), and notes.

    Weights, errors and flags do not count beside others. Among several the primary one or SCI is taken, with a note.

    Raises
    ------
    RequestError
        There is none, or it is ambiguous.
    """
    if named is not None:
        if named.is_image and suits(named.shape):
            return named, []
        raise RequestError(pointer, f"{file.name}: the extension {named.name} holds no {kind}")
    images = [(number, hdu) for number, hdu in enumerate(hdus) if hdu.is_image and hdu.shape and suits(hdu.shape)]
    if not images:
        raise RequestError(pointer, f"{file.name} holds no {kind}; it has {names(hdus)}")
    light = [(number, hdu) for number, hdu in images if not _NOT_LIGHT.fullmatch(hdu.name)]
    if len(images) == 1:
        return images[0][1], []
    if len(light) == 1:
        return light[0][1], []
    first = next(((number, hdu) for number, hdu in light if _LIGHT.fullmatch(hdu.name)), None)
    every = ", ".join(label(number, hdu) for number, hdu in light or images)
    if first is None:
        raise RequestError(
            pointer,
            f"{file.name} holds several images: which one?",
            found=every,
            allowed=f"one of them, such as {file.name}[{images[0][0]}]",
        )
    return first[1], [
        f"{file.name} holds several images ({every}): {label(*first)} is taken; {file.name}[N] takes another"
    ]
