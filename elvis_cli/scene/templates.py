"""Template spectra of the ETC by catalogue and id, and the shipped spectrum that represents each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elvis_cli.errors import RequestError, choice_error, nearest_name
from elvis_cli.scene import stars

if TYPE_CHECKING:
    from elvis_cli.base.arrays import Floats

_ELLIPTICAL, _SPIRAL, _STARBURST, _DUSTY = (
    "COSMOS/Ell7_A_0",
    "COSMOS/Sb_A_0",
    "Kinney/starburst1",
    "Kinney/starburst6",
)
_SEYFERT, _QUASAR, _ORION = "Various/ngc1068", "Various/qso", "Various/orion"

# Name in the ETC's form, name of the ETC's file, our spectrum, whether it is the same one.
_GALAXIES: dict[str, tuple[tuple[str, str, str, bool], ...]] = {
    "SWIRE": (
        ("13 Gyr old elliptical", "Ell13", _ELLIPTICAL, False),
        ("5 Gyr old elliptical", "Ell5", "COSMOS/Ell4_A_0", False),
        ("2 Gyr old elliptical", "Ell2", "COSMOS/Ell1_A_0", False),
        ("Spiral 0", "S0", "COSMOS/S0_A_0", True),
        ("Spiral a", "Sa", "COSMOS/Sa_A_0", True),
        ("Spiral b", "Sb", _SPIRAL, True),
        ("Spiral c", "Sc", "COSMOS/Sc_A_0", True),
        ("Spiral c4", "Spi4", "COSMOS/Sc_A_0", False),
        ("Spiral dm", "Sdm", "COSMOS/Sdm_A_0", True),
        ("AGN BQSO1", "BQSO1", _QUASAR, False),
        ("AGN QSO1", "QSO1", _QUASAR, False),
        ("AGN TQSO1", "TQSO1", _QUASAR, False),
        ("AGN QSO2", "QSO2", _SEYFERT, False),
        ("AGN Seyfert 1.8", "Sey18", _SEYFERT, False),
        ("AGN Seyfert 2.0", "Sey2", _SEYFERT, False),
        ("AGN Torus", "Torus", _SEYFERT, False),
        ("BAL QSO, Seyfert 1, ULIRG Mrk 231", "Mrk231", _DUSTY, False),
        ("Starburst Arp 220", "Arp220", _DUSTY, False),
        ("Starburst IRAS 19254-7245 South", "I19254", _DUSTY, False),
        ("Starburst IRAS 20551-4250", "I20551", _DUSTY, False),
    ),
    "Kinney": (
        ("Elliptical Galaxy", "Kinney_ell", "Kinney/elliptical", True),
        ("S0 Galaxy", "Kinney_s0", "COSMOS/S0_A_0", False),
        ("Sa Galaxy", "Kinney_sa", "COSMOS/Sa_A_0", False),
        ("Sb Galaxy", "Kinney_sb", _SPIRAL, False),
        ("Sc Galaxy", "Kinney_sc", "Kinney/sc", True),
        ("Starburst Galaxy 1", "Kinney_starb1", _STARBURST, True),
        ("Starburst Galaxy 2", "Kinney_starb2", _STARBURST, False),
        ("Starburst Galaxy 3", "Kinney_starb3", _STARBURST, False),
        ("Starburst Galaxy 4", "Kinney_starb4", _DUSTY, False),
        ("Starburst Galaxy 5", "Kinney_starb5", _DUSTY, False),
        ("Starburst Galaxy 6", "Kinney_starb6", _DUSTY, True),
    ),
    "Various": (
        ("HII region (Orion)", "orion", _ORION, True),
        ("Planetary Nebula", "pn", _ORION, False),
        ("Seyfert 2 (NGC 1068)", "ngc1068", _SEYFERT, True),
        ("Quasar", "qso", _QUASAR, True),
        ("qso-interp", "qso-interp", _QUASAR, False),
        ("Galev_E", "Galev_E", _ELLIPTICAL, False),
    ),
}
_COSMOS = (
    *(f"Ell{k}_A_0" for k in range(1, 8)),
    *("S0_A_0", "Sa_A_0", "Sa_A_1", "Sb_A_0", "Sb_A_1", "Sc_A_0", "Sc_A_1", "Sc_A_2"),
    *("Sd_A_0", "Sd_A_1", "Sd_A_2", "Sdm_A_0"),
    *(f"SB{k}_A_0" for k in range(12)),
)
"""The galaxies that we hold by their own names, accepted in the catalogue SWIRE."""


def _grid(temperatures: tuple[int, ...], gravities: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(f"{t}:{g:.1f}" for t in temperatures for g in gravities)


def _types(subclasses: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{letter}:{sub}:{k}" for letter in "OBAFGKM" for sub in subclasses for k in classes)


CATALOGS: dict[str, tuple[str, ...]] = {
    "MARCS": _grid((*range(3000, 4001, 100), *range(4250, 8001, 250)), (3.0, 3.5, 4.0, 4.5, 5.0)),
    "PHOENIX": _grid((*range(2300, 7001, 100), *range(7200, 12001, 200)), tuple(k / 2 for k in range(13))),
    "Pickles": _types("0258", ("I", "II", "III", "IV", "V")),
    "Kurucz": _types("258", ("I", "V")),
    **{name: tuple(row[0] for row in rows) for name, rows in _GALAXIES.items()},
}
"""The ids that the ETC's forms offer and some of ours; `find` accepts more: any Teff:logg, any type, file names."""

