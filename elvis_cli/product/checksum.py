"""Checksums of HDUs (FITS 4.0, appendix J)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ones_sum(data: bytes | NDArray[np.uint8]) -> int:
    """Return the 32-bit ones' complement sum of ``data``, zero-padded to whole words (FITS 4.0, appendix J)."""
    words = len(data) // 4 * 4
    total = int(np.frombuffer(data[:words], dtype=">u4").sum(dtype=np.uint64))
    total += int.from_bytes(bytes(data[words:]).ljust(4, b"\0"), "big")
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encode_checksum(total: int) -> str:
    """Return the 16 characters that bring an HDU whose ones' complement sum is ``total`` to zero (appendix J.2)."""
    complement = 0xFFFFFFFF - total
    excluded = b":;<=>?@[\\]^_`"
    encoded = bytearray(16)
    for i in range(4):
        quotient, rest = divmod((complement >> (24 - 8 * i)) & 0xFF, 4)
        letters = [quotient + 48 + rest, quotient + 48, quotient + 48, quotient + 48]
        while any(letter in excluded for letter in letters):
            for j in (0, 2):
                if letters[j] in excluded or letters[j + 1] in excluded:
                    letters[j] += 1
                    letters[j + 1] -= 1
        for j in range(4):
            encoded[4 * j + i] = letters[j]
    return (encoded[-1:] + encoded[:-1]).decode("ascii")
