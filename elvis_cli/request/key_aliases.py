"""Pointers of errors -> the keys that a document of any generation has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.request.normalise import DIT_KEYS, SNR_KEYS

_BRIGHTNESS, _PARAMS = "/target/brightness/", "/target/sed/spectrum/params/"
FAMILIES: tuple[tuple[str, ...], ...] = (
    tuple(f"/timesnr/{key}" for key in DIT_KEYS),
    tuple(f"/timesnr/{key}" for key in SNR_KEYS),
    ("/seeing/turbulence_category", "/seeingiqao/params/turbulence_category"),
    ("/seeing/aperturepix", "/seeingiqao/aperturepix"),
    *((f"{_BRIGHTNESS}{key}", f"{_BRIGHTNESS}params/{key}") for key in ("mag", "magband", "magsys", "flux")),
    (f"{_PARAMS}catalog", f"{_PARAMS}ctlg"),
    (f"{_PARAMS}id", f"{_PARAMS}spectype"),
)
"""Pointers that mean the same, in the order in which they are looked up."""


@contextmanager
def pointing_into(document: Mapping[str, Any]) -> Iterator[None]:
    """Let a RequestError inside point to the key that the document has for the quantity."""
    try:
        yield
    except RequestError as error:
        raise RequestError(**{**error.details, "pointer": _given(document, error.details["pointer"])}) from None


def _given(document: Mapping[str, Any], pointer: str) -> str:
    family = next((family for family in FAMILIES if pointer in family), ())
    return next((each for each in (pointer, *family) if _has(document, each)), pointer)


def _has(document: Mapping[str, Any], pointer: str) -> bool:
    value: Any = document
    for step in pointer[1:].split("/"):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value is not None and not isinstance(value, Mapping)
