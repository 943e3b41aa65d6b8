"""The Keck Observing Description Language: objects in YAML or JSON -> Observing Blocks, and back.

A document is a list (or one object) whose entries hold lists: Targets, OffsetPatterns, InstrumentConfigs,
DetectorConfigs, Alignments, ObservingBlocks. A component of a block is an object, or the name of one that is in the
lists. Without ObservingBlocks the first of each list makes one block for each target.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from elvis_cli.errors import RequestError, choice_error
from elvis_cli.observing import block as blocks
from elvis_cli.observing.block import ObservingBlock
from elvis_cli.observing.checked_object import CheckedObject, check_length
from elvis_cli.observing.target import Target
from elvis_cli.observing.target import from_dict as read_target

if TYPE_CHECKING:
    from elvis_cli.request.files.moving import Ephemeris

LIST_COMPONENTS = {"Targets": "target", "OffsetPatterns": "pattern", "InstrumentConfigs": "instconfig",
         "DetectorConfigs": "detconfig", "Alignments": "align"}  # fmt: skip
"""Lists of a document, and the component of a block that stands in each."""
BLOCKS_KEY = "ObservingBlocks"
Patterns = Callable[[str], Mapping[str, Any]]
"""Returns the offset patterns of an instrument."""


def read(
    document: Any,
    patterns: Patterns,
    *,
    resolve: bool = False,
    ephemerides: Mapping[str, Ephemeris] = MappingProxyType({}),
) -> tuple[ObservingBlock, ...]:
    """Return the blocks of a document.

    Raises
    ------
    RequestError
        A component is wrong, or named and not there.
    """
    lists = _collect(document)
    named: dict[str, dict[str, Any]] = {}
    for key, part in LIST_COMPONENTS.items():
        named[part] = {str(node.get("name", "")): node for node, _ in lists[key] if isinstance(node, Mapping)}
    if not lists[BLOCKS_KEY]:
        return tuple(_default(lists, partial(_block, patterns=patterns, resolve=resolve, ephemerides=ephemerides)))
    result = []
    for node, pointer in lists[BLOCKS_KEY]:
        members = CheckedObject(node, pointer, blocks.BLOCK_KEYS)
        components = dict(members.node)
        for part, components_by_name in named.items():
            if part in components:
                components[part] = _named(
                    components[part], components_by_name, members.at(part), free=part in ("pattern", "align")
                )
        result.append(_block(components, pointer, patterns, resolve, ephemerides))
    return tuple(result)


def pointers(document: Any) -> tuple[str, ...]:
    """Return the JSON pointers of the blocks that `read` returns, or of their targets."""
    lists = _collect(document)
    return tuple(pointer for _, pointer in lists[BLOCKS_KEY] or lists["Targets"] or [(None, "")])


def targets(document: Any, patterns: Patterns, *, resolve: bool = False) -> tuple[Target, ...]:
    """Return the targets in the lists of a document, or those of its blocks."""
    listed = _collect(document)["Targets"]
    if listed:
        return tuple(read_target(node, pointer, resolve=resolve) for node, pointer in listed)
    return tuple(one.target for one in read(document, patterns, resolve=resolve) if one.target is not None)


def targets_document(items: Iterable[Target]) -> list[dict[str, Any]]:
    """Return targets as a document."""
    return [{"Targets": [one.to_dict() for one in items]}]


def document(items: Iterable[ObservingBlock]) -> list[dict[str, Any]]:
    """Return blocks as a document."""
    return [{BLOCKS_KEY: [one.to_dict() for one in items]}]


def to_yaml(entries: list[dict[str, Any]]) -> str:
    """Return a document as YAML."""
    import yaml

    text: str = yaml.safe_dump(json.loads(json.dumps(entries)), sort_keys=False, allow_unicode=True)
    return text


def _collect(document: Any) -> dict[str, list[tuple[Any, str]]]:
    """Return the members of all lists of a kind, each with its pointer."""
    lists: dict[str, list[tuple[Any, str]]] = {key: [] for key in (*LIST_COMPONENTS, BLOCKS_KEY)}
    entries = document if isinstance(document, list) else [document]
    if not entries:
        raise RequestError("", "holds no Observing Block")
    for n, entry in enumerate(entries):
        start = f"/{n}" if isinstance(document, list) else ""
        members = CheckedObject(entry, start, (*LIST_COMPONENTS, BLOCKS_KEY))
        for key, collected in lists.items():
            collected += [(node, f"{members.at(key)}/{i}") for i, node in enumerate(members.items(key))]
            check_length(collected, members.at(key))
    return lists


def _default(
    lists: Mapping[str, list[tuple[Any, str]]], make: Callable[[Mapping[str, Any], str], ObservingBlock]
) -> Iterable[ObservingBlock]:
    for key in ("InstrumentConfigs", "DetectorConfigs"):
        if not lists[key]:
            raise RequestError(f"/{key}", "is missing", allowed="a list")
    for node, _ in lists["Targets"] or [(None, "")]:
        components = {
            "type": "Calibration" if node is None else "Science",
            "target": node,
            "pattern": lists["OffsetPatterns"][0][0] if lists["OffsetPatterns"] else "Stare",
            "instconfig": lists["InstrumentConfigs"][0][0],
            "detconfig": [config for config, _ in lists["DetectorConfigs"]],
            "align": lists["Alignments"][0][0] if lists["Alignments"] else None,
        }
        yield make(components, "")


def _block(
    node: Mapping[str, Any], pointer: str, patterns: Patterns, resolve: bool, ephemerides: Mapping[str, Ephemeris]
) -> ObservingBlock:
    config = node.get("instconfig")
    if isinstance(config, list) and len(config) == 1:
        config = config[0]
    instrument = config.get("instrument") if isinstance(config, Mapping) else None
    own = patterns(instrument) if isinstance(instrument, str) else {}
    return blocks.from_dict(node, pointer, own, resolve=resolve, ephemerides=ephemerides)


def _named(value: Any, components: Mapping[str, Any], pointer: str, *, free: bool) -> Any:
    """Return the components for the names among ``value``; with ``free`` unknown names are kept."""
    if isinstance(value, list):
        return [_named(one, components, f"{pointer}/{n}", free=free) for n, one in enumerate(value)]
    if not isinstance(value, str) or (free and value not in components):
        return value
    if value not in components:
        raise choice_error(pointer, value, components)
    return components[value]
