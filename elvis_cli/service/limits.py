"""Limits of the service: options of `elvis serve`, members of the errors that they cause, and numbers of /metrics."""

from __future__ import annotations

from dataclasses import dataclass

MB = 10**6


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What one request, one process or one token may take."""

    body: int = 64 * MB
    """Bytes of a body."""
    pixels: int = 32 * MB
    """Pixels of an answer that is not a job: chips times window."""
    queue: int = 32
    """Requests that wait for a process."""
    deadline: float = 30.0
    """Seconds in a process, and as many in the queue."""
    job_deadline: float = 3600.0
    """Seconds in a process for each file of a job."""
    cpu: int = 3600
    """Processor seconds in a process for one task."""
    memory: int = 8000 * MB
    """Bytes of address space of a process."""
    recycle_memory: int = 1 << 30
    """Resident bytes above which a process is replaced."""
    recycle_tasks: int = 2000
    """Tasks after which a process is replaced."""
    jobs: int = 100
    """Jobs that wait."""
    jobs_per_hour: int = 60
    """Jobs of one token, or of one address without tokens, in an hour."""
    keep_for: float = 3600.0
    """Seconds that an ended job and its files are kept."""
    body_pause: float = 10.0
    """Seconds without a byte of a body that has begun."""
    body_seconds: float = 120.0
    """Seconds for a whole body."""
    answer_seconds: float = 300.0
    """Seconds that a client may take to read an answer."""

    @property
    def bodies(self) -> int:
        """Bytes of all bodies in memory at one time."""
        return 4 * self.body
