"""The page of the archive: a form, a table of files, the sky that they cover; plain HTML, no scripts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from elvis_cli.archive import query, regions, sia
from elvis_cli.archive.adql_functions import QueryError
from elvis_cli.archive.dali import DaliError, Parameters, numbers
from elvis_cli.archive.store import outline_of

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

PAGE_ROWS = 100
MAX_MAP = 5000
"""Footprints on the map."""
MJD_UNIX = 40587.0
"""MJD of 1970-01-01."""
COLUMNS = ("dp_id", "target_name", "instrument_name", "ins_mode", "filter", "dp_cat", "dp_type", "calib_level",
           "t_min", "t_exptime", "s_ra", "s_dec", "ob_id", "prog_id", "tpl_id", "access_estsize")  # fmt: skip
SHOWN = ("preview", "file", "target", "instrument", "filter", "category", "start (UTC)", "exposure", "RA, Dec", "block")
FIELDS = ("place", "radius", "instrument", "level", "start", "end", "wave", "target", "block")
_STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #17202b; --dim: #53606f; --line: #cfd6de;
  --accent: #0b5cab; --wrong: #b3261e; font: 15px/1.4 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ground: #10141a; --card: #181e26; --ink: #e6ebf1; --dim: #a3afbd;
  --line: #364150; --accent: #7db8f5; --wrong: #ff9a90; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); }
header { padding: 10px 16px; border-bottom: 1px solid var(--line); }
h1 { font-size: 20px; margin: 0; letter-spacing: 0.04em; }
header p { margin: 2px 0 0; color: var(--dim); font-size: 13px; }
main { display: grid; grid-template-columns: minmax(260px, 1fr) minmax(280px, 2fr); gap: 16px; padding: 16px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; min-width: 0; }
.wide { grid-column: 1 / -1; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 8px 12px; }
label { display: flex; flex-direction: column; font-size: 13px; color: var(--dim); }
label.place { grid-column: 1 / -1; }
input, select, button { font: inherit; color: var(--ink); background: var(--ground); border: 1px solid var(--line);
  border-radius: 5px; padding: 5px 8px; width: 100%; }
button { width: auto; margin-top: 12px; background: var(--accent); color: var(--card); font-weight: 600;
  cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
a { color: var(--accent); }
figure { margin: 0; background: #fff; border-radius: 6px; }
figure img { width: 100%; height: auto; display: block; }
.error { color: var(--wrong); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: 4px 10px 4px 0; border-top: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
th { color: var(--dim); font-weight: 600; border: 0; }
td small { color: var(--dim); display: block; }
td img { width: 96px; height: 72px; object-fit: cover; background: #000; border-radius: 4px; display: block; }
.links a { margin-right: 12px; }
@media (max-width: 760px) { main { grid-template-columns: 1fr; padding: 8px; gap: 8px; } }
"""


def to_adql(parameters: Parameters, columns: Sequence[str] = COLUMNS) -> str:
    """Return the query of the form.

    Raises
    ------
    DaliError
        A field is wrong.
    """
    conditions: list[str] = []
    if place := parameters.get("PLACE"):
        ra, dec = coordinates(place)
        radius = parameters.number("RADIUS")
        conditions.append(sia.position(f"CIRCLE {ra!r} {dec!r} {(10.0 if radius is None else radius) / 60.0!r}"))
    if instrument := parameters.get("INSTRUMENT"):
        conditions.append(f"instrument_name = {sia.quoted(instrument)}")
    if target := parameters.get("TARGET"):
        conditions.append(f"UPPER(target_name) LIKE {sia.quoted(f'%{target.upper()}%')}")
    if level := parameters.get("LEVEL"):
        conditions.append(f"calib_level = {sia.level(level)}")
    if start := parameters.get("START"):
        conditions.append(f"t_max >= {_mjd(start)!r}")
    if end := parameters.get("END"):
        conditions.append(f"t_min < {_mjd(end) + (1.0 if len(end) == 10 else 0.0)!r}")
    if wave := parameters.get("WAVE"):
        low, high = _waves(wave)
        conditions.append(f"em_min <= {high!r} AND em_max >= {low!r}")
    if block := parameters.get("BLOCK"):
        if not block.isdigit() or len(block) > 18:
            raise DaliError(f"OBS ID: {block[:40]!r} is not a number")
        conditions.append(f"ob_id = {block}")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join(columns)} FROM ivoa.obscore{where} ORDER BY t_min DESC"


