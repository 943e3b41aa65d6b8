"""The reduced image of an ETC request; its raw frames are only in memory."""

from __future__ import annotations

from typing import BinaryIO

from elvis_cli.model.request import Request
from elvis_cli.reduction import associate, product_file, raw, recipe
from elvis_cli.reduction.requests import documents, render


def reduce(request: Request, out: BinaryIO) -> tuple[str, ...]:
    """Write the reduced image of a request for raw frames to ``out``; return notes.

    Raises
    ------
    RequestError
        The request is one of spectra or of a calibration.
    """
    sets = associate.associate(raw.open_all(list(render(documents(request)))))
    product = recipe.reduce(sets[0], recipe.Options())
    product_file.write_image(product, out)
    return tuple(product.notes)
