"""How the C library keeps memory between arrays."""

from __future__ import annotations

from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)


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
