"""The interface tried at random by schemathesis, from its OpenAPI document: ``python -m tests.load.schema [N]``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.load.server import Server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance"


def main(examples: int) -> int:
    """Return the exit code of schemathesis, or 1 if the log has a fault."""
    with Server("-j", "2", "--warm", "none", "--deadline", "60", "--jobs-per-hour", "100000") as server:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json"]
        command += ["--checks", CHECKS, "--max-examples", str(examples), "--exclude-path-regex", "/events$"]
        command += ["--suppress-health-check", "all"]  # it takes long to generate requests: their schema is large
        command += ["--phases", "fuzzing", "--request-timeout", "120", "--workers", "2"]
        code = subprocess.run(command, check=False).returncode
        faults = server.errors.read_text().count('"status": 500')
        print(f"500 in the log: {faults}")
    return code or int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
