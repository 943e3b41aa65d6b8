"""Tables in HTML, LaTeX, Markdown and reStructuredText, and as a data base prints them."""

import pytest

from elvis_cli.errors import RequestError, UsageError
from tests.request.files.test_catalogue import both, text_file

HTML = """<!DOCTYPE html><html><body><table><tr><td>Menu<td>Home</tr></table><table><thead>
<tr><th>#</th><th>Star</th><th>RA (J2000)</th><th>Dec (J2000)</th><th>K</th></tr></thead><tbody>
<tr><td>1</td><td>alf CMa &amp; B</td><td>10:00:00.5</td><td>&minus;00:30:00</td><td>16</td></tr>
<tr><td>2<td><a href="there">bet CMi</a><td>10 00 04.0<td>+00 30 00<td>17</tr></tbody></table></body></html>"""
LATEX = r"""\begin{table}\caption{Stars}\begin{tabular}{lccc} \hline\hline
Star & RA & Dec & $K_{\rm s}$ \\
 & (J2000) & (J2000) & [mag] \\ \hline % units
alf CMa \& B & 10:00:00.5 & $-$00:30:00 & $16 \pm 0.02$ \\
bet\_CMi & $10^{\rm h}00^{\rm m}04.0^{\rm s}$ & $+00^{\circ}30'00''$ & 17 \\[2pt]
lost & 10:00:05 & 00:30:00 & \nodata \\ \hline
\end{tabular}\end{table}"""
AASTEX = r"""\begin{deluxetable*}{lrrr} \tablecaption{Stars}
\tablehead{\colhead{Name} & \colhead{R.A.} & \colhead{Decl.} & \colhead{$m_K$} \\
\colhead{} & \colhead{(deg)} & \colhead{(deg)} & \colhead{(mag)}}
\startdata
alf CMa \& B & 150.00208333333333 & $-0.5$ & 16 \\
bet CMi & 150.01666666666667 & \phs0.5 & 17 \\
\enddata \end{deluxetable*}"""
LONG = r"""\begin{longtable}{lrrr} ra & dec & K\\ \hline \endfirsthead ra & dec & K\\ \endhead \hline \endfoot
150.00208333333333 & -0.5 & 16\\ 150.01666666666667 & 0.5 & 17\\ \end{longtable}"""
ROWS = "150.00208333333333 | -0.5 | 16\n{0}150.01666666666667 | 0.5 | 17"
TEXTS = {
    "html": HTML,
    "latex": LATEX,
    "aastex": AASTEX,
    "longtable": LONG,
    "markdown": f"| ra | dec | mag |\n|:---|----:|:---:|\n| {ROWS.format('| ')} |\n".replace("16\n", "16 |\n"),
    "data base": f" ra | dec | mag\n----+-----+-----\n {ROWS.format(' ')}\n(2 rows)\n",
    "reST": "======= ==== ===\nra dec mag\n======= ==== ===\n"
    + ROWS.format("").replace("|", " ")
    + "\n======= ==== ===\n",
}


@pytest.mark.parametrize("form", TEXTS)
def test_forms_of_documents(tmp_path, form):
    block, _ = both(text_file(tmp_path, TEXTS[form], "stars.txt"))
    assert block["ra"] == pytest.approx([150 + 0.5 / 240, 150 + 4 / 240], abs=1e-9)
    assert block["dec"] == pytest.approx([-0.5, 0.5], abs=1e-9)
    assert block["mag"] == [16, 17]
    if form in ("html", "latex", "aastex"):
        assert block["name"][0] == "alf CMa & B"


@pytest.mark.parametrize(
    "text",
    [
        "<table><tr><th>x<th>y<th>mag</tr><tr><td rowspan=2>1<td>2<td>16</tr><tr><td>2<td>17</tr></table>",
        r"\begin{tabular}{ccc} x & y & mag\\ \multirow{2}{*}{1} & 2 & 16\\ & 3 & 17\\ \end{tabular}",
    ],
)
def test_cells_over_several_rows_are_refused(tmp_path, text):
    with pytest.raises(UsageError, match="spans several rows"):
        both(text_file(tmp_path, text))


def test_the_table_with_the_stars_is_read_and_a_note_says_so(tmp_path):
    assert "of 2 tables the one with number, Star, RA, Dec is read" in both(text_file(tmp_path, HTML))[1]


def test_another_equinox_is_refused(tmp_path):
    with pytest.raises(RequestError, match="B1950"):
        both(text_file(tmp_path, "RA (B1950),Dec (B1950),K\n150,2,16\n"))
