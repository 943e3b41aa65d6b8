"""An observatory of numbers: light curves that are drawn, without frames."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from elvis_cli.observatory.base import Observatory, ReductionParameters
from elvis_cli.observatory.dataset import PhotometricDataset
from elvis_cli.observatory.lightcurve import MAG_PER_RELATIVE_FLUX, flux_of, mag_of, robust
from elvis_cli.observatory.parameters import SimulatorParameters, parameter
from elvis_cli.observatory.simulator import NEGATIVE, Simulator, profile
from elvis_cli.observatory.source import Source


@dataclass(frozen=True)
class DemoParameters(ReductionParameters):
    """Of the demo observatory."""

    epochs: int = parameter(100, "epochs of a light curve", low=1, high=1_000_000)
    start: float = parameter(57000.0, "first possible time", "MJD")
    end: float = parameter(58000.0, "last possible time", "MJD")
    mag: float | None = parameter(18.0, "mean magnitude; null takes the catalogue's", "mag")
    magerr: tuple[float, ...] = parameter((0.09, 0.11), "errors from, to", "mag", length=2, low=1e-6, high=1)
    exptime: float = parameter(30.0, "exposure time", "s", low=0)
    filter: str = parameter("R", "filter")
    jitter: float = parameter(0.0001, "scatter of the places", "deg", low=0)
    flares: float = parameter(0.0, "mean number of real events of a source", low=0)
    flare: tuple[float, ...] = parameter((5.0, 20.0), "their amplitudes from, to, in units of the noise", length=2)
    flare_width: tuple[float, ...] = parameter((0.5, 30.0), "their widths from, to", "d", length=2, low=1e-6)
    seed: int = parameter(1, "seed", low=0)
    delay: float = parameter(0.0, "time that a source takes", "s", low=0, high=60)
    gap: float = parameter(400.0, "gap that ends a light curve", "d", low=0)


@dataclass(frozen=True)
class Demo(Observatory):
    """Draws Gaussian noise of the flux about a constant; what it draws follows from its seed and the source's name."""

    Parameters: ClassVar[type[ReductionParameters]] = DemoParameters

    def fetch(self, source: Source) -> PhotometricDataset:
        """Return the light curve of a source."""
        p = self.parameters
        if p.delay:
            time.sleep(p.delay)
        random = np.random.default_rng([p.seed, zlib.crc32(source.name.encode())])
        mjd = np.sort(random.uniform(p.start, p.end, p.epochs))
        mean = float(flux_of(np.array(source.mag if p.mag is None else p.mag)))
        fluxerr = mean * random.uniform(p.magerr[0], p.magerr[1], p.epochs) / MAG_PER_RELATIVE_FLUX
        flux = mean + fluxerr * random.standard_normal(p.epochs)
        events = SimulatorParameters(snr=p.flare, width=p.flare_width)
        rms = robust(flux)[1]
        for event in Simulator(events).draw(int(random.integers(2**62)), p.flares):
            peak = int(event.place * p.epochs)
            height = (event.snr or 0.0) * max(rms, float(fluxerr[peak])) * (-1.0 if event.kind in NEGATIVE else 1.0)
            flux = flux + height * profile(event, mjd - mjd[peak])
        ra = source.ra + random.normal(0.0, p.jitter, p.epochs) / np.cos(np.radians(source.dec))
        columns = {
            "mjd": mjd,
            "exptime": np.full(p.epochs, p.exptime),
            "flux": flux,
            "fluxerr": fluxerr,
            "mag": mag_of(flux),
            "magerr": MAG_PER_RELATIVE_FLUX * fluxerr / np.maximum(flux, 1e-3 * mean),
            "filter": np.full(p.epochs, p.filter),
            "flag": np.zeros(p.epochs, np.int32),
            "ra": ra,
            "dec": source.dec + random.normal(0.0, p.jitter, p.epochs),
        }
        return self.raw(source, columns, local_name=f"{self.name}-{zlib.crc32(source.name.encode()) % 10**6:06d}")
