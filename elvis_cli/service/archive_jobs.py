"""Jobs of the archive's TAP by HTTP (UWS 1.1, section 2.2)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from elvis_cli.archive import dali, uws_job
from elvis_cli.archive.dali import DaliError, Parameters, Reply

if TYPE_CHECKING:
    from elvis_cli.service.archive_app import Archive

MAX_WAIT = 60.0
"""Seconds that a client may wait for a change of a job."""
POLL = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the protocols see it."""

    method: str
    parameters: Parameters
    pairs: list[tuple[str, str]]
    files: dict[str, bytes]
    path: dict[str, str]


def url_of(archive: Archive, identity: str) -> str:
    """Return the address of a job."""
    return f"{archive.base}/tap/async/{identity}"


def _see_other(url: str) -> Reply:
    return Reply(status=303, headers={"location": url}, media_type=dali.TEXT)


def jobs(archive: Archive, asked: Asked) -> Reply:
    """Answer with the list of jobs, or make a job."""
    if asked.method != "POST":
        return Reply(uws_job.job_list())
    pairs = [(name, value) for name, value in asked.pairs if name.upper() != "PHASE"]
    new = archive.jobs.create(pairs, asked.files)
    if asked.parameters.get("PHASE"):
        archive.jobs.set_phase(new.id, asked.parameters.get("PHASE"))
    return _see_other(url_of(archive, new.id))


def job(archive: Archive, asked: Asked) -> Reply:
    """Answer with a job; or delete it, or add parameters to it."""
    identity = asked.path["id"]
    if asked.method == "DELETE" or asked.parameters.get("ACTION") == "DELETE":
        archive.jobs.delete(identity)
        return _see_other(f"{archive.base}/tap/async")
    if asked.method == "POST":
        if asked.pairs:
            archive.jobs.add_parameters(identity, asked.pairs)
        return _see_other(url_of(archive, identity))
    return Reply(uws_job.document(archive.jobs.find(identity), url_of(archive, identity)))


def phase(archive: Archive, asked: Asked) -> Reply:
    """Answer with the phase of a job, or change it."""
    identity = asked.path["id"]
    if asked.method == "POST":
        archive.jobs.set_phase(identity, asked.parameters.get("PHASE"))
        return _see_other(url_of(archive, identity))
    return Reply(archive.jobs.find(identity).phase.encode(), dali.TEXT)


def part(archive: Archive, asked: Asked) -> Reply:
    """Answer with one property of a job, or change it."""
    identity, part = asked.path["id"], asked.path["part"]
    job = archive.jobs.find(identity)
    if asked.method == "POST":
        _change(archive, job, part, asked)
        return _see_other(url_of(archive, identity))
    if part == "error":
        return archive.jobs.error(identity)
    texts = {
        "executionduration": str(int(job.duration)),
        "destruction": uws_job.iso(job.destruction),
        "quote": "",
        "owner": "",
    }
    if part in texts:
        return Reply(texts[part].encode(), dali.TEXT)
    if part in ("parameters", "results"):
        return Reply(uws_job.part(job, url_of(archive, identity), part))
    raise DaliError(f"a job has no {part[:40]!r}", 404)


def _change(archive: Archive, job: uws_job.Job, part: str, asked: Asked) -> None:
    if part == "executionduration":
        seconds = asked.parameters.number("EXECUTIONDURATION")
        archive.jobs.set_times(job.id, duration=0.0 if seconds is None else seconds)
    elif part == "destruction":
        try:
            moment = datetime.fromisoformat(asked.parameters.get("DESTRUCTION").replace("Z", "+00:00"))
            archive.jobs.set_times(job.id, destruction=moment.timestamp())
        except (ValueError, OverflowError):
            raise DaliError("DESTRUCTION is not a time in ISO 8601") from None
    elif part == "parameters":
        archive.jobs.add_parameters(job.id, asked.pairs)
    else:
        raise DaliError(f"{part[:40]!r} of a job cannot be changed", 405)


def result(archive: Archive, asked: Asked) -> Reply:
    """Answer with the answer of a job."""
    archive.jobs.find(asked.path["id"])
    return archive.jobs.result(asked.path["id"])


async def wait(archive: Archive, asked: Asked) -> None:
    """Wait until the phase of a job is another one, at most as long as the client says (UWS 1.1, section 2.2.1.1)."""
    seconds = asked.parameters.number("WAIT")
    if seconds is None:
        return
    end = time.monotonic() + (MAX_WAIT if seconds < 0 else min(seconds, MAX_WAIT))
    first = (await asyncio.to_thread(archive.jobs.find, asked.path["id"])).phase
    wanted = asked.parameters.get("PHASE", first)
    while time.monotonic() < end and not archive.is_stopping:
        phase = (await asyncio.to_thread(archive.jobs.find, asked.path["id"])).phase
        if phase != wanted or phase not in uws_job.ACTIVE:
            return
        await asyncio.sleep(POLL)
