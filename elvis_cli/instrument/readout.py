"""What a request asks of an infrared array: the way it is sampled, its reads, what it remembers."""

from __future__ import annotations

from dataclasses import replace

from elvis_cli.errors import RequestError
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model import sampling
from elvis_cli.model.detector import Detector
from elvis_cli.model.elvis_block import ElvisBlock, Previous, Window

MAX_KEPT_READS = 2**26
"""Numbers in the reads of one chip."""


def completed(detector: Detector, family: SourcedTable | None, window: Window, block: ElvisBlock) -> Detector:
    """Return the detector with those stages of its ``family`` that the request names and it does not have itself.

    Raises
    ------
    RequestError
        The window has no reference pixels for the correction that the request names.
    """
    asked = {*block.also, *(block.only or ()), *(block.stages or ())}
    if block.previous:
        asked.add("persistence")
    if family and "reference_correction" in asked & set(family):
        asked.add("reference_pixels")
        border = int(family.part("reference_correction").number("border", "pixel"))
        if window.y0 >= border and window.y0 + window.ny <= detector.ny - border:
            raise RequestError(
                "/elvis/window",
                "holds no reference pixels, and reference_correction needs them",
                allowed=f"one with rows below {border} or from {detector.ny - border}",
            )
    more = [] if family is None else [stage for stage in family if stage in asked - set(detector.stages)]
    if family is None or not more:
        return detector
    tables = {stage: {name: family.part(stage).value(name) for name in family.part(stage)} for stage in more}
    return replace(detector, stages={**detector.stages, **tables})


def sampled(detector: Detector, facts: SourcedTable, dit: float, window: Window, block: ElvisBlock) -> Detector:
    """Return the detector as it is sampled: with its own ``readout`` (else cds) or that of the request.

    The read noise of its chips, which is that of its own sampling, becomes that of the sampling that is asked for.

    Raises
    ------
    RequestError
        The detector is a CCD; it cannot be sampled like this, or has no figures for persistence; or the reads are too
        many to be kept.
    """
    if detector.kind == "ccd":
        for key, asked in (
            ("readout", block.readout),
            ("reads", block.reads),
            ("previous", block.previous),
        ):
            if asked:
                raise RequestError(f"/elvis/{key}", f"{detector.name} is a CCD", allowed="an infrared detector")
        return detector
    if block.previous:
        _check_previous(detector, block.previous)
    least = facts.number("min_dit", "s") if "min_dit" in facts else None
    own = sampling.parse(facts.text("readout", "cds"), dit, least)
    used = own if block.readout is None else sampling.parse(block.readout, dit, least)
    if block.reads and used.reads * window.nx * window.ny > MAX_KEPT_READS:
        raise RequestError(
            "/elvis/reads",
            f"{used.reads} reads of {window.nx} x {window.ny} pixels are too many to keep: ask for a window",
            allowed=f"{MAX_KEPT_READS} numbers a chip",
        )
    if used == own == detector.sampling:
        return detector
    chips = tuple(replace(chip, ron=chip.ron * used.noise / own.noise) for chip in detector.chips)
    return replace(detector, sampling=used, chips=chips)


def check_rows(facts: SourcedTable, dit: float, rows: int, dit_key: str) -> None:
    """Raise RequestError if the ``rows`` of a window take longer to read than ``dit`` s, where a row has a time."""
    if "row_time" not in facts:
        return
    each = facts.number("row_time", "s")
    if dit < rows * each * (1 - 1e-9):
        raise RequestError(
            f"/timesnr/{dit_key}",
            f"{facts.text('name')} cannot read {rows} rows in {dit:g} s",
            found=dit,
            allowed=f">= {rows * each:.4g} s, or a window of at most {int(dit / each)} rows (/elvis/window)",
        )


def _check_previous(detector: Detector, previous: Previous) -> None:
    where = "/elvis/previous"
    if "persistence" not in detector.stages:
        raise RequestError(where, f"nothing is known of the persistence of {detector.name}", found=detector.name)
    known = {chip.id for chip in detector.chips}
    for i, exposed in enumerate(previous.chips):
        window = exposed.window
        if exposed.chip not in known:
            raise RequestError(f"{where}/chips/{i}/chip", "no such chip", found=exposed.chip, allowed=sorted(known))
        if window.x0 + window.nx > detector.nx or window.y0 + window.ny > detector.ny:
            raise RequestError(
                f"{where}/chips/{i}/window", "is larger than the chip", allowed=f"{detector.nx} x {detector.ny} pixels"
            )
