"""Cards of FITS headers, and texts as FITS can hold them."""

from __future__ import annotations

import math
import re
import unicodedata
import warnings
from functools import lru_cache

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

_ASCII = str.maketrans({"µ": "u", "μ": "u", "–": "-", "—": "-", "−": "-", "×": "x", "±": "+-", "’": "'", "λ": "lambda"})
_MAX_SHORT_TEXT = 40
"""Strings above this may be continued on a second card."""
MAX_TEXT_WIDTH = 8000
"""Characters of the request in one row: CFITSIO reads no string column wider than 28800."""


def text_rows(text: str, width: int = MAX_TEXT_WIDTH) -> list[str]:
    """Return ``text``, of one line, in pieces of at most ``width`` characters for the rows of a table.

    No piece ends with a space, which readers of FITS tables strip, unless it is all spaces.
    """
    return re.findall(f".{{0,{width - 1}}}[^ ]|.{{1,{width}}}", text) or [""]


def plain(text: str) -> str:
    """Return ``text`` in printable ASCII, the only characters of a FITS header."""
    if text.isascii() and text.isprintable():  # as a rule; a catalogue's megabytes need not be taken apart
        return text
    folded = unicodedata.normalize("NFKD", text.translate(_ASCII))
    kept = "".join(c for c in folded if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in kept)


def card(keyword: str, value: object, comment: str = "") -> fits.Card:
    """Return the FITS card; a string that is too long is continued, a comment that is too long is cut.

    A number that is not finite becomes its name, since FITS headers have none.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    elif not isinstance(value, (bool, int, float)):
        value = plain(str(value))
        if len(value) > _MAX_SHORT_TEXT:  # astropy may part the two halves of an escaped quote
            value = value.replace("'", "`")
    if len(keyword) > 8 or " " in keyword:
        keyword = f"HIERARCH {keyword}"
    made = fits.Card(keyword, value, plain(comment))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)  # says that the comment is cut
        str(made)
    return made


@lru_cache(maxsize=4096)
def card_text(_: str, keyword: str, value: bool | float | str, comment: str) -> str:
    """Return the characters of a card, kept by the value's ``repr``: tables of many orders share theirs."""
    return str(card(keyword, value, comment))
