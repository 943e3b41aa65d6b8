"""The map of a spectrograph's wavelengths, as extensions of the frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from elvis_cli.focalplane.renderer import Renderer
from elvis_cli.model.setup import Setup
from elvis_cli.product import header, wcs
from elvis_cli.product.fits import Image


def extensions(renderer: Renderer, setup: Setup) -> Iterator[Image]:
    """Yield, for every chip, what each pixel of the window sees: WAVE (um; NaN where nothing), ORDER (0 where
    nothing) and APERTURE (from 1; 0 where nothing); EXTVER is the number of the chip.
    """
    for number in setup.frame.chips:
        chip = setup.detector.chip(number)
        pixels = renderer.wavelengths(chip, setup.frame.window)
        if pixels is None:
            return
        extver: header.Card = ("EXTVER", number, "number of the chip")
        axes = wcs.focal_plane(setup, chip, setup.frame.window)
        yield Image("WAVE", pixels.wave, [extver, ("BUNIT", "um", "vacuum wavelength"), *axes])
        yield Image("ORDER", pixels.order.astype(np.uint16), [extver, ("BUNIT", "1", "order; 0: no light"), *axes])
        of: list[header.Card] = [extver, ("BUNIT", "1", "slit, slice or fibre, from 1; 0: no light"), *axes]
        yield Image("APERTURE", (pixels.aperture + 1).astype(np.uint16), of)
