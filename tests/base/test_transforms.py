"""SciPy's transforms are imported alone, and all else of SciPy and numpy is there afterwards."""

import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
from elvis_cli.base.transforms import fft
assert fft.irfft(fft.rfft(np.arange(6.0))).round(9).tolist() == [0, 1, 2, 3, 4, 5]
assert not {"scipy.special", "numpy.f2py", "numpy.testing"} & set(sys.modules)
import scipy.fft, scipy.signal, scipy.special
assert scipy.fft is fft
assert scipy.special.gammaln(3.0) > 0.69
assert np.testing.assert_array_equal and np.f2py.run_main and np.ctypeslib.as_array
"""


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_else_is_imported_and_nothing_is_missing_later() -> None:
    run(SCRIPT)


def test_what_is_imported_already_stays() -> None:
    run("import scipy.special\nfrom elvis_cli.base.transforms import fft\nassert scipy.special.gammaln(3.0) > 0.69")
