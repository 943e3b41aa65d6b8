"""Charge transfer inefficiency after Short et al. 2013, MNRAS 430, 3078 (arXiv:1302.1416): the model CDM03.

Lines of packets meet the traps side by side, without branches, so that the processor takes several packets at once.
It has no such exponential and logarithm: ours are series, good to 1e-15.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]
SKIP = 0.01
"""Electrons below which a packet neither loses nor gains."""
_SERIES = 0.02
"""Relative change of a packet up to which the series of its power is good to 1e-12."""
_FULL = 40.0
"""Exponent from which exp(-x) is nothing against 1."""

_BITS, _BIAS = np.uint64(52), np.uint64(1023)
_ONE, _ROOT = np.uint64(0x3FF0000000000000), np.uint64(0x3FE6A09E667F3BCD)  # bits of 1 and of the root of 1/2
_WHOLE, _2_52 = np.uint64(0x4330000000000000), 2.0**52  # whole numbers in the last bits of a float
_ROUND, _PER_LN2 = 1.5 * 2.0**52, 1.4426950408889634
_LN2, _LN2_REST = 0.6931471803691238, 1.9082149292705877e-10  # the first has 32 bits: whole times it is exact


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _log(x):  # type: ignore[no-untyped-def]
    """Return ln x, x > 1e-300: of the power of 2, and 2 artanh((m - 1) / (m + 1)), m from 0.71 to 1.41."""
    bits = np.float64(x).view(np.uint64)
    exponent = (bits - _ROOT + _ONE) >> _BITS
    m = np.uint64(bits - ((exponent - _BIAS) << _BITS)).view(np.float64)
    power = np.uint64(exponent | _WHOLE).view(np.float64) - (_2_52 + 1023.0)
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    high = 1.0 / 11.0 + q * (1.0 / 13.0 + q * (1.0 / 15.0 + q * (1.0 / 17.0 + q * (1.0 / 19.0))))
    series = 1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * high)))
    return power * _LN2 + (power * _LN2_REST + 2.0 * s * (1.0 + q * series))


@njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _exp(x):  # type: ignore[no-untyped-def]
    """Return exp x, x from -700 to 700: a power of 2, times Taylor's series for at most half of ln 2."""
    shifted = np.float64(x * _PER_LN2 + _ROUND)
    n = shifted - _ROUND
    r = x - n * _LN2 - n * _LN2_REST
    high = 1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r / 479001600))))
    low = 1.0 + r * (1.0 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * high))))))
    return np.uint64(np.float64(low).view(np.uint64) + (shifted.view(np.uint64) << _BITS)).view(np.float64)


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
    trapped, space = np.zeros((alpha.size, last - first)), np.empty((3, last - first))
    for y in range(charge.shape[0]):
        _meet(charge[y, first:last], transfers[y], trapped, space, alpha, gamma, left, beta)


@njit(nogil=True, cache=True)
def serial(
    charge: Floats, first: int, last: int, transfers: Floats, alpha: Floats, gamma: Floats, left: Floats, beta: float
) -> None:
    """Clock rows ``first``..``last`` of ``charge`` along their columns in place; see `parallel`."""
    trapped, space = np.zeros((alpha.size, last - first)), np.empty((3, last - first))
    packets = np.empty(last - first)
    for x in range(charge.shape[1]):
        for i in range(last - first):
            packets[i] = charge[first + i, x]
        _meet(packets, transfers[x], trapped, space, alpha, gamma, left, beta)
        for i in range(last - first):
            charge[first + i, x] = packets[i]


@njit(nogil=True, cache=True, error_model="numpy")
def _meet(
    packets: Floats,
    transfers: float,
    trapped: Floats,
    space: Floats,
    alpha: Floats,
    gamma: Floats,
    left: Floats,
    beta: float,
) -> None:
    """Let packets (n,) meet all species in place, and bring ``trapped`` (species, n) up to date.

    ``space`` (3, n) is overwritten: the packets to the power of beta, the parts of them that meet a free trap in time,
    and their relative changes.
    """
    power, part, change = space[0], space[1], space[2]
    b1, b2 = beta, beta * (beta - 1.0) / 2.0
    b3 = b2 * (beta - 2.0) / 3.0
    b4 = b3 * (beta - 3.0) / 4.0
    b5 = b4 * (beta - 4.0) / 5.0
    for i in range(packets.size):
        power[i] = _exp(beta * _log(max(packets[i], SKIP)))
    for k in range(alpha.size):
        held, each, freed = trapped[k], gamma[k] * transfers, 1.0 - left[k]
        least = (_FULL / alpha[k]) ** (1.0 / (1.0 - beta))  # electrons that meet all free traps in time
        far = small = 0
        for i in range(packets.size):
            small += max(packets[i], SKIP) < least
        part[:] = 1.0
        if small > 0:
            for i in range(packets.size):
                part[i] = 1.0 - _exp(-min(alpha[k] * max(packets[i], SKIP) / power[i], _FULL))
        for i in range(packets.size):
            before = packets[i]
            safe = max(before, SKIP)
            most = each * power[i]
            caught = max((most - held[i]) / (most / safe + 1.0) * part[i], 0.0)
            caught = caught if before >= SKIP else 0.0
            full = held[i] + caught
            held[i] = full - full * freed
            packets[i] = before - caught + full * freed
            c = (max(packets[i], SKIP) - safe) / safe
            power[i] *= 1.0 + c * (b1 + c * (b2 + c * (b3 + c * (b4 + c * b5))))
            change[i] = c
            far += abs(c) >= _SERIES
        if far > 0 and k + 1 < alpha.size:
            for i in range(packets.size):
                exact = _exp(beta * _log(max(packets[i], SKIP)))
                power[i] = exact if abs(change[i]) >= _SERIES else power[i]
