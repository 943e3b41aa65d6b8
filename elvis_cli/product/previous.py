"""A FITS file that ELVIS wrote -> the block ``elvis.previous``: what the detector remembers of that exposure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from elvis_cli.detector.persistence import encode
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.product.fits import VALUES_EXTENSION
from elvis_cli.request.files.guard import open_fits
from elvis_cli.request.payload import pack


def read_previous(path: Path, gap: float) -> dict[str, Any]:
    """Return the electrons of one integration on every chip, a byte a pixel; it ended ``gap`` s before the next one.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It does not hold frames of an infrared detector that ELVIS made.
    """
    try:
        with open_fits(path) as hdus:
            return block(path.name, hdus) | {"gap": gap}
    except (OSError, ValueError, TypeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise UsageError(f"--previous: cannot read {path}: {reason}") from None


def block(name: str, hdus: fits.HDUList) -> dict[str, Any]:
    """Return the block ``elvis.previous`` of an open file, without ``gap``.

    Raises
    ------
    RequestError
        It does not hold frames of an infrared detector that ELVIS made.
    """
    top = hdus[0].header
    if VALUES_EXTENSION not in hdus or "ESO DET DIT" not in top or "ESO DET WIN1 UIT1" in top:
        raise RequestError("/elvis/previous", f"{name} is not a file that ELVIS made for an infrared detector")
    table = hdus[VALUES_EXTENSION].data
    known = {name.rpartition(".")[2]: value for name, value in zip(table["NAME"], table["VALUE"], strict=True)}
    dit, chips = float(top["ESO DET DIT"]), dict[int, dict[str, Any]]()
    for hdu in hdus:
        header = hdu.header
        if "ESO DET WIN1 STRX" not in header:
            continue  # not a frame
        number = int(header["ESO DET CHIP NO"])
        if header["BUNIT"] == "adu":
            gain = float(header["ESO DET CHIP GAIN"])
            electrons = (hdu.data - np.float32(known["bias"])) * np.float32(gain)
        else:
            electrons = hdu.data * np.float32(dit)
        charge: NDArray[np.float32] = np.minimum(electrons, np.float32(known["full_well"]))
        place = {"x0": int(header["ESO DET WIN1 STRX"]) - 1, "y0": int(header["ESO DET WIN1 STRY"]) - 1}
        window = place | {"nx": charge.shape[1], "ny": charge.shape[0]}
        chips[number] = {"chip": number, "window": window, "data": pack(encode(charge).tobytes())}
    return {"dit": dit, "count": int(top["ESO DET NDIT"]), "chips": list(chips.values())}
