"""Name of the file of a request, known before anything is drawn."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from elvis_cli.errors import RequestError, UsageError, nearest_name

if TYPE_CHECKING:
    from elvis_cli.model.request import Request
    from elvis_cli.product import header

DEFAULT_TEMPLATE = "{ARCFILE}"
"""The archive's name: INSTRUME.YYYY-MM-DDThh:mm:ss.sss.fits."""
OWN_FIELDS = ("line", "id")
"""Fields that are not of the header: number of the line on stdin, and the request's hash."""
MAX_NAME_LENGTH = 255
"""Characters of a file's name."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._:+-]+")


@dataclass(frozen=True, slots=True)
class _Counted:
    """As much of a prediction as most headers need."""

    count: int

    def cards(self) -> list[header.Card]:
        return []


class Template:
    """A name with fields in braces: any keyword of the primary header, or one of OWN_FIELDS; formatted as Python does.

    Raises
    ------
    UsageError
        The braces do not match, a field has no name, or it is not the name of a FITS file in a folder.
    """

    def __init__(self, text: str = DEFAULT_TEMPLATE) -> None:
        try:
            self.parts = [
                (fixed, None if field is None else _keyword(field), spec or "", conversion)
                for fixed, field, spec, conversion in string.Formatter().parse(text)
            ]
        except ValueError as error:
            raise UsageError(f"--name: {text!r}: {error}") from None
        if any(field == "" or conversion for _, field, _, conversion in self.parts):
            raise UsageError(f"--name: {text!r}: a field is {{KEYWORD}} or {{KEYWORD:format}}")
        if "/" in text or not (text.endswith(".fits") or text == DEFAULT_TEMPLATE):
            raise UsageError(f"--name: {text!r} is not the name of a file in the folder, ending in .fits")
        self.is_default = text == DEFAULT_TEMPLATE

    def name(self, request: Request, line: int, identity: str) -> str:
        """Return the file's name; what is not fit for one becomes ``_``.

        Raises
        ------
        RequestError
            The request is wrong, or the name is too long.
        UsageError
            The header does not have a keyword, or its value does not fit the format.
        ResourceError
            There is no such instrument.
        """
        fields = {**keywords(request, exact=not self.is_default), "line": line, "id": identity}
        name = "".join(
            fixed + ("" if field is None else _value(fields, field, spec)) for fixed, field, spec, _ in self.parts
        )
        if name.startswith("."):
            name = "_" + name[1:]
        if len(name) > MAX_NAME_LENGTH:
            raise RequestError(
                "", f"the file's name {name[:40]!r}... has {len(name)} characters", allowed=MAX_NAME_LENGTH
            )
        return name


def keywords(request: Request, *, exact: bool) -> dict[str, object]:
    """Return the primary header of a request, ESO's keywords without their "ESO ".

    Unless ``exact``, the number of integrations that a signal-to-noise ratio needs is only found where the date
    depends on it.
    """
    from elvis_cli.batch import last_exposure
    from elvis_cli.prediction.types import CalibrationSummary
    from elvis_cli.product import header
    from elvis_cli.sky.pointing import observe

    setup = last_exposure.configure(request)
    if setup.calibration is not None:
        from elvis_cli.light import calibration

        request, setup = calibration.arrange(request, setup)
    if setup.exposure.count is None:
        late = request.elvis.date is None and request.elvis.exposure > 1
        count = last_exposure.prepare(request).prediction.count if exact or late else 1
        setup = replace(setup, exposure=replace(setup.exposure, count=count))
    summary = CalibrationSummary(setup.exposure.count or 1, ())
    cards = header.primary(request, setup, summary, observe(request.elvis, setup))
    return {_keyword(keyword): value for keyword, value, _ in cards}


def _keyword(field: str) -> str:
    return field.replace(".", " ").removeprefix("ESO ")


def _value(fields: Mapping[str, object], field: str, spec: str) -> str:
    if field not in fields:
        nearest = nearest_name(field, fields)
        raise UsageError(f"--name: the header has no {field}" + (f"; did you mean {nearest!r}?" if nearest else ""))
    try:
        text = format(fields[field], spec)
    except (ValueError, TypeError) as error:
        raise UsageError(f"--name: {field} is {fields[field]!r}: {error}") from None
    return _UNSAFE.sub("_", text)
