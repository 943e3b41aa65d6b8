"""Freed memory serves the next arrays: the system need not clear it again."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from elvis_cli.base import memory
memory.keep_freed()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for size in (3_000_000, 2_000_000, 1_000_000):  # below what numpy asks for in huge pages
        np.empty(size, np.uint8)[::4096] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not the GNU C library")
def test_arrays_take_the_memory_of_those_before() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
    assert int(done.stdout) < 20  # 244 otherwise
