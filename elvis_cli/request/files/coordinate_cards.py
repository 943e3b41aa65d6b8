"""The cards of a header that the library of world coordinates may see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy.io import fits

_NUMBERS = re.compile(
    r"(CRVAL|CRPIX|CDELT|CROTA|CRDER|CSYER)\d+[A-Z]?|(CD|PC|PV)\d+_\d+[A-Z]?|CD\d{6}|(A|B|AP|BP)_(\d+_\d+|ORDER|DMAX)"
    r"|(LONPOLE|LATPOLE|EQUINOX|RESTFRQ|RESTWAV|WCSAXES|VELREF|MJD-(OBS|AVG|BEG|END|REF))[A-Z]?|NAXIS\d*"
)
_WORDS = re.compile(r"(CTYPE|CUNIT|CNAME)\d+[A-Z]?|PS\d+_\d+[A-Z]?|(WCSNAME|RADESYS|SPECSYS|SSYSOBS|SSYSSRC)[A-Z]?")


def readable(header: fits.Header) -> fits.Header:
    """Return a header with each keyword once, its first card, without coordinates of the wrong type.

    wcslib keeps a list of the cards that it rejects and overwrites memory beyond it when some hundred are wrong. Of a
    number such as 3.0D-05 it reads the 3.0 alone, so that such numbers are written anew.
    """
    from astropy.io import fits

    cards: dict[str, fits.Card] = {}
    for card in header.cards:
        keyword = card.keyword
        if keyword in cards or keyword in ("", "COMMENT", "HISTORY", "CONTINUE"):
            continue
        try:
            value = card.value
        except (fits.VerifyError, ValueError):
            continue
        if _NUMBERS.fullmatch(keyword) and (isinstance(value, bool) or not isinstance(value, int | float)):
            continue
        if _WORDS.fullmatch(keyword) and not isinstance(value, str):
            continue
        has_d = isinstance(value, float) and "D" in card.image[8:].partition("/")[0].upper()
        cards[keyword] = fits.Card(keyword, value) if has_d else card
    return fits.Header(cards.values())
