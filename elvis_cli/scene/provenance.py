"""Sources of the shipped tables that a request uses, from data/PROVENANCE.md, for `elvis explain`."""

from __future__ import annotations

import re
from pathlib import Path

from elvis_cli.base.constants import AB_FLUX
from elvis_cli.errors import ResourceError
from elvis_cli.model.request import SceneRequest
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.scene import bands, templates
from elvis_cli.scene.frame import catalogue_magnitude

_FILE = Path(__file__).parents[1] / "data" / "PROVENANCE.md"
_ENTRY = re.compile(r"- `(?P<member>[^`]+)` of (?P<package>\S+ \S+) .*\n  - published in: (?P<publication>.*)\n")
_FAMILIES = {"Pickles": "dat_uvk", "BT-Settl": "bt-settl", "COSMOS": "_A_", "Kinney": "kc96", "Vega": "alpha_lyr"}
"""Part of the member's name by the first part of a spectrum's key; the other spectra have a file each."""


def tables(request: SceneRequest) -> tuple[SourcedValue, ...]:
    """Return the tables behind the sky, the target's spectrum and its magnitude.

    Raises
    ------
    RequestError
        There is no such template or band.
    """
    return (*_sky(request), *_spectrum(request), *_band(request))


def source(file: str, part: str = "") -> str:
    """Return publication and package of the table ``file`` (of several, the member whose name contains ``part``).

    Raises
    ------
    ResourceError
        PROVENANCE.md has no such entry.
    """
    for section in _FILE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        if file in title.split(", "):
            found = [entry for entry in _ENTRY.finditer(body) if part in entry["member"]]
            if found:
                return "; ".join(f"{entry['publication']} (from {entry['package']})" for entry in found)
    raise ResourceError(f"{_FILE.name} has no source of {file} {part}", file=file)


def _sky(request: SceneRequest) -> tuple[SourcedValue, ...]:
    if request.elvis.sky == "skycalc":
        return (SourcedValue("sky", "skycalc", "", "ESO's SkyCalc service, through skycalc_cli"),)
    return tuple(SourcedValue("sky", file, "", source(file)) for file in ("sky.npy", "sky_water.npy"))


def _spectrum(request: SceneRequest) -> tuple[SourcedValue, ...]:
    sed = request.target.sed
    if sed.kind != "template":
        origin = "the request" if sed.kind in ("upload", "cube") else "a formula, with the request's parameters"
        return (SourcedValue("target.sed", sed.kind, "", origin),)
    key = templates.find(sed.catalog, sed.id).key
    family, _, name = key.partition("/")
    origin = source("spectra.npy", _FAMILIES.get(family, f"{name}_"))
    return (SourcedValue("target.sed", f"spectra.npy {key}, for {sed.catalog} {sed.id}", "", origin),)


def _band(request: SceneRequest) -> tuple[SourcedValue, ...]:
    stars = request.elvis.catalogue and not request.elvis.motion
    brightness = catalogue_magnitude(request) if stars else request.target.brightness
    if brightness.kind != "mag":
        return ()
    band = bands.load(brightness.band)
    origin = band.notes[0] if band.notes else _curve(band.name)
    if brightness.system.casefold() == "ab":
        zero = SourcedValue("target.zero_point", AB_FLUX * 1e26, "Jy", "definition of AB (Oke & Gunn 1983)")
    elif band.name in bands.ESO_ZERO_POINTS:
        flux = bands.ESO_ZERO_POINTS[band.name]
        zero = SourcedValue("target.zero_point", flux, "erg/s/cm2/Angstrom", "ESO SkyCalc help, Magnitudes")
    else:
        zero = SourcedValue("target.zero_point", "Vega has magnitude 0", "", source("spectra.npy", _FAMILIES["Vega"]))
    return (SourcedValue("target.band", f"bands.npy {band.name}", "", origin), zero)


def _curve(name: str) -> str:
    return source("bands.npy", "eso_etc_filter" if name in bands.ESO_ZERO_POINTS else "sedpy")
