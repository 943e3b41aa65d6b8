"""A frame on its way through the reduction: pixels, their variance and their flags.

Flags are those of FLAG32BIT (ESO-044286): 0 is a good pixel. `BAD` are the flags whose pixels get no weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image

Flags = NDArray[np.uint32]

DEAD = 1
HOT = 2
SATURATED = 4
COSMIC_RAY = 8
NO_LIGHT = 16
NO_DATA = 32

MEANINGS = {
    DEAD: "response in the flat differs by more than 20 %",
    HOT: "dark current 5 sigma above that of its chip",
    SATURATED: "beyond the range in which the response is known",
    COSMIC_RAY: "cosmic ray",
    NO_LIGHT: "reference pixel or vignetted",
    NO_DATA: "no exposure sees this pixel",
}
"""Meaning of each flag, as the header of a product says it."""

BAD = DEAD | HOT | SATURATED | COSMIC_RAY | NO_LIGHT | NO_DATA


@dataclass(slots=True, eq=False)
class Frame:
    """One chip of one exposure: ``sci`` (electron/s), ``var`` (its variance) and ``dq``, each (ny, nx)."""

    sci: Image
    var: Image
    dq: Flags
    header: Any
    """astropy Header of the extension: the WCS is in it."""
    weight: float = 0.0
    """Inverse variance of a pixel of sky, s2/electron2: what the frame is worth in a combination."""
    saturation: float = float("inf")
    """Rate at which a pixel saturates, sky and dark included, electron/s."""
    flat_var: float = 0.0
    """Relative variance of the flat that it was divided by."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """Pixels without a flag of `BAD`."""
        return np.asarray((self.dq & BAD) == 0)


def sample(image: Image, good: NDArray[np.bool_], most: int, mask: NDArray[np.bool_] | None = None) -> Image:
    """Return ``most`` good pixels of an image outside ``mask``, or up to twice as many, evenly spread; all of fewer."""
    from elvis_cli.kernels import masks as kernels

    outside = np.empty((0, 0), np.bool_) if mask is None else mask
    count = int(np.count_nonzero(good if mask is None else good & ~mask))
    step = max(count // most, 1)
    out = np.empty(-(-count // step), np.float32)
    kernels.every(image, good, outside, step, out)
    return out
