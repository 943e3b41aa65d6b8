"""Where compiled kernels are kept."""

import os
import stat
from collections.abc import Iterator

import numba
import numpy as np
import pytest
from numba.core.base import BaseContext

from elvis_cli.errors import ResourceError
from elvis_cli.kernels import compile as kernel_compile
from elvis_cli.kernels import dispersion


def nowhere(**_: object) -> object:
    def refuse(_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    return refuse


@pytest.fixture
def read_only() -> Iterator[None]:
    """Neither the package nor the user's cache can be written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba, "njit", nowhere)
        patch.setenv("NUMBA_CACHE_DIR", "")
        yield
    numba.config.reload_config()


@pytest.mark.usefixtures("read_only")
def test_a_read_only_installation_keeps_kernels_among_temporary_files(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kernel_compile.choose_cache_folder()
    (folder,) = tmp_path.iterdir()
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder)
    assert str(folder) == numba.config.CACHE_DIR
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kernel_compile.choose_cache_folder()  # the next process finds it


@pytest.mark.usefixtures("read_only")
def test_without_any_place_the_reason_is_said(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(ResourceError, match="NUMBA_CACHE_DIR"):
        kernel_compile.choose_cache_folder()


def test_a_folder_that_others_can_write_to_is_refused(tmp_path) -> None:
    folder = tmp_path / f"elvis-kernels-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError):
        kernel_compile.private_folder(str(tmp_path))
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        kernel_compile.private_folder(str(tmp_path))


def test_a_compiled_kernel_is_read_without_getting_ready_to_compile(monkeypatch) -> None:
    """Numba would first register all that it can compile, in every process."""
    profiles, spectra = np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 4.0, 5.0]], np.float32)
    dispersion.outer(np.zeros((2, 3), np.float32), profiles, spectra)  # is on the disk from now on

    def refuse(_: object) -> None:
        raise AssertionError("getting ready to compile")

    monkeypatch.setattr(BaseContext, "refresh", refuse)
    again = kernel_compile.njit(cache=True, nogil=True)(dispersion.outer.py_func)
    out = np.zeros((2, 3), np.float32)
    again(out, profiles, spectra)
    assert out.tolist() == [[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]
