"""Write HARMONI's trace files: where each half of each slice falls on the chips of the four spectrographs.

The layout is that of the HARMONI simulator HSIM (60c354a, sim_detector.add_detectors): a spectrograph takes 38 of the 152
slices, its left chip one half of each and its right chip the other, side by side along x; spectra run along y, those of
neighbouring slices 134 pixels apart, the whole pseudo-slit bent by 2 pixels a slice away from the middle. There a half slice
is 102 pixels long with 4.7 pixels to the next; the published field (0.61 x 0.86 arcsec at 4 mas) needs 107, and 38 of them
fit between the reference pixels. Each starts on a whole pixel, one pixel or none from the next, so that the optics' blur
alone mixes the ends of slices that touch. Wavelengths are pixels from the middle of the grating's range, s is in pixels from the
middle of the slice. The two visible cameras (four CCDs) are taken to be those of the middle spectrographs.
Run it from the project's root:

    python instruments/elvis_instruments/_build/harmoni_traces.py
"""

import json
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "harmoni" / "traces"
SOURCE = "HSIM 60c354a: sim_detector.py, layout of the slices on the detectors; 107 pixels a half slice for the published field"
SLICES, UNITS, LENGTH, PIXELS, BORDER = 152, 4, 107, 4096, 4
STEP, APART = 2, 67
"""Pixels: bend of the pseudo-slit a slice, and half the distance of neighbouring slices' spectra."""
REACH = 2200
"""Pixels from the middle to either end: beyond the chip."""
PIXEL, PITCH = 0.015, 70.0
"""mm: pixel, and distance of the chips in the figurative focal plane in which all of them stand."""


def chip(unit: int, half: int, units: int) -> tuple[float, float]:
    """Return the centre x, y (mm) of a chip: units from top to bottom, halves of the slices from left to right."""
    return (half - 0.5) * PITCH, ((units - 1) / 2 - unit) * PITCH


def traces(units: range) -> Iterator[dict[str, object]]:
    """Yield the traces of these units; apertures are the slices of the left halves, then those of the right."""
    each = SLICES // UNITS
    pitch = (PIXELS - 2 * BORDER) / each
    for half in (0, 1):
        for k in range(units.start * each, units.stop * each):
            unit, j = divmod(k, each)
            x, y = chip(unit - units.start, half, len(units))
            bend = (STEP * j - 67.5, 6.5 - STEP * j)[half] + (APART if j % 2 else -APART)
            along = BORDER + int(j * pitch) + LENGTH / 2 - PIXELS / 2
            yield {
                "order": 1,
                "aperture": half * SLICES + k,
                "wave": [-REACH, REACH],
                "l0": 0,
                "lw": REACH,
                "s0": (half - 0.5) * LENGTH,
                "sw": LENGTH / 2,
                "x_mm": [[round(x + along * PIXEL, 5), LENGTH / 2 * PIXEL]],
                "y_mm": [[round(y + bend * PIXEL, 5)], [REACH * PIXEL]],
            }


def main() -> None:
    """Write the file of the infrared cameras and that of the visible ones."""
    for name, units in (("infrared", range(4)), ("visible", range(1, 3))):
        lines = ",\n".join(json.dumps(trace) for trace in traces(units))
        text = f'{{"source": {json.dumps(SOURCE)}, "assumed": true, "traces": [\n{lines}\n]}}\n'
        (FOLDER / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
