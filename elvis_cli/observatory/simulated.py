"""ELVIS as an observatory: each epoch of a source is a request, its frame rendered, reduced and measured."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.geometry import project, sky_to_field
from elvis_cli.base.merge import merge
from elvis_cli.errors import RequestError
from elvis_cli.observatory.base import Observatory, ReductionParameters
from elvis_cli.observatory.cadence import CadenceParameters, times
from elvis_cli.observatory.catalog import Catalog, read_table
from elvis_cli.observatory.dataset import RAW, ImageDataset, PhotometricDataset, file_name
from elvis_cli.observatory.measure import table_of
from elvis_cli.observatory.nightly import NightCalibration, calibrate, flag_by_shape, isotime, product_of, reduce_epoch
from elvis_cli.observatory.parameters import canonical, parameter, section
from elvis_cli.observatory.source import Source

UNCHANGED = 1e-6
"""Magnitudes of change below which a frame is not rendered again."""
Document = dict[str, Any]


@dataclass(frozen=True)
class ElvisParameters(ReductionParameters):
    """Of the simulated observatory."""

    instrument: str = parameter("", "instrument, which must be named; elvis instruments lists them")
    mode: str | None = parameter(None, "mode of imaging; null is the instrument's own")
    request: dict[str, Any] = parameter({}, "merge patch of the mode's example request")
    chip: int | None = parameter(None, "chip; null is the one that the field centre falls on")
    size: int = parameter(64, "side of the window about the source", "pixel", low=32, high=4096)
    cadence: CadenceParameters = section(CadenceParameters, "times of the epochs")
    conditions: tuple[Any, ...] = parameter((), "merge patches of the request, one of which each epoch draws: weather")
    dithers: float = parameter(0.0, "scatter of the pointing", "arcsec", low=0, high=60)
    band: str | None = parameter(None, "band of the catalogue's magnitudes in the request; null is the catalogue's")
    system: str = parameter("vega", "system of the magnitudes", choices=("vega", "ab"))
    neighbours: str | None = parameter(None, "catalogue of further stars, which are drawn where they are in the window")
    variability: float = parameter(0.0, "amplitude of a sine that real sources have", "mag", low=0)
    period: float = parameter(10.0, "its period", "d", low=1e-4)
    keep: str = parameter(
        "none", "frames that are kept: none, raw, or the product of `elvis reduce`", choices=("none", "raw", "product")
    )
    seed: int = parameter(1, "seed", low=0)


@dataclass(frozen=True)
class Elvis(Observatory):
    """Observes with an instrument of ELVIS: what it measures depends on its parameters, the source and nothing else."""

    Parameters: ClassVar[type[ReductionParameters]] = ElvisParameters

    def fetch(self, source: Source) -> PhotometricDataset:
        """Return photometry on a frame of each epoch."""
        mjd = self.times(source)
        return self._observe(
            source, mjd, self._variability(source, mjd), np.ones(mjd.size, bool), keep=self.parameters.keep != "none"
        )

    def times(self, source: Source) -> Floats:
        """Return the times (MJD) at which a source is observed."""
        return times(self.parameters.cadence, [self.parameters.seed, zlib.crc32(source.name.encode())])

    def _variability(self, source: Source, mjd: Floats) -> Floats:
        """Return the brightening of a source, mag: a sine whose phase is that of its name."""
        phase = zlib.crc32(source.name.encode()) / 2**32
        sine: Floats = self.parameters.variability * np.sin(2 * np.pi * (mjd / self.parameters.period + phase))
        return sine

    def render_with(self, source: Source, raw: PhotometricDataset, brightening: Floats) -> PhotometricDataset:
        """Return the photometry with the source brighter by ``brightening`` (mag, (n,)) at the epochs of ``raw``.

        Frames have the noise of those without; epochs without a change keep their photometry.
        """
        mjd = self.times(source)
        nearest = np.abs(raw.data["mjd"][:, None] - mjd[None, :]).argmin(axis=1)
        change, epochs = np.zeros(mjd.size), np.zeros(mjd.size, bool)
        change[nearest] = brightening
        epochs[nearest] = np.abs(brightening) > UNCHANGED
        change += self._variability(source, mjd)
        again = self._observe(source, mjd, change, epochs, keep=False)
        if again.number == 0:
            return raw
        columns = {key: values.copy() for key, values in raw.data.items()}
        for key, values in columns.items():
            if key != "flag":  # the cosmic rays are those of the frames without
                values[epochs[nearest]] = again.data[key]
        return self.raw(source, columns)

    def _observe(self, source: Source, mjd: Floats, change: Floats, epochs: Any, keep: bool) -> PhotometricDataset:
        from elvis_cli.reduction import installed

        installed.check()
        rows, frames = [], []
        for n in np.flatnonzero(epochs).tolist():
            document = self.request(source, n, float(mjd[n]), float(change[n]))
            night = self._night(document)
            file = _render(document)
            rows.append(reduce_epoch(file, source, night, document["target"]["brightness"]["magband"]))
            if keep:
                kept = product_of(file, night) if self.parameters.keep == "product" else file
                frames.append(self._frame(source, n, kept, float(mjd[n])))
        flag_by_shape(rows)
        made = self.raw(source, table_of(rows))
        made.frames = frames
        return made

    def request(self, source: Source, epoch: int, mjd: float, brightening: float = 0.0) -> Document:
        """Return the request of an epoch: the source in the middle of the window, brighter by ``brightening`` mag."""
        p = self.parameters
        words = [p.seed, zlib.crc32(source.name.encode()), epoch]
        random = np.random.default_rng(words)
        weather = p.conditions[int(random.integers(len(p.conditions)))] if p.conditions else {}
        document, window = self._base()
        document = merge(document, weather)
        document["target"]["brightness"] |= {"mag": source.mag - brightening, "magsys": p.system}
        document["target"]["brightness"]["magband"] = p.band or source.filter
        if not np.isfinite(source.mag):
            raise RequestError("/catalog", f"{source.name} has no magnitude: it cannot be rendered")
        east, north = random.normal(0.0, 1.0, 2) * p.dithers / 3600.0
        pointing = {"ra": (source.ra + east / np.cos(np.radians(source.dec))) % 360.0, "dec": source.dec + north}
        block = document.setdefault("elvis", {})
        block |= window
        block |= {"pointing": {key: round(float(value), 9) for key, value in pointing.items()}}
        block |= {"date": isotime(mjd), "seed": int(random.integers(2**31)), "bare": True}
        neighbours = self._neighbours(source, block["pointing"])
        if neighbours is None:
            block["place"] = {"ra": round(source.ra, 9), "dec": round(source.dec, 9)}
        else:
            x, y, mag = neighbours
            own = document["target"]["brightness"]
            mags = [own["mag"], *mag]
            block["catalogue"] = {"x": x, "y": y, "mag": mags, "magband": own["magband"], "magsys": p.system}
        return document

    def _base(self) -> tuple[Document, Document]:
        p = self.parameters
        from elvis_cli.instrument import registry

        if not p.instrument:
            raise RequestError("/observatories/instrument", "is missing", allowed=", ".join(registry.names()))
        where = str((p.instrument, p.mode, p.chip, p.size))
        base, window = _prepared(p.instrument, p.mode, canonical(p.request), p.chip, p.size, where)
        return json.loads(base), json.loads(window)

    def _neighbours(self, source: Source, pointing: Mapping[str, float]) -> tuple[list[float], ...] | None:
        """Return x and y in the field (arcsec) of the source and of its neighbours, and the neighbours' magnitudes."""
        p = self.parameters
        if p.neighbours is None:
            return None
        stars = _stars(str(Path(self.folder, p.neighbours)))
        near = [n for n in stars.within(source.ra, source.dec, 2.0 * p.size) if not _is_same(stars, n, source)]
        ra = np.array([source.ra, *stars.columns["ra"][near]])
        dec = np.array([source.dec, *stars.columns["dec"][near]])
        x, y = sky_to_field(*project(ra, dec, pointing["ra"], pointing["dec"]), 0.0)
        return np.asarray(x).tolist(), np.asarray(y).tolist(), stars.columns["mag"][near].tolist()

    def _night(self, document: Document) -> NightCalibration:
        """Return the calibration of a document's setting and weather; kept in a process."""
        plain = json.loads(json.dumps(document))
        for key in ("catalogue", "place", "seed", "date", "pointing"):
            plain["elvis"].pop(key, None)
        plain["target"]["brightness"].pop("mag")
        p = self.parameters
        return calibrate(canonical(plain), isotime(p.cadence.start), p.seed, p.dithers > 0.0)

    def _frame(self, source: Source, epoch: int, file: bytes, mjd: float) -> ImageDataset:
        name = file_name(ImageDataset.kind, self.name, source, RAW).removesuffix(".fits")
        return ImageDataset(
            source_name=source.name,
            observatory=self.name,
            series=f"{epoch:05d}",
            path=f"{name}_{epoch:05d}{'_product' * (self.parameters.keep == 'product')}.fits",
            number=1,
            t_start=mjd,
            t_end=mjd,
            _data=file,
        )


