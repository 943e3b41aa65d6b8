"""Stores with the same products in SQLite and PostgreSQL, and a night in an archive that is served."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlglot", reason="needs the extra archive")
pytest.importorskip("sqlalchemy", reason="needs the extra archive")

from elvis_cli.archive.store import Store
from tests import postgres as server
from tests.archive import rows
from tests.conftest import run

PARAMETERS = {"SEQ.NEXPO": 1, "SEQ.OFFSET1.LIST": [0, 0.06], "SEQ.OFFSET2.LIST": [0, 0.05], "INS.FILT2.NAME": "Ks",
              "DET.DIT": 10.0}  # fmt: skip
BLOCK = {
    "obId": 4711, "itemType": "OB", "name": "cluster", "runId": "0110.A-1234", "instrument": "micado",
    "target": {"name": "M 42", "ra": "05:35:17.300", "dec": "-05:23:28.00"},
    "templates": [{
        "templateName": "MICADO_img_obs_GenericOffset", "type": "science",
        "parameters": [{"name": name, "value": value} for name, value in PARAMETERS.items()],
    }],
    "elvis": {"elvis": {"window": {"x0": 2000, "y0": 2000, "nx": 64, "ny": 64}, "chips": [5]}},
}  # fmt: skip


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = Store(str(tmp_path_factory.mktemp("archive") / "archive.sqlite"))
    rows.fill(store, rows.products(600))
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgres_store(request: pytest.FixtureRequest) -> Any:
    if reason := server.lacking("pg_sphere"):
        pytest.skip(reason)
    store = Store(request.getfixturevalue("postgres")())
    rows.fill(store, rows.products(600))
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Any:
    """The same products on each of the databases."""
    return request.getfixturevalue(f"{request.param}_store")


class Night:
    """Files of a night in an archive that is served."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "archive.sqlite"
        self.manifest: list[dict[str, Any]] = []
        self.science: list[dict[str, Any]] = []
        """Of the manifest, without the calibrations."""
        self.products: list[Path] = []

    def run(self, *argv: str, stdin: bytes = b"") -> bytes:
        result = run(*argv, stdin=stdin)
        assert result.code == 0, result.err
        return result.out

    def archive(self, command: str, *argv: str, stdin: bytes = b"") -> bytes:
        return self.run("archive", command, "--store", str(self.store), *argv, stdin=stdin)

    def serve(self) -> None:
        """Start a server."""
        errors = self.folder / "stderr"
        command = [sys.executable, "-m", "elvis_cli.cli", "archive", "serve", "--port", "0", "--store", str(self.store)]
        with open(errors, "wb") as out:
            self.process = subprocess.Popen(command, stderr=out)
        while not (found := re.search(r"archive at (\S+)\n", errors.read_text())):
            assert self.process.poll() is None, errors.read_text()
            signal.sigtimedwait((), 0.05)
        self.url = found[1]

    def get(self, path: str, data: bytes | None = None) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.url + path, data, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def ask(self, text: str, **more: str) -> tuple[int, bytes]:
        return self.get("/tap/sync", urllib.parse.urlencode({"QUERY": text, **more}).encode())


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Yield a night of two dithers, its calibrations and products, in an archive with 50 others, and a server."""
    made = Night(tmp_path_factory.mktemp("night"))
    start = ("--start", "2026-11-20T05:00:00", "--calibrations", "1")
    requests = made.run("ob", *start, stdin=json.dumps(BLOCK).encode())
    manifest = made.run("batch", "-j", "1", "--outdir", str(made.folder / "raw"), stdin=requests)
    made.manifest = [json.loads(line) for line in manifest.splitlines()]
    made.science = made.manifest[:2]
    done = made.run("reduce", "-o", str(made.folder / "products"), *(line["file"] for line in made.manifest))
    made.products = [Path(json.loads(line)["file"]) for line in done.splitlines()]
    made.archive("add", "-", stdin=manifest)
    made.archive("add", *map(str, made.products))
    store = Store(str(made.store))
    rows.fill(store, rows.products(50))
    store.close()
    made.serve()
    yield made
    made.process.send_signal(signal.SIGTERM)
    assert made.process.wait(30) == 0
