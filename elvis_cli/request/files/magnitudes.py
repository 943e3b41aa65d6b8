"""The columns of magnitudes in a table, and the photometric band that the name of each says."""

from __future__ import annotations

import math
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
_BARE = frozenset(["B", "V", "R", "I", "J", "H", "K", "Ks", "G", "g", "r", "i"])
"""Letters that are a magnitude without the word; x, y, z, M, N and others may be something else."""
_LETTERS = re.compile(r"[UBVRIYZJHKLMNQGugrizyjhkbvlnq]|[Kk]s")
_WORDS = re.compile(
    r"mags?|magnitudes?|app|apparent|psf|aper|aperture|auto|iso|best|petro|model|cmodel|kron|mean|median|wavg|avg|average|"
    r"total|tot|dered|dereddened|obs|standard|phot|pro|mpro|band|filter|photometry|fit|point|ap|instr|c|m|johnson|cousins|"
    r"bessell?"
)
"""Words in the name of a magnitude that say how it was measured."""
_SURVEYS = {
    "vega": "2mass twomass ukidss vhs viking vvv vista wise allwise unwise gaia dr2 dr3 edr3 denis vega vegamag",
    "AB": "sdss ps1 panstarrs pan_starrs des decam decals legacy skymapper lsst hsc cfht megacam ab abmag",
    "": "hst jwst nircam nrc niriss nis miri wfc3 wfc acs uvis ir wfpc2 nicmos euclid irac spitzer mko",
}
"""Words that say whose magnitudes these are, by the system that follows."""
_SYSTEMS = {word: system for system, words in _SURVEYS.items() for word in words.split()}
_TYCHO = re.compile(r"(?<![A-Za-z])[BV]T(?=mag|Mag|_|$)")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SPACE_FILTER = re.compile(r"(?i)(?<![a-z0-9])F\d{3,4}(?:LP|W|M|N)(?![a-z0-9])|(?<![a-z0-9])F\d{3,4}(?:LP|W)(?=mag)")
_INFRARED = re.compile(
    r"(?i)(?<![a-z0-9])(?:w[1-4](?=mag|mpro|$|_)|irac_?(?:ch)?_?[1-4]|\[?(?:3\.6|4\.5|5\.8|8\.0)\]?)"
)
_PIPELINES = {
    "AB": re.compile(r"(?:psf|model|petro|cModel|fiber|fiber2)Mag_[ugriz]|[grizy]Mean(?:PSF|Kron|Ap)Mag"),
    "vega": re.compile(r"(?:z|y|j|h|k|ks|Z|Y|J|H|K|Ks)_?(?:Aper|Petro|Hall|Ser2D)Mag\d*"),
}
"""Names of columns of SDSS and Pan-STARRS, of UKIDSS and VISTA, by the system of their magnitudes."""


def _numbers(text: str) -> dict[str, float]:
    """Return the numbers of a text in which each follows its name."""
    words = text.split()
    return dict(zip(words[::2], map(float, words[1::2]), strict=True))


WAVELENGTHS = _numbers(
    """U 0.36 B 0.44 V 0.55 R 0.65 I 0.80 Y 1.02 J 1.235 H 1.65 K 2.19 L 3.45 M 4.75 N 10.2 Q 20.0
    Z 0.88 Ks 2.15 u 0.354 g 0.477 r 0.623 i 0.763 z 0.913 y 0.97 G 0.622 GBP 0.511 GRP 0.777"""
)
"""Effective wavelengths (um) of the bands of the ETC's, by the end of their name: Bessell 2005, ARA&A 43, 293, table 1;
Gaia: Riello et al. 2021, A&A 649, A3."""
_FILTERS = _numbers(
    """F275W 0.271 F336W 0.335 F390W 0.392 F435W 0.433 F438W 0.433 F439W 0.431 F450W 0.456 F475W 0.477
    F555W 0.536 F569W 0.564 F606W 0.592 F622W 0.619 F625W 0.631 F675W 0.672 F702W 0.692 F775W 0.769
    F791W 0.788 F814W 0.804 F850LP 0.904 F098M 0.986 F105W 1.055 F110W 1.153 F125W 1.249 F140W 1.392
    F160W 1.537 F070W 0.704 F090W 0.902 F115W 1.154 F140M 1.405 F150W 1.501 F162M 1.627 F182M 1.845
    F187N 1.874 F200W 1.989 F205W 2.064 F210M 2.096 F212N 2.121 F250M 2.503 F277W 2.762 F300M 2.989
    F335M 3.362 F356W 3.568 F360M 3.624 F430M 4.281 F444W 4.404 F460M 4.630 F480M 4.817 F560W 5.64
    F770W 7.64 F1000W 9.95 F1130W 11.31 F1280W 12.81 F1500W 15.06 F1800W 17.98 F2100W 20.8 F2550W 25.4
    W1 3.35 W2 4.60 W3 11.56 W4 22.09 BT 0.4212 VT 0.5319 3.6 3.544 4.5 4.487 5.8 5.710 8.0 7.841"""
)
"""Pivot wavelengths (um) of filters that no form of the ETC's has: HST and JWST (STScI's handbooks; F410M is in both,
and left out), WISE (Jarrett et al. 2011, ApJ 735, 112), IRAC (its handbook), Tycho (Bessell 2000, PASP 112, 961)."""
_ETC_NAMES = {"Ks": "K", "G": "gaia_G", "y": "lsst_y", "Z": "VISTA_Z", **{band: f"sdss_{band}" for band in "ugriz"}}
"""Bands of the ETC's by the letters of a column, where these differ."""
NEAREST, CLEARLY = 0.12, 0.03
"""Logarithm of the ratio of wavelengths up to which a filter stands for a band; another must be further by CLEARLY."""


