"""Figures of the archive beside what is asked: ``python -m tests.archive.measure`` (``make archive``).

STILTS checks the services on both databases; 100 000 rows are searched; 1000 files are added; bad queries and bodies
are sent. A step whose program is missing says so.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from elvis_cli import pipeline
from elvis_cli.archive import ingest, query
from elvis_cli.archive.adql_functions import QueryError
from elvis_cli.archive.store import Store
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests import postgres
from tests.archive import rows

ROWS, FILES, QUERIES, BODIES = 100_000, 1000, 5000, 1000
REPEATS = 10
"""Of a search: processor seconds of others are told in steps of 10 ms."""


def main() -> None:
    """Print all figures."""
    wanted = sys.argv[1:] or ["lint", "speed", "ingest", "fuzz"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if postgres.lacking("pg_sphere"):
            print(postgres.lacking("pg_sphere"))
            places: dict[str, Callable[[], str]] = {"SQLite": lambda: str(folder / f"{time.time()}.sqlite")}
            _all(folder, places, wanted)
            return
        with postgres.running() as new:
            _all(folder, {"SQLite": lambda: str(folder / f"{time.time()}.sqlite"), "PostgreSQL": new}, wanted)


def _all(folder: Path, places: dict[str, Callable[[], str]], wanted: list[str]) -> None:
    frames = _frames(folder)
    steps = {"lint": lint, "speed": speed, "ingest": add_files, "fuzz": fuzz}
    for name in wanted:
        for database, new in places.items():
            steps[name](folder, database, new(), frames)


def report(database: str, what: str, asked: str, seen: Any) -> None:
    print(f"{database:10}  {what:45}  asked {asked:18}  seen {seen}", flush=True)


@contextmanager
def served(folder: Path, place: str) -> Iterator[tuple[str, int]]:
    """Yield address and process number of a server."""
    errors = folder / "stderr"
    with open(errors, "wb") as out:
        command = [sys.executable, "-m", "elvis_cli.cli", "archive", "serve", "--port", "0", "--store", place]
        process = subprocess.Popen(command, stderr=out)
    while not (found := re.search(r"archive at (\S+)\n", errors.read_text())):
        assert process.poll() is None, errors.read_text()
        signal.sigtimedwait((), 0.1)
    try:
        yield found[1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _frames(folder: Path) -> list[Path]:
    """Return small frames of an imager, a slit and an integral field."""
    found = []
    for name, mode, chips in (("hawki", None, None), ("fors", "lss", None), ("harmoni", None, [1])):
        document = registry.load(name).example(mode)
        document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 32, "ny": 32}, **({"chips": chips} if chips else {})}
        found.append(folder / f"{name}.fits")
        out = io.BytesIO()
        pipeline.render(parse.read(json.dumps(document)), out)
        found[-1].write_bytes(out.getvalue())
    return found


# Checkers


def lint(folder: Path, database: str, place: str, frames: list[Path]) -> None:
    """Have STILTS check the services."""
    if shutil.which("stilts") is None:
        print("needs stilts (apt-get install stilts)")
        return
    store = Store(place)
    list(ingest.add(store, [ingest.Entry(str(path)) for path in frames]))
    did = query.rows(store, "SELECT obs_publisher_did FROM ivoa.obscore WHERE instrument_name = 'HAWKI'")[0]
    store.close()
    with served(folder, place) as (url, _):
        text = _stilts("taplint", f"tapurl={url}/tap")
        report(database, "taplint", "0 errors, 0 warn.", _totals(text))
        for line in text.splitlines():
            if re.match(r"[EWF]-", line):
                print("   ", line)
        identity = urllib.parse.quote(did["obs_publisher_did"])
        links = f"{url}/datalink/links?ID={identity}&ID=nothing"
        report(database, "datalinklint", "0 errors, 0 warn.", _totals(_stilts("datalinklint", f"votable={links}")))
        paths = (
            "scs?RA=90.3&DEC=-58.2&SR=1",
            "sia2/query?POS=CIRCLE+90.3+-58.2+1",
            "sia2/query?RESPONSEFORMAT=votable/b2",
            "tap/sync?QUERY=SELECT+*+FROM+tap_schema.columns",
            links.removeprefix(f"{url}/"),
        )
        for path in paths:
            table = folder / "table.vot"
            table.write_bytes(_get(f"{url}/{path}"))
            said = _stilts("votlint", str(table)).strip()
            report(database, f"votlint {path.split('?')[0]}", "clean", said or "clean")
        mine = folder / "mine.csv"
        mine.write_text("id,ra,dec\n1,90.3,-58.2\n2,10,10\n")
        table_options = (f"in={mine}", "ifmt=csv", "sr=1", "find=all", "ofmt=csv-noheader")
        columns = ("taptable=ivoa.obscore", "taplon=s_ra", "taplat=s_dec", "inlon=ra", "inlat=dec")
        sky = _stilts("tapskymatch", f"tapurl={url}/tap", *columns, *table_options)
        report(database, "tapskymatch (uploads)", f"{len(frames)} rows", f"{_count(sky)} rows")
        columns = ("ra=ra", "dec=dec", "copycols=id", "usefoot=false")
        cone = _stilts("coneskymatch", f"serviceurl={url}/scs?", *columns, *table_options)
        report(database, "coneskymatch", f"{len(frames)} rows", f"{_count(cone)} rows")
        answer = _stilts("tapquery", f"tapurl={url}/tap", "sync=true", "ofmt=csv-noheader",
                         "adql=SELECT COUNT(*) AS n FROM ivoa.obscore")  # fmt: skip
        report(database, "tapquery", str(len(frames)), answer.strip().splitlines()[-1])


def _stilts(*argv: str) -> str:
    return subprocess.run(["stilts", *argv], capture_output=True, text=True, check=False).stdout


def _totals(text: str) -> str:
    return next((line for line in text.splitlines() if line.startswith("Totals")), text[-200:])


def _count(table: str) -> int:
    return len([line for line in table.splitlines() if line[:1].isdigit()])


# Speed


def speed(folder: Path, database: str, place: str, frames: list[Path]) -> None:
    """Search 100 000 rows."""
    store = Store(place)
    rows.fill(store, rows.products(ROWS))
    texts = {
        "cone, radius 0.5 deg": ("< 50 ms", _cone(120.0, 30.0, 0.5)),
        "cone at the pole": ("< 50 ms", _cone(0.0, 90.0, 0.02)),
        "cone at the South Pole": ("< 50 ms", _cone(0.0, -90.0, 0.02)),
        "cone at RA 0": ("< 50 ms", _cone(0.0, 0.0, 0.3)),
        "footprints that overlap a circle": ("", "1=INTERSECTS(CIRCLE('ICRS', 120, 30, 0.5), s_region)"),
        "polygon": ("", "1=CONTAINS(POINT('ICRS', s_ra, s_dec), POLYGON('ICRS', 10, 10, 12, 10, 12, 12))"),
        "outside a circle (= 0)": ("", "0=CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 1, 2, 179.9))"),
    }
    for what, (asked, condition) in texts.items():
        times, spent = [], _spent(store)
        for _ in range(REPEATS):
            begin = time.perf_counter()
            found = query.rows(store, f"SELECT dp_id, s_ra, s_dec FROM ivoa.obscore WHERE {condition}")
            times.append(time.perf_counter() - begin)
        spent = (_spent(store) - spent) / REPEATS
        figures = f"{1e3 * min(times):.1f} ms at best, {1e3 * spent:.1f} ms of the processor, {len(found)} rows"
        report(database, what, asked, figures)
    circles = [(float(n), float(n * 7 % 360), float(n % 170 - 85), 0.5) for n in range(200)]
    columns = tuple(query.Column(name, "double", "") for name in ("id", "ra", "dec", "r"))
    text = (
        "SELECT COUNT(*) AS n FROM tap_upload.c AS c JOIN ivoa.obscore AS o ON "
        "1=CONTAINS(POINT('ICRS', o.s_ra, o.s_dec), CIRCLE('ICRS', c.ra, c.dec, c.r))"
    )
    begin = time.perf_counter()
    with query.run(store, text, "", 10, uploads={"c": query.Uploaded(columns, circles)}) as (_, answer):
        (found,) = list(answer)
    report(database, "200 uploaded circles", "", f"{time.perf_counter() - begin:.2f} s, {found[0]} rows")
    store.close()
    with served(folder, place) as (url, pid):
        _ask(url, "SELECT TOP 1 * FROM ivoa.obscore")
        for form in ("votable", "votable/b2", "csv"):
            begin, cpu = time.perf_counter(), _cpu(pid)
            _, body = _ask(url, "SELECT TOP 10000 * FROM ivoa.obscore", RESPONSEFORMAT=form, MAXREC="100000")
            seconds = f"{time.perf_counter() - begin:.2f} s, {_cpu(pid) - cpu:.2f} s of the processor, {len(body)} B"
            report(database, f"10 000 rows, all columns, {form}", "< 1 s", seconds)
        _ask(url, "SELECT * FROM ivoa.obscore", MAXREC="100000")
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        report(
            database, "memory of the server at its most", "< 300 MiB", f"{int(peak[1]) / 1024:.0f} MiB" if peak else "?"
        )


def _spent(store: Store) -> float:
    """Return the processor seconds of this process and of the database's processes that answer it."""
    if store.is_sqlite:
        return time.process_time()
    with store.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return time.process_time() + sum(_cpu(row[0]) for row in found)


