"""Where the bytes go: all of them, or none.

Both sinks are context managers that yield a binary file. The bytes appear only when the block ends without an
exception of any kind (KeyboardInterrupt and SystemExit included: let a SIGTERM handler raise one); otherwise nothing
is left behind.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import select
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EOPNOTSUPP, EPERM, EROFS
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from elvis_cli.errors import OutputError

MAX_BYTES_IN_MEMORY = 72 * 2**20
"""Bytes held in memory before a temporary file takes over: a chip of 4096 x 4096 pixels of 32 bits, and its tables."""


class _Descriptor(Protocol):
    """A file that may have a descriptor."""

    def fileno(self) -> int: ...


class _Target(_Descriptor, Protocol):
    """A file that may take only some of what it is given."""

    def write(self, data: memoryview, /) -> int | None: ...
    def flush(self) -> None: ...


_OUTPUT_FAULTS = (ENOSPC, EDQUOT, EFBIG, EIO, EROFS)
"""Faults that are certainly of the output, wherever inside the block they surface."""


@contextmanager
def file_sink(path: str | os.PathLike[str], *, durable: bool = False, exclusive: bool = False) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` on a clean exit; ``durable`` only when its bytes are on the disk.

    A regular file (or none) is replaced atomically, through a symbolic link if there is one; a device or a named pipe
    is written to at the end. ``exclusive`` refuses to replace a file that appeared meanwhile.

    Raises
    ------
    OutputError
        The directory cannot be written to, the disk is full, ``exclusive`` and there is such a file, ...
    """
    with _reported(path):
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            descriptor = os.open(path, os.O_WRONLY)  # a directory is refused here
    if mode is None or stat.S_ISREG(mode):
        yield from _replace(Path(os.path.realpath(path)), mode, path, durable, exclusive)
        return
    with open(descriptor, "wb", buffering=0) as device:
        yield from _spool(device, path)


@contextmanager
def stdout_sink() -> Iterator[BinaryIO]:
    """Yield a file whose content goes to standard output on a clean exit.

    A regular file there is cut back to where it was if not all of it can be written.

    Raises
    ------
    OutputError
        Standard output or the temporary directory is full.
    BrokenPipeError
        The reader has gone; the command line ends quietly.
    """
    with _reported("standard output"):
        sys.stdout.flush()
    # The raw file: after a failure nothing stays in a buffer for the interpreter to try again at exit.
    yield from _spool(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), "standard output")


def sweep(folder: Path) -> None:
    """Delete what processes of this machine that are gone have left unfinished in ``folder``."""
    for part in folder.glob(f".elvis-{os.uname().nodename}-*.part"):
        with suppress(OSError, ValueError):
            try:
                os.kill(int(part.name.split("-")[-2]), 0)
            except ProcessLookupError:
                part.unlink()


def _replace(target: Path, mode: int | None, shown: object, durable: bool, exclusive: bool) -> Iterator[BinaryIO]:
    part = target.parent / f".elvis-{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(8)}.part"
    with _reported(shown):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with _reported(shown, only=_OUTPUT_FAULTS), open(descriptor, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(descriptor)
        with _reported(shown):
            if mode is not None:
                part.chmod(stat.S_IMODE(mode))
            if exclusive:
                _claim(part, target)
            else:
                part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _claim(part: Path, target: Path) -> None:
    """Give a file its name, which no other file may have got meanwhile.

    Raises
    ------
    FileExistsError
        There is such a file.
    """
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in (EPERM, EOPNOTSUPP):
            raise
        with open(target, "xb"):  # a file system without links: the name is taken first
            part.replace(target)
    else:
        part.unlink()


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """A file in memory, or on disk before it is too large: what does not fit is never in memory twice."""

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > MAX_BYTES_IN_MEMORY:
            self.rollover()
        return super().write(data)


def _spool(target: _Target, shown: object) -> Iterator[BinaryIO]:
    with _Spool() as spool:
        with _reported(shown, only=_OUTPUT_FAULTS):
            yield cast("BinaryIO", spool)
        with _reported(shown):
            spool.seek(0)
            with cut_back(target):
                while chunk := spool.read(2**20):
                    _write_all(target, chunk)
                target.flush()


@contextmanager
def cut_back(target: _Descriptor) -> Iterator[None]:
    """Cut a regular file back to where it was after an exception; what others have appended meanwhile stays."""
    try:
        descriptor = target.fileno()
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except (OSError, ValueError):  # a stream in memory
        regular = False
    if not regular:
        yield
        return
    appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
    start = os.lseek(descriptor, 0, os.SEEK_END if appends else os.SEEK_CUR)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if os.lseek(descriptor, 0, os.SEEK_CUR) == os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, start)
                os.lseek(descriptor, start, os.SEEK_SET)
        raise


def _write_all(target: _Target, chunk: bytes) -> None:
    """Write every byte to a file that may take only some at a time."""
    left = memoryview(chunk)
    while left:
        taken = target.write(left)
        if taken is None:  # a pipe that its owner made non-blocking, and that is full
            select.select((), (target,), ())
        left = left[taken or 0 :]


def _mode(path: str | os.PathLike[str]) -> int | None:
    """Return the type and permissions of a file, None if there is none."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


@contextmanager
def _reported(shown: object, only: tuple[int, ...] = ()) -> Iterator[None]:
    """Turn an OSError (of the kinds ``only``, if given) into an OutputError; a broken pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if only and error.errno not in only:
            raise
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {shown}: {reason}", path=str(shown)) from error