NEAR_FILTER = 0.15
"""Logarithm of the ratio of wavelengths up to which a column is of an instrument's filter: half the way from J to H."""


@dataclass(frozen=True, slots=True)
class Passband:
    """The light that an instrument's filter, or the setting of its spectrograph, passes."""

    name: str
    centre: float
    """um."""
    limits: tuple[float, float]
    """um."""


@dataclass(frozen=True, slots=True, eq=False)
class Magnitudes:
    """A column of magnitudes."""

    column: str
    values: Floats
    """nan = no value, (n,)."""
    band: str | None
    """Letter, name of a band of the ETC's, or of another filter; None = the name does not say."""
    system: str | None
    """vega, AB or ST; None = neither name nor unit say."""
    problem: str | None = None
    """Reason why there are no values."""

    def is_in(self, band: str) -> bool:
        """Return whether these are magnitudes in a band of the ETC's: its own, or one with the same letter."""
        own = str(self.band)
        if own in _etc_bands() and "_" in own:
            return own == band
        letter = {"Ks": "K"}.get(band.rpartition("_")[2], band.rpartition("_")[2])
        if self.column.isupper() and len(own) == 1 and "_" in self.column.strip("_"):  # MAG_AUTO_R: r or R
            return own.casefold() == letter.casefold()
        return {"Ks": "K"}.get(own, own) == letter

    @property
    def wavelength(self) -> float:
        """Effective wavelength, um; nan if the name says no band."""
        band = str(self.band)
        return _FILTERS.get(band, WAVELENGTHS.get(band.rpartition("_")[2], math.nan))

    @property
    def etc_band(self) -> str | None:
        """Band of the ETC's that these magnitudes are in, or the nearest to their filter; None if none is near."""
        band = str(self.band)
        if band not in _FILTERS:
            return _ETC_NAMES.get(band, self.band)
        near = {letter: abs(math.log(WAVELENGTHS[letter] / self.wavelength)) for letter in "UBVRIYJHKLMNQ"}
        best = min(near, key=near.__getitem__)
        return best if near[best] <= NEAREST else None

    def distance(self, band: str) -> float:
        """Return how far its filter is from a band of the ETC's, logarithm of the ratio of wavelengths."""
        centre = WAVELENGTHS.get(band.rpartition("_")[2])
        own = _FILTERS.get(str(self.band))
        return math.inf if centre is None or own is None else abs(math.log(own / centre))


def nearest(magnitudes: Sequence[Magnitudes], band: str) -> list[Magnitudes]:
    """Return the magnitudes whose filter is nearest to a band of the ETC's; several if none is clearly nearest."""
    near = sorted((m for m in magnitudes if m.distance(band) <= NEAREST), key=lambda m: m.distance(band))
    return [m for m in near if m.distance(band) < near[0].distance(band) + CLEARLY]


def of_filter(magnitudes: Sequence[Magnitudes], passband: Passband) -> list[Magnitudes]:
    """Return the magnitudes nearest to the middle of a passband, none if they are neither near nor inside.

    There are several if they have the same wavelength, as those of two surveys.
    """
    low, high = passband.limits
    away = [(abs(math.log(m.wavelength / passband.centre)), m) for m in magnitudes if m.etc_band]
    near = [(d, m) for d, m in away if d <= NEAR_FILTER or low <= m.wavelength <= high]
    least = min((d for d, _ in near), default=0.0)
    return [m for d, m in near if d == least]


