"""The product of a set of raw files, an image, spectra or a cube, and the writers of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from elvis_cli.base import memory
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.image_options import ImageOptions
from elvis_cli.reduction.spectrum_options import SpectrumOptions

PUPIL_TRACKING = "ESO INS DROT MODE"
"""ELEV where the rotator followed the zenith, so that the pupil stood still."""
Writers = Mapping[str, Callable[[Any, BinaryIO], None]]
"""The files of a product, by the last part of their names; the first is the product itself."""


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the user for products of each kind."""

    image: ImageOptions
    spectrum: SpectrumOptions


def make(files: FileSet, options: Options) -> tuple[Any, Writers]:
    """Return the product of a set of raw files, and what writes it."""
    memory.keep_small()
    first = files.science[0]
    if "ESO SIM SPEC TRACES" not in first.header:
        if first.get(PUPIL_TRACKING) == "ELEV":
            from elvis_cli.reduction import adi_product

            return adi_product.reduce(files, options.image.allow_missing), adi_product.WRITERS
        from elvis_cli.reduction import product_file, recipe

        return recipe.reduce(files, options.image), product_file.WRITERS
    return _make_spectral(files, options)


def _make_spectral(files: FileSet, options: Options) -> tuple[Any, Writers]:
    """Return the product of the raw files of a spectrograph, and what writes it."""
    # images need not wait for these, nor these for the modules of images
    from elvis_cli.reduction import cube, cube_file, fibre_cube, layout, spectra, spectrum_file

    first = files.science[0]
    setup = layout.configure(first, "arc" if files.arc else None)
    if cube.is_cube(setup):
        if first.get(PUPIL_TRACKING) == "ELEV":
            from elvis_cli.reduction import adi_cube

            return _as_observed(adi_cube.reduce(files, setup), options), adi_cube.WRITERS
        return cube.reduce(files, setup, options.spectrum), cube_file.WRITERS
    product: Any
    if fibre_cube.is_field(first, setup):
        product = fibre_cube.reduce(files, setup, options.spectrum)
        return product, fibre_cube.writers(product)
    if setup.spectrograph is not None and setup.spectrograph.polarimeter is not None:
        from elvis_cli.reduction import polarimetry

        made = polarimetry.reduce(files, setup.spectrograph.polarimeter, options.spectrum)
        return _as_observed(made, options), polarimetry.WRITERS
    product = spectra.reduce(files, options.spectrum)
    return product, spectrum_file.writers(product)


def _as_observed(product: Any, options: Options) -> Any:
    """Return a product whose wavelengths stay as observed, with a note where others were asked for."""
    if options.spectrum.barycentric:
        product.notes.append("--barycentric is for spectra and cubes: these wavelengths are as observed")
    return product