@lru_cache(maxsize=8)
def _prepared(instrument: str, mode: str | None, request: str, chip: int | None, size: int, _: str) -> tuple[str, str]:
    """Return the request of a mode and the part of its block `elvis` that has chip and window, as JSON."""
    from elvis_cli import pipeline
    from elvis_cli.focalplane.geometry import field_to_pixel
    from elvis_cli.instrument import registry
    from elvis_cli.request import parse

    document = merge(registry.load(instrument).example(mode), json.loads(request))
    document["output"] = {}
    setup = pipeline.configure(parse.read(json.dumps(document)))
    if setup.spectrograph is not None:
        raise RequestError("/observatories/mode", f"{setup.mode} takes spectra", allowed="a mode of imaging")
    detector = setup.detector
    for each in detector.chips:
        x, y = (float(value) for value in field_to_pixel(setup, each, 0.0, 0.0))
        corner = round(x) - size // 2, round(y) - size // 2
        fits = 0 <= corner[0] <= detector.nx - size and 0 <= corner[1] <= detector.ny - size
        if (chip is None and fits) or each.id == chip:
            window = {"x0": corner[0], "y0": corner[1], "nx": size, "ny": size}
            return json.dumps(document), json.dumps({"chips": [each.id], "window": window})
    raise RequestError("/observatories/size", f"no chip has {size} pixels about the field centre", found=size)


@lru_cache(maxsize=4)
def _stars(path: str) -> Catalog:
    return Catalog.of_table(read_table(Path(path)))


def _is_same(stars: Catalog, number: int, source: Source) -> bool:
    """Return whether a star of the catalogue of neighbours is the source itself."""
    dx = (stars.columns["ra"][number] - source.ra) * np.cos(np.radians(source.dec))
    return bool(np.hypot(dx, stars.columns["dec"][number] - source.dec) * 3600.0 < 0.5)


def _render(document: Document) -> bytes:
    from elvis_cli import pipeline
    from elvis_cli.request import parse

    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document)), out)
    return out.getvalue()
