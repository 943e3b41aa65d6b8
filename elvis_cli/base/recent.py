"""Cache of the values that a process has computed last, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Cache of values computed last: requests that a warm process gets often share them."""

    def __init__(self, most: int, arrays: Callable[[Value], tuple[NDArray[Any], ...]]) -> None:
        self._values: OrderedDict[bytes, Value] = OrderedDict()
        self._most, self._arrays, self._bytes = most, arrays, 0
        self._lock = Lock()

    def find(self, key: bytes) -> Value | None:
        """Return the value of a key, None if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def add(self, key: bytes, value: Value) -> None:
        """Keep a value, whose arrays nobody can change from now on, and forget the oldest beyond ``most`` bytes."""
        for array in self._arrays(value):
            array.flags.writeable = False
        with self._lock:
            if key not in self._values:
                self._bytes += self._size(value)
            self._values[key] = value
            while self._bytes > self._most:
                self._bytes -= self._size(self._values.popitem(last=False)[1])

    def _size(self, value: Value) -> int:
        return sum(array.nbytes for array in self._arrays(value))

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()
            self._bytes = 0
