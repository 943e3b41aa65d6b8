"""Spectra of a crowd along the traces of one order: made once, then read at the wavelengths of each trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats, Image

MAX_RATIO = 1.1
"""Ratio of the dispersions of two traces up to which they share spectra, which are averaged over pixels of one."""


def covering(waves: Sequence[Floats]) -> Floats:
    """Return the wavelengths of the first trace, continued evenly over those of all others."""
    first = waves[0]
    low, high = min(wave[0] for wave in waves), max(wave[-1] for wave in waves)
    left, right = first[1] - first[0], first[-1] - first[-2]
    before, behind = np.ceil((first[0] - low) / left) + 1, np.ceil((high - first[-1]) / right) + 1
    return np.concatenate([
        first[0] - left * np.arange(before, 0, -1), first, first[-1] + right * np.arange(1, behind + 1)
    ])  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class SharedSpectra:
    """Spectra on the pixels of one trace."""

    wave: Floats
    """um (n,), ascending."""
    spectra: Image
    """(k, n) electrons/s/pixel, averaged over a pixel."""

    def along(self, wave: Floats) -> Image | None:
        """Return the spectra (k, m) per pixel of a trace at its wavelengths (m,); None if it disperses otherwise."""
        from elvis_cli.kernels import dispersion

        at = np.interp(wave, self.wave, np.arange(self.wave.size))
        ratio = np.gradient(wave) / np.interp(wave, self.wave, np.gradient(self.wave))
        if ratio.max() > MAX_RATIO or ratio.min() < 1 / MAX_RATIO:
            return None
        below = np.minimum(at.astype(np.intp), self.wave.size - 2)
        above = ((at - below) * ratio).astype(np.float32)
        result = np.empty((len(self.spectra), wave.size), np.float32)
        dispersion.between(result, self.spectra, below, ratio.astype(np.float32) - above, above)
        return result
