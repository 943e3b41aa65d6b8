"""A file with a spectrum of the target (text, FITS, VOTable) -> the block ``elvis.sed``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.table import Table

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request.files import flux_units, spectrum_image
from elvis_cli.request.files.bin_edges import with_middles
from elvis_cli.request.files.hdu import split_choice
from elvis_cli.request.files.table import numbers_of, read_table
from elvis_cli.request.files.unit_words import unit_of

_POINTER = "/elvis/sed"
_WAVELENGTH_POINTER = f"{_POINTER}/wavelength_um"
_FLUX_POINTER = f"{_POINTER}/flux"
_WAVELENGTHS = (
    *("wavelength", "wave", "lambda", "lam", "wl", "wlen", "wavelengths", "lambda_vac", "wavelength_vac", "vacwave"),
    *("awav", "wave_air", "wavelength_air", "lambda_air", "airwave", "loglam", "log_wave", "log_lambda"),
    *("frequency", "freq", "nu", "wavenumber", "wavenumbers", "wavn", "energy", "spectral_axis"),
)
_FLUXES = (
    *("flux", "flux_lambda", "flux_density", "f_lambda", "flambda", "flam", "f_lam", "f", "fluxes", "spectrum"),
    *("fnu", "f_nu", "flux_nu", "photlam", "surface_flux", "intensity", "spec", "flux_reduced"),
)
_PER_FREQUENCY = ("fnu", "f_nu", "flux_nu")
_TIMES_WAVELENGTH = ("nufnu", "nufn", "vfv", "lambdaflambda", "lamflam", "lflam", "lfl", "wflw", "ef(e)")
_MAGNITUDES = re.compile(r"(?i)(.*_)?(ab|st|vega|app)?_?mags?(nitudes?)?(_.*)?|m_?ab|(.*_)?(ab|st|vega)_?mag")
_LOGARITHM = re.compile(r"(?i)(?:log|log10|lg)[_\s(\[]*(?P<of>\w+?)[)\]]?")
_ERRORS = re.compile(r"(?i)err|sig|unc|ivar|var|mask|qual|flag|noise|std|continuum|sky|_e$|^e_")
_NO_UNIT = ("", "none", "-", "1", "relative", "arbitrary", "arb", "rel", "normalized", "normalised", "dimensionless")
_LARGEST, _SMALLEST = 10_000.0, 0.001
_SEEN = (0.3, 30.0)
"""Wavelengths (um) of which a spectrum without a unit in its file must reach some."""
_COMMON = ("um", "nm", "Angstrom", "m", "GHz", "Hz", "cm-1")
_ALLOWED_UNITS = "m, um, nm, Angstrom, Hz, GHz, cm-1 and others of wavelength, frequency, wavenumber or energy"
_ALLOWED_FLUX = "f_lambda such as erg/s/cm2/Angstrom or W/m2/um, f_nu such as Jy, or photon/s/cm2/Angstrom"
_FACTORS = (1.0 * units.one, 1.0 / units.m**2, 1.0 * units.sr, 1.0 * units.pix, 1.0 * units.sr / units.m**2)
"""Factors by which a luminosity or a surface brightness becomes a flux density of the same shape."""


def spectral_unit(text: str) -> Any:
    """Return the unit of wavelength, frequency, wavenumber or energy that ``text`` names.

    Raises
    ------
    UsageError
        It names none.
    """
    unit = unit_of(text)
    if unit is None or not _is_spectral(unit):
        raise UsageError(f"--sed-unit: {text!r} is no unit of wavelength; allowed: {_ALLOWED_UNITS}")
    return unit


def read_spectrum(path: Path, unit_name: str | None = None, absolute: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Return the spectrum in a file as the block ``elvis.sed``, and notes.

    ``unit_name`` is the unit of its wavelengths, frequencies or wavenumbers if the file does not say it. With
    ``absolute`` the flux is W/m2/um and the brightness of the target; else its unit only tells the shape.

    Raises
    ------
    UsageError
        The file cannot be read, or the unit is none of wavelength.
    RequestError
        Its content is no spectrum.
    """
    unit = None if unit_name is None else spectral_unit(unit_name)
    axis, flux, units_found, names, notes = _columns(path)
    where, light = names
    bad = ~(np.isfinite(axis) & np.isfinite(flux))
    if bad.all() or axis.size - bad.sum() < 2:
        raise RequestError(
            _POINTER, f"{path.name} has {axis.size - int(bad.sum())} rows of two numbers", allowed="2 or more"
        )
    if bad.any():
        notes.append(f"{path.name}: {int(bad.sum())} rows without a number are left out")
    axis, flux = axis[~bad], flux[~bad]
    wave, used = _microns(path, axis, where, units_found[0], unit)
    if used[1]:
        notes.append(used[1])
    if re.search(r"(?i)(^|_)air|awav", where):
        from elvis_cli.request.files.cube import _refraction

        wave = wave * _refraction(wave * 1e-6)
        notes.append(f"{path.name}: wavelengths in air are brought to vacuum")
    flux, light, own, note = _linear(path, flux, light, units_found[1])
    notes += note
    values, note = _density(path, flux, wave, light, own, absolute)
    notes += note
    order = np.argsort(wave, kind="stable")
    steps = np.diff(wave)
    if not ((steps > 0).all() or (steps < 0).all() or (steps == 0).any()):
        notes.append(f"{path.name}: the wavelengths are not in order: sorted")
    wave, values = wave[order], values[order]
    twice = np.flatnonzero(np.diff(wave) <= 0)
    if twice.size:
        reason = f"{path.name}: {wave[twice[0]]:.8g} um is there twice, and {twice.size - 1} more"
        raise RequestError(_WAVELENGTH_POINTER, reason, allowed="each wavelength once")
    block: dict[str, Any] = {"wavelength_um": wave.tolist(), "flux": values.tolist()}
    if absolute:
        block["absolute"] = True
    return block, notes


