"""The interfaces tried at random by schemathesis, from their OpenAPI documents: ``python -m tests.load.schema [N]``.

That of the service, then that of the archive with a hundred made-up products. Nothing is done without schemathesis.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.load.server import Server

PROGRAM = Path(sys.executable).with_name("schemathesis")
CHECKS = {
    "service": "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance",
    "archive": "not_a_server_error,status_code_conformance",
}
PRODUCTS = 100
"""Of the archive."""


def main(examples: int) -> int:
    """Return 0, or 1 if schemathesis or a log has found a fault."""
    if not PROGRAM.exists():
        print("schemathesis is not installed: nothing is tried")
        return 0
    with Server("-j", "2", "--warm", "none", "--deadline", "60", "--jobs-per-hour", "100000") as server:
        faults = tried("service", server, examples)
    return int(faults + of_archive(examples) > 0)


def of_archive(examples: int) -> int:
    """Return whether a fault of the archive's services was found."""
    from elvis_cli.archive.store import Store
    from tests.archive import rows

    with tempfile.TemporaryDirectory(prefix="elvis-load-") as folder:
        place = f"{folder}/archive.sqlite"
        store = Store(place)
        rows.fill(store, rows.products(PRODUCTS))
        store.close()
        with Server("--store", place, command=("archive", "serve")) as server:
            return tried("archive", server, examples)


def tried(name: str, server: Server, examples: int) -> int:
    """Return 1 if schemathesis found a fault of a server, or its log has one."""
    command = [str(PROGRAM), "run", f"{server.url}/openapi.json", "--checks", CHECKS[name]]
    command += ["--max-examples", str(examples), "--exclude-path-regex", "/events$"]
    command += ["--suppress-health-check", "all"]  # it takes long to generate requests: their schema is large
    command += ["--phases", "fuzzing", "--request-timeout", "120", "--workers", "2"]
    code = subprocess.run(command, check=False).returncode
    faults = server.errors.read_text().count('"status": 500')
    print(f"{name}: {faults} answers of 500 in the log")
    return int(code != 0 or faults > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
