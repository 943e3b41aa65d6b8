"""Cards of every product: what it is, what was put into it, and the observatory's own of its first raw file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from elvis_cli import __version__
from elvis_cli.product.header import Card
from elvis_cli.reduction import sdp
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.frame import MEANINGS

UNIT = "electron/s"
FLAG_NAMES = ("DEAD", "HOT", "SATURATED", "COSMIC_RAY", "NO_LIGHT", "NO_DATA")
_PASSED = re.compile(r"ESO (OBS|TPL|TEL|INS|INS[123]|DRS|AOS|ADA) ")
"""Cards of the first raw file that a product keeps."""


def common_cards(files: FileSet, category: str, place: tuple[float, float], calibrated: bool) -> list[Card]:
    """Return the cards of the primary header of every product; ``place`` is its centre (RA, Dec, deg)."""
    first, last = files.science[0], files.science[-1]
    seconds = [one.dit * one.ndit for one in files.science]
    return [
        ("ORIGIN", "ELVIS", "simulated, not observed"),
        ("DATE", str(last.get("DATE", last.get("DATE-OBS", ""))), "[UTC] date of the last raw file"),
        ("TELESCOP", str(first.get("TELESCOP", "")), "simulated telescope"),
        ("INSTRUME", str(first.get("INSTRUME", "")), "simulated instrument"),
        ("OBJECT", str(first.get("OBJECT", "")), "target"),
        ("RA", round(place[0], 9), "[deg] centre"),
        ("DEC", round(place[1], 9), "[deg] centre"),
        ("RADESYS", "ICRS", "celestial reference frame"),
        ("EQUINOX", 2000.0, "[yr] standard FK5 equinox"),
        ("EXPTIME", float(np.sum(seconds)), "[s] integration time of all exposures on a pixel"),
        ("TEXPTIME", float(np.sum(seconds)), "[s] integration time of all exposures"),
        ("MJD-OBS", first.mjd, "[d] start of the first exposure (UTC)"),
        ("MJD-END", round(last.mjd + seconds[-1] / 86400.0, 8), "[d] end of the last exposure (UTC)"),
        ("DATE-OBS", str(first.get("DATE-OBS", "")), "[UTC] start of the first exposure"),
        ("TIMESYS", "UTC", "time scale"),
        ("PROG_ID", str(first.get("ESO OBS PROG ID", "SIMULATED")), "programme"),
        ("OBID1", int(first.get("ESO OBS ID", 0)), "observation block"),
        ("NCOMBINE", len(files.science), "raw science files"),
        ("OBSTECH", str(first.get("ESO DPR TECH", "IMAGE")), "technique"),
        ("FLUXCAL", "ABSOLUTE" if calibrated else "UNCALIBRATED", "calibration of the flux"),
        ("PROCSOFT", f"ELVIS/{__version__}", "software"),
        ("REFERENC", "", "publication: none yet"),
        ("PRODCATG", category, "category of the product"),
        ("PRODLVL", 2, "processing level"),
        ("M_EPOCH", False, "more than one epoch"),
        ("SINGLEXP", len(files.science) == 1, "one exposure"),
        ("SIMUL", True, "THIS IS A SIMULATION"),
    ]


def hdu_cards(name: str, *others: str) -> list[Card]:
    """Return the cards that say what the extension ``name`` (it ends with SCI, ERR or DQ) is, and name the others."""
    kinds: dict[str, list[Card]] = {
        "SCI": [("HDUCLAS2", "DATA", "signal")],
        "ERR": [("HDUCLAS2", "ERROR", "errors"), ("HDUCLAS3", "RMSE", "one standard deviation of a pixel")],
        "DQ": [("HDUCLAS2", "QUALITY", "flags"), ("HDUCLAS3", "FLAG32BIT", "one bit each, 0 is good")],
    }
    links = {"SCI": ("SCIDATA", "signal"), "ERR": ("ERRDATA", "its errors"), "DQ": ("QUALDATA", "its flags")}

    def kind(of: str) -> str:
        return of.rsplit(".", 1)[-1]

    return [
        ("HDUCLASS", "ESO", "class of this scheme"),
        ("HDUDOC", sdp.DOCUMENT, "document that describes it"),
        ("HDUVERS", sdp.VERSION, "its version"),
        ("HDUCLAS1", "IMAGE", "image"),
        *kinds[kind(name)],
        *((links[kind(other)][0], other, links[kind(other)][1]) for other in others),
    ]


def flag_cards() -> list[Card]:
    """Return the cards of the flags: which cost data, and what each means."""
    flags: list[Card] = [
        (f"ESO QC FLAG{n}", f"{bit}: {what}", FLAG_NAMES[n - 1]) for n, (bit, what) in enumerate(MEANINGS.items(), 1)
    ]
    return [("QUALMASK", sum(MEANINGS), "bits that cost data"), *flags]


def passed_cards(first: Any) -> Iterator[Card]:
    """Yield the observatory's cards of the first raw file."""
    for each in first.header.cards:
        if _PASSED.match(f"{each.keyword} ") or _PASSED.match(each.keyword):
            yield each.keyword, each.value, each.comment


def provenance_cards(files: FileSet) -> Iterator[Card]:
    """Yield the raw files, as ESO's archive wants them."""
    for number, one in enumerate(files.science, 1):
        yield f"PROV{number}", one.name, "raw file"


def pipeline_cards(
    files: FileSet, category: str, linearised: bool, recipe: str = "elvis_reduce_image"
) -> Iterator[Card]:
    """Yield the ESO PRO cards: recipe, raw files and calibrations."""
    yield "ESO PRO CATG", category, "category"
    yield "ESO PRO TYPE", "REDUCED", "product"
    yield "ESO PRO SCIENCE", True, "of a science target"
    yield "ESO PRO REC1 ID", recipe, "recipe"
    yield "ESO PRO REC1 PIPE ID", f"elvis/{__version__}", "pipeline"
    yield "ESO PRO LINCORR", linearised, "corrected for the detector's linearity"
    if files.missing:
        yield "ESO PRO MISSING", " ".join(each.kind for each in files.missing), "calibrations that were missing"
    for number, one in enumerate(files.science, 1):
        yield f"ESO PRO REC1 RAW{number} NAME", one.name, "raw file"
        yield f"ESO PRO REC1 RAW{number} CATG", "OBJECT", "its category"
    for number, (kind, one) in enumerate(files.calibrations, 1):
        yield f"ESO PRO REC1 CAL{number} NAME", one.name, "calibration"
        yield f"ESO PRO REC1 CAL{number} CATG", kind.upper(), "its category"
