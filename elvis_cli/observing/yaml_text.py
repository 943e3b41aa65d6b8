"""YAML of strangers, read as the types of JSON: no anchors, no tags, no dates, no key twice."""

from __future__ import annotations

import re
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.observing.checked_object import MAX_NESTING_DEPTH, abbreviate

_DECIMAL = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9]\d*)$"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]\d+)?$|[-+]?\.(inf|nan)$"),
}
"""Numbers of YAML; its version 1.1 would make 200 of the right ascension 00:03:20, and 8 of 010."""
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))
"""Tags of YAML that mean a type of JSON."""


def parse(text: str) -> Any:
    """Return the document in a YAML text (JSON is YAML too).

    Raises
    ------
    RequestError
        It is not YAML, or says more than once the same.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Numbers, texts, true and false; a date, and what YAML 1.1 reads to base 60, stays the text that it is."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            mapping = super().construct_mapping(node, deep)
            if len(mapping) < len(node.value):
                known = set[str]()
                keys = [str(key.value) for key, _ in node.value]
                twice = next((k for k in keys if k in known or known.add(k)), keys[0])  # type: ignore[func-returns-value]
                raise RequestError("", f"not YAML: line {node.start_mark.line + 1}: {abbreviate(twice)} is given twice")
            return mapping

    Loader.yaml_implicit_resolvers = {
        first: [(tag, _DECIMAL.get(tag, form)) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in Loader.yaml_implicit_resolvers.items()
    }
    try:
        for event in yaml.parse(text, Loader):
            if isinstance(event, yaml.AliasEvent):
                raise RequestError("", "anchors and aliases cannot be used in YAML")
            tag = getattr(event, "tag", None)
            if tag is not None and tag not in _TAGS:
                raise RequestError(
                    "", f"not YAML: the tag {tag[:40]!r} cannot be used in YAML", allowed="the types of JSON"
                )
        content = yaml.load(text, Loader)
    except RequestError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1} column {mark.column + 1}: " if mark else ""
        raise RequestError("", f"not YAML: {place}{error.problem}") from None
    except RecursionError:
        raise RequestError("", "nested too deeply") from None
    except MemoryError:
        raise
    except Exception as error:  # PyYAML's constructors raise what they like
        raise RequestError("", f"not YAML: {' '.join(str(error).split())[:120]}") from None
    _shallow(content, 0)
    return content


def _shallow(node: Any, depth: int) -> None:
    if depth > MAX_NESTING_DEPTH:
        raise RequestError("", "nested too deeply")
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        _shallow(child, depth + 1)
    if isinstance(node, (bytes, set)):
        raise RequestError("", f"{abbreviate(node)} cannot be used")
