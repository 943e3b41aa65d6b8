"""Keywords that a request may add to the primary header: those to which FITS itself gives no meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable

from elvis_cli.errors import RequestError

_OWN = re.compile(r"ESO( [A-Z0-9_-]+)+|[A-Z][A-Z0-9_-]*")
"""Hierarchical keywords of ESO, and words."""
_STRUCTURE = re.compile(
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|XTENSION|PCOUNT|GCOUNT|GROUPS|BLOCKED|BLANK|BSCALE|BZERO|BUNIT|THEAP|TFIELDS"
    r"|EXTNAME|EXTVER|EXTLEVEL|INHERIT|CHECKSUM|DATASUM|END|CONTINUE|HIERARCH|COMMENT|HISTORY|LONGSTRN|DATAMAX|DATAMIN"
    r"|Z(IMAGE|TABLE|SIMPLE|EXTEND|BITPIX|NAXIS\d*|TILE\d*|CMPTYPE|TENSION|PCOUNT|GCOUNT|SCALE|ZERO|BLANK|QUANTIZ"
    r"|DITHER0|MASKCMP|HECKSUM|DATASUM|TILELEN|THEAP|FIELDS|FORM\d*|CTYP\d*|NAME\d*|VAL\d*|BLOCKED)"
    r"|(T(TYPE|FORM|BCOL|UNIT|NULL|SCAL|ZERO|DISP|DIM|DMIN|DMAX|LMIN|LMAX)|P(TYPE|SCAL|ZERO))\d+"
    r"|WCS(AXES|NAME)[A-Z]?|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CRDER|CSYER|CNAME)\d+[A-Z]?|(CD|PC|PV|PS)\d+_\d+[A-Z]?"
)
"""Keywords that say how a FITS file is built, or where its pixels lie on the sky."""


def check(keywords: Iterable[str]) -> None:
    """Refuse keywords of ``elvis.keywords`` that belong to FITS.

    Raises
    ------
    RequestError
        A keyword is not the request's to set.
    """
    for keyword in keywords:
        if not _OWN.fullmatch(keyword) or _STRUCTURE.fullmatch(keyword):
            allowed = "ESO and the words of a hierarchical keyword, or a word to which FITS gives no meaning"
            raise RequestError(f"/elvis/keywords/{keyword}", "is a keyword of FITS itself", allowed=allowed)
