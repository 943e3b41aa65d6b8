"""The polarimeter of a spectrograph, from the table ``[spectrograph.polarimeter]`` of a mode or an option."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from elvis_cli.base.curve import Curve
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.model.spectrograph import Polarimeter, Spectrograph

POINTER = "/elvis/polarisation"
STOKES = ("Q", "U", "V")


def fitted(graph: Spectrograph, facts: SourcedTable, block: ElvisBlock, band: tuple[float, float]) -> Spectrograph:
    """Return a spectrograph with the polarimeter of its table, if it has one; ``band`` (um) is that of the setting.

    Its axes turn with the aperture: Q and U of the sky are turned by the position angle.

    Raises
    ------
    RequestError
        The mode has none although the sources are polarised, or it has no grating for this setting.
    ResourceError
        It measures no Stokes parameter.
    """
    source = block.polarisation
    table = facts.part("polarimeter")
    if "stokes" not in table:
        if source is not None:
            raise RequestError(POINTER, "no polarimeter is in the beam", allowed="absent, or a mode with a polarimeter")
        return graph
    stokes, middle = table.text("stokes"), sum(band) / 2
    if stokes not in STOKES:
        raise ResourceError(f"{facts.file}: polarimeter.stokes is {stokes!r}; allowed: {', '.join(STOKES)}")
    ranges = np.reshape(table.value("gratings", "um"), (-1, 2))
    slopes = table.value("slopes", "arcsec/um")
    number = next((n for n, (low, high) in enumerate(ranges) if low <= middle <= high), None)
    if number is None:
        words = ", ".join(f"{low:g}-{high:g}" for low, high in ranges)
        raise RequestError(
            "/instrument", f"the polarimeter has no grating at {middle:.4g} um", found=middle, allowed=f"{words} um"
        )
    wave = np.array([0.0, 2.0 * ranges[number][1]])  # a grating's angle grows with the wavelength
    polarimeter = Polarimeter(
        stokes=stokes,
        separation=Curve(wave, wave * float(slopes[number])),
        signs=tuple(int(sign) for sign in table.value("signs", "1")),
        subexposure=int(table.number("subexposure", "1")),
    )
    if source is not None:
        turn = math.radians(2.0 * (block.pointing.position_angle if block.pointing else 0.0))
        q = source.q * math.cos(turn) + source.u * math.sin(turn)
        u = source.u * math.cos(turn) - source.q * math.sin(turn)
        polarimeter = replace(polarimeter, polarisation={"Q": q, "U": u, "V": source.v}[stokes])
    return replace(graph, polarimeter=polarimeter)
