"""Columns of photometry by the many names that archives give them, as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ResourceError

SYNONYMS = {
    "mjd": ("mjd", "jd", "bjd", "hjd", "bmjd", "unix", "iso", "isot", "date", "time", "obsmjd", "mjdob"),
    "exptime": ("exptime", "exposure", "exposuretime", "integrationtime"),
    "mag": ("mag", "magnitude"),
    "magerr": ("magerr", "magerror", "emag", "sigmamag"),
    "flux": ("flux", "fluxe", "count"),
    "fluxerr": ("fluxerr", "fluxerror", "fluxeerr", "eflux"),
    "filter": ("filt", "filter", "filtername", "filtercode", "band"),
    "flag": ("flag", "catflag", "baddata", "quality"),
    "ra": ("ra", "rajd", "alpha"),
    "dec": ("dec", "decjd", "delta", "declination"),
}
"""Our names, and those that mean the same, in lower case without spaces, signs, digits and a final s."""
UNITS = {
    "mjd": "d",
    "exptime": "s",
    "mag": "mag",
    "magerr": "mag",
    "flux": "uJy",
    "fluxerr": "uJy",
    "ra": "deg",
    "dec": "deg",
}
_UNIX_EPOCH = 40587.0
"""MJD of 1970-01-01."""
_JD_OFFSET = 2400000.5


def simplified(name: str) -> str:
    """Return a name in lower case, without spaces, underscores, hyphens, digits and a final s."""
    return re.sub(r"[\s_\-0-9.]", "", name.split(" - ", maxsplit=1)[0].split(" + ", maxsplit=1)[0].lower()).rstrip("s")


def recognise(table: Mapping[str, NDArray[Any]], others: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """Return the columns of photometry under our names, sorted by time; ``others`` are kept under their own.

    Times become MJD; an offset may stand in the name ("BJD - 2457000"). Rows without a time go.

    Raises
    ------
    ResourceError
        There is no time.
    """
    found: dict[str, NDArray[Any]] = {}
    for key, words in SYNONYMS.items():
        names = [name for name in table if name.lower() == key] or [n for n in table if simplified(n) in words]
        if names:
            values = np.asarray(table[names[0]])
            found[key] = _times(names[0], values) if key == "mjd" else _values(key, values)
    if "mjd" not in found:
        raise ResourceError("photometry without a time", found=list(table), allowed=list(SYNONYMS["mjd"]))
    found |= {name: np.asarray(table[name]) for name in others if name in table}
    good = np.flatnonzero(np.isfinite(found["mjd"]))
    order = good[np.argsort(found["mjd"][good], kind="stable")]
    return {key: values[order] for key, values in found.items()}


def _values(key: str, values: NDArray[Any]) -> NDArray[Any]:
    if key == "filter":
        return np.array([each.decode() if isinstance(each, bytes) else str(each) for each in values.tolist()])
    if key == "flag":
        return np.asarray(np.nan_to_num(np.asarray(values, np.float64), nan=1.0) != 0, np.int32)
    return np.asarray(values, np.float64)


def _times(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return MJD."""
    if values.dtype.kind in "USO":
        from astropy.time import Time

        return np.asarray(Time([str(each) for each in values.tolist()], scale="utc").mjd, np.float64)
    times = np.asarray(values, np.float64)
    shift = re.search(r"([+-])\s+(\d+(?:\.\d*)?)\s*$", name)
    if shift:
        times = times + (float(shift[2]) if shift[1] == "-" else -float(shift[2]))
    kind = simplified(name)
    if kind == "unix":
        return times / 86400.0 + _UNIX_EPOCH
    shifted: Floats = times - _JD_OFFSET if kind in ("jd", "bjd", "hjd") else times
    return shifted
