"""All light of a field, plane by plane, without its cube: that of a standard star, whose place does not matter."""

from __future__ import annotations

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import voxels
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.cube_spectrum import MAX_LOST
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.strip_pixels import Pixels


class FieldLight:
    """Sums over the pixels of slices, electron/s of the planes of a grid."""

    def __init__(self, grid: CubeGrid, seconds: float) -> None:
        """Begin with nothing; ``seconds`` are those of all exposures, by which pointings are weighted."""
        self.grid, self.seconds = grid, seconds
        self._flux, self._variance, self._covered, self._good = (np.zeros(grid.shape[0]) for _ in range(4))

    def add(self, strip: Strip, pixels: Pixels, sky: Floats) -> None:
        """Add the pixels of a slice without sky. Bad ones have the light of their neighbours along the dispersion."""
        value, good = pixels.sci - sky, pixels.good
        # that of the dark and of the light, no less than a quarter of the dark's, as in the kernel `densities`
        variance = np.maximum(pixels.var + pixels.sci / pixels.seconds, pixels.var / 4.0)
        rows = np.arange(len(value))
        for k in np.flatnonzero(~good.all(axis=0) & good.any(axis=0)):
            value[~good[:, k], k] = np.interp(rows[~good[:, k]], rows[good[:, k]], value[good[:, k], k])
        thick = np.abs(strip.dispersion())
        share, step = pixels.seconds / self.seconds, (self.grid.first[0], self.grid.step[0])
        sums = self._flux, self._variance, self._covered, self._good
        voxels.plane_sums(strip.wave, thick, strip.inside, value, variance, good, share, *step, *sums)

    def spectrum(self) -> Spectrum:
        """Return the light, with flags of the planes that a part of the field does not reach."""
        wave, zeros = self.grid.wave, np.zeros(self.grid.shape[0])
        errors = np.sqrt(self._variance)
        bad = (self._good < (1.0 - MAX_LOST) * self._covered.max()) | (errors <= 0)
        width = np.full(wave.size, self.grid.step[0])
        return Spectrum(1, 1, wave, width, self._flux, errors, self._flux, errors, zeros, bad, 0)
