"""Memory of freed arrays: how much of it the C library keeps for the next ones."""

from __future__ import annotations

from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8  # of mallopt(3)
LARGEST = 32 << 20
"""Bytes of an array up to which glibc takes it from what others left, if it gives larger ones back."""


@cache
def keep_freed() -> None:
    """Keep the memory of freed arrays for the next ones, as the process ends soon or works on alike frames.

    The GNU C library asks the system for each large array anew, which clears its pages one by one: a tenth of the
    processor time of a frame of many stages. The peak is what it was, but for some holes. Other libraries stay as they
    are.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)  # never


@cache
def keep_small() -> None:
    """Keep the memory of freed arrays up to `LARGEST`, on all threads; larger ones go back to the system.

    A reduction of many chips has large arrays of many sizes, whose holes would add to its peak. A fifth of the
    processor time of a cube of SPIFFIER was the system's.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, LARGEST), (_TRIM_THRESHOLD, 1 << 30)):
            mallopt(name, value)
