"""Units of brightness as people write them in BUNIT, understood by astropy after their spelling is made regular."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
from astropy import units

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError

FLUX_DENSITY = units.Unit("W m-2 um-1")
_WHOLE = tuple(map(units.Unit, ("W m-2", "photon s-1 m-2")))
ALLOWED = (
    "a flux density, such as erg/s/cm2/Angstrom, 1e-17 erg/s/cm2/A/arcsec2, W/m2/um, PHOTLAM, Jy/beam, MJy/sr; "
    "or counts, adu, electron/s; no BUNIT for a relative brightness"
)
_SPELLINGS = {
    "erg": "erg ergs",
    "s": "s sec secs second seconds",
    "cm": "cm centimeter centimetre",
    "m": "m meter metre meters metres",
    "mm": "mm",
    "um": "um mum micron microns micrometer micrometers micrometre micrometres",
    "nm": "nm nanometer nanometers nanometre nanometres",
    "Angstrom": "a aa ang angs angstr angstrom angstroms",
    "Hz": "hz hertz",
    "GHz": "ghz",
    "W": "w watt watts",
    "J": "j joule joules",
    "photon": "ph phot photon photons",
    "arcsec": "arcsec arcsecs arcsecond arcseconds asec",
    "mas": "mas",
    "deg": "deg degree degrees",
    "sr": "sr str ster steradian steradians",
    "pix": "pix pixel pixels px spaxel spaxels spax spx voxel voxels element elements fiber fibers fibre fibres",
    "beam": "beam beams bm",
    "count": "count counts ct cts",
    "adu": "adu adus dn dns",
    "electron": "electron electrons e el elec els electr",
}
_WORDS = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_JANSKY = {
    "": "",
    "k": "k",
    "m": "m",
    "u": "u",
    "n": "n",
    "g": "G",
    "milli": "m",
    "micro": "u",
    "nano": "n",
    "mega": "M",
}
_HST = {
    "flam": (1.0, "(erg*s**(-1)*cm**(-2)*Angstrom**(-1))"),
    "fnu": (1.0, "(erg*s**(-1)*cm**(-2)*Hz**(-1))"),
    "photlam": (1.0, "(photon*s**(-1)*cm**(-2)*Angstrom**(-1))"),
    "photnu": (1.0, "(photon*s**(-1)*cm**(-2)*Hz**(-1))"),
}
_SPECIAL = {
    **_HST,
    "cps": (1.0, "(ct*s**(-1))"),
    **dict.fromkeys(("maggy", "maggies", "mgy"), (3631.0, "Jy")),
    **dict.fromkeys(("nanomaggy", "nanomaggies", "nmgy", "nanomaggie"), (3.631e-6, "Jy")),
}
_NO_UNIT = frozenset(
    [
        "none",
        "unitless",
        "dimensionless",
        "relative",
        "arbitrary",
        "arb",
        "arb.",
        "normalized",
        "normalised",
        "unknown",
        "undefined",
        "1",
    ]
)
_TYPESET: dict[int, Any] = {
    **str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−\u00b5\u03bc", "0123456789-+-uu", "$\\"),
    **str.maketrans({"\u00c5": "Angstrom", "\u212b": "Angstrom"}),
}
"""Characters of typeset units in plain ones."""
_COUNTED = frozenset(["ct", "count", "adu", "electron", "ph", "photon"])
_PER = frozenset(["s", "pix", "arcsec", "sr", "beam", "mas", "deg"])
_POWER_OF_TEN = re.compile(
    r"""(?:(?P<mantissa>\d+\.?\d*|\.\d+)\s*[*x]\s*)?
    10\s*(?:(?:\*\*|\^)\s*[({]?\s*(?P<power>[-+]?\s*\d+)\s*[)}]?
    |(?P<signed>[-+]\d+)|\(\s*(?P<enclosed>[-+]\d+)\s*\))""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_TOKEN = re.compile(
    r"""(?P<word>[^\W\d_]+|")(?P<power>\s*(?:\*\*|\^)\s*(?:\(\s*[-+]?\d+\s*\)|\{\s*[-+]?\d+\s*\}|[-+]?\d+)|[-+]?\d+|\(\s*[-+]\d+\s*\))?
    |(?P<operator>[*/().\s]+)""",
    re.VERBOSE,
)


