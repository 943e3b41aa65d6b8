"""The reduced image, spectrum or cube of an ETC request; its raw frames are only in memory."""

from __future__ import annotations

from typing import BinaryIO

from elvis_cli.base import fork
from elvis_cli.model.request import Request
from elvis_cli.reduction import associate, products, raw
from elvis_cli.reduction.image_options import ImageOptions
from elvis_cli.reduction.requests import Document, documents, render
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
    (files, *_) = associate.associate(raw.open_all(render_all(documents(request))))
    associate.check(files)
    product, writers = products.make(files, products.Options(ImageOptions(), SpectrumOptions()))
    next(iter(writers.values()))(product, out)
    return tuple(product.notes)


def render_all(requests: list[Document]) -> list[bytes]:
    """Return the raw files of requests, in their order; those without stars by a copy of this process, if it may be."""
    dull = [n for n, each in enumerate(requests) if each["elvis"].get("calibration") not in (None, "std")]
    if not dull or len(dull) == len(requests) or not fork.possible():
        return list(render(requests))
    files: dict[int, bytes] = {}
    with fork.aside(lambda: render([requests[n] for n in dull])) as results:
        for n, each in enumerate(requests):
            if n not in dull:
                (files[n],) = render([each])
        made = results() or render([requests[n] for n in dull])  # which says why it failed
        files.update(zip(dull, made, strict=True))
    return [files[n] for n in range(len(requests))]
