"""Words in files: units in any usual spelling, and numbers."""

from __future__ import annotations

import re
import warnings
from typing import Any

from astropy import units

from elvis_cli.errors import RequestError
from elvis_cli.request.files import flux_units

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eEdD][+-]?\d+)?")
_UNIT_WORD = re.compile(r"[^\W\d]+")
_SPELLINGS = {
    "Angstrom": "a aa ang angs angstrom angstroms å",
    "nm": "nm nanometer nanometers nanometre nanometres",
    "um": "um µm μm micron microns micrometer micrometers micrometre micrometres",
    "mm": "mm",
    "m": "m meter meters metre metres",
    "Hz": "hz hertz",
    "GHz": "ghz",
    "cm-1": "cm-1 cm^-1 cm**-1 1/cm /cm kayser kaysers",
    "deg": "deg degree degrees degs",
    "hourangle": "h hr hour hours hourangle",
    "arcsec": "arcsec arcsecs arcsecond arcseconds",
    "mas": "mas milliarcsec",
    "K": "k kelvin kelvins",
    "km/s": "km/s km.s-1 km.s**-1 kms km/sec kms-1",
    "mag": "mag mags magnitude magnitudes",
}
_UNITS = {word: units.Unit(unit) for unit, words in _SPELLINGS.items() for word in words.split()}


def unit_of(text: Any) -> Any:
    """Return the unit that ``text`` (or a unit) names in any usual spelling, or None if it names none."""
    words = str(text or "").strip(" '\"")
    if words.casefold() in _UNITS:
        return _UNITS[words.casefold()]
    if not words or is_number(words) or not known_to_astropy(words):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return units.Unit(words)
        except (ValueError, TypeError):
            return None


def known_to_astropy(text: str) -> bool:
    """Return whether each word of ``text`` is a unit of astropy: to look for one like an unknown word takes 20 ms."""
    known = units.get_current_unit_registry().registry
    return all(word in known for word in _UNIT_WORD.findall(text))


def is_unit(word: str) -> bool:
    """Return whether a word names a unit, of a flux too, or the form of an angle."""
    word = word.strip("[]()")
    if is_number(word):
        return False
    if unit_of(word) is not None or re.fullmatch(r'"?[hd]:m:s"?', word):
        return True
    try:
        return flux_units.parse(word, "", "") is not None
    except RequestError:
        return False


def is_number(word: str) -> bool:
    """Return whether a word is a number, with a point or a comma, or stands for none (nan, inf)."""
    return _NUMBER.fullmatch(word.strip()) is not None or word.strip().casefold() in ("nan", "inf", "-inf")
