"""Raw to calibrated photometry: applied when data are loaded, never stored over the raw data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from elvis_cli.errors import choice_error
from elvis_cli.observatory.dataset import PhotometricDataset
from elvis_cli.observatory.lightcurve import LightCurve
from elvis_cli.observatory.parameters import CalibrationParameters, digest

VERSION = 1
"""Of what the calibrations do."""


@dataclass(frozen=True)
class Calibration:
    """A named, versioned function of photometry, with its parameters.

    "standard" adds zero points by filter, renames filters and may ignore flags; "none" changes nothing.
    """

    parameters: CalibrationParameters = field(default_factory=CalibrationParameters)

    @property
    def identity(self) -> str:
        """Name, version and a hash of the parameters: standard-1-0123abcd."""
        return f"{self.parameters.name}-{VERSION}-{digest(vars(self.parameters))[:8]}"

    def filter(self, observatory: str, name: str) -> str:
        """Return the name of a filter after calibration."""
        names = self.parameters.filters
        return names.get(f"{observatory}-{name}", names.get(name, name))

    def apply(self, dataset: PhotometricDataset) -> LightCurve:
        """Return the calibrated light curve of a reduced dataset; its columns stay as they are.

        Raises
        ------
        RequestError
            There is no calibration of this name.
        ResourceError
            The dataset lacks a column, or has several filters.
        """
        if self.parameters.name == "none":
            return LightCurve.of(dataset)
        if self.parameters.name != "standard":
            raise choice_error("/calibration/name", self.parameters.name, ("standard", "none"))
        columns = dict(dataset.data)
        name = self.filter(dataset.observatory, dataset.filter)
        zero = self.parameters.zero_points.get(name, 0.0)
        if zero:
            scale = 10.0 ** (-0.4 * zero)
            for key, factor, offset in (("mag", 1.0, zero), ("flux", scale, 0.0), ("fluxerr", scale, 0.0)):
                if key in columns:
                    columns[key] = columns[key] * factor + offset
        if self.parameters.ignore_flags and "flag" in columns:
            columns["flag"] = np.zeros_like(columns["flag"])
        if "filter" in columns:
            columns["filter"] = np.array([self.filter(dataset.observatory, str(each)) for each in columns["filter"]])
        return LightCurve.of(dataset, columns, name)
