"""SIA 2.0 and Simple Cone Search 1.03: each request becomes one query in ADQL, so that there is one truth.

References: Dowler et al. 2015, REC-SIA-2.0; Plante et al. 2008, REC-ConeSearch-1.03.
"""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING

from elvis_cli.archive import query, regions, tap, votable
from elvis_cli.archive.columns import BY_NAME
from elvis_cli.archive.dali import DaliError, Parameters, Reply, interval, numbers
from elvis_cli.archive.regions import RegionError

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

_OVERLAPS = {"BAND": ("em_min", "em_max"), "TIME": ("t_min", "t_max")}
_WITHIN = {"FOV": "s_fov", "SPATRES": "s_resolution", "SPECRP": "em_res_power", "EXPTIME": "t_exptime",
           "TIMERES": "t_resolution"}  # fmt: skip
_EQUAL = {"ID": "obs_publisher_did", "COLLECTION": "obs_collection", "FACILITY": "facility_name",
          "INSTRUMENT": "instrument_name", "DPTYPE": "dataproduct_type", "TARGET": "target_name",
          "FORMAT": "access_format", "POL": "pol_states"}  # fmt: skip
CONE = ("dp_id", "s_ra", "s_dec", "target_name", "instrument_name", "filter", "t_min", "t_exptime", "access_url")
UCD1 = {"dp_id": "ID_MAIN", "s_ra": "POS_EQ_RA_MAIN", "s_dec": "POS_EQ_DEC_MAIN", "target_name": "ID_TARGET",
        "instrument_name": "INST_ID", "filter": "INST_FILTER_CODE", "t_min": "TIME_DATE", "t_exptime": "TIME_EXPTIME",
        "access_url": "DATA_LINK"}  # fmt: skip
"""UCDs of the first generation, which cone search wants."""


def search(store: Store, parameters: Parameters, base: str) -> Reply:
    """Return the rows of ObsCore that fit the parameters of SIA 2.0.

    Raises
    ------
    DaliError
        A parameter is wrong.
    """
    wanted = tap.Query(to_adql(parameters), tap.chosen_format(parameters), tap.limit_of(parameters), {})
    file, _ = tap.answer(store, wanted, base)
    return Reply(media_type=wanted.format.media_type, file=file)


def to_adql(parameters: Parameters) -> str:
    """Return the query of a request: values of one parameter are alternatives, parameters all hold.

    Raises
    ------
    DaliError
        A parameter is wrong.
    """
    groups = [[position(value) for value in parameters.all("POS")]]
    for name, (low, high) in _OVERLAPS.items():
        groups.append([_overlap(low, high, *interval(name, value)) for value in parameters.all(name)])
    for name, column in _WITHIN.items():
        groups.append([_within(column, *interval(name, value)) for value in parameters.all(name)])
    for name, column in _EQUAL.items():
        groups.append([f"{column} = {quoted(value)}" for value in parameters.all(name)])
    groups.append([f"calib_level = {level(value)}" for value in parameters.all("CALIB")])
    conditions = [f"({' OR '.join(group)})" for group in groups if group]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT * FROM ivoa.obscore{where}"


def quoted(text: str) -> str:
    """Return a text as a literal of ADQL."""
    return "'" + text.replace("'", "''") + "'"


def level(value: str) -> int:
    """Return a calibration level.

    Raises
    ------
    DaliError
        There is no such level.
    """
    if value.strip() not in ("0", "1", "2", "3", "4"):
        raise DaliError(f"CALIB is {value[:40]!r}; allowed: 0 to 4")
    return int(value)


def _overlap(low: str, high: str, first: float, last: float) -> str:
    parts = [f"{low} <= {last!r}"] if math.isfinite(last) else []
    parts += [f"{high} >= {first!r}"] if math.isfinite(first) else []
    return f"({' AND '.join(parts) or f'{low} IS NOT NULL'})"


def _within(column: str, first: float, last: float) -> str:
    parts = [f"{column} >= {first!r}"] if math.isfinite(first) else []
    parts += [f"{column} <= {last!r}"] if math.isfinite(last) else []
    return f"({' AND '.join(parts) or f'{column} IS NOT NULL'})"


