"""Work in a copy of the process: its results, its failures, its end."""

import os
import signal
import time

import pytest

from elvis_cli.base import fork, parallel


@pytest.fixture(autouse=True)
def _threads():
    before = parallel.threads()
    yield
    parallel.set_threads(before)


def test_results_come_in_their_order_whatever_their_size():
    big = os.urandom(1 << 20)
    with fork.aside(lambda: [b"", big, str(parallel.threads()).encode()]) as results:
        assert results() == [b"", big, b"1"]


@pytest.mark.parametrize("part", [lambda: 1 / 0, lambda: os.kill(os.getpid(), signal.SIGKILL)])
def test_a_copy_that_fails_has_no_results(part, capfd):
    def work():
        yield b"first"
        part()

    with fork.aside(work) as results:
        assert results() is None
    assert capfd.readouterr().out == ""


def test_the_copy_ends_with_the_context():
    def work():
        yield str(os.getpid()).encode()
        time.sleep(60)

    begin = time.monotonic()
    with pytest.raises(KeyError), fork.aside(work):
        raise KeyError
    assert time.monotonic() - begin < 30


def test_one_thread_makes_no_copies():
    parallel.set_threads(1)
    assert not fork.possible()