def coordinates(text: str) -> tuple[float, float]:
    """Return ra, dec (deg) of two numbers, or of hh:mm:ss and dd:mm:ss.

    Raises
    ------
    DaliError
        They are no place on the sky.
    """
    words = text.replace(",", " ").split()
    if len(words) == 6:
        words = [":".join(words[:3]), ":".join(words[3:])]
    try:
        if len(words) != 2:
            raise ValueError
        if ":" in text or len(text.split()) == 6:
            ra, dec = 15.0 * _sexagesimal(words[0]), _sexagesimal(words[1])
        else:
            ra, dec = float(words[0]), float(words[1])
        regions.circle(ra, dec, 0.0)
    except ValueError:
        raise DaliError(f"place: {text[:60]!r} is not RA Dec, such as 83.63 22.01 or 05:34:31.9 +22:00:52") from None
    return ra, dec


def _sexagesimal(text: str) -> float:
    parts = [abs(float(part)) for part in text.split(":")]
    size = float(sum(part / 60.0**n for n, part in enumerate(parts)))
    return -size if text.strip().startswith("-") else size


def _waves(text: str) -> tuple[float, float]:
    """Return a range of wavelengths (m) of one or two numbers in um."""
    found = numbers("wavelength", text.replace("-", " ").replace(",", " "))
    if len(found) not in (1, 2) or not 0 < found[0] <= found[-1] < 1e6:
        raise DaliError(f"wavelength: {text[:40]!r} is not one or two numbers in um, such as 1.9 2.4")
    return found[0] * 1e-6, found[-1] * 1e-6


def _mjd(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DaliError(f"{text[:40]!r} is no date, such as 2026-11-20") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() / 86400.0 + MJD_UNIX


def footprints(store: Store, parameters: Parameters) -> list[list[tuple[float, float]]]:
    """Return the footprints (ra, dec; deg) of the files that the form finds.

    Raises
    ------
    DaliError
        A field is wrong.
    """
    found = query.rows(store, to_adql(parameters, ("s_region", "t_min")), limit=MAX_MAP)
    return [outline_of(text) for text in dict.fromkeys(row["s_region"] for row in found) if text]


def html(store: Store, parameters: Parameters) -> tuple[str, int]:
    """Return the page and its status."""
    status, message, found, text = 200, "", [], ""
    try:
        text = to_adql(parameters)
        found = query.rows(store, text, limit=PAGE_ROWS + 1)[: PAGE_ROWS + 1]
    except (DaliError, QueryError) as error:
        status, message = 400, f'<p class="error" role="alert">{escape(error.message)}</p>'
    search = urlencode([(name, parameters.get(name.upper())) for name in FIELDS if parameters.all(name.upper())])
    content = (
        f'<section aria-label="Search">{message}{_form(store, parameters)}</section>\n'
        f'<section aria-label="Coverage"><figure><img src="coverage.png?{escape(search)}" width="1000" height="500" '
        'alt="The sky with the fields that were found, RA 0 in the middle, East to the left"></figure></section>\n'
        f'<section class="wide" aria-label="Files">{_results(found, text) if status == 200 else ""}</section>'
    )
    return _document(store, content), status


def _document(store: Store, content: str) -> str:
    count = store.count()
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>ELVIS archive</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>ELVIS archive</h1><p>{count} simulated frames and products. For programs: "
        '<a href="tap/examples">TAP</a>, <a href="tap/tables">tables</a>, <a href="capabilities">all services</a>, '
        f'<a href="moc">MOC</a></p></header>\n<main>\n{content}\n</main>\n</body>\n</html>\n'
    )