def _columns(path: Path) -> tuple[Floats, Floats, tuple[Any, Any], tuple[str, str], list[str]]:
    """Return the wavelengths (or the like) and the fluxes of a file, their units and names, and notes."""
    file = split_choice(path)[0]
    image = spectrum_image.read(path) if file.is_file() else None
    if image is not None:
        return image
    table, notes = read_table(path, "--sed", lambda names: _named(names, _WAVELENGTHS) is not None)
    table, edges = with_middles(table)
    notes += [f"{path.name}: {note}" for note in edges]
    if len(table.colnames) < 2:
        raise RequestError(_POINTER, f"{path.name} has fewer than two columns", allowed="wavelength and flux")
    where, light = _chosen(path, table, notes)
    numbers = []
    for name, pointer in ((where, _WAVELENGTH_POINTER), (light, _FLUX_POINTER)):
        column = table[name]
        if getattr(column, "ndim", 1) == 2 and len(column) == 1:  # the only row holds the whole spectrum
            column = column[0]
        numbers.append(numbers_of(path, column, name, pointer))
    if _plain(where) in ("loglam", "log_wave", "log_lambda"):
        numbers[0] = 10.0 ** numbers[0]
        if not _is_spectral(unit_of(getattr(table[where], "unit", None))):
            table[where].unit = units.AA
    found = [getattr(table[name], "unit", None) or _suffix(name) for name in (where, light)]
    if found[1] is None and "BUNIT" in table.meta:  # SDSS
        found[1] = table.meta["BUNIT"]
        notes.append(f"{path.name}: {light} has no unit: that of the file, BUNIT {found[1]}, is taken")
    return numbers[0], numbers[1], (found[0], found[1]), (where, light), notes


