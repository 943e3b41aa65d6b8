"""Charge transfer inefficiency after Massey et al. 2010, MNRAS 401, 371; 2014, MNRAS 439, 887: the scheme ArCTIC."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]
NOTHING = 1e-9
"""Filled fraction below which the traps of a level count as empty."""


@njit(nogil=True, cache=True)
def clock(  # noqa: PLR0912 - one packet, one pixel: the three things that may happen to it
    charge: Floats,
    first: int,
    last: int,
    weights: Floats,
    density: Floats,
    left: Floats,
    notch: float,
    well: float,
    beta: float,
) -> None:
    """Clock rows ``first``..``last`` of ``charge`` along their columns in place (column 0 is read first).

    ``weights`` (pass, column): how many transfers each pass of the packets through one trap-filled pixel stands for,
    the pass farthest from the amplifier first. For every species ``density`` (traps per pixel) and ``left`` =
    exp(-dwell / tau). A packet of n electrons fills the volume V = clip((n - notch) / (well - notch), 0, 1)^beta.

    In each pixel the traps first release into the packet, then it fills those in its volume. The filled fraction is
    kept as a stack of levels: volume up to which the level goes, and the fraction filled of each species.
    """
    count, width = density.size, charge.shape[1]
    top = np.zeros(width + 2)
    fill = np.zeros((width + 2, count))
    for y in range(first, last):
        for e in range(weights.shape[0]):
            low, high = 0, 0  # levels low..high - 1 are in use, the widest first
            for x in range(width):
                weight = weights[e, x]
                if weight == 0.0:
                    continue
                before = charge[y, x]
                # release
                freed = 0.0
                floor = 0.0
                for k in range(high - 1, low - 1, -1):
                    size = top[k] - floor
                    floor = top[k]
                    for s in range(count):
                        freed += density[s] * size * fill[k, s] * (1.0 - left[s])
                        fill[k, s] *= left[s]
                while low < high and fill[low].max() < NOTHING:
                    low += 1
                if low == high:
                    low = high = 0
                packet = before + freed
                # capture
                reach = (packet - notch) / (well - notch)
                if reach > 0.0 and packet > 0.0:
                    volume = 1.0 if reach >= 1.0 else reach**beta
                    wanted, floor = 0.0, 0.0
                    k = high - 1
                    while k >= low and top[k] <= volume:
                        for s in range(count):
                            wanted += density[s] * (top[k] - floor) * (1.0 - fill[k, s])
                        floor = top[k]
                        k -= 1
                    for s in range(count):
                        wanted += density[s] * (volume - floor) * (1.0 - (fill[k, s] if k >= low else 0.0))
                    if wanted <= packet:
                        high = k + 1
                        top[high] = volume
                        fill[high] = 1.0
                        high += 1
                        packet -= wanted
                    else:  # fewer electrons than empty traps: fill all levels by the same part
                        part = packet / wanted
                        if floor < volume:  # cut the level that the volume ends in
                            for j in range(high, k + 1, -1):
                                top[j] = top[j - 1]
                                fill[j] = fill[j - 1]
                            top[k + 1] = volume
                            for s in range(count):
                                fill[k + 1, s] = fill[k, s] if k >= low else 0.0
                            high += 1
                        for j in range(k + 1, high):
                            for s in range(count):
                                fill[j, s] += part * (1.0 - fill[j, s])
                        packet = 0.0
                charge[y, x] += weight * (packet - before)


def passes(transfers: Floats, express: int) -> Floats:
    """Return the weights (pass, packet) of `clock`, the pass farthest from the amplifier first.

    ``transfers`` of each packet, whole numbers that do not fall. ``express`` passes stand for all transfers, each for
    an equal share of the pixels; 0 = one pass for every transfer.
    """
    most = float(transfers.max())
    count = int(most) if express == 0 else min(express, int(most))
    step = most / count
    return np.clip(transfers - step * np.arange(count)[::-1, None], 0.0, step)
