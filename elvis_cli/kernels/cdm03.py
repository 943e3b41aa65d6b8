"""Charge transfer inefficiency after Short et al. 2013, MNRAS 430, 3078 (arXiv:1302.1416): the model CDM03."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]
SKIP = 0.01
"""Electrons below which a packet neither loses nor gains."""


@njit(nogil=True, cache=True)
def parallel(
    charge: Floats, first: int, last: int, transfers: Floats, alpha: Floats, gamma: Floats, left: Floats, beta: float
) -> None:
    """Clock columns ``first``..``last`` of ``charge`` (row, column; electrons; row 0 is read first) in place.

    ``transfers`` of each row; for every trap species ``alpha`` = t sigma v_th FWC^beta / (2 V_g), ``gamma`` =
    2 n_t V_g / FWC^beta per transfer, ``left`` = exp(-t / tau), the part that stays trapped through a transfer. A
    packet of N electrons loses
    N_c = max((g N^beta - N_0) / (g N^(beta-1) + 1) (1 - exp(-alpha N^(1-beta))), 0), g = gamma * transfers,
    to the N_0 that are trapped, which then release N_0 (1 - left) into it. Species act one after another. Charge is
    conserved: what is still trapped after the last row is lost.
    """
    trapped = np.zeros((alpha.size, last - first))
    for y in range(charge.shape[0]):
        for x in range(first, last):
            charge[y, x] = _meet(charge[y, x], transfers[y], trapped, x - first, alpha, gamma, left, beta)


@njit(nogil=True, cache=True)
def serial(
    charge: Floats, first: int, last: int, transfers: Floats, alpha: Floats, gamma: Floats, left: Floats, beta: float
) -> None:
    """Clock rows ``first``..``last`` of ``charge`` along their columns in place; see `parallel`."""
    for y in range(first, last):
        trapped = np.zeros((alpha.size, 1))
        for x in range(charge.shape[1]):
            charge[y, x] = _meet(charge[y, x], transfers[x], trapped, 0, alpha, gamma, left, beta)


@njit(nogil=True, cache=True, inline="always")
def _meet(
    packet: float, transfers: float, trapped: Floats, at: int, alpha: Floats, gamma: Floats, left: Floats, beta: float
) -> float:
    """Return the packet after it met all species; ``trapped`` (species, place) is brought up to date."""
    power = packet**beta if packet >= SKIP else 0.0
    for k in range(alpha.size):
        before = packet
        if packet >= SKIP:
            most = gamma[k] * transfers * power
            caught = most - trapped[k, at]
            if caught > 0.0:
                caught /= most / packet + 1.0
                reach = alpha[k] * packet / power
                if reach < 40.0:
                    caught *= 1.0 - np.exp(-reach)
                trapped[k, at] += caught
                packet -= caught
        freed = trapped[k, at] * (1.0 - left[k])
        trapped[k, at] -= freed
        packet += freed
        if packet >= SKIP:
            change = (packet - before) / before if before >= SKIP else 1.0
            if abs(change) < 1e-3:  # the series is good to 1e-12 here, and ten times as fast as the power
                power *= 1.0 + beta * change * (1.0 + (beta - 1.0) / 2.0 * change * (1.0 + (beta - 2.0) / 3.0 * change))
            elif k + 1 < alpha.size:
                power = packet**beta
    return packet