def _chosen(path: Path, table: Table, notes: list[str]) -> tuple[str, str]:
    """Return the names of the columns of wavelength and flux, and add a note on a choice."""
    names = [str(name) for name in table.colnames]
    where = _named(names, _WAVELENGTHS) or next(
        (name for name in names if _is_spectral(unit_of(getattr(table[name], "unit", None)))), names[0]
    )
    others = [name for name in names if name != where]
    light = _named(others, _FLUXES) or next((name for name in others if not _ERRORS.search(name)), others[0])
    if len(names) > 2:
        unused = ", ".join(name for name in names if name not in (where, light))
        notes.append(f"{path.name}: columns {where} and {light} are read, not {unused[:100]}")
    return where, light


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def _named(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the first of ``names`` that is known, in any case, perhaps with a unit behind it."""
    for accept in (_plain, lambda name: _plain(name).rpartition("_")[0]):
        for word in known:
            found = next((str(name) for name in names if accept(str(name)) == word), None)
            if found is not None and (accept(found) == _plain(found) or _suffix(found) is not None):
                return found
    return None


def _suffix(name: str) -> Any:
    """Return the unit at the end of a name such as wavelength_nm or flux_mJy, None if there is none."""
    stem, _, last = name.strip().rpartition("_")
    if not stem or re.fullmatch(r"(?i)lambda|nu|lam|air|vac|density|[a-z]", last):
        return None
    unit = unit_of(last)
    return unit if unit is not None and (_is_spectral(unit) or unit.is_equivalent(units.Jy)) else None


def _is_spectral(unit: Any) -> bool:
    try:
        return bool(unit is not None and unit.is_equivalent(units.um, units.spectral()))
    except (AttributeError, TypeError):
        return False


def _microns(path: Path, axis: Floats, name: str, own: Any, wanted: Any) -> tuple[Floats, tuple[str, str]]:
    """Return vacuum wavelengths (um), the unit that was used, and a note on it."""
    known = unit_of(own) if own is not None and str(own) else None
    if own is not None and str(own) and not _is_spectral(known):
        reason = f"{path.name}: column {name} is in {own}"
        raise RequestError(_WAVELENGTH_POINTER, reason, found=str(own), allowed=_ALLOWED_UNITS)
    if known is not None and wanted is not None and known != wanted:
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{path.name} says that column {name} is in {known}, --sed-unit says {wanted}",
            found=str(known),
            allowed="one of them",
        )
    unit = known or wanted or _default(name)
    wave = _in_microns(axis, unit)
    reached = bool(wave.size and wave.min() >= _SMALLEST and wave.max() <= _LARGEST)
    if not reached or (known is None and not (wave.max() >= _SEEN[0] and wave.min() <= _SEEN[1])):
        likely = [word for word in _COMMON if _is_likely(_in_microns(axis, unit_of(word)))]
        hint = f"; is it in {' or '.join(likely[:2])}?" if likely else ""
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{path.name} covers {wave.min():.4g} to {wave.max():.4g} um when read in {unit}{hint}",
            found=[float(axis.min()), float(axis.max())],
            allowed=f"{_SMALLEST:g} to {_LARGEST:g} um, some of it within {_SEEN[0]:g} to {_SEEN[1]:g} um; "
            f"--sed-unit {likely[0] if likely else 'um, nm, Angstrom, m, GHz, cm-1'}",
        )
    assumed = known is None and wanted is None
    return wave, (str(unit), f"{path.name}: {name} has no unit: read in {unit} (--sed-unit)" if assumed else "")


def _default(name: str) -> Any:
    """Return the unit of a column that has none: m, and in its place that of another kind of axis."""
    plain = _plain(name)
    for words, unit in ((("freq", "nu"), "Hz"), (("wavenumber", "wavn"), "cm-1"), (("energy",), "eV")):
        if plain.startswith(words):
            return units.Unit(unit)
    return units.m


def _is_likely(wave: Floats) -> bool:
    return bool(wave.min() >= 0.05 and wave.max() <= 300.0 and wave.max() >= _SEEN[0] and wave.min() <= _SEEN[1])


def _in_microns(axis: Floats, unit: Any) -> Floats:
    """Return wavelengths, um; divisions by powers of ten keep the digits of a file."""
    for known, factor in ((units.um, 1.0), (units.nm, 1e3), (units.AA, 1e4)):
        if unit == known:
            return axis / factor
    if unit == units.m:
        return axis * 1e6
    with np.errstate(all="ignore"):
        result: Floats = np.asarray((axis * unit).to_value(units.um, units.spectral()))
    return np.where(axis > 0, result, -1.0)


def _linear(path: Path, flux: Floats, name: str, own: Any) -> tuple[Floats, str, Any, list[str]]:
    """Return a column that holds logarithms or AB magnitudes as a flux, the name and unit that this has, and notes.

    Raises
    ------
    RequestError
        It holds magnitudes of another system, which depends on the wavelength.
    """
    text = "" if own is None else str(own).strip()
    if logarithm := _LOGARITHM.fullmatch(_plain(name)):
        return 10.0**flux, logarithm["of"], own, [f"{path.name}: {name} is the logarithm (base 10) of the flux"]
    if not (_MAGNITUDES.fullmatch(_plain(name)) or re.fullmatch(r"(?i)mag(\s*\(?(ab|st)\)?)?|abmag|stmag", text)):
        return flux, name, own, []
    if not re.search(r"(?i)ab", f"{name} {text}"):
        reason = f"{path.name}: column {name} holds magnitudes"
        raise RequestError(_FLUX_POINTER, reason, found=name, allowed=f"{_ALLOWED_FLUX}; AB magnitudes as ABmag")
    return 10.0 ** (-0.4 * flux), "fnu", "3631 Jy", [f"{path.name}: {name} is brought from AB magnitudes to a flux"]


def _density(path: Path, flux: Floats, wave: Floats, name: str, own: Any, absolute: bool) -> tuple[Floats, list[str]]:
    """Return f_lambda (W/m2/um if ``absolute``, else in a unit of its own), and notes."""
    text = "" if own is None else str(own).strip()
    if text.casefold() in _NO_UNIT:
        if absolute:
            raise RequestError(
                _FLUX_POINTER,
                f"{path.name}: column {name} has no unit, and --sed-absolute needs one",
                allowed=_ALLOWED_FLUX,
            )
        if _plain(name).replace("_", "") in _TIMES_WAVELENGTH:
            return flux / wave, [f"{path.name}: {name} is taken as wavelength times f_lambda"]
        if _plain(name) in _PER_FREQUENCY:
            return flux / wave**2, [f"{path.name}: {name} is taken as f_nu"]
        return flux, []
    try:
        quantity = flux_units.parse(text, _FLUX_POINTER, path.name)
    except RequestError:
        quantity = None
    factors = _FACTORS[:1] if absolute else _FACTORS
    equivalent = units.spectral_density(wave * units.um)
    for factor in factors if quantity is not None else ():
        try:
            scale = (quantity * factor).to_value(flux_units.FLUX_DENSITY, equivalent)
        except (units.UnitConversionError, TypeError):
            continue
        whole = (quantity * factor).unit.is_equivalent(units.Unit("W m-2"))
        taken = [f"{path.name}: {name} in {text} is taken as wavelength times f_lambda"] if whole else []
        if absolute:
            return flux * scale, taken
        note = f"{path.name}: the flux in {text} is scaled to /target/brightness; --sed-absolute keeps it"
        plain = np.ptp(np.broadcast_to(scale, wave.shape)) <= 1e-12 * np.max(scale)
        return (flux if plain else flux * (scale / np.max(scale))), [*taken, note]
    raise RequestError(_FLUX_POINTER, f"{path.name}: column {name} is in {text}", found=text, allowed=_ALLOWED_FLUX)
