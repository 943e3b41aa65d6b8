"""Requests in, outcomes out: order, names, failures, memory."""

import json
import queue
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from elvis_cli.batch.naming import Template
from elvis_cli.batch.run import run
from elvis_cli.batch.work import Outcome, Settings, named
from elvis_cli.errors import RequestError
from elvis_cli.instrument.request_options import RequestOptions


class Slow:
    """A pool that names at once, and finishes what it is told to, when it is told to."""

    def __init__(self, limit=4, template="{line}.fits"):
        self.limit, self.jobs, self.arrived = limit, [], queue.Queue()
        self.settings = Settings("", template=Template(template))

    def submit(self, job):
        future = Future()
        if not job.name:
            future.set_result(named(self.settings, job))
            return future
        self.jobs.append((job, future))
        self.arrived.put(job.line)
        return future

    def finish(self, number):
        job, future = self.jobs[number]
        future.set_result(Outcome(job.line, job.id, "made", job.name))


class Quick(Slow):
    """A pool that has finished before it is asked."""

    def submit(self, job):
        future = super().submit(job)
        if job.name:
            self.finish(-1)
        return future


def outcomes(lines, pool):
    return list(run(lines, pool))


def test_outcomes_come_in_the_order_of_the_requests(night):
    pool, found = Slow(), []
    thread = threading.Thread(target=lambda: found.extend(outcomes(night(4), pool)))
    thread.start()
    assert [pool.arrived.get(timeout=10) for _ in range(4)] == [1, 2, 3, 4]
    for number in (2, 0, 3, 1):
        pool.finish(number)
    thread.join(10)
    assert [outcome.line for outcome in found] == [1, 2, 3, 4]


def test_each_is_told_as_soon_as_it_and_those_before_are_done(night):
    lines, pool = queue.SimpleQueue(), Slow()
    told = run(iter(lines.get, None), pool)
    first, second = night(2)
    lines.put(first)
    threading.Thread(target=lambda: (pool.arrived.get(), pool.finish(0))).start()
    assert next(told).line == 1  # stdin is open still, and nothing more on it
    lines.put(second)
    lines.put(None)
    threading.Thread(target=lambda: (pool.arrived.get(), pool.finish(1))).start()
    assert [outcome.line for outcome in told] == [2]


def test_reads_no_further_than_the_pool_has_room(night):
    read, pool = [], Slow(limit=3)

    def lines():
        for line in night(20):
            read.append(line)
            yield line

    found = []
    thread = threading.Thread(target=lambda: found.extend(outcomes(lines(), pool)))
    thread.start()
    for number in range(20):
        while len(pool.jobs) <= number:
            pool.arrived.get(timeout=10)
        assert len(read) <= number + pool.limit + 1
        assert len(pool.jobs) <= number + pool.limit
        pool.finish(number)
    thread.join(10)
    assert len(found) == 20


def test_wrong_requests_fail_as_they_do_alone_and_the_others_go_on(night, elvis):
    good = night(3)
    wrong = [
        b"{\n",
        b'{"a"\n',
        b"[]\n",
        b"\xff\n",
        night(1, {"sky/airmass": 99})[0],
        night(1, {"instrumentName": "x"})[0],
    ]
    pool = Quick()
    found = outcomes([good[0], *wrong, good[1], b"\n", good[2]], pool)
    assert [outcome.status for outcome in found] == ["made", *["failed"] * len(wrong), "made", "made"]
    assert [outcome.line for outcome in found] == [1, 2, 3, 4, 5, 6, 7, 8, 10]
    for text, outcome in zip(wrong, found[1:], strict=False):
        alone = elvis(stdin=text)
        assert alone.lines == [f"elvis: {outcome.message}"]
        assert alone.code == outcome.exit_code
    assert "/sky/airmass" in found[5].message


def test_of_two_requests_with_one_name_the_second_fails_whatever_becomes_of_the_first(night):
    first, second = night(2)
    pool = Quick(template="{ARCFILE}")
    found = outcomes([first, second, first, second], pool)
    assert [outcome.status for outcome in found] == ["made", "made", "failed", "failed"]
    assert "line 1 already" in found[2].message
    assert "{line}" in found[2].message
    assert [job.line for job, _ in pool.jobs] == [1, 2]


def test_a_request_is_unpacked_in_the_pool_only(night, monkeypatch):
    """The process that reads stdin must outlive a request that unpacks to more than there is memory."""
    read, here = RequestOptions.read, threading.get_ident()
    threads = []
    monkeypatch.setattr(RequestOptions, "read", lambda *of: threads.append(threading.get_ident()) or read(*of))

    class Elsewhere(Slow):
        def submit(self, job):
            if job.name:
                future = Future()
                future.set_result(Outcome(job.line, job.id, "made"))
                return future
            return executor.submit(named, self.settings, job)

    with ThreadPoolExecutor(1) as executor:
        assert [outcome.status for outcome in outcomes(night(3), Elsewhere())] == ["made"] * 3
    assert len(threads) == 3
    assert here not in threads


def test_names_are_claimed_in_the_order_of_the_requests(night):
    """Whichever process is the quicker to name its request."""

    class Backwards(Slow):
        held = ()

        def submit(self, job):
            future = super().submit(job)
            if job.name:
                self.finish(-1)
                return future
            last = Future()
            self.held = ((last, future.result()), *self.held)
            if job.line == 3:
                for each, result in self.held:
                    each.set_result(result)
            return last

    (line,) = night(1)
    found = outcomes([line, line, line], Backwards(template="a.fits"))
    assert [outcome.status for outcome in found] == ["made", "failed", "failed"]


def test_the_id_is_that_of_the_request_not_of_its_text(night):
    (line,) = night(1)
    spaced = json.dumps(json.loads(line), indent=1).encode()
    other = night(2)[1]
    found = outcomes([line, *spaced.splitlines(keepends=True), b"\n", other], Quick())
    assert found[0].id == found[1].id != found[2].id
    assert len(found[0].id) == 16


@pytest.mark.parametrize("fault", [CancelledError(), RuntimeError("worker lost")])
def test_what_the_cluster_loses_has_failed(night, fault):
    class Losing(Slow):
        def submit(self, job):
            future = Future()
            future.cancel() if isinstance(fault, CancelledError) else future.set_exception(fault)
            return future

    (outcome,) = outcomes(night(1), Losing())
    assert outcome.status == "failed"
    assert outcome.exit_code == 70


def test_what_cannot_be_read_ends_it(night):
    def lines():
        yield night(1)[0]
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        outcomes(lines(), Quick())


def test_no_requests():
    with pytest.raises(RequestError):
        outcomes([], Quick())
