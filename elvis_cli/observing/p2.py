"""Observing Blocks of ESO's phase-2 tool (p2): JSON of one block, of a tree of containers, or a block a line.

A block is what p2's interface returns, with its templates in it: {obId, itemType, name, runId, target, constraints,
obsDescription, templates: [{templateName, type, parameters: [{name, value}]}]}. Containers (Folder, Group,
Concatenation, TimeLink) hold ``children``. One key is ours: ``elvis``, a merge patch to the requests, for all that a
block does not say (brightness, scene, window). It counts on a container for all that is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from elvis_cli.base import random_streams
from elvis_cli.base.dates import parse_date
from elvis_cli.base.merge import merge
from elvis_cli.errors import RequestError, choice_error
from elvis_cli.instrument import registry
from elvis_cli.observing import sequences, templates
from elvis_cli.observing import target as targets
from elvis_cli.observing.checked_object import MAX_NESTING_DEPTH, CheckedObject, check_length
from elvis_cli.observing.target import Target
from elvis_cli.observing.templates import MODE_PARAMETER, Signatures, Template
from elvis_cli.observing.visit import TemplateRun, Visit, check_count

if TYPE_CHECKING:
    from elvis_cli.request.files.moving import Ephemeris

CONTAINERS = ("Folder", "Group", "Concatenation", "TimeLink")
PATCH_KEY = "elvis"
ROTATOR_MODES = {"SKY": "pa", "ELEV": "vertical", "STAT": "stationary"}
T = TypeVar("T")


def looks_like(document: Any) -> bool:
    """Return whether a document has the shape of a p2 block or container."""
    one = document[0] if isinstance(document, list) and document else document
    return isinstance(one, Mapping) and any(key in one for key in ("obId", "itemType", "templates", "children"))


def read(document: Any, seed: int, ephemerides: Mapping[str, Ephemeris] = MappingProxyType({})) -> Iterator[Visit]:
    """Yield the blocks of a document in the order of its tree; ``ephemerides`` by the name of their target.

    Raises
    ------
    RequestError
        A block is incomplete; a template or a parameter does not exist, or has a wrong value.
    ResourceError
        There is no such instrument.
    """
    yield from _tree(document, "", {}, partial(_block, seed=seed, ephemerides=ephemerides), 0)


def _tree(
    node: Any,
    pointer: str,
    patch: Mapping[str, Any],
    make: Callable[[CheckedObject, Mapping[str, Any]], Visit],
    depth: int,
) -> Iterator[Visit]:
    if depth > MAX_NESTING_DEPTH:
        raise RequestError(pointer, "nested too deeply")
    if isinstance(node, list):
        check_length(node, pointer)
        for n, child in enumerate(node):
            yield from _tree(child, f"{pointer}/{n}", patch, make, depth + 1)
        return
    members = CheckedObject(node, pointer)
    patch = merge(patch, members.table(PATCH_KEY))
    if "children" in members or members.node.get("itemType") in CONTAINERS:
        for n, child in enumerate(members.items("children")):
            yield from _tree(child, f"{members.at('children')}/{n}", patch, make, depth + 1)
        return
    yield make(members, patch)


def _block(members: CheckedObject, patch: Mapping[str, Any], seed: int, ephemerides: Mapping[str, Ephemeris]) -> Visit:
    kind = members.choice("itemType", ("OB", "CB"), "OB")
    listed = members.items("templates")
    if not listed:
        raise RequestError(members.at("templates"), "is missing: a block needs its templates", allowed="a list")
    number = members.integer("obId", 0, 0, 2**63 - 1)
    signatures = _instrument(members, listed)
    runs: list[TemplateRun] = []
    acquisition: dict[str, Any] | None = None
    for n, node in enumerate(listed):
        where = f"{members.at('templates')}/{n}"
        template, parameters = _template(node, where, signatures)
        if template.type == "acquisition":
            if n:
                raise RequestError(where, f"{template.id} is an acquisition template: it must be the first, and alone")
            acquisition = template.values(parameters, {}, f"{where}/parameters")
            continue
        runs.append(_template_run(template, parameters, n + 1, where, signatures, seed, number))
    target = _target(members, acquisition or {}, ephemerides) if "target" in members else None
    needs = [one for one in runs if one.calibration in (None, "std")]
    if needs and (target is None or not target.placed):
        raise RequestError(
            members.at("target"), f"is missing: {needs[0].template} needs one", allowed="{name, ra, dec}"
        )
    return Visit(
        members.pointer,
        number,
        members.text("name", f"OB {number}"),
        members.text("runId", members.text("programme", "SIMULATED")),
        None if kind == "CB" else target,
        signatures.instrument,
        tuple(runs),
        slews=target is not None and kind == "OB",
        acquires=acquisition is not None,
        request=_conditions(members, patch),
        constraints=_constraints(members),
        windows=tuple(_windows(members, ("absoluteTimeConstraints", "ATCs"), parse_date)),
        sidereal=tuple(_windows(members, ("siderealTimeConstraints", "STCs"), targets.sexagesimal)),
    )


def _instrument(members: CheckedObject, listed: list[Any]) -> Signatures:
    """Return the signatures of the block's instrument: the one it names, or that of its templates' names."""
    if "instrument" in members:
        instrument = members.text("instrument").casefold()
        instrument = templates.prefixes().get(instrument, instrument)
    else:
        first = CheckedObject(listed[0], members.at("templates") + "/0")
        prefix = first.text("templateName").partition("_")[0]
        instrument = templates.prefixes().get(prefix.casefold(), "")
        if not instrument:
            raise choice_error(first.at("templateName"), first.text("templateName"), _all())
    signatures = templates.load(instrument)
    if not signatures.templates:
        raise RequestError(members.at("instrument"), f"{instrument} has no templates", found=instrument)
    return signatures


def _all() -> list[str]:
    return [name for instrument in set(templates.prefixes().values()) for name in templates.load(instrument).templates]


def _template(node: Any, pointer: str, signatures: Signatures) -> tuple[Template, dict[str, Any]]:
    members = CheckedObject(node, pointer)
    template = signatures.find(members.require("templateName"), members.at("templateName"))
    parameters = members.node.get("parameters", {})
    if isinstance(parameters, Mapping):
        return template, {str(key): value for key, value in parameters.items()}
    values: dict[str, Any] = {}
    for n, one in enumerate(members.items("parameters")):
        parameter = CheckedObject(one, f"{members.at('parameters')}/{n}")
        name = parameter.text("name")
        if name in values:
            raise RequestError(parameter.at("name"), f"{name!r} is given twice")
        values[name] = parameter.node.get("value")
    return template, values


def _template_run(
    template: Template,
    parameters: dict[str, Any],
    number: int,
    pointer: str,
    signatures: Signatures,
    seed: int,
    block: int,
) -> TemplateRun:
    where = f"{pointer}/parameters"
    mode_word = parameters.get(MODE_PARAMETER) if MODE_PARAMETER in template.parameters else None
    if mode_word is not None:
        mode_word = template.parameters[MODE_PARAMETER].check(mode_word, f"{where}/{MODE_PARAMETER}")
    mode = template.modes[mode_word or next(iter(template.modes))]
    plugin = registry.load(signatures.instrument)
    offered = [info.mode for info in plugin.modes()]
    if mode not in offered:
        raise choice_error(f"{pointer}/templateName", mode, offered)
    times = signatures.timing(mode)
    keys = {**signatures.keys(mode), **times}
    for name in template.parameters:  # a CCD's number of exposures is the sequence's
        keys.pop(name, None)
    values = template.values(parameters, keys, where)
    chosen = {name: values.pop(name) for name in list(values) if name in keys}
    timing = {name: chosen.pop(name) for name in list(chosen) if name in times}
    rng = random_streams.generator(seed, number, block % 2**32, f"jitter {template.id}", 0)
    steps = sequences.steps(template.sequence, values, rng)
    check_count(len(steps), where)
    cards = {
        f"ESO {name.replace('.', ' ')}": value
        for name, value in values.items()
        if name.startswith("SEQ.") and isinstance(value, (str, int, float))
    }
    return TemplateRun(
        template.id,
        template.title,
        number,
        pointer,
        mode,
        chosen,
        timing,
        steps,
        template.category,
        template.object_type,
        template.sky_type,
        template.sky_category,
        template.tech,
        template.calibration,
        bool(values.get("SEQ.RETURN", True)),
        cards,
    )


def _target(
    members: CheckedObject, acquisition: Mapping[str, Any], ephemerides: Mapping[str, Ephemeris]
) -> Target | None:
    inner = CheckedObject(members.node["target"], members.at("target"))
    name = inner.text("name", "unnamed") or "unnamed"
    if "ra" not in inner and "dec" not in inner and not {name, ""} & set(ephemerides):
        return None
    equinox = inner.text("equinox", "J2000")
    node: dict[str, Any] = {
        "name": name,
        "RA": inner.node.get("ra"),
        "Dec": inner.node.get("dec"),
        "epoch": inner.number("epoch", 2000.0, 1800, 2200),
        "PMRA": inner.number("properMotionRa", 0.0, -100, 100, unit="arcsec/yr"),
        "PMDec": inner.number("properMotionDec", 0.0, -100, 100, unit="arcsec/yr"),
        "rotmode": ROTATOR_MODES[acquisition.get("INS.DROT.MODE", "SKY")],
        "PA": acquisition.get("TEL.ROT.OFFANGLE", 0.0) % 360.0,
        "RAOffset": acquisition.get("TEL.TARG.OFFSETALPHA", 0.0),
        "DecOffset": acquisition.get("TEL.TARG.OFFSETDELTA", 0.0),
        "ddec": 3600.0 * inner.number("differentialDec", 0.0, -200, 200, unit="arcsec/s"),
    }
    if equinox not in ("J2000", "J2000.0", "2000", "2000.0"):
        node |= {"frame": "fk4" if equinox.startswith("B") else "fk5", "equinox": equinox}
    try:
        target = targets.from_dict(node, "", ephemerides=ephemerides)
    except RequestError as error:  # say it in p2's words
        names = {
            "RA": "ra",
            "Dec": "dec",
            "PMRA": "properMotionRa",
            "PMDec": "properMotionDec",
            "ddec": "differentialDec",
        }
        last = error.details["pointer"].rpartition("/")[2]
        raise RequestError(
            inner.at(names.get(last, last)), error.details["reason"], found=error.details["found"],
            allowed=error.details["allowed"],
        ) from None  # fmt: skip
    rate = inner.number("differentialRa", 0.0, -200, 200, unit="arcsec/s")
    if rate and target.ephemeris is not None:
        raise RequestError(inner.at("differentialRa"), "cannot be combined with an ephemeris")
    return targets.with_rate(target, 3600.0 * rate)


def _conditions(members: CheckedObject, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch, with the conditions of the constraints where it says nothing of them."""
    limits = CheckedObject(members.table("constraints"), members.at("constraints"))
    water = limits.optional_number("waterVapour", 0.05, 30, unit="mm")
    atm = str(limits.node.get("atm", "")).rstrip("%")
    base: dict[str, Any] = {}
    if water is not None:
        base["sky"] = {"waterVapour": water}
    if atm.replace(".", "", 1).isdigit():
        base["seeing"] = {"turbulence_category": float(atm)}
    elif "seeing" in limits and str(limits.node["seeing"]).replace(".", "", 1).isdigit():
        base["elvis"] = {"atmosphere": {"seeing": limits.number("seeing", low=0.05, high=5, unit="arcsec")}}
    return merge(base, patch)


def _constraints(members: CheckedObject) -> dict[str, float]:
    limits = CheckedObject(members.table("constraints"), members.at("constraints"))
    ranges = {"airmass": (1.0, 10.0), "fli": (0.0, 1.0), "moonDistance": (0.0, 180.0)}
    return {key: limits.number(key, low=low, high=high) for key, (low, high) in ranges.items() if key in limits}


def _windows(members: CheckedObject, names: Sequence[str], read: Callable[[str, str], T]) -> Iterator[tuple[T, T]]:
    """Yield the intervals under either of the names that p2's tools have for them."""
    for name in names:
        for n, one in enumerate(members.items(name)):
            window = CheckedObject(one, f"{members.at(name)}/{n}")
            begin, end = (read(window.text(key), window.at(key)) for key in ("from", "to"))
            yield begin, end
