"""The regular lines of a laser frequency comb and of a Fabry-Perot: no list, a formula."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT
from elvis_cli.model.calibration import Etalon


def comb_modes(offset: float, spacing: float, low: float, high: float) -> Floats:
    """Return the vacuum wavelengths (um, ascending) between ``low`` and ``high`` um of a laser frequency comb's modes.

    The frequencies are ``offset`` + n ``spacing``, both in GHz (Murphy et al. 2007, MNRAS 380, 839, section 2).
    """
    light = LIGHT * 1e-3  # um GHz
    first, last = math.ceil((light / high - offset) / spacing), math.floor((light / low - offset) / spacing)
    return np.asarray(light / (offset + np.arange(last, first - 1, -1) * spacing), float)


def transmission(etalon: Etalon, edges: Floats) -> Floats:
    """Return a Fabry-Perot's transmission (n,), 0..1, averaged exactly between ``edges`` (n + 1,), um in vacuum.

    The maxima are 1, at m wavelength = 2 gap. Airy's function is 1 / (1 + (2 finesse / pi)^2 sin^2 phase) with the
    phase 2 pi gap / wavelength (e.g. Born & Wolf, Principles of Optics, section 7.6); its integral is an arctangent.
    """
    width = math.hypot(1.0, 2.0 * etalon.finesse / math.pi)
    phase = 2.0 * math.pi * etalon.gap / edges
    turns = np.rint(phase / math.pi)
    rest = phase - turns * math.pi
    area = (turns * math.pi + np.arctan(width * np.tan(rest))) / width
    return np.asarray(np.diff(area) / np.diff(phase))
