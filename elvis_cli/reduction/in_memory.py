"""The reduced image, spectrum or cube of an ETC request; its raw frames are only in memory."""

from __future__ import annotations

from typing import BinaryIO

from elvis_cli.model.request import Request
from elvis_cli.reduction import associate, products, raw, recipe
from elvis_cli.reduction.requests import documents, render
from elvis_cli.reduction.spectrum_options import SpectrumOptions


def reduce(request: Request, out: BinaryIO) -> tuple[str, ...]:
    """Write the reduced image, spectrum or cube of a request for raw frames to ``out``; return notes.

    Raises
    ------
    RequestError
        The request is one of a calibration.
    ResourceError
        The instrument takes no frame that the reduction cannot do without.
    """
    (files, *_) = associate.associate(raw.open_all(list(render(documents(request)))))
    associate.check(files)
    product, writers = products.make(files, products.Options(recipe.Options(), SpectrumOptions()))
    next(iter(writers.values()))(product, out)
    return tuple(product.notes)
