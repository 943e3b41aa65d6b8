"""Some of the faults of `make faults`."""

from tests.conftest import closure_only
from tests.faults import run


def test_little_memory_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "MEMORY_MB", (200, 500, 600))
    ends = list(run.memory(tmp_path))
    assert [fault for _, fault in ends] == [""] * 3
    assert [end for end, _ in ends][:2] == ["exit code 69"] * 2


@closure_only
def test_signals_leave_nothing_partial(tmp_path):
    assert [fault for _, fault in run.signals(tmp_path, 4, is_batch=False)] == [""] * 4
