"""A job of UWS 1.1 and its XML."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from elvis_cli.archive import votable

PENDING, QUEUED, EXECUTING, COMPLETED, ERROR, ABORTED = (
    "PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED",
)  # fmt: skip
ACTIVE = (PENDING, QUEUED, EXECUTING)
NAMESPACE = (
    'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="1.1"'
)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the store has it; times are Unix seconds."""

    id: str
    phase: str
    parameters: tuple[tuple[str, str], ...]
    created: float
    started: float | None
    ended: float | None
    destruction: float
    duration: float
    error: str | None
    media_type: str | None


def iso(moment: float | None) -> str:
    """Return a time as UWS has it."""
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def document(job: Job, url: str) -> bytes:
    """Return a job as XML; ``url`` is its address."""
    error = (
        f'<uws:errorSummary type="fatal" hasDetail="true"><uws:message>{votable.plain(job.error)}</uws:message>'
        "</uws:errorSummary>\n"
        if job.error
        else ""
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<uws:job {NAMESPACE}>\n<uws:jobId>{job.id}</uws:jobId>\n'
        f'<uws:ownerId xsi:nil="true"/>\n<uws:phase>{job.phase}</uws:phase>\n<uws:quote xsi:nil="true"/>\n'
        f"<uws:creationTime>{iso(job.created)}</uws:creationTime>\n{_time('startTime', job.started)}"
        f"{_time('endTime', job.ended)}<uws:executionDuration>{int(job.duration)}</uws:executionDuration>\n"
        f"<uws:destruction>{iso(job.destruction)}</uws:destruction>\n"
        f"<uws:parameters>\n{_parameters(job)}</uws:parameters>\n"
        f"<uws:results>{_results(job, url)}</uws:results>\n{error}</uws:job>\n"
    ).encode()


def part(job: Job, url: str, name: str) -> bytes:
    """Return the parameters or the results of a job as XML."""
    inside = _parameters(job) if name == "parameters" else _results(job, url)
    namespace = NAMESPACE.replace(' version="1.1"', "")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<uws:{name} {namespace}>{inside}</uws:{name}>\n'.encode()


def _parameters(job: Job) -> str:
    return "".join(
        f"<uws:parameter id={votable.quoted(name)}>{votable.plain(value)}</uws:parameter>\n"
        for name, value in job.parameters
    )


def _results(job: Job, url: str) -> str:
    if job.phase != COMPLETED:
        return ""
    return f'<uws:result id="result" xlink:type="simple" xlink:href={votable.quoted(f"{url}/results/result")}/>'


def _time(name: str, moment: float | None) -> str:
    return f'<uws:{name} xsi:nil="true"/>\n' if moment is None else f"<uws:{name}>{iso(moment)}</uws:{name}>\n"


def job_list() -> bytes:
    """Return the list of jobs of a client without a name, which is empty: who made a job knows its address."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<uws:jobs {NAMESPACE}/>\n'.encode()
