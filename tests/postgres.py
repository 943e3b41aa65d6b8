"""A PostgreSQL server of the tests' own, in a temporary folder, at a free port of this machine."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
USER = "postgres"


def lacking(extension: str | None = None) -> str | None:
    """Return why there can be no server, None if there can."""
    if not FOLDERS:
        return "needs PostgreSQL (apt-get install postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "needs the extra postgres"
    version = FOLDERS[-1].parent.name
    if extension and not Path(f"/usr/share/postgresql/{version}/extension/{extension}.control").is_file():
        return f"needs {extension} (apt-get install postgresql-{version}-pgsphere)"
    if os.getuid() == 0 and (shutil.which("runuser") is None or not _has_user()):
        return "PostgreSQL does not run as root, and there is no user postgres"
    return _refused(extension) if extension else None


@functools.cache
def _refused(extension: str) -> str | None:
    """Return why a server does not create an extension: Debian's 15.20 refuses the pg_sphere that goes with it."""
    import psycopg

    with running() as new_database, psycopg.connect(new_database(), autocommit=True) as connection:
        try:
            connection.execute(f"CREATE EXTENSION {extension}".encode())
        except psycopg.Error as error:
            return f"PostgreSQL refuses {extension}: {error}"
    return None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Return a function that makes an empty database and returns its address."""
    if reason := lacking():
        pytest.skip(reason)
    with running() as new_database:
        yield new_database


@contextmanager
def running() -> Iterator[Callable[[], str]]:
    """Start a server; yield a function that makes an empty database and returns its address."""
    folder = Path(tempfile.mkdtemp(prefix="elvis-postgres-"))  # the user postgres cannot enter pytest's own folder
    if os.getuid() == 0:
        shutil.chown(folder, USER)
    data, port = folder / "data", _free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        _run("initdb", "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        _run("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start")
        base = f"postgresql://{USER}@127.0.0.1:{port}"
        yield lambda: _new_database(base)
    finally:
        if data.exists():
            _run("pg_ctl", "-D", str(data), "-m", "immediate", "stop", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _new_database(base: str) -> str:
    import psycopg

    name = f"elvis_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(f"{base}/{USER}", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{base}/{name}"


def _run(program: str, *arguments: str, check: bool = True) -> None:
    command = [str(FOLDERS[-1] / program), *arguments]
    if os.getuid() == 0:
        command = ["runuser", "-u", USER, "--", *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    result = subprocess.run(command, cwd="/", env=environment, check=False, **quiet)  # type: ignore[call-overload]
    assert result.returncode == 0 or not check, f"{program} ended with {result.returncode}"


def _has_user() -> bool:
    import pwd

    return any(entry.pw_name == USER for entry in pwd.getpwall())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
