"""A light curve: one filter, one season; fluxes, robust statistics, signal-to-noise ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ResourceError
from elvis_cli.observatory.dataset import PhotometricDataset

ZERO_POINT = 23.9
"""AB magnitude of 1 microjansky."""
MAG_PER_RELATIVE_FLUX = 2.5 / np.log(10.0)
ROUNDS, CLIP, MIN_CLIPPED = 3, 3.0, 5
UNIFORM = 0.01
"""Spread of the steps of time, over their median, of an evenly sampled light curve."""


def flux_of(mag: Floats) -> Floats:
    """Return fluxes (uJy) of AB magnitudes."""
    return np.asarray(10.0 ** ((ZERO_POINT - mag) / 2.5))


def mag_of(flux: Floats) -> Floats:
    """Return AB magnitudes of fluxes (uJy); NaN where there is no light."""
    positive = np.where(flux > 0.0, flux, np.nan)
    return np.asarray(ZERO_POINT - 2.5 * np.log10(positive))


def robust(values: Floats) -> tuple[float, float]:
    """Return mean and rms: three rounds of clipping at 3 sigma about the median; below 5 values median and rms."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return float("nan"), float("nan")
    if values.size < MIN_CLIPPED:
        return float(np.median(values)), float(values.std())
    for _ in range(ROUNDS):
        kept = np.abs(values - np.median(values)) <= CLIP * values.std()
        if kept.all() or kept.sum() < 2:
            break
        values = values[kept]
    return float(values.mean()), float(values.std())


@dataclass(frozen=True, eq=False)
class LightCurve:
    """Epochs of one filter, sorted by time; each column is (n,)."""

    source_name: str
    observatory: str
    filter: str
    series: str
    mjd: Floats
    exptime: float
    """Median, s."""
    exptimes: Floats
    flux: Floats
    """Microjansky, or the unit of the data's own zero point."""
    fluxerr: Floats
    flag: NDArray[np.bool_]
    ra: Floats
    """Degrees; NaN where unknown."""
    dec: Floats
    dataset: str = ""
    """File it comes from."""

    @classmethod
    def of(cls, dataset: PhotometricDataset, columns: Mapping[str, Any] | None = None, filter: str = "") -> LightCurve:
        """Return the light curve of a dataset; ``columns`` are calibrated ones in place of its own.

        Raises
        ------
        ResourceError
            There is neither flux nor mag with its error, no exptime, or more than one filter.
        """
        data = dataset.data if columns is None else columns
        if not data or data["mjd"].size == 0:
            raise ResourceError(f"{dataset.source_name}: a light curve without epochs")
        if "exptime" not in data or not np.isfinite(data["exptime"]).any():
            raise ResourceError(f"{dataset.source_name}: a light curve needs exptime (s)", found=list(data))
        names = sorted(set(map(str, data["filter"]))) if "filter" in data else [filter or dataset.filter]
        if len(names) > 1:
            raise ResourceError(f"{dataset.source_name}: a light curve has one filter, not {', '.join(names)}")
        flux, fluxerr = _fluxes(dataset.source_name, data)
        size = data["mjd"].size
        order = np.argsort(data["mjd"], kind="stable")
        nothing = np.full(size, np.nan)
        flag = np.asarray(data.get("flag", np.zeros(size))) != 0
        columns_now = data["mjd"], data["exptime"], flux, fluxerr, data.get("ra", nothing), data.get("dec", nothing)
        mjd, exptimes, flux, fluxerr, ra, dec = (np.asarray(each, np.float64)[order] for each in columns_now)
        return cls(
            dataset.source_name,
            dataset.observatory,
            filter or names[0],
            dataset.series,
            mjd,
            float(np.nanmedian(exptimes)),
            exptimes,
            flux,
            fluxerr,
            flag[order],
            ra,
            dec,
            dataset.path,
        )

    def __len__(self) -> int:
        return int(self.mjd.size)

    def with_flux(self, flux: Floats) -> LightCurve:
        """Return the light curve with other fluxes."""
        return replace(self, flux=flux)

    @cached_property
    def good(self) -> NDArray[np.bool_]:
        """Epochs without a flag that have a flux."""
        return ~self.flag & np.isfinite(self.flux)

    @cached_property
    def _statistics(self) -> tuple[float, float]:
        return robust(self.flux[self.good])

    @property
    def mean(self) -> float:
        """Robust mean flux."""
        return self._statistics[0]

    @property
    def rms(self) -> float:
        """Robust scatter of the flux."""
        return self._statistics[1]

    @cached_property
    def noise(self) -> Floats:
        """The larger of the robust scatter and the error of each epoch."""
        return np.fmax(self.rms, self.fluxerr)

    @cached_property
    def snr(self) -> Floats:
        """Flux over noise."""
        return np.asarray(self.flux / self.noise)

    @cached_property
    def dsnr(self) -> Floats:
        """Flux above the mean over noise."""
        return (self.flux - self.mean) / self.noise

    @cached_property
    def mag(self) -> Floats:
        """Magnitudes; NaN where there is no light."""
        return mag_of(self.flux)

    @cached_property
    def magerr(self) -> Floats:
        """Errors of the magnitudes."""
        return np.asarray(MAG_PER_RELATIVE_FLUX * self.fluxerr / np.where(self.flux > 0.0, self.flux, np.nan))

    @cached_property
    def dmag(self) -> Floats:
        """Change in asinh magnitudes, softened at the scatter; positive is brighter.

        Lupton, Gunn & Szalay 1999, AJ 118, 1406, equation 3.
        """
        soft = 2.0 * max(self.rms, 1e-300)
        return np.asarray(MAG_PER_RELATIVE_FLUX * (np.arcsinh(self.flux / soft) - np.arcsinh(self.mean / soft)))

    @property
    def is_uniform(self) -> bool:
        """Whether the steps of time differ by less than 1 % of their median between their 5th and 95th percentile."""
        if len(self) < 3:
            return False
        steps = np.diff(self.mjd)
        low, high = np.quantile(steps, (0.05, 0.95))
        return bool(high - low < UNIFORM * np.median(steps))

    def properties(self) -> dict[str, Any]:
        """Return the numbers that describe the light curve, as plain JSON values; None where there is none."""
        count = int(self.good.sum())
        mag = robust(self.mag[self.good])
        numbers = {
            "mean": self.mean,
            "rms": self.rms,
            "mag": mag[0],
            "mag_rms": mag[1],
            "magerr": float(np.nanmedian(self.magerr[self.good]))
            if np.isfinite(self.magerr[self.good]).any()
            else None,
            "snr": float(np.nanmedian(self.snr[self.good])) if count else None,
            "exptime": self.exptime,
            "t_start": float(self.mjd[0]),
            "t_end": float(self.mjd[-1]),
        }
        plain = {key: None if value is None or not np.isfinite(value) else value for key, value in numbers.items()}
        return {
            "observatory": self.observatory,
            "filter": self.filter,
            "series": self.series,
            "number": len(self),
            "num_good": count,
            "uniform": self.is_uniform,
            **plain,
        }


def _fluxes(name: str, data: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Return flux and its error (uJy), as measured or from magnitudes."""
    if "flux" in data and "fluxerr" in data:
        return np.asarray(data["flux"], np.float64), np.asarray(data["fluxerr"], np.float64)
    if "mag" in data and "magerr" in data:
        flux = flux_of(np.asarray(data["mag"], np.float64))
        return flux, flux * np.asarray(data["magerr"], np.float64) / MAG_PER_RELATIVE_FLUX
    raise ResourceError(f"{name}: a light curve needs flux and fluxerr, or mag and magerr", found=list(data))
