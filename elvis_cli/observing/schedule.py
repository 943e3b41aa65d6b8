"""The plan of a night for a person: a table, a line."""

from __future__ import annotations

from collections.abc import Sequence

from elvis_cli.observing.plan import Exposure
from elvis_cli.observing.visit import Visit
from elvis_cli.sky.pointing import isot

COLUMNS = ("start (UTC)", "no", "block", "template", "type", "shutter s", "wall s", "overheads s", "airmass")


def row(exposure: Exposure) -> tuple[str, ...]:
    """Return the line of the table for a file."""
    spent = ", ".join(
        f"{name} {seconds:g}" for name, seconds in (*exposure.before.items(), ("readout", exposure.readout))
    )
    template = exposure.document["elvis"]["template"]
    return (
        isot(exposure.start)[:-4],
        str(exposure.number),
        exposure.block,
        f"{exposure.template} {template['expno']}/{template['nexp']}",
        exposure.type,
        f"{exposure.shutter:g}",
        f"{exposure.wall:g}",
        spent,
        "" if exposure.airmass is None else f"{exposure.airmass:.3f}",
    )


def summary(visits: Sequence[Visit], exposures: Sequence[Exposure]) -> str:
    """Return the plan in a line."""
    light, wall = sum(e.shutter for e in exposures), sum(e.wall for e in exposures)
    when = f", {isot(exposures[0].start)[:-4]} to {isot(exposures[-1].start)[:-4]}" if exposures else ""
    return f"{len(visits)} blocks, {len(exposures)} exposures{when}, {light:g} s of light in {wall:g} s"
