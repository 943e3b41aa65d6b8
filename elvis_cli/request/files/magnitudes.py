"""The columns of magnitudes in a table, and the photometric band that the name of each says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import elvis_schemas
import numpy as np
from astropy.table import Table

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError

UNBANDED = ("mag", "magnitude", "app_mag", "apparent_magnitude", "mag_auto", "mag_best", "mag_iso", "mag_psf")
"""Names, in any case, of magnitudes whose band the name does not say, the best first."""
_GAIA = {
    **dict.fromkeys(("phot_g_mean_mag", "gaia_g", "gaia_gmag"), "gaia_G"),
    **dict.fromkeys(("phot_bp_mean_mag", "bpmag", "bp", "gaia_gbp"), "gaia_GBP"),
    **dict.fromkeys(("phot_rp_mean_mag", "rpmag", "rp", "gaia_grp"), "gaia_GRP"),
}
_BARE = frozenset(["B", "V", "R", "I", "J", "H", "K", "Ks", "G", "g", "r", "i"])
"""Letters that are a magnitude without the word; x, y, z, M, N and others may be something else."""
_NAME = re.compile(
    r"""(?P<prefix>(?:mag|Mag|MAG|m)_?)??(?P<band>[Kk][Ss]|[UBVRIYZJHKLMNQGugrizyjhkbvlmnq])
    (?P<suffix>_?(?:mag|Mag|MAG|m))?(?:_(?P<tail>\w+))?""",
    re.VERBOSE,
)
_ERROR = re.compile(r"(?i)^[eqdun]_|err|sig|unc|flag|snr|_e$|delta|std")


@dataclass(frozen=True, slots=True, eq=False)
class Magnitudes:
    """A column of magnitudes."""

    column: str
    values: Floats
    """nan = no value, (n,)."""
    band: str | None
    """Letter, or name of a band of the ETC's; None = the name does not say."""
    system: str | None
    """vega, AB or ST; None = neither name nor unit say."""
    problem: str | None = None
    """Reason why there are no values."""

    def is_in(self, band: str) -> bool:
        """Return whether these are magnitudes in a band of the ETC's: its own, or one with the same letter."""
        if "_" in str(self.band):
            return self.band == band
        letter = band.rpartition("_")[2]
        return {"Ks": "K"}.get(str(self.band), self.band) == {"Ks": "K"}.get(letter, letter)


def magnitude_columns(
    table: Table,
    candidates: Sequence[str],
    chosen: str | None,
    read: Callable[[str], tuple[Floats, str | None]],
) -> dict[str, Magnitudes]:
    """Return the columns of magnitudes among ``candidates`` by name; ``chosen`` is one, whatever its name.

    ``read`` returns the values of a column and the system of its unit.
    """
    found: dict[str, Magnitudes] = {}
    for name in candidates:
        known = name.casefold() in UNBANDED
        band, system = (None, None) if known else _band_and_system(name)
        if chosen is not None and name != chosen:
            continue
        if known or band or name == chosen:
            try:
                values, own = read(name)
            except RequestError as error:  # it matters only if this band is wanted
                found[name] = Magnitudes(name, np.full(len(table), np.nan), band, None, str(error.details["reason"]))
                continue
            found[name] = Magnitudes(name, values, band, own or system)
    return found


def _band_and_system(name: str) -> tuple[str | None, str | None]:
    """Return the band and the system that a column's name says, such as J and vega for ``Jmag_vega``."""
    plain = re.sub(r"[\s-]+", "_", name.strip())
    if plain.casefold() in _GAIA:
        return _GAIA[plain.casefold()], None
    bare = re.sub(r"(?i)^mag_|_mag$", "", plain)
    surveys = (band for band in _etc_bands() if "_" in band)
    exact = next((band for band in surveys if band.casefold() == bare.casefold()), None)
    if exact:
        return exact, None
    match = _NAME.fullmatch(plain)
    if match is None or _ERROR.search(plain):
        return None, None
    letter = match["band"]
    letter = letter[0].upper() + letter[1:].lower() if letter[0].casefold() in "kjhbvlmnq" else letter
    if not (match["prefix"] or match["suffix"]) and letter not in _BARE:
        return None, None
    tail = (match["tail"] or "").casefold()
    system = next((system for system in ("AB", "vega") if system.casefold() in tail.split("_")), None)
    return letter, system


def _etc_bands() -> list[str]:
    """Return the names of the bands of the ETC's forms."""
    brightness = elvis_schemas.load()["properties"]["target"]["properties"]["brightness"]["properties"]
    return [name for name in brightness["magband"]["enum"] if name]
