"""The summary of a calibration frame, in the place of a prediction."""

from __future__ import annotations

from elvis_cli.model.calibration import Calibration
from elvis_cli.model.exposure import Exposure
from elvis_cli.model.request import Timing
from elvis_cli.prediction.types import CalibrationSummary, Card


def summarise(
    calibration: Calibration, exposure: Exposure, lamp: float | None, timing: Timing, sky_model: str
) -> CalibrationSummary:
    """Return the header cards and notes of a calibration frame; ``lamp`` and ``timing`` are those of the request."""
    name = calibration.name
    cards: list[Card] = [("ESO SIM CALIB", name, "kind of calibration frame")]
    if calibration.light in ("sky", "twilight"):
        cards.append(("ESO SIM SKY MODEL", sky_model, "where the sky comes from"))
    if calibration.lamps:
        cards.append(("ESO SIM LAMP NAME", " + ".join(lamp.name for lamp in calibration.lamps), "lamps that are on"))
        cards.append(("ESO SIM LAMP FILL", calibration.fill, "part of the full well in the brightest pixel"))
    notes = []
    if lamp and not calibration.lamps:
        notes.append(f"/elvis/lamp: not used, no lamp shines in the calibration {name}")
    if timing.snr is not None:
        reason = f"a calibration has no target; {exposure.count_key} is {exposure.count}"
        notes.append(f"/timesnr/snr: not used, {reason}")
    if name == "bias" and timing.dit:
        notes.append("/timesnr: the integration time of a bias is 0 s")
    return CalibrationSummary(exposure.count or 1, tuple(cards), tuple(notes))
