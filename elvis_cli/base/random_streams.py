"""Random streams: one for every (seed, exposure, chip, stage, block of rows), whatever order they are used in."""

from __future__ import annotations

import hashlib
import zlib

from numpy.random import SFC64, Generator, SeedSequence


def generator(seed: int, exposure: int, chip: int, stage: str, block: int) -> Generator:
    """Return the random generator of one block of rows of one stage.

    The five words are hashed by numpy's SeedSequence, so no two of them share a stream. ``seed`` comes last because
    it alone may be longer than 32 bits (any non-negative integer).
    """
    name = zlib.crc32(stage.encode())
    return Generator(SFC64(SeedSequence([exposure, chip, name, block, seed])))


def pattern_key(instrument: str, detector: str, chip: int, stage: str) -> int:
    """Return the 64-bit key of a fixed pattern, e.g. the flat field of one chip: the same in every exposure."""
    return _hash(f"{instrument}/{detector}/{chip}/{stage}")


def noise_key(seed: int, exposure: int, chip: int, stage: str) -> int:
    """Return the 64-bit key of the noise of one stage, exposure and chip, of which pixels make their deviates."""
    return _hash(f"{seed}/{exposure}/{chip}/{stage}")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
