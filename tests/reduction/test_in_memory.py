"""Frames that are rendered by two processes."""

import os

import pytest

from elvis_cli.base import fork
from elvis_cli.reduction import in_memory

KINDS = (None, "std", "dark", None, "flat")
REQUESTS = [{"elvis": {"calibration": kind}, "n": n} for n, kind in enumerate(KINDS)]
FILES = [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_frames_come_in_the_order_of_their_requests(monkeypatch, second, fails):
    """Those of a second process that fails are rendered by the first."""
    here, rendered = os.getpid(), []

    def render(requests):
        for each in requests:
            if fails and os.getpid() != here:
                raise MemoryError
            rendered.append(each["n"])
            yield str(each["n"]).encode()

    monkeypatch.setattr(in_memory, "render", render)
    monkeypatch.setattr(fork, "possible", lambda: second)
    assert in_memory.render_all(REQUESTS) == FILES
    assert rendered == ([0, 1, 3] + [2, 4] * fails if second else [0, 1, 2, 3, 4])