def position(text: str) -> str:
    """Return the condition of a value of POS: CIRCLE, POLYGON, or RANGE of longitude and latitude.

    Raises
    ------
    DaliError
        It is none of them.
    """
    kind, _, rest = text.strip().partition(" ")
    kind = kind.upper()
    found = numbers("POS", rest)
    if kind == "RANGE":
        return _range(found, text)
    try:
        if kind not in ("CIRCLE", "POLYGON"):
            raise RegionError("no such shape")
        regions.region(kind, tuple(found))
    except RegionError as error:
        raise DaliError(f"POS: {text[:80]!r}: {error}; allowed: CIRCLE, RANGE, POLYGON and numbers in deg") from None
    return f"1=INTERSECTS({kind}('ICRS', {', '.join(map(repr, found))}), s_region)"


def _range(found: list[float], text: str) -> str:
    """Return the condition of a box of coordinates, about which a field reaches with half its diameter."""
    if len(found) != 4 or found[0] > found[1] or found[2] > found[3]:
        raise DaliError(f"POS: {text[:80]!r} is not RANGE and four numbers in deg")
    west, east, south, north = found
    parts = ["s_ra IS NOT NULL"]
    reach = "COALESCE(s_fov, 0) / 2"
    parts += [f"s_dec + {reach} >= {south!r}"] if math.isfinite(south) else []
    parts += [f"s_dec - {reach} <= {north!r}"] if math.isfinite(north) else []
    if math.isfinite(west) and math.isfinite(east) and east - west < 360.0:
        margin = f"{reach} / (COS(RADIANS(s_dec)) + 1e-9)"
        turns = (
            f"(s_ra + {margin} >= {west + turn!r} AND s_ra - {margin} <= {east + turn!r})"
            for turn in (-360.0, 0.0, 360.0)
        )
        parts.append(f"({' OR '.join(turns)})")
    return f"({' AND '.join(parts)})"


def cone(store: Store, parameters: Parameters, base: str) -> Reply:
    """Return the files within SR of RA, DEC (deg), in the VOTable of cone search; errors are PARAM-like INFOs in it."""
    try:
        ra, dec, radius = (parameters.number(name) for name in ("RA", "DEC", "SR"))
        if ra is None or dec is None or radius is None:
            raise DaliError("RA, DEC and SR are needed")
        if not (math.isfinite(ra) and abs(dec) <= 90 and 0 <= radius <= 180):
            raise DaliError("RA and DEC are a place and SR is 0 to 180, in deg")
        if parameters.get("VERB", "2").strip() not in ("1", "2", "3"):
            raise DaliError("VERB is 1, 2 or 3")
        limit = tap.limit_of(parameters, query.HARD_LIMIT) if radius > 0 else 0
    except DaliError as error:
        return Reply(
            _cone_table(f'<INFO ID="Error" name="Error" value={votable.quoted(error.message)}/>'), votable.VOTABLE
        )
    where = f"1=CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra!r}, {dec!r}, {radius!r}))"
    text = f"SELECT {', '.join(CONE)} FROM ivoa.obscore WHERE {where}"
    out = tempfile.SpooledTemporaryFile(tap.SPOOLED)  # noqa: SIM115
    head, tail = _cone_table("@").split(b"@")
    out.write(head + _cone_fields())
    with query.run(store, text, f"{base}/files/", limit) as (_, rows):
        for count, row in enumerate(rows):
            if count == limit:
                break
            cells = "".join("<TD/>" if v is None else f"<TD>{votable.plain(v)}</TD>" for v in row)
            out.write(f"<TR>{cells}</TR>\n".encode())
    out.write(b"</TABLEDATA></DATA></TABLE>\n" + tail)
    out.seek(0)
    return Reply(media_type=votable.VOTABLE, file=out)


def _cone_table(inside: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="1.1" xmlns="http://www.ivoa.net/xml/VOTable/v1.1">\n'
        '<DESCRIPTION>ELVIS: simulated observations</DESCRIPTION>\n<RESOURCE type="results">\n'
        f"{inside}\n</RESOURCE>\n</VOTABLE>\n"
    ).encode()


def _cone_fields() -> bytes:
    fields = []
    for name in CONE:
        column = BY_NAME[name]
        size = ' arraysize="*"' if column.datatype == "char" else ""
        unit = f' unit="{column.unit}"' if column.unit else ""
        fields.append(
            f'<FIELD ID="{name}" name="{name}" datatype="{column.datatype}"{size}{unit} ucd="{UCD1[name]}">'
            f"<DESCRIPTION>{votable.plain(column.description)}</DESCRIPTION></FIELD>"
        )
    return f"<TABLE>\n{chr(10).join(fields)}\n<DATA><TABLEDATA>\n".encode()
