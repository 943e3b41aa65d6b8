"""The detector as it is read out, its integration time and the part of it that is rendered, from their tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from elvis_cli.errors import RequestError, choice_error
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.detector import Chip, Detector, Quadrant
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.request import Request


def make(facts: SourcedTable, binning: int, row_binning: int, dit: float) -> Detector:
    """Return the detector as read out: sizes and dark current are per binned pixel.

    The read noise may depend on the integration time ``dit``, s. Pixels that are binned differently along x and y are
    squares of the width along x: places along y shrink with them.
    """
    pixel = facts.number("pixel", "mm")
    stretch = binning / row_binning

    def of_chip(number: str, name: str, unit: str) -> float:
        table = facts.part("chips", number)
        return (table if name in table else facts).against(name, unit, "dit", dit)

    chips = tuple(
        Chip(
            id=int(number),
            extname=facts.part("chips", number).text("extname"),
            x_mm=of_chip(number, "x", "mm"),
            y_mm=of_chip(number, "y", "mm") * stretch,
            rotation=of_chip(number, "rotation", "deg"),
            gain=of_chip(number, "gain", "electron/adu"),
            ron=of_chip(number, "ron", "electron"),
            dark=of_chip(number, "dark", "electron/s") * binning * row_binning,
            header=tuple(facts.part("chips", number, "header").tree.items()),
            scale=facts.part("chips", number).number("scale", "1") if "scale" in facts.part("chips", number) else 1.0,
        )
        for number in facts.part("chips")
    )
    stages, orders = facts.part("stages"), facts.tree.get("order", {})
    orders = orders if isinstance(orders, Mapping) else {"usual": orders}
    return Detector(
        name=facts.text("name"),
        kind=facts.text("kind"),
        nx=int(facts.number("nx", "pixel")) // binning,
        ny=int(facts.number("ny", "pixel")) // row_binning,
        pixel_mm=pixel * binning,
        binning=binning,
        full_well=facts.number("full_well", "electron"),
        bias=facts.number("bias", "adu"),
        adc_max=facts.number("adc_max", "adu"),
        qe=facts.curve("qe"),
        chips=chips,
        stages={stage: {name: stages.part(stage).value(name) for name in stages.part(stage)} for stage in stages},
        orders={name: tuple(names) for name, names in orders.items()},
        optional=tuple(facts.tree.get("optional", ())),
        quadrants=tuple(
            _quadrant(facts.part("quadrants", name), name, binning, row_binning) for name in facts.part("quadrants")
        ),
        extensions=facts.text("extensions", "chips"),
        row_binning=row_binning,
        wcs=facts.text("wcs", ""),
    )


def _quadrant(facts: SourcedTable, name: str, binning: int, row_binning: int) -> Quadrant:
    """Return a part of a chip; what its table does not say are the chip's own figures."""

    def own(key: str, unit: str) -> float | None:
        return facts.number(key, unit) if key in facts else None

    x0, nx = (int(facts.number(key, "pixel")) // binning for key in ("x0", "nx"))
    y0, ny, rows = (int(facts.number(key, "pixel")) // row_binning for key in ("y0", "ny", "rows"))
    return Quadrant(
        name, x0, y0, nx, ny, facts.text("corner"),
        prescan=int(facts.number("prescan", "pixel")),
        overscan=int(facts.number("overscan", "pixel")),
        rows=rows,
        gain=own("gain", "electron/adu"),
        ron=own("ron", "electron"),
        bias=own("bias", "adu"),
    )  # fmt: skip


def integration_time(timing: SourcedTable, detector: SourcedTable, request: Request) -> float:
    """Return the integration time (s) asked for, else the form's default.

    Raises
    ------
    RequestError
        It is shorter than the detector's ``min_dit``, where there is one, or longer than the ``free_dit`` up to
        which any time goes and none of the ``long_dits``.
    """
    dit = request.timing.dit_of(timing.text("dit_key"))
    dit = timing.number("dit", "s") if dit is None else dit
    if "min_dit" in detector and dit < (least := detector.number("min_dit", "s")):
        raise RequestError(
            f"/timesnr/{timing.text('dit_key')}",
            f"{detector.text('name')} cannot be read out after {dit:g} s",
            found=dit,
            allowed=f">= {least:g} s",
        )
    if "free_dit" in timing and dit > (longest := timing.number("free_dit", "s")):
        allowed = timing.value("long_dits", "s")
        if dit not in allowed:
            raise RequestError(
                f"/timesnr/{timing.text('dit_key')}",
                f"{dit:g} s: beyond {longest:g} s some integration times are offered only",
                found=dit,
                allowed=[f"<= {longest:g} s", *allowed],
            )
    return dit


def frame(facts: SourcedTable, detector: Detector, request: Request) -> tuple[Window, tuple[int, ...]]:
    """Return the part of each chip, and the chips, to be rendered.

    The default frame is ``chips`` and the central ``window`` = [columns, rows] of each; without ``window`` all of it.
    Chips come in the order of ``chips``, if these are all, else of their numbers.
    """
    numbers = [chip.id for chip in detector.chips]
    full = Window(0, 0, detector.nx, detector.ny)
    requested = request.elvis.window
    default = tuple(int(c) for c in facts.tree.get("chips", numbers))
    if set(default) == set(numbers):
        numbers = list(default)
    if isinstance(requested, Window):
        window = requested
        inside = 0 <= window.x0 <= detector.nx - window.nx and 0 <= window.y0 <= detector.ny - window.ny
        if window.nx < 1 or window.ny < 1 or not inside:
            raise RequestError(
                "/elvis/window",
                f"{window.nx} x {window.ny} at ({window.x0}, {window.y0}) is not within the chip",
                found=dataclasses.asdict(window),
                allowed=f"x0 + nx <= {detector.nx}, y0 + ny <= {detector.ny}, all of them >= 0",
            )
    elif requested is None and "window" in facts:
        columns, rows = (min(n, most) for n, most in zip(facts.tree["window"], (full.nx, full.ny), strict=True))
        window = Window((full.nx - columns) // 2, (full.ny - rows) // 2, columns, rows)
    elif requested is None or requested == "full":
        window, default = full, tuple(numbers) if requested else default
    else:
        raise choice_error("/elvis/window", requested, ["full", "{x0, y0, nx, ny}"])
    chips = default if request.elvis.chips is None else request.elvis.chips or tuple(numbers)
    for chip in chips:
        if chip not in numbers:
            raise choice_error("/elvis/chips", chip, numbers)
    return window, tuple(number for number in numbers if number in chips)
