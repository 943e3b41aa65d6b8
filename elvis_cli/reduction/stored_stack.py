"""Combinations of chips that wait in a file until they are written."""

from __future__ import annotations

import tempfile
import weakref
from typing import Any

import numpy as np

from elvis_cli.errors import OutputError
from elvis_cli.reduction.combine import Stack


class StoredStack:
    """A combination whose images are in a file without a name; each is read anew when it is asked for.

    The images of nine chips of 4096 x 4096 pixels are 2.5 GB.
    """

    sci = property(lambda self: self._read(0, np.float32))
    err = property(lambda self: self._read(1, np.float32))
    dq = property(lambda self: self._read(2, np.uint32))
    weight = property(lambda self: self._read(3, np.float32))

    def __init__(self, stack: AnyStack) -> None:
        self._shape = stack.sci.shape
        self._file = tempfile.TemporaryFile(prefix="elvis-")  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)
        try:
            for image in (stack.sci, stack.err, stack.dq, stack.weight):
                self._file.write(np.ascontiguousarray(image).data)
        except OSError as error:
            raise OutputError(f"the images of a chip cannot be kept in {tempfile.gettempdir()}: {error}") from None

    def _read(self, number: int, kind: type) -> Any:
        image: Any = np.empty(self._shape, kind)
        self._file.seek(number * image.nbytes)
        self._file.readinto(image.data)
        return image


AnyStack = Stack | StoredStack
