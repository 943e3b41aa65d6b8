"""Noise of the read-out electronics: 1/f common to all outputs and of each, alternating columns, drift of the level.

Rauscher 2015, PASP 127, 1144. The chip is read in vertical stripes, one an output, all at the same time, neighbours in
opposite directions; clocks without a pixel follow every row and every read. A stream of noise runs in that order of
time. It is made in the Fourier domain and lasts one read: what is slower is the ``pedestal``, a level of its own for
every read. Two streams at half the rate for even and odd columns (alternating-column noise) are one stream whose power
goes as 1/f + 1/(F - f), F the highest frequency: so one transform an output makes both.

The reads of a ramp are independent, and their noise counts as their weights in the frame (`elvis_cli.model.sampling`).
A window shows its part of the whole read of the chip: the noise of a pixel does not depend on the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import gather
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """All amplitudes are those of one read."""

    columns: float = number("pixel", 1.0, 16384.0, "width of an output's stripe of the chip")
    c_pink: float = number("electron", 0.0, 1e5, "1/f noise common to all outputs, rms")
    u_pink: float = number("electron", 0.0, 1e5, "1/f noise of each output, rms")
    acn: float = number("electron", 0.0, 1e5, "1/f noise of each output's even and odd columns, rms")
    pedestal: float = number("electron", 0.0, 1e5, "drift of the whole chip's level from read to read, rms")
    row_overhead: float = number("pixel", 0.0, 10000.0, "clocks without a pixel after every row")
    frame_overhead: float = number("", 0.0, 10000.0, "rows without pixels after every read")


def pink(length: int, rms: float, alternating: float, random: Generator) -> NDArray[np.float32]:
    """Return ``length`` samples of 1/f noise of standard deviation ``rms``, and of two alternating streams of it.

    The stream is periodic with the next length that transforms fast, and has no mean.
    """
    size = min(m << k for m in (3, 5, 9, 15, 16) for k in [max(1, (-(-length // m) - 1).bit_length())])
    n = np.arange(1, size // 2, dtype=np.float32)
    power = np.zeros(size // 2 + 1, np.float32)
    for sigma, frequency in ((rms, n), (alternating, np.minimum(n, n[::-1]))):
        if sigma:
            spectrum = 1 / frequency
            power[1:-1] += spectrum * np.float32(sigma**2 / spectrum.sum(dtype=float))
    waves = random.standard_normal((size // 2 + 1, 2), dtype=np.float32)
    waves *= np.sqrt(power)[:, np.newaxis] * np.float32(size / 2)  # half of the power in each of two parts
    return np.asarray(np.fft.irfft(waves.view(np.complex64)[:, 0], size)[:length])


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add the noise of the mean of ``count`` integrations."""
    window, columns = context.window, int(parameters.columns)
    clocks = columns + int(parameters.row_overhead)
    clocks += clocks % 2  # else even columns would not stay even in time
    last, length = window.y0 + window.ny, clocks * (context.detector.ny + int(parameters.frame_overhead))
    scale = context.noise_factor / context.count**0.5

    def stream(output: int, rms: float, alternating: float) -> NDArray[np.float32]:
        random = context.read_generator(f"{STAGE.name}.{output}")
        made = pink(length, rms * scale, alternating * scale, random)[: last * clocks]
        return made.reshape(last, clocks)[window.y0 :, :columns]

    level = context.read_generator(STAGE.name).standard_normal() * parameters.pedestal * scale
    image += np.float32(level)
    common = stream(0, parameters.c_pink, 0.0) if parameters.c_pink else None
    own = parameters.u_pink or parameters.acn

    def work(output: int) -> None:
        first = output * columns
        low, high = max(first, window.x0), min(first + columns, window.x0 + window.nx)
        cut, target = slice(low - first, high - first), image[:, low - window.x0 : high - window.x0]
        for noise in (common, stream(output + 1, parameters.u_pink, parameters.acn) if own else None):
            if noise is not None:
                target += (noise[:, ::-1] if output % 2 else noise)[:, cut]

    gather(work, range(window.x0 // columns, (window.x0 + window.nx - 1) // columns + 1))
    return image


STAGE = Stage("correlated_noise", "1/f noise of the read-out, common and of each output", Parameters, image=apply)
