"""Write METIS's trace files from the fits of its public trace tables.

The extended mode of the integral field has no public trace: its three slices, six times, two pieces of each of three
orders, take places of the nominal mode's slices, a grating sending order times wavelength to one place. Run it from the
project's root with the file of the fits:

    python instruments/elvis_instruments/_build/metis_traces.py FITS.json
"""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "metis" / "traces"
IRDB = "Instrument reference database, AstarVienna/irdb dev_master f0a5f30 (2025-12-11): "
SETTINGS = {3.8: 29, 4.7: 23}
"""Order of the integral field's echelle at a central wavelength (um): blaze nearest in angle, 109.536 um / order."""
PIECES = {-1: (16, 17, 18), 0: (21, 22, 23), 1: (26, 27, 28)}
"""Extended mode, upper chips: the slices whose places those of this order, relative to the central one, take."""


def numbers(fit: dict[str, Any]) -> dict[str, Any]:
    """Return what a fit and a trace of a file have in common."""
    low, high = fit["wavelength_um"]
    rounded = {key: round(fit[key], 9) for key in ("l0", "lw", "s0", "sw")}
    return {"wave": [low, high], **rounded, "x_mm": fit["x_mm"], "y_mm": fit["y_mm"]}


def nominal(fits: dict[str, Any], order: int) -> list[dict[str, Any]]:
    """Return the traces of the 28 slices."""
    return [{"order": order, "aperture": k, **numbers(fits[f"Slice {k + 1}"])} for k in range(28)]


def extended(fits: dict[str, Any], order: int) -> list[dict[str, Any]]:
    """Return the traces of three slices in two pieces of three orders, the longer wavelengths on the upper chips."""
    traces = []
    for shift, below in ((0.5, 0), (-0.5, 15)):
        for step, places in PIECES.items():
            ratio = order / (order + step)
            for k, place in enumerate(places):
                trace = numbers(fits[f"Slice {place - below}"])
                low, high = trace["wave"]
                l0, low, high = ((w + shift * (high - low)) * ratio for w in (trace["l0"], low, high))
                moved = {"wave": [round(low, 6), round(high, 6)], "l0": l0, "lw": trace["lw"] * ratio}
                traces.append({"order": order + step, "aperture": k, **trace, **moved})
    return traces


def write(name: str, source: str, traces: list[dict[str, Any]], **more: Any) -> None:
    """Write one file, a line a trace."""
    head = json.dumps({"source": source, "assumed": False, **more})[:-1]
    lines = ",\n".join(json.dumps(trace) for trace in traces)
    (FOLDER / f"{name}.json").write_text(f'{head}, "traces": [\n{lines}\n]}}\n')


def main() -> None:
    """Write all files."""
    tables = json.loads(Path(sys.argv[1]).read_text())["traces"]
    for band in "LMN":
        fit = tables[f"TRACE_LSS_{band}"][f"METIS LSS {band}"]
        source = f"{IRDB}METIS/TRACE_LSS_{band}.fits, polynomials fitted"
        write(f"lss_{band.lower()}", source, [{"order": 1, **numbers(fit)}])
    for at, order in SETTINGS.items():
        fits, setting = tables[f"METIS_LMS_{at}um"], {"at": at, "order": order}
        source = f"{IRDB}METIS/TRACE_LMS.fits at {at} um, polynomials fitted"
        write(f"lms_{at}um", source, nominal(fits, order), **setting)
        source = (
            "three slices, six spectral pieces, two of each of three orders: A. Glasse, AGlasse/lmsiq; "
            f"where they fall and that the pieces join: chosen, with the nominal traces at {at} um"
        )
        write(f"lms_extended_{at}um", source, extended(fits, order), assumed=True, **setting)


if __name__ == "__main__":
    main()