def describe_nearest(magnitudes: Magnitudes, band: str) -> str:
    """Return words on the filter that stands for a band, "" if it is the band."""
    own = _FILTERS.get(str(magnitudes.band))
    if own is None or magnitudes.is_in(band):
        return ""
    return f": {magnitudes.band} at {own:.3g} um is the nearest to {WAVELENGTHS[band.rpartition('_')[2]]:.3g} um"


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
    of_sdss = {"g", "r", "i"} <= set(candidates)
    for name in candidates:
        known = name.casefold() in UNBANDED
        band, system = (None, None) if known else _band_and_system(name)
        if of_sdss and name in ("u", "z"):
            band = name
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
    """Return the band and the system that a column's name says, such as J and vega for ``Jmag_vega``.

    Every word of the name must be known: a colour (J-K), an error or a flux is no magnitude.
    """
    plain = re.sub(r"[\s-]+", "_", name.strip())
    bare = re.sub(r"(?i)^mag_|_mag$", "", plain)
    exact = next((band for band in _etc_bands() if "_" in band and band.casefold() == bare.casefold()), None)
    if exact:
        return exact, "vega" if exact.startswith("gaia") else None
    system = next((system for system, known in _PIPELINES.items() if known.fullmatch(plain)), None)
    if system == "vega":
        plain = plain[0].upper() + plain[1:]
    if bare != "grp" and (passband := re.fullmatch(r"(?i)(?:G_?)?([BR]P)(?:_?mag)?", bare)):
        return f"gaia_G{passband[1].upper()}", "vega"
    for survey in re.findall(r"(?i)(?<![a-z])(?:2mass|ps1|wfc3|wfpc2|e?dr[23])(?![a-z])", plain):
        system = _SYSTEMS[survey.casefold()] or system
        plain = plain.replace(survey, "_")
    bands: list[str] = []
    for pattern in (_SPACE_FILTER, _INFRARED, _TYCHO):
        for match in pattern.findall(plain):
            bands.append(_filter_name(match))
            plain = plain.replace(match, "_")
    words = []
    for word in _CAMEL.findall(plain):
        stem = re.fullmatch(r"(?i)(.+?)(?:mags?|band)", word)
        words += [stem[1], "mag"] if stem else [word]
    joined = re.fullmatch(r"m([UBVRIYZJHKLMNQ]|Ks)", plain)
    words = ["mag", joined[1]] if joined else words
    letters = [word for word in words if _LETTERS.fullmatch(word) and not (word == "m" and len(words) > 1)]
    letters += [word for word in words if word.casefold() in ("bp", "rp", "gbp", "grp")]
    rest = [word.casefold() for word in words if word not in letters and not word.isdecimal()]
    for word in rest:
        if word in _SYSTEMS:
            system = _SYSTEMS[word] or system
        elif not _WORDS.fullmatch(word):
            return None, None
    bands += letters
    bare_letter = bool(letters) and not rest and system is None
    if len(bands) != 1 or (bare_letter and (len(words) > 1 or not {letters[0], letters[0].capitalize()} & _BARE)):
        return None, None
    return _as_band(bands[0], rest, system)


def _filter_name(text: str) -> str:
    """Return the name that `_FILTERS` has for a filter."""
    irac = re.fullmatch(r"(?i)irac_?(?:ch)?_?([1-4])", text)
    return ("3.6", "4.5", "5.8", "8.0")[int(irac[1]) - 1] if irac else text.strip("[]").upper()


def _as_band(band: str, words: Sequence[str], system: str | None) -> tuple[str | None, str | None]:
    """Return the band as the ETC's or `_FILTERS` name it, and the system."""
    if band.casefold() in ("bp", "gbp", "rp", "grp"):
        return f"gaia_G{band[-2:].upper()}", "vega"
    if band.casefold() == "g" and ("gaia" in words or {"phot", "mean"} <= set(words)):
        return "gaia_G", "vega"
    if band.upper() in _FILTERS:
        return band.upper(), system or ("vega" if band.upper() in ("W1", "W2", "W3", "W4") else None)
    if band[0].casefold() in "kjhbvlmnq" and band.casefold() not in _FILTERS:
        band = band[0].upper() + band[1:].lower()
    return (band, system) if band in WAVELENGTHS else (None, None)


def _etc_bands() -> list[str]:
    """Return the names of the bands of the ETC's forms."""
    brightness = elvis_schemas.load()["properties"]["target"]["properties"]["brightness"]["properties"]
    return [name for name in brightness["magband"]["enum"] if name]
