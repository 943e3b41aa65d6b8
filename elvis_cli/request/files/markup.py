"""Tables in HTML and LaTeX -> rows of cells, as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser

MAX_SPAN = 100
"""Columns that a cell may span: each gets its text."""
_TABULAR = r"tabular\*?|tabularx|longtable\*?|deluxetable\*?|supertabular\*?"
_LATEX = re.compile(rf"\\begin\s*\{{(?:{_TABULAR})\}}|\\startdata")
_RULES = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|tablebreak|endhead|endfoot|endfirsthead|endlastfoot|centering|small)\b"
    r"|\\(?:cline|cmidrule|noalign|vspace|label|caption)\s*(?:\([lr]+\))?\s*\{[^{}]*\}"
)
_CELLS: tuple[tuple[str, str], ...] = (
    (r"\$|\\phn|\\phs|\\phd|\\phantom\s*\{[^{}]*\}|\\(?:hspace|vphantom)\s*\{[^{}]*\}", ""),
    (r"\\(?:nodata|ldots|cdots|dots)(?![A-Za-z])", ""),
    (r"(?:\\pm(?![A-Za-z])|\\textpm|\N{PLUS-MINUS SIGN}).*", ""),
    (r"\^\s*\{?\s*(?:\\(?:rm|mathrm|text)\b)?\s*\{?\s*([hmsd])\s*\}*", r"\1"),
    (r"\^\s*\{?\s*\\circ\s*\}?|\\degr?(?![A-Za-z])|\\arcdeg", "\N{DEGREE SIGN}"),
    (r"_\s*\{?\s*(?:\\(?:rm|mathrm|text|textrm)\b)?\s*\{?\s*([A-Za-z0-9]+)\s*\}*", r"_\1"),
    (r"\\textminus|\\text\{--?\}|--", "-"),
    (
        r"\\(?:colhead|textbf|textit|textrm|emph|mathrm|mbox|text|multirow\s*\{\d+\}\s*\{[^{}]*\}|rm|bf|it)(?![A-Za-z])",
        "",
    ),
    (r"\\([_%&#])", r"\1"),
    (r"\\[,;:! ]|~", " "),
    (r"\^\s*\{?\s*\\prime\s*\\prime\s*\}?|''|\\arcsec(?![A-Za-z])", '"'),
    (r"\^\s*\{?\s*\\prime\s*\}?|\\arcmin(?![A-Za-z])", "'"),
    (r"[{}^]", ""),
    (r"\\alpha", "alpha"),
    (r"\\delta", "delta"),
    (r"\b([KkJH])_s\b", r"\1s"),
)
"""What the words of LaTeX in a cell stand for, in this order; an error behind a value is left out."""


def is_markup(text: str) -> bool:
    """Return whether a text holds a table in HTML or LaTeX."""
    return _LATEX.search(text) is not None or re.search(r"(?i)<table[\s>]", text) is not None


def rows_of(text: str, suits: Callable[[Sequence[str]], bool]) -> tuple[list[list[str]], int]:
    """Return the rows of the table in HTML or LaTeX whose names ``suits`` accepts, else the longest, and their count.

    Raises
    ------
    ValueError
        A cell spans several rows: it is not said what stands below.
    """
    tables = _latex(text) if _LATEX.search(text) else _html(text)
    tables = [rows for rows in tables if rows]
    if not tables:
        raise ValueError("its table has no rows")
    known = (rows for rows in tables if any(suits([cell.split("(")[0] for cell in row]) for row in rows[:3]))
    return next(known, max(tables, key=len)), len(tables)


def _html(text: str) -> list[list[list[str]]]:
    parser = _Tables()
    parser.feed(text)
    parser.close()
    return parser.tables


class _Tables(HTMLParser):
    """Collects the rows of all tables, the inner ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.open: list[list[list[str]]] = []
        self.cell: str | None = None
        self.span = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a table, a row or a cell."""
        values = dict(attrs)
        if tag == "table":
            self.open.append([])
            self.tables.append(self.open[-1])
        elif self.open and tag == "tr":
            self._end_cell()
            self.open[-1].append([])
        elif self.open and self.open[-1] and tag in ("td", "th"):
            self._end_cell()
            if values.get("rowspan", "1") not in ("1", ""):
                raise ValueError("a cell of its table spans several rows: give each row its own")
            span = values.get("colspan") or "1"
            self.cell, self.span = "", min(int(span), MAX_SPAN) if span.isdecimal() else 1
        elif tag == "br" and self.cell is not None:
            self.cell += " "

    def handle_endtag(self, tag: str) -> None:
        """Close what ends."""
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()
        if tag == "table" and self.open:
            table = self.open.pop()
            table[:] = [row for row in table if any(row)]

    def handle_data(self, data: str) -> None:
        """Add text to the cell."""
        if self.cell is not None:
            self.cell += data

    def _end_cell(self) -> None:
        if self.cell is not None and self.open and self.open[-1]:
            text = " ".join(self.cell.replace("\N{MINUS SIGN}", "-").split())
            self.open[-1][-1].extend([text] * self.span)
        self.cell = None


def _latex(text: str) -> list[list[list[str]]]:
    text = re.sub(r"(?<!\\)%.*", "", text)
    bodies = []
    if "\\startdata" in text:
        for start in re.split(r"\\begin\s*\{deluxetable\*?\}", text):
            data = re.search(r"\\startdata(.*?)(?:\\enddata|$)", start, re.DOTALL)
            head = re.search(
                r"\\tablehead\s*\{(.*?)\}\s*(?=\\startdata|\\tablecolumns|\\tablewidth|$)", start, re.DOTALL
            )
            if data:
                bodies.append((head[1] + "\\\\" if head else "") + data[1])
    else:
        columns = r"((?:\{(?:[^{}]|\{[^{}]*\})*\})*)"
        form = rf"\\begin\s*\{{({_TABULAR})\}}(?:\[[^\]]*\])?{columns}(.*?)(?:\\end\{{\1\}}|$)"
        for match in re.finditer(form, text, re.DOTALL):
            parts = re.split(r"\\end(?:firsthead|head|foot|lastfoot)\b", match[3])
            bodies.append(parts[0] + parts[-1] if len(parts) > 1 else parts[0])
    return [_latex_rows(body) for body in bodies]


def _latex_rows(body: str) -> list[list[str]]:
    rows = []
    for line in re.split(r"\\\\(?:\[[^\]]*\]|\*)?|\\tabularnewline", _RULES.sub("", body)):
        if "\\multirow" in line:
            raise ValueError("a cell of its table spans several rows (multirow): give each row its own")
        cells: list[str] = []
        for cell in re.split(r"(?<!\\)&", line):
            wide = re.search(r"\\multicolumn\s*\{(\d+)\}\s*\{[^{}]*\}", cell)
            inner = cell.replace(wide[0], "") if wide else cell
            cells += [_plain(inner)] * (min(int(wide[1]), MAX_SPAN) if wide else 1)
        if any(cells):
            rows.append(cells)
    return rows


def _plain(cell: str) -> str:
    for pattern, words in _CELLS:
        cell = re.sub(pattern, words, cell)
    return " ".join(cell.replace("\N{MINUS SIGN}", "-").split())
