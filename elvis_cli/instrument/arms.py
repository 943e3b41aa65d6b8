"""Arms of an instrument: spectra that one exposure takes at once, each with a detector and a file of its own.

An arm is data: a table ``arms.NAME`` of the instrument that is laid over all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from elvis_cli.errors import RequestError, choice_error
from elvis_cli.model.request import Request
from elvis_cli.model.spectrograph import Trace

ORDER_KEYS = ("orders_list", "order")
"""Keys of every spectrograph: the orders of the output tables (`order`: first generation)."""


def active(names: Sequence[str], request: Request) -> tuple[str, ...]:
    """Return the arms that take part, the default first: that which drives the exposure or has the instrument's name.

    In the first generation the ``instrument`` section may have a section for each arm, with ``isActive``.
    """
    sections = {name: section for name in names if isinstance(section := request.keys.get(name), Mapping)}
    left = [name for name in names if sections.get(name, {}).get("isActive") is not False] or list(names)
    driver = str((request.document.get("instrument") or {}).get("driver") or request.instrument).casefold()
    return tuple(sorted(left, key=lambda name: name != driver))


def flatten(request: Request, arms: Mapping[str, Any], chosen: str = "") -> Request:
    """Return the request with the keys of the arms' own sections among the others, under the instrument's names.

    ``section`` of an arm's table has the instrument's name of each key; the list of orders is that of the arm
    ``chosen``.
    """
    keys = dict(request.keys)
    for name, table in arms.items():
        section = keys.get(name)
        if "section" not in table or not isinstance(section, Mapping):
            continue
        del keys[name]
        named = {table["section"].get(key, key): value for key, value in section.items() if key != "isActive"}
        own = {key: value for key, value in named.items() if key not in ORDER_KEYS or name == chosen}
        keys |= {key: value for key, value in own.items() if value is not None}
    return replace(request, keys=keys)


def asked(instrument: str, names: Sequence[str], request: Request) -> str | None:
    """Return the arm that the request names, or None.

    Raises
    ------
    RequestError
        The mode does not have this arm, or any.
    """
    arm = request.elvis.arm
    if arm is not None and not names:
        raise RequestError("/elvis/arm", f"this mode of {instrument} has no arms", found=arm, allowed="no arm")
    if arm is not None and arm not in names:
        raise choice_error("/elvis/arm", arm, names)
    return arm


def choose(
    instrument: str, names: Sequence[str], request: Request, traces: Callable[[str], Sequence[Trace]]
) -> tuple[str, tuple[str, ...]]:
    """Return the arm of which the file is, and a note that names the others; "" without arms.

    It is the one that the request names, or whose S/N it asks for, or that sees the wavelengths of that S/N or of the
    emission line, else the first. ``traces`` returns those of an arm.

    Raises
    ------
    RequestError
        The mode does not have the arm that the request names.
    """
    arm = asked(instrument, names, request)
    if arm is not None:
        return arm, ()
    if len(names) < 2:
        return next(iter(names), ""), ()
    goals = [name for name in names if name in request.timing.goals]
    chosen = goals[0] if goals else names[0]
    wave = _wavelengths(request)
    if len(goals) != 1 and wave is not None:
        chosen = next((name for name in goals or names if _sees(traces(name), wave)), chosen)
    others = [name for name in names if name != chosen]
    note = f"/elvis/arm: this file is of the {chosen} arm; the same exposure has {' and '.join(others)} (--arm)"
    return chosen, (note,)


def _wavelengths(request: Request) -> tuple[float, float] | None:
    """Return the range (um) that the request is about: of the S/N, or of the emission line; None = all."""
    if request.timing.wave is not None:
        return request.timing.wave
    sed = request.target.sed
    if sed.kind != "emissionline":
        return None
    line = sed.line_wavelength * 1e-3 * (1.0 + sed.redshift)
    return line, line


def _sees(traces: Sequence[Trace], wave: tuple[float, float]) -> bool:
    """Return whether a trace has light in a range (um)."""
    return any(trace.wave[0] <= wave[1] and trace.wave[1] >= wave[0] for trace in traces)
