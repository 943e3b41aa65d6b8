"""The reduced image or spectrum of an ETC request; its raw frames are only in memory."""

from __future__ import annotations

from typing import BinaryIO

from elvis_cli.model.request import Request
from elvis_cli.reduction import associate, product_file, raw, recipe, spectra, spectrum_file
from elvis_cli.reduction.requests import documents, render


def reduce(request: Request, out: BinaryIO) -> tuple[str, ...]:
    """Write the reduced image or spectrum of a request for raw frames to ``out``; return notes.

    Raises
    ------
    RequestError
        The request is one of a calibration.
    """
    sets = associate.associate(raw.open_all(list(render(documents(request)))))
    if spectra.is_spectrum(sets[0].science[0]):
        spectrum = spectra.reduce(sets[0], spectra.SpectrumOptions())
        spectrum_file.write_spectrum(spectrum, out)
        return tuple(spectrum.notes)
    product = recipe.reduce(sets[0], recipe.Options())
    product_file.write_image(product, out)
    return tuple(product.notes)
