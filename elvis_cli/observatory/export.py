"""The products of a run on disk, remade from the database: tables, histograms, efficiency, configuration, log."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli import __version__
from elvis_cli.observatory import histogram, results
from elvis_cli.observatory.analysis import OTHERS, Analysis
from elvis_cli.observatory.efficiency import efficiency
from elvis_cli.observatory.project import Project
from elvis_cli.observatory.results import DETECTION_COLUMNS
from elvis_cli.observatory.store import Store
from elvis_cli.product.fits import write_file
from elvis_cli.product.sinks import file_sink

FILES = ("detections.ecsv", "sources.ecsv", "histograms.fits", "efficiency.ecsv", "config.yaml", "log.jsonl")
UNITS = {
    "ra": "deg",
    "dec": "deg",
    "mag": "mag",
    "magerr": "mag",
    "peak_time": "d",
    "time_start": "d",
    "time_end": "d",
    "peak_mag": "mag",
    "dmag": "mag",
    "mean_mag": "mag",
    "rms_mag": "mag",
    "limiting_mag": "mag",
}


def export(project: Project, store: Store, folder: Path | None = None) -> list[Path]:
    """Write the products into the folder of the run, or another one; return their paths.

    The same results give the same bytes, whatever database holds them.
    """
    folder = folder or project.folder
    folder.mkdir(parents=True, exist_ok=True)
    rows = results.sources(store)
    found = results.detections(store)
    config = "config.yaml"
    if project.parameters.version_control:
        config = f"config_{project.parameters.cfg_hash[:8]}.yaml"
    writers: dict[str, Callable[[], bytes]] = {
        "detections.ecsv": lambda: _ecsv(found, ("source", *DETECTION_COLUMNS)),
        "sources.ecsv": lambda: _ecsv([_source(row, project) for row in rows], _SOURCE_COLUMNS),
        "histograms.fits": lambda: _histograms(project, store),
        "efficiency.ecsv": lambda: _ecsv(
            efficiency(project.parameters, project.key(), rows, found), _EFFICIENCY_COLUMNS
        ),
        config: lambda: _config(project),
        "log.jsonl": lambda: "".join(json.dumps(row) + "\n" for row in results.tasks(store)).encode(),
    }
    paths = []
    for name, make in writers.items():
        with file_sink(folder / name) as out:
            out.write(make())
        paths.append(folder / name)
    return paths


_SOURCE_COLUMNS = (
    "name",
    "ra",
    "dec",
    "mag",
    "magerr",
    "filter",
    "has_data",
    "lightcurves",
    "number",
    "num_good",
    "mean_mag",
    "rms_mag",
    "snr",
    "limiting_mag",
)
_EFFICIENCY_COLUMNS = ("amplitude", "injected", "recovered", "efficiency", "low", "high")
_INTEGERS = ("lightcurves", "number", "num_good", "quality_flag", "injected", "recovered")


def _source(row: dict[str, Any], project: Project) -> dict[str, Any]:
    """Return a row of sources.ecsv; means are over epochs, the limit is of an event in the best light curve."""
    curves = results.light_curves(row)
    good = sum(curve["num_good"] for curve in curves)

    def mean(key: str) -> float | None:
        pairs = [(curve[key], curve["num_good"]) for curve in curves if curve[key] is not None and curve["num_good"]]
        return sum(value * n for value, n in pairs) / sum(n for _, n in pairs) if pairs else None

    threshold = project.parameters.finder.snr_threshold
    noise = [max(curve["rms"], 1e-300) for curve in curves if curve["rms"] is not None]
    return {
        **{key: row[key] for key in _SOURCE_COLUMNS[:6]},
        "has_data": str(bool(row["has_data"])),
        "lightcurves": len(curves),
        "number": sum(curve["number"] for curve in curves),
        "num_good": good,
        "mean_mag": mean("mag"),
        "rms_mag": mean("mag_rms"),
        "snr": mean("snr"),
        "limiting_mag": 23.9 - 2.5 * float(np.log10(threshold * min(noise))) if noise else None,
    }


def _ecsv(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    from astropy.table import Table

    columns = {}
    for name in names:
        values = [row[name] for row in rows]
        if name in _INTEGERS:
            columns[name] = np.array(values, np.int64)
        elif any(isinstance(value, str) for value in values) or name in _TEXTS:
            columns[name] = np.array([str(value) for value in values] or [], dtype=str)
        else:
            columns[name] = np.array([np.nan if value is None else value for value in values], np.float64)
    table = Table(columns)
    for name, unit in UNITS.items():
        if name in table.colnames:
            table[name].unit = unit
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()


_TEXTS = ("source", "seal", "observatory", "filter", "dataset", "analysis", "cfg_hash", "name", "has_data")


def _histograms(project: Project, store: Store) -> bytes:
    analysis, made = Analysis(project.parameters), []
    for name in OTHERS:
        empty = analysis.histogram(name)
        counts = histogram.total(empty.scores, results.histogram_parts(store, name))
        made += histogram.tables(name, empty.scores, empty.others, empty.axes, counts)
    out = io.BytesIO()
    write_file(
        out, [("ORIGIN", "ELVIS", "observatory"), ("CFGHASH", project.parameters.cfg_hash, "parameters")], [], made
    )
    return out.getvalue()


def _config(project: Project) -> bytes:
    import yaml

    head = f"# elvis {__version__}, cfg_hash {project.parameters.cfg_hash}\n"
    return (head + yaml.safe_dump(project.parameters.science, sort_keys=True)).encode()


def skyportal(datasets: Sequence[Any], path: Path) -> None:
    """Write light curves as SkyPortal reads them: HDF5, a group for each with mjd, flux, fluxerr and its metadata.

    Raises
    ------
    ResourceError
        There is no h5py.
    """
    from elvis_cli.errors import ResourceError

    try:
        import h5py
    except ImportError:
        raise ResourceError("HDF5 needs h5py: pip install 'elvis-cli[hdf5]'") from None
    with h5py.File(path, "w") as file:
        for number, curve in enumerate(datasets):
            group = file.create_group("photometry" if len(datasets) == 1 else f"photometry_{number:02d}")
            for key in ("mjd", "flux", "fluxerr"):
                group.create_dataset(key, data=getattr(curve, key))
            group.attrs.update(dict(_skyportal(curve)))


def _skyportal(curve: Any) -> Iterator[tuple[str, Any]]:
    yield from (("series_name", f"{curve.observatory}_{curve.series}"), ("series_obj_id", curve.source_name))
    yield from (("exp_time", curve.exptime), ("filter", curve.filter), ("time_stamp_alignment", "middle"))
    yield from (("ra", float(np.nanmean(curve.ra))), ("dec", float(np.nanmean(curve.dec))))