def _form(store: Store, parameters: Parameters) -> str:
    names = query.rows(store, "SELECT DISTINCT instrument_name FROM ivoa.obscore ORDER BY instrument_name", limit=500)
    instruments = [("", "any"), *((row["instrument_name"], row["instrument_name"]) for row in names)]

    def value(name: str) -> str:
        return escape((parameters.all(name.upper()) or [""])[0][:100])

    def field(name: str, label: str, hint: str = "", kind: str = "text") -> str:
        return (
            f'<label class="{name}">{label}<input name="{name}" type="{kind}" value="{value(name)}" '
            f'placeholder="{escape(hint)}"></label>'
        )

    def choice(name: str, label: str, options: Sequence[tuple[str, str]]) -> str:
        chosen = (parameters.all(name.upper()) or [""])[0]
        inside = "".join(
            f'<option value="{escape(key)}"{" selected" if key == chosen else ""}>{escape(text)}</option>'
            for key, text in options
        )
        return f'<label>{label}<select name="{name}">{inside}</select></label>'

    levels = (("", "any"), ("1", "raw"), ("2", "reduced"))
    return (
        '<form method="get" action="."><div class="fields">'
        + field("place", "RA Dec (ICRS)", "83.63 22.01 or 05:34:31.9 +22:00:52")
        + field("radius", "Radius, arcmin", "10")
        + choice("instrument", "Instrument", instruments)
        + choice("level", "Level", levels)
        + field("start", "From (UTC)", kind="date")
        + field("end", "Until (UTC)", kind="date")
        + field("wave", "Wavelength, um", "1.9 2.4")
        + field("target", "Target", "part of its name")
        + field("block", "OBS ID", "100001")
        + "</div><button>Search</button></form>"
    )


def _results(found: list[dict[str, Any]], text: str) -> str:
    if not found:
        return "<p>Nothing was found.</p>"
    more = len(found) > PAGE_ROWS
    rows = found[:PAGE_ROWS]
    table = urlencode({"LANG": "ADQL", "QUERY": text.replace(", ".join(COLUMNS), "*", 1), "MAXREC": query.HARD_LIMIT})
    count = f"The latest {PAGE_ROWS} of more files." if more else f"{len(rows)} file{'s' * (len(rows) != 1)}."
    links = (
        f'<p class="links">{count} <a href="tap/sync?{escape(table)}">VOTable</a>'
        f'<a href="tap/sync?{escape(table)}&amp;RESPONSEFORMAT=csv">CSV</a></p>'
    )
    head = "".join(f"<th>{name}</th>" for name in SHOWN)
    return f'{links}<div class="scroll"><table><tr>{head}</tr>\n{"".join(map(_row, rows))}</table></div>'


def _row(row: dict[str, Any]) -> str:
    name = quote(row["dp_id"], safe=":")
    place = "" if row["s_ra"] is None else f"{row['s_ra']:.5f} {row['s_dec']:+.5f}"
    cells = (
        f'<a href="previews/{name}"><img src="previews/{name}?size=256" '
        f'alt="preview of {escape(row["dp_id"])}" loading="lazy"></a>',
        f'<a href="files/{name}" download>{escape(row["dp_id"])}</a><small>{_size(row["access_estsize"])}, '
        f'<a href="datalink/links?ID={name}">links</a></small>',
        _text(row["target_name"]),
        f"{_text(row['instrument_name'])}<small>{_text(row['ins_mode'])}</small>",
        _text(row["filter"]),
        f"{_text(row['dp_cat'])}<small>{_text(row['dp_type'])}</small>",
        _moment(row["t_min"]),
        f"{row['t_exptime']:g} s",
        place,
        f"{row['ob_id'] or ''}<small>{_text(row['prog_id'])}<br>{_text(row['tpl_id'])}</small>",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"


def _text(value: Any) -> str:
    return "" if value is None else escape(str(value)[:80])


def _size(kilobytes: Any) -> str:
    return f"{kilobytes} kB" if kilobytes < 1000 else f"{kilobytes / 1000:.1f} MB"


def _moment(mjd: float) -> str:
    return datetime.fromtimestamp((mjd - MJD_UNIX) * 86400.0, UTC).strftime("%Y-%m-%d %H:%M:%S")
