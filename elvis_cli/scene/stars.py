"""The stars of Pickles (1998) by spectral type, effective temperature and gravity."""

from __future__ import annotations

import math
import re

DWARFS = """O5V 41400 3.9  O9V 33300 3.9  B0V 31400 4.0  B1V 26000 4.0  B3V 17000 4.0  B57V 14700 4.0  B8V 12500 4.0
B9V 10700 4.1  A0V 9700 4.1  A2V 8840 4.2  A3V 8550 4.2  A5V 8080 4.2  A7V 7800 4.2  F0V 7220 4.2  F2V 6820 4.3
F5V 6550 4.3  F6V 6350 4.3  F8V 6180 4.35  G0V 5930 4.4  G2V 5770 4.44  G5V 5660 4.5  G8V 5480 4.5  K0V 5270 4.5
K2V 5100 4.55  K3V 4830 4.6  K4V 4600 4.6  K5V 4440 4.6  K7V 4100 4.7  M0V 3850 4.7  M1V 3660 4.75  M2V 3560 4.8
M3V 3430 4.85  M4V 3210 4.95  M5V 3060 5.05  M6V 2810 5.15"""
"""Type, Teff (K; Pecaut & Mamajek 2013, Table 5, and its later versions), log g (after Gray 2005, rounded)."""

EVOLVED = """B2IV 20000 3.8  B6IV 14100 3.8  A0IV 9600 3.8  A47IV 7950 3.8  F02IV 7000 3.9  F5IV 6550 3.9  F8IV 6150 3.9
G0IV 5930 3.9  G2IV 5680 3.8  G5IV 5500 3.7  G8IV 5250 3.5  K0IV 5000 3.4  K1IV 4850 3.3  K3IV 4600 3.1
O8III 31600 3.6  B12III 19950 3.5  B3III 16980 3.5  B5III 14790 3.5  B9III 11090 3.5  A0III 9570 3.5  A3III 8980 3.5
A5III 8450 3.5  A7III 8050 3.5  F0III 7590 3.4  F2III 6880 3.4  F5III 6530 3.3  G0III 5610 3.0  G5III 5050 2.5
G8III 4800 2.4  K0III 4660 2.2  K1III 4530 2.1  K2III 4390 2.0  K3III 4280 1.9  K4III 4160 1.8  K5III 4050 1.6
M0III 3690 1.3  M1III 3620 1.2  M2III 3540 1.1  M3III 3490 1.0  M4III 3440 0.8  M5III 3380 0.7  M6III 3240 0.5
M7III 3100 0.3  M8III 2800 0.1  M9III 2670 0.0
B2II 17600 2.9  B5II 14100 2.8  F0II 7460 2.3  F2II 7030 2.2  G5II 4960 1.8  K01II 4600 1.6  K34II 4180 1.3
M3II 3410 0.7  B0I 26000 2.9  B1I 20700 2.7  B3I 15600 2.4  B5I 13600 2.3  B8I 11100 2.1  A0I 9980 2.0  A2I 9380 1.9
F0I 7460 1.7  F5I 6370 1.4  F8I 5750 1.3  G0I 5370 1.2  G2I 5190 1.1  G5I 4930 1.0  G8I 4700 0.9  K2I 4310 0.7
K3I 4200 0.6  K4I 4090 0.5  M2I 3370 0.1"""
"""The same for classes IV to I, after Pickles (1998, Table 2) and Drilling & Landolt (2000); good to about 5 %."""


def _table() -> dict[str, tuple[float, float]]:
    words = f"{DWARFS} {EVOLVED}".split()
    return {w: (float(t), float(g)) for w, t, g in zip(words[::3], words[1::3], words[2::3], strict=True)}


STARS = _table()
"""Spectral type -> (Teff in K, log g in cgs)."""

WRONG_INFRARED = frozenset(("G0IV", "K0IV", "K1IV"))
"""Their templates are 28 % off a black body at 2 um over J: served to who names them, never as the nearest."""
USABLE = tuple(kind for kind in STARS if kind not in WRONG_INFRARED)

_CLASSES = ("I", "II", "III", "IV", "V")
_TYPE = re.compile(r"([OBAFGKM])(\d)(\d?(?:\.\d)?)(I|II|III|IV|V)")


def nearest(temperature: float, gravity: float) -> str:
    """Return the type nearest to Teff (K) and log g: 5 % in temperature weigh as much as 1 dex in gravity."""

    def distance(kind: str) -> float:
        t, g = STARS[kind]
        return math.hypot(math.log(temperature / t) / 0.05, gravity - g)

    return min(USABLE, key=distance)


def nearest_type(kind: str) -> str | None:
    """Return the type in `USABLE` nearest to a spectral type such as ``K8V``, or None if it is not one.

    A type of `STARS` itself is returned as it is. Of the same luminosity class as long as there is one within half a
    spectral class.
    """
    position = _place(kind)
    if position is None:
        return None
    if kind in STARS:
        return kind

    def distance(known_type: str) -> float:
        known = _place(known_type)
        assert known is not None
        return abs(position[0] - known[0]) + 5 * abs(position[1] - known[1])

    return min(USABLE, key=distance)


def _place(kind: str) -> tuple[float, int] | None:
    """Return the position along the sequence, in sub-classes from O0, and the luminosity class."""
    match = _TYPE.fullmatch(kind)
    if match is None:
        return None
    letter, first, more, luminosity = match.groups()
    # Pickles writes B5-7 as B57.
    sub = (int(first) + int(more)) / 2 if more.isdigit() else float(first + more)
    return 10 * "OBAFGKM".index(letter) + sub, _CLASSES.index(luminosity)
