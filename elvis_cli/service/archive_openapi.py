"""The OpenAPI 3.1 document of the archive: its paths, and the parameters of the VO's protocols behind them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from elvis_cli import __version__
from elvis_cli.service import problems
from elvis_cli.service.openapi import PROBLEM

_FOUND = {"RESPONSEFORMAT": "Media type or short name of the answer's format.", "MAXREC": "Most rows of the answer."}
_PLACE = {
    "POS": "CIRCLE, RANGE or POLYGON with its numbers, degrees (ICRS).",
    "BAND": "Wavelengths in vacuum, m: one, or from and to.",
}
_QUERY = {"LANG": "ADQL.", "QUERY": "A query in ADQL.", "UPLOAD": "Tables: NAME,URI.", **_FOUND}
PARAMETERS: dict[str, dict[str, str]] = {
    "/": {
        "PLACE": "RA and Dec, degrees or sexagesimal.",
        "RADIUS": "Degrees about the place.",
        "INSTRUMENT": "Name of an instrument.",
        "TARGET": "Name of a target.",
        "LEVEL": "1 for raw files, 2 for reduced ones.",
        "START": "Observed from then on, ISO 8601.",
        "END": "Observed up to then, ISO 8601.",
        "WAVE": "A wavelength, nm.",
        "BLOCK": "Number of an observing block.",
    },
    "/previews/{name}": {"SIZE": "Pixels of the longer side."},
    "/tap/sync": _QUERY,
    "/tap/async": {**_QUERY, "PHASE": "RUN starts the job at once."},
    "/tap/async/{id}": {"ACTION": "DELETE ends the job.", "WAIT": "Seconds to wait for a change.", "PHASE": "Of WAIT."},
    "/tap/async/{id}/phase": {"PHASE": "RUN or ABORT."},
    "/tap/async/{id}/{part}": {
        "EXECUTIONDURATION": "Most seconds of the query.",
        "DESTRUCTION": "When the job is deleted, ISO 8601.",
    },
    "/sia2/query": {
        **_PLACE,
        "TIME": "MJD: one, or from and to.",
        "EXPTIME": "Seconds, from and to.",
        "CALIB": "Level of calibration.",
        "COLLECTION": "Name of a collection.",
        **_FOUND,
    },
    "/scs": {"RA": "Degrees.", "DEC": "Degrees.", "SR": "Radius, degrees.", "VERB": "1 to 3."},
    "/datalink/links": {"ID": "Identifier of a file, or several.", **_FOUND},
    "/soda/sync": {
        "ID": "Identifier of a file.",
        **_PLACE,
        "CIRCLE": "RA, Dec, radius: degrees.",
        "POLYGON": "Vertices: degrees.",
    },
    "/moc": {"COLLECTION": "Name of a collection.", "BAND": _PLACE["BAND"], "MAXORDER": "0 to 18.", **_FOUND},
}
PARAMETERS["/coverage.png"] = PARAMETERS["/"]
"""Parameters of each path; upper and lower case are alike."""


def document(paths: Iterable[tuple[str, str]], root: str = "") -> dict[str, Any]:
    """Return the document of paths with their methods; none of them can change what is in the archive."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ELVIS archive",
            "version": __version__,
            "summary": "TAP, SIA2, SODA, DataLink, cone search and MOC",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": root or "/"}],
        "paths": {
            path: {method.lower(): _operation(path, method) for method in methods.split()} for path, methods in paths
        },
        "components": {"schemas": {"problem": PROBLEM}},
    }


def _operation(path: str, method: str) -> dict[str, Any]:
    """Return the description of a method of a path: parameters are in the query, or in the form of a POST."""
    known = PARAMETERS.get(path, {})
    described = {name: {"type": "string", "description": text} for name, text in known.items()}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}{re.sub(r'[^a-z0-9]+', '_', path)}".rstrip("_"),
        "responses": {
            "200": {"description": "The answer.", "content": {"*/*": {}}},
            "303": {"description": "Another address has the answer."},
            "default": {
                "description": "An error: a VOTable with its text, or a problem.",
                "content": {
                    "application/x-votable+xml": {},
                    problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/problem"}},
                },
            },
        },
    }
    if method == "POST":
        form = {"schema": {"type": "object", "properties": described}}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": form, "multipart/form-data": form}}
    else:
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in described.items()]
    if parameters:
        operation["parameters"] = parameters
    return operation