POINTER = "/target/sed/spectrum/params/"
MIN_TEMPERATURE, MAX_TEMPERATURE = 2300.0, 50000.0
_MAX_MODEL_TEMPERATURE = 3500.0
"""K: model atmospheres at and below, real stars above."""
_MODEL_GRAVITIES = (3.5, 4.5, 5.5)
_NUMBERS = re.compile(r"\s*(\d+(?:\.\d*)?)\s*:\s*([+-]?\d+(?:\.\d*)?)\s*")


@dataclass(frozen=True, slots=True)
class Choice:
    """The shipped spectrum that represents a template."""

    key: str
    temperature: float | None = None
    """K, of the black body that continues a star beyond the ends of its spectrum; None for other templates."""
    notes: tuple[str, ...] = ()
    gravity: float | None = None
    """log g (cgs) of a star."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A template spectrum, linear between its points."""

    wave: Floats
    """um, even in ln(wavelength), (n,)."""
    flux: Floats
    """f_lambda, arbitrary unit, (n,)."""
    notes: tuple[str, ...] = ()


def find(catalog: str, name: str) -> Choice:
    """Return the shipped spectrum that represents template ``name`` of ``catalog``.

    Raises
    ------
    RequestError
        There is no such catalogue or no such template in it.
    """
    if catalog not in CATALOGS:
        raise choice_error(POINTER + "catalog", catalog, CATALOGS)
    if catalog in ("MARCS", "PHOENIX"):
        return _model(catalog, name)
    if catalog in ("Pickles", "Kurucz"):
        return _spectral_type(catalog, name)
    for shown, file, key, same in _GALAXIES[catalog]:
        if name in (shown, file):
            return Choice(key, notes=() if same else (_replaced(catalog, name, key),))
    if catalog == "SWIRE" and name in _COSMOS:
        return Choice(f"COSMOS/{name}")
    raise choice_error(POINTER + "id", name, CATALOGS[catalog])


def load(catalog: str, name: str, lo: float, hi: float) -> Template:
    """Return template ``name`` of ``catalog``; a star is continued by a black body where lo..hi (um) needs it.

    Raises
    ------
    RequestError
        As `find`.
    """
    import numpy as np

    from elvis_cli.base.black_body import radiance
    from elvis_cli.scene.bands import table

    choice = find(catalog, name)
    wave, flux = table(choice.key)
    if choice.temperature is None or (lo >= wave[0] and hi <= wave[-1]):
        return Template(wave, flux, choice.notes)
    step = np.log(wave[-1] / wave[0]) / (len(wave) - 1)
    blue = wave[0] * np.exp(-step * np.arange(max(0, np.ceil(np.log(wave[0] / lo) / step)), 0, -1))
    red = wave[-1] * np.exp(step * np.arange(1, np.ceil(np.log(hi / wave[-1]) / step) + 1))
    ends = slice(0, 20), slice(-20, None)
    parts = [flux]
    for side, end in ((blue, ends[0]), (red, ends[1])):
        level = np.mean(flux[end]) / np.mean(radiance(wave[end], choice.temperature))
        more = level * radiance(side, choice.temperature)
        parts = [more, *parts] if side is blue else [*parts, more]
    note = (
        f"{choice.key.replace('/', ' ')} covers {wave[0]:.3g}-{wave[-1]:.3g} um: "
        f"continued by a black body of {choice.temperature:g} K"
    )
    return Template(np.concatenate([blue, wave, red]), np.concatenate(parts), (*choice.notes, note))


def _model(catalog: str, name: str) -> Choice:
    match = _NUMBERS.fullmatch(name)
    allowed = f"Teff:logg such as 5750:4.5, {MIN_TEMPERATURE:g}-{MAX_TEMPERATURE:g} K"
    if match is None:
        raise RequestError(
            POINTER + "id",
            f"{name!r} is not a template of {catalog}",
            found=name,
            allowed=allowed,
            nearest=nearest_name(name, CATALOGS[catalog]),
        )
    temperature, gravity = float(match[1]), float(match[2])
    if not MIN_TEMPERATURE <= temperature <= MAX_TEMPERATURE:
        raise RequestError(POINTER + "id", f"{temperature:g} K is out of range", found=name, allowed=allowed)
    if temperature <= _MAX_MODEL_TEMPERATURE:
        teff = round(temperature / 100) * 100
        logg = min(_MODEL_GRAVITIES, key=lambda g: abs(g - gravity))
        key, description = f"BT-Settl/{teff}:{logg}", f"BT-Settl {teff} K, log g {logg}"
    else:
        kind = stars.nearest(temperature, gravity)
        key, description = f"Pickles/{kind}", "Pickles {} ({:g} K, log g {:g})".format(kind, *stars.STARS[kind])
    note = f"template {catalog} {name} is not available offline: nearest is {description}"
    return Choice(key, temperature, (note,), gravity)


def _spectral_type(catalog: str, name: str) -> Choice:
    spectral_type = name.removeprefix(f"{catalog}_").replace(":", "")
    kind = stars.nearest_type(spectral_type)
    if kind is None:
        raise RequestError(
            POINTER + "id",
            f"{name!r} is not a spectral type",
            found=name,
            allowed="such as G:2:V",
            nearest=nearest_name(name, CATALOGS[catalog]),
        )
    key = f"Pickles/{kind}"
    same = catalog == "Pickles" and kind == spectral_type
    return Choice(key, stars.STARS[kind][0], () if same else (_replaced(catalog, name, key),), stars.STARS[kind][1])


def _replaced(catalog: str, name: str, key: str) -> str:
    return f"template {catalog} {name} is not available offline: nearest is {key.replace('/', ' ')}"