def _cpu(pid: int) -> float:
    """Return the processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cone(ra: float, dec: float, radius: float) -> str:
    return f"1=CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra}, {dec}, {radius}))"


def add_files(folder: Path, database: str, place: str, frames: list[Path]) -> None:
    """Add 1000 files."""
    data = frames[0].read_bytes()
    many = folder / "many"
    many.mkdir(exist_ok=True)
    for n in range(FILES):
        moment = f"2026-01-01T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}.000".encode()
        (many / f"{n}.fits").write_bytes(data.replace(b"2026-01-01T04:00:00.000", moment))
    store = Store(place)
    begin, cpu = time.perf_counter(), time.process_time()
    found = list(ingest.add(store, [ingest.Entry(str(path)) for path in sorted(many.iterdir())]))
    seconds = f"{time.perf_counter() - begin:.1f} s, {time.process_time() - cpu:.1f} s of the processor"
    added = sum(outcome.status == ingest.ADDED for outcome in found)
    report(database, f"{FILES} files added", "< 60 s", f"{seconds}, {added} added")
    store.close()


# Nonsense

WORDS = (  # noqa: SIM905
    "SELECT FROM WHERE TOP 5 * ivoa.obscore dp_id s_ra s_dec s_region AND OR NOT NULL ( ) , ; = < > <= || ' \" 'ICRS' "
    "1e400 -1 0 1 CONTAINS POINT CIRCLE POLYGON BOX REGION INTERSECTS DISTANCE AREA COUNT(*) GROUP BY ORDER HAVING "
    "JOIN ON USING AS a b UNION EXCEPT WITH IN EXISTS LIKE BETWEEN IS CASE WHEN THEN ELSE END CAST INTEGER ROUND MOD "
    "LOG POWER DROP DELETE pg_sleep(9) load_extension -- /* */ \x00 \u0394 % %s :x ? $1 {} [ ] @ # ! ~ ^ & | LN(0) "
    "1=CONTAINS(POINT('ICRS',s_ra,s_dec),CIRCLE('ICRS',1,2,3)) products sqlite_master OFFSET 99999999999999999999 "
    "tap_schema.columns SQRT(-1) POLYGON('ICRS',1,2,3) CIRCLE('ICRS',s_ra,s_dec,t_min) COORD1(POINT(s_ra,s_dec))"
).split()


def bad_queries(count: int) -> Iterator[str]:
    """Yield queries, most of them wrong: words in any order, and good queries with changes."""
    from elvis_cli.archive.vosi import EXAMPLES

    chance = random.Random(1)
    good = [text for _, text in EXAMPLES]
    for n in range(count):
        if n % 2:
            yield "SELECT " * (n % 3 > 0) + " ".join(chance.choices(WORDS, k=chance.randint(1, 30)))
            continue
        letters = list(chance.choice(good))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(letters))
            letters[place : place + chance.randint(0, 6)] = chance.choice([*WORDS, ""])
        yield "".join(letters)


def fuzz(folder: Path, database: str, place: str, frames: list[Path]) -> None:
    """Send nonsense: nothing may fail otherwise than by a refusal, nor take longer than the deadline."""
    store = Store(place)
    rows.fill(store, rows.products(2000))
    kinds: dict[str, int] = {"answered": 0, "refused": 0}
    longest = 0.0
    for text in bad_queries(QUERIES):
        begin = time.perf_counter()
        try:
            with query.run(store, text, "", 100, deadline=2.0) as (_, answer):
                list(answer)
            kinds["answered"] += 1
        except QueryError:
            kinds["refused"] += 1
        except Exception as error:
            kinds[type(error).__name__] = kinds.get(type(error).__name__, 0) + 1
            print("   ", type(error).__name__, str(error)[:100], repr(text)[:200])
        longest = max(longest, time.perf_counter() - begin)
    report(database, f"{QUERIES} bad queries", "no fault, < 2 s", f"{kinds}, longest {longest:.2f} s")
    report(database, "products afterwards", "2000", store.count())
    store.close()
    with served(folder, place) as (url, _):
        statuses: dict[int, int] = {}
        for path, body, kind in bad_bodies(BODIES):
            status = _post(f"{url}{path}", body, kind)
            statuses[status] = statuses.get(status, 0) + 1
        report(database, f"{BODIES} bad bodies, by status", "no 5xx", dict(sorted(statuses.items())))


def bad_bodies(count: int) -> Iterator[tuple[str, bytes, str]]:
    """Yield a path, a body and its media type."""
    chance = random.Random(2)
    paths = ("/tap/sync", "/tap/async", "/sia2/query", "/scs", "/soda/sync", "/datalink/links", "/tap/async/x/phase")
    names = ("QUERY", "LANG", "REQUEST", "UPLOAD", "MAXREC", "RESPONSEFORMAT", "POS", "BAND", "TIME", "CALIB", "ID",
             "CIRCLE", "POLYGON", "RA", "DEC", "SR", "PHASE")  # fmt: skip
    words = ["", "a", "1", "-1", "1e999", "nan", "CIRCLE 1 2 3", "x,param:x", "x,http://127.0.0.1:1/", "\x00",
             "\U0001f600", "SELECT 1", "RUN", "9" * 400, "ivo://a/b?c", "<a/>", "+Inf", "1 2 3 4 5 6 7"]  # fmt: skip
    for n in range(count):
        fields = [(chance.choice(names), chance.choice(words)) for _ in range(chance.randint(0, 6))]
        body = urllib.parse.urlencode(fields).encode()
        kind = "application/x-www-form-urlencoded"
        if n % 4 == 1:
            body, kind = chance.randbytes(chance.randint(0, 400)), "multipart/form-data; boundary=x"
        elif n % 4 == 2:
            body, kind = json.dumps(dict(fields)).encode(), "application/json"
        elif n % 4 == 3:
            body = chance.randbytes(chance.randint(0, 400))
        yield chance.choice(paths), body, kind


def _post(url: str, body: bytes, kind: str) -> int:
    request = urllib.request.Request(url, body, {"content-type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _ask(url: str, text: str, **more: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(f"{url}/tap/sync", urllib.parse.urlencode({"QUERY": text, **more}).encode()) as answer:
        return int(answer.status), answer.read()


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    main()
