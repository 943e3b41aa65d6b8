"""Throughput of optical surfaces in a row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.model.telescope import Surface


def throughput(surfaces: Iterable[Surface], wave: Floats) -> Floats:
    """Return the product of the surfaces' throughputs at ``wave`` (um)."""
    product = np.ones_like(wave)
    for surface in surfaces:
        product *= surface.throughput.at(wave)
    return product
