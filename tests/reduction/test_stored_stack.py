"""Images of chips that wait in a file."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from elvis_cli.errors import OutputError
from elvis_cli.reduction.combine import Stack
from elvis_cli.reduction.stored_stack import StoredStack


@pytest.fixture
def stack():
    sci, err, weight = np.random.default_rng(1).normal(size=(3, 7, 9)).astype(np.float32)
    return Stack(sci, err, np.arange(63, dtype=np.uint32).reshape(7, 9), weight)


def test_images_come_back_as_they_were(stack):
    stored = StoredStack(stack)
    for name in ("weight", "dq", "sci", "err", "dq"):
        image = getattr(stored, name)
        assert np.array_equal(image, getattr(stack, name))
        assert image.dtype == getattr(stack, name).dtype
    assert stored.sci is not stored.sci  # nothing is kept


def test_a_full_disk_is_an_error_of_the_output(stack, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("wb", buffering=0))  # noqa: SIM115
    with pytest.raises(OutputError, match="cannot be kept in"):
        StoredStack(stack)
