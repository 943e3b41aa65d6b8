"""Jobs in one SQLite file, so that a restart goes on with them. Rows are small: requests and frames are files."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elvis_cli.batch.work import Outcome

QUEUED, RUNNING, MADE, FAILED = "queued", "running", "made", "failed"
ENDED = (MADE, FAILED)
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL, query TEXT NOT NULL,
    created REAL NOT NULL, started REAL, ended REAL, requests INTEGER NOT NULL, notes TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outcomes (job TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS outcomes_of ON outcomes (job);
"""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the store has it."""

    id: str
    kind: str
    """etc or ob."""
    state: str
    owner: str
    """Name of the token, or address of the client."""
    query: dict[str, Any]
    """Options of its requests."""
    created: float
    """Unix time, as are the others."""
    started: float | None
    ended: float | None
    requests: int
    """Number of requests."""
    notes: tuple[str, ...]


class Database:
    """A SQLite file; any thread may use it. What was written is on the disk."""

    def __init__(self, path: Path, schema: str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(schema)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Return the rows of a statement."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


class Store(Database):
    """The jobs."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA)

    def add(self, row: JobRow) -> None:
        """Add a job; it is on the disk when this returns."""
        self.execute(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row.id, row.kind, row.state, row.owner, json.dumps(row.query), row.created, row.started, row.ended,
            row.requests, json.dumps(row.notes),
        )  # fmt: skip

    def find(self, identity: str) -> JobRow | None:
        """Return a job, None if there is none of this id."""
        return next(iter(self._rows("WHERE id = ?", identity)), None)

    def of_owner(self, owner: str) -> list[JobRow]:
        """Return the jobs of an owner, the newest first."""
        return self._rows("WHERE owner = ? ORDER BY created DESC", owner)

    def in_state(self, state: str) -> list[JobRow]:
        """Return the jobs in a state, the oldest first."""
        return self._rows("WHERE state = ? ORDER BY created", state)

    def ended_before(self, moment: float) -> list[JobRow]:
        """Return the jobs that ended before a moment."""
        return self._rows("WHERE ended < ?", moment)

    def created_since(self, owner: str, moment: float) -> int:
        """Return the number of jobs that an owner has created since a moment."""
        rows = self.execute("SELECT count(*) FROM jobs WHERE owner = ? AND created >= ?", owner, moment)
        return int(rows[0][0])

    def place(self, row: JobRow) -> int:
        """Return the number of jobs before a queued one."""
        rows = self.execute("SELECT count(*) FROM jobs WHERE state = ? AND created < ?", QUEUED, row.created)
        return int(rows[0][0])

    def start(self, identity: str) -> None:
        """Note that a job runs; what it made when it ran before is made out anew from its files."""
        self.execute("DELETE FROM outcomes WHERE job = ?", identity)
        self.execute("UPDATE jobs SET state = ?, started = ? WHERE id = ?", RUNNING, time.time(), identity)

    def end(self, identity: str, state: str) -> None:
        """Note that a job has ended."""
        self.execute("UPDATE jobs SET state = ?, ended = ? WHERE id = ?", state, time.time(), identity)

    def requeue(self) -> None:
        """Put the jobs that ran when the server ended back into the queue."""
        self.execute("UPDATE jobs SET state = ? WHERE state = ?", QUEUED, RUNNING)

    def delete(self, identity: str) -> None:
        """Forget a job."""
        self.execute("DELETE FROM outcomes WHERE job = ?", identity)
        self.execute("DELETE FROM jobs WHERE id = ?", identity)

    def add_outcome(self, identity: str, outcome: Outcome) -> None:
        """Add the outcome of a file."""
        self.execute("INSERT INTO outcomes VALUES (?, ?)", identity, json.dumps(asdict(outcome)))

    def outcomes(self, identity: str) -> list[dict[str, Any]]:
        """Return the outcomes of a job, in the order of its requests."""
        rows = self.execute("SELECT outcome FROM outcomes WHERE job = ? ORDER BY rowid", identity)
        return [json.loads(text) for (text,) in rows]

    def _rows(self, where: str, *values: Any) -> list[JobRow]:
        return [_row(*row) for row in self.execute(f"SELECT * FROM jobs {where}", *values)]


def _row(identity: str, kind: str, state: str, owner: str, query: str, *rest: Any) -> JobRow:
    """Return a job from the columns of its row."""
    created, started, ended, requests, notes = rest
    return JobRow(
        identity, kind, state, owner, json.loads(query), created, started, ended, requests, tuple(json.loads(notes))
    )
