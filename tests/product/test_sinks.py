"""All of the bytes, or none."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from elvis_cli.errors import OutputError
from elvis_cli.product import sinks
from elvis_cli.product.sinks import file_sink, stdout_sink


def write_and_raise(path: Path, fault: BaseException) -> None:
    with file_sink(path) as out:
        out.write(b"new" * 10000)
        raise fault


def test_file_appears_only_at_the_end(tmp_path):
    path = tmp_path / "out.fits"
    with file_sink(path) as out:
        out.write(b"first ")
        assert not path.exists()
        out.write(b"second")
    assert path.read_bytes() == b"first second"
    assert os.listdir(tmp_path) == ["out.fits"]


def test_permissions_follow_the_umask_or_the_file_that_was_there(tmp_path):
    path = tmp_path / "out.fits"
    before = os.umask(0o027)
    try:
        with file_sink(path) as out:
            out.write(b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        with file_sink(path) as out:
            out.write(b"2")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("links", [True, False])
def test_exclusive_file_does_not_replace_one_that_appeared_meanwhile(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise PermissionError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "out.fits"
    late = ExitStack()
    late.enter_context(file_sink(path, exclusive=True)).write(b"late")
    with file_sink(path, exclusive=True) as early:
        early.write(b"early")
    with pytest.raises(OutputError, match="File exists"):
        late.close()
    assert path.read_bytes() == b"early"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit, BrokenPipeError])
def test_any_exception_leaves_what_was_there(tmp_path, fault):
    path = tmp_path / "out.fits"
    path.write_bytes(b"old")
    with pytest.raises(fault):
        write_and_raise(path, fault())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.fits"]


def test_symbolic_link_stays(tmp_path):
    (tmp_path / "real.fits").write_bytes(b"old")
    (tmp_path / "link.fits").symlink_to("real.fits")
    with file_sink(tmp_path / "link.fits") as out:
        out.write(b"new")
    assert (tmp_path / "link.fits").is_symlink()
    assert (tmp_path / "real.fits").read_bytes() == b"new"


@pytest.mark.parametrize("where", ["missing/out.fits", ".", "file/out.fits", "x" * 300])
def test_path_that_cannot_be_written(tmp_path, where):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as caught, file_sink(tmp_path / where) as out:
        out.write(b"1")
    assert caught.value.exit_code == 74
    assert os.listdir(tmp_path) == ["file"]


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="Permission denied"), file_sink(tmp_path / "out.fits"):
        pass


def test_disk_full_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match="No space left"):
        write_and_raise(tmp_path / "out.fits", OSError(errno.ENOSPC, "No space left on device"))
    assert os.listdir(tmp_path) == []


def test_fault_of_another_file_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), file_sink(tmp_path / "out.fits"):
        (tmp_path / "no table").read_bytes()
    assert os.listdir(tmp_path) == []


def test_device_that_is_full():
    with pytest.raises(OutputError, match="No space left"), file_sink("/dev/full") as out:
        out.write(b"1")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_null_device_stays_a_device():
    with file_sink("/dev/null") as out:
        out.write(b"1")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_named_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received = []
    thread = threading.Thread(target=lambda: received.append(path.read_bytes()))
    thread.start()
    with file_sink(path) as out:
        out.write(b"x" * 200000)
    thread.join()
    assert received == [b"x" * 200000]


SCRIPT = """
import sys
from elvis_cli.errors import OutputError
from elvis_cli.product import sinks
sinks.MAX_BYTES_IN_MEMORY = int(sys.argv[1])
try:
    with sinks.stdout_sink() as out:
        for _ in range(100):
            out.write(b"0123456789" * 1000)
        if sys.argv[2] == "fail":
            raise ValueError
except ValueError:
    sys.exit(3)
except OutputError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
except BrokenPipeError:
    sys.exit(141)
"""


def run(memory: int, what: str, stdout: int | io.IOBase) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", SCRIPT, str(memory), what]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, cwd=Path(sinks.__file__).parents[2], check=False
    )


@pytest.mark.parametrize("memory", [10**7, 10**4])
def test_stdout_is_complete(memory):
    done = run(memory, "work", subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"0123456789" * 100000


@pytest.mark.parametrize("memory", [10**7, 10**4])
def test_stdout_is_empty_after_a_fault(memory):
    done = run(memory, "fail", subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")


def test_what_does_not_fit_in_memory_goes_to_disk_first(monkeypatch):
    monkeypatch.setattr(sinks, "MAX_BYTES_IN_MEMORY", 10)
    with sinks._Spool() as spool:
        spool.write(b"01234567")
        assert not spool._rolled
        spool.write(b"89abcdef")
        assert spool._rolled
        spool.seek(0)
        assert spool.read() == b"0123456789abcdef"


def test_stdout_full():
    with open("/dev/full", "wb") as full:
        done = run(10**7, "work", full)
    assert done.returncode == 74
    assert done.stderr == b"cannot write standard output: No space left on device\n"


LIMITED = "import os,resource as r,sys; r.setrlimit(r.RLIMIT_FSIZE, (300_000,) * 2); os.execv(*eval(sys.argv[1]))"
"""Runs a program whose files may have 300 000 bytes: a disk that gets full."""


@pytest.mark.parametrize(("redirection", "left"), [("> out", b""), (">> out", b"before"), (">> new", b"")])
def test_full_disk_cuts_a_regular_file_to_where_it_was(tmp_path, redirection, left):
    (tmp_path / "out").write_bytes(b"before")
    command = (sys.executable, [sys.executable, "-c", SCRIPT, "10000000", "work"])
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -c '{LIMITED}' \"$0\" {redirection}", repr(command)],
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 74
    assert done.stderr == b"cannot write standard output: File too large\n"
    assert (tmp_path / redirection.split()[1]).read_bytes() == left


def test_full_disk_leaves_what_others_wrote_before_and_after(tmp_path):
    command = (sys.executable, [sys.executable, "-c", SCRIPT, "10000000", "work"])
    script = f"(echo before; {sys.executable} -c '{LIMITED}' \"$0\"; echo after) > out"
    subprocess.run(["sh", "-c", script, repr(command)], stderr=subprocess.PIPE, cwd=tmp_path, check=True)
    assert (tmp_path / "out").read_bytes() == b"before\nafter\n"


def test_reader_that_goes_away():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = run(10**7, "work", pipe)
    assert (done.returncode, done.stderr) == (141, b"")


def test_pipe_that_does_not_block():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received = []

    def read() -> None:
        with open(reader, "rb") as file:
            received.append(file.read())

    thread = threading.Thread(target=read)
    with open(writer, "wb") as pipe:
        thread.start()
        done = run(10**7, "work", pipe)
    thread.join()
    assert (done.returncode, done.stderr) == (0, b"")
    assert received == [b"0123456789" * 100000]


def test_stdout_without_a_descriptor(monkeypatch):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer))
    with stdout_sink() as out:
        out.write(b"bytes")
    assert buffer.getvalue() == b"bytes"