def element_factor(
    text: str, wave: Floats, scale: float, beam: Floats | float | None, name: str, pointer: str
) -> Floats | None:
    """Return W/m2/um of an element for a value of 1 in a BUNIT at wavelengths ``wave`` (um, (n,)), None for counts.

    ``scale`` is arcsec an element, ``beam`` the area of a beam (arcsec2, one or (n,)); None: ``name`` has none.

    Raises
    ------
    RequestError
        The unit is not understood, is neither a flux density nor counts, or is per beam and there is no beam.
    """
    quantity = parse(text, pointer, name)
    if quantity is None or _is_counted(quantity.unit):
        return None
    area = (scale * units.arcsec) ** 2
    if units.beam in quantity.unit.bases:
        if beam is None:
            raise RequestError(
                pointer, f"{name}: how large is the beam of its BUNIT?", found=text, allowed="BMAJ and BMIN, deg"
            )
        quantity = quantity * units.beam * (area.value / np.asarray(beam))
    for element in (1.0 * units.one, 1.0 * units.pix, area):
        if any((quantity * element).unit.is_equivalent(whole) for whole in _WHOLE):
            break  # astropy would take it as the flux density times the wavelength
        try:
            value = (quantity * element).to(FLUX_DENSITY, units.spectral_density(wave * units.um)).value
        except units.UnitConversionError:
            continue
        return np.asarray(value) + np.zeros(wave.size)
    raise RequestError(
        pointer, f"{name}: BUNIT is not a flux density, per wavelength or frequency", found=text, allowed=ALLOWED
    )


def _is_counted(unit: units.UnitBase) -> bool:
    """Return whether a unit is one of a detector's, such as adu/pixel or electron/s: only ratios have a meaning."""
    names = {base.name for base in unit.bases}
    return bool(names & _COUNTED) and names <= _COUNTED | _PER


def parse(text: str, pointer: str, name: str) -> units.Quantity | None:
    """Return the unit in a BUNIT with its factor, None if it is empty or a word for no unit.

    Raises
    ------
    RequestError
        It is not understood; ``name`` is the file's.
    """
    text = text.translate(_TYPESET).strip(" '")
    if re.sub(r"(?i)\s+(flux|units?)$", "", text).casefold() in _NO_UNIT | {""}:
        return None
    if re.search(r"\bMJY\b", text) and not re.search(r"\b(?:SR|STER)", text):
        raise RequestError(pointer, f"{name}: BUNIT is milli- or megajansky?", found=text, allowed="mJy, MJy")
    try:
        return _parsed(text)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise RequestError(pointer, f"{name}: BUNIT is not understood", found=text, allowed=ALLOWED) from None


def _parsed(text: str) -> units.Quantity:
    factor, rest = _split_number(re.sub(r"^[x*]?\s*(?=[eE][-+]\d)", "1", text).removeprefix("x"))
    rest = re.sub(r"(?i)\b(?:sq|square)[\s.]*(arcsec\w*|deg\w*|cm|m)\b", r"\1**2", rest)
    rest = re.sub(r"(?i)\be-(?=/|\s|$)", "electron", rest)
    rest = re.sub(r"(?i)\bper\b", "/", rest).replace("[", "(").replace("]", ")")
    parts, end = list[str](), 0
    while end < len(rest):
        token = _TOKEN.match(rest, end)
        if token is None:
            raise ValueError(rest)
        end = token.end()
        if token["word"]:
            more, unit = _unit(token["word"], token["power"])
            factor *= more
            parts.append(unit)
        else:
            parts.append(re.sub(r"[\s.]+", " ", token["operator"]).strip() or " ")
    joined = re.sub(r"\s*([*/(])\s*", r"\1", " ".join(parts)).replace(" )", ")")
    joined = re.sub(r"(?<=[\w)])\s+(?=[\w(])", "*", joined.strip())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit = units.Unit(joined, format="generic")
    return factor * units.Quantity(1.0, unit)


def _split_number(text: str) -> tuple[float, str]:
    """Return the number before a unit, such as 1e-17, 10**(-20) or 2.5 x 10^-16, and the rest."""
    bare = text.lstrip("( ")
    power, plain = _POWER_OF_TEN.match(bare), _NUMBER.match(bare)
    if power:
        exponent = (power["power"] or power["signed"] or power["enclosed"]).replace(" ", "")
        value, end = float(power["mantissa"] or 1) * 10.0 ** int(exponent), power.end()
    elif plain:
        value, end = float(re.sub("[dD]", "e", plain[0])), plain.end()
    else:
        return 1.0, text
    rest = bare[end:]
    if rest.count(")") > rest.count("("):  # of the parenthesis before the number
        rest = rest.replace(")", "", 1) if rest.lstrip().startswith(")") else rest.rstrip().removesuffix(")")
    return value, re.sub(r"^\s*[*x.]?\s*", "", rest)


def _unit(word: str, power: str | None) -> tuple[float, str]:
    """Return a factor and a unit of astropy's, with its power, for one word of a BUNIT."""
    lower = word.casefold()
    number = re.sub(r"[^-\d]", "", power or "") or "1"
    if lower in _SPECIAL:
        factor, unit = _SPECIAL[lower]
        if power and not (power.isdigit() and lower in _HST):  # FLAM16 is 1e-16 FLAM
            raise ValueError(word)
        return factor * 10.0 ** -int(power or 0), unit
    if word == '"':
        unit = "arcsec"
    elif re.fullmatch(r"\w*(jansky|jy)s?", lower):
        # M and m differ
        prefix = "M" if re.match(r"M(?!illi|icro)", word) else _JANSKY[re.sub("(jansky|jy)s?$", "", lower)]
        unit = f"{prefix}Jy"
    else:
        unit = _WORDS.get(lower, word)
    return 1.0, f"{unit}**({number})"
