"""Processes that hang or end: their request fails, the next has a new one."""

import os
import signal

import pytest

from elvis_cli.batch.pool import Bounds, Local
from elvis_cli.batch.work import Job, Settings


@pytest.fixture
def pool(tmp_path):
    """A pool of one warm process that has named a request."""
    pool = Local(Settings(str(tmp_path)), 1, 1)
    yield pool
    pool.close(now=True)


def test_one_that_hangs_or_ends_is_replaced(pool, night):
    def name(line):
        return pool.submit(Job(line, night(1)[0])).result(60)

    assert name(1)[0].name
    pool.bounds = Bounds(timeout=0.5)
    os.kill(pool._children[-1].pid, signal.SIGSTOP)
    hung = name(2)
    assert (hung.line, hung.status, hung.exit_code) == (2, "failed", 137)
    assert hung.message == "took more than 0.5 s (--timeout)"

    pool.bounds = Bounds()
    assert name(3)[0].name
    os.kill(pool._children[-1].pid, signal.SIGKILL)  # between two jobs: it takes none along
    assert name(4)[0].name


def test_a_pool_ends_though_a_process_hangs(pool, night):
    assert pool.submit(Job(1, night(1)[0])).result(60)[0].name
    os.kill(pool._children[-1].pid, signal.SIGSTOP)
    pool.close(now=True)
    assert pool._children[-1].returncode == -signal.SIGKILL
