"""Template signatures: which templates an instrument has, and which parameters they take.

They are data: ``templates.toml`` in the instrument's folder, and ``_templates/sequences.toml``, the parameters of the
sequences that templates are made of. The keys of the instrument's modes are parameters of their templates too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from elvis_cli.errors import RequestError, ResourceError, choice_error, json_pointer, nearest_name
from elvis_cli.instrument import registry, sourced_table
from elvis_cli.observing.checked_object import abbreviate, describe_range, integer, number

MODE_PARAMETER = "INS.MODE"
"""The parameter that chooses one of several modes."""
MAX_LIST_ITEMS = 2000
"""Most items of a list of values."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its type, range and default."""

    name: str
    type: str
    """number, integer, boolean, keyword, option (a keyword that may be a number), string, numlist or keywordlist."""
    default: Any = None
    low: float = -1e9
    high: float = 1e9
    unit: str = ""
    options: tuple[str, ...] = ()
    about: str = ""

    @property
    def allowed(self) -> str:
        """The range or the options as text."""
        if self.options:
            return " ".join(self.options)
        return describe_range(self.low, self.high, self.unit) if self.type in ("number", "integer", "numlist") else ""

    def check(self, value: Any, pointer: str) -> Any:
        """Return a value as this parameter's type has it.

        Raises
        ------
        RequestError
            It has the wrong type or is out of range.
        """
        match self.type:
            case "number":
                result: Any = number(self._no_text(value, pointer), pointer, self.low, self.high, self.unit)
            case "integer":
                result = integer(self._no_text(value, pointer), pointer, int(self.low), int(self.high))
            case "boolean":
                words = {True: True, False: False, "T": True, "F": False, "true": True, "false": False}
                if not isinstance(value, (bool, str)) or value not in words:
                    raise RequestError(pointer, f"{abbreviate(value)} has the wrong type", allowed="T or F")
                result = words[value]
            case "keyword":
                result = self._word(value, pointer)
            case "option":  # its name, or the number that the name is
                same = [o for o in self.options if o.replace(".", "").isdecimal() and _equal(o, value)]
                result = value if same else self._word(value, pointer)
            case "numlist":
                parts = self._parts(value, pointer)
                result = [
                    number(part, f"{pointer}/{n}", self.low, self.high, self.unit) for n, part in enumerate(parts)
                ]
            case "keywordlist":
                result = [self._word(part, f"{pointer}/{n}") for n, part in enumerate(self._parts(value, pointer))]
            case _:
                result = value
                if not isinstance(value, str) or len(value) > 200:
                    raise RequestError(pointer, f"{abbreviate(value)} has the wrong type", allowed="a text")
        return result

    def _no_text(self, value: Any, pointer: str) -> Any:
        if isinstance(value, str):
            raise RequestError(
                pointer, f"{abbreviate(value)} has the wrong type", found=value[:60], allowed=f"a {self.type}"
            )
        return value

    def _parts(self, value: Any, pointer: str) -> list[Any]:
        parts = value.split() if isinstance(value, str) else value
        parts = [parts] if isinstance(parts, (int, float)) and not isinstance(parts, bool) else parts
        if not isinstance(parts, (list, tuple)) or not 1 <= len(parts) <= MAX_LIST_ITEMS:
            raise RequestError(
                pointer, f"{abbreviate(value)} has the wrong type", allowed=f"a list of 1 to {MAX_LIST_ITEMS} items"
            )
        return list(parts)

    def _word(self, value: Any, pointer: str) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise choice_error(pointer, value, self.options)
        return value


def _equal(option: str, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and float(option) == value


@dataclass(frozen=True, slots=True)
class Template:
    """One template of an instrument."""

    id: str
    title: str
    type: str
    """acquisition, science or calib."""
    sequence: str
    modes: Mapping[str, str]
    """The instrument's modes by the values of INS.MODE, the default first."""
    parameters: Mapping[str, Parameter]
    """Those besides the keys of the mode."""
    keys: Mapping[str, Any]
    """Keys of the mode whose default is another than the mode's."""
    calibration: str | None
    category: str | None
    """DPR CATG and TYPE of object and sky; None = the calibration's own."""
    object_type: str | None
    sky_type: str | None
    sky_category: str | None
    tech: str | None
    """DPR TECH; None = the mode's."""

    def values(self, parameters: Mapping[str, Any], keys: Mapping[str, Parameter], pointer: str) -> dict[str, Any]:
        """Return the values of ``parameters``, checked, and the defaults of all others; ``keys`` are the mode's.

        Keys of the instrument that are missing are left out.

        Raises
        ------
        RequestError
            A parameter does not exist, or its value is wrong.
        """
        signature = {**keys, **self.parameters}
        values = {name: p.default for name, p in self.parameters.items() if p.default is not None} | dict(self.keys)
        for name, value in parameters.items():
            where = pointer + json_pointer(name)
            if name not in signature:
                raise RequestError(
                    where,
                    f"{self.id} has no such parameter",
                    allowed=list(signature),
                    nearest=nearest_name(name, signature),
                )
            if value is not None:
                values[name] = signature[name].check(value, where)
        return values


@dataclass(frozen=True, slots=True)
class Overheads:
    """Overheads of an instrument, s."""

    preset: float
    """To slew to a target and start guiding and the active optics."""
    acquisition: float
    """To centre the target."""
    setup: float
    """To change the instrument's configuration."""
    offset: float
    """To move the telescope, and guide again."""
    readout: float
    """To read out and write a file."""
    integration: float
    """To start each further integration of a file."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """The templates, offset patterns and overheads of an instrument."""

    instrument: str
    templates: Mapping[str, Template]
    patterns: Mapping[str, Any]
    """Offset patterns of its own, as `elvis_cli.observing.pattern` reads them."""
    tree: Mapping[str, Any]

    def find(self, name: Any, pointer: str) -> Template:
        """Return the template of a name, or raise RequestError naming the nearest."""
        if not isinstance(name, str) or name not in self.templates:
            raise choice_error(pointer, name, self.templates)
        return self.templates[name]

    def listing(self) -> list[tuple[str, ...]]:
        """Return name, title, type and modes of all templates."""
        return [(t.id, t.title, t.type, " ".join(t.modes.values())) for t in self.templates.values()]

    def describe(self, template: Template) -> list[tuple[str, ...]]:
        """Return name, type, range, default and meaning of a template's parameters; of keys, the first mode's."""
        rows: dict[str, tuple[Parameter, Any]] = {}
        for mode in () if template.type == "acquisition" else list(template.modes.values())[::-1]:
            defaults = self.example(mode)
            rows |= {name: (p, defaults.get(name)) for name, p in {**self.keys(mode), **self.timing(mode)}.items()}
        rows |= {name: (p, p.default) for name, p in template.parameters.items()}
        return [
            (name, p.type, p.allowed, _text(template.keys.get(name, default)), p.about)
            for name, (p, default) in rows.items()
        ]

    def example(self, mode: str) -> dict[str, Any]:
        """Return the defaults of a mode's keys, DIT and number of integrations."""
        document = registry.load(self.instrument).example(mode)
        return {**document["instrument"], **document["timesnr"]}

    def timing(self, mode: str) -> dict[str, Parameter]:
        """Return DIT and the number of integrations of each arm, by the instrument's own names, as parameters."""
        return dict(_timing(self.instrument, mode))

    def overheads(self, keys: Mapping[str, Any]) -> Overheads:
        """Return the times of the instrument in a configuration; a key's option may have times of its own."""
        if "overheads" not in self.tree:
            raise ResourceError(f"{self.instrument} has no templates.toml with overheads: its nights cannot be planned")
        table = dict(self.tree["overheads"])
        for key, options in table.pop("by", {}).items():
            table |= options.get(str(keys.get(key)), {})
        read = sourced_table.SourcedTable(table, f"{self.instrument}/templates.toml", "overheads", self.tree)
        return Overheads(**{name: read.number(name, "s") for name in Overheads.__dataclass_fields__})

    def keys(self, mode: str) -> dict[str, Parameter]:
        """Return the keys of a mode as parameters."""
        return dict(_mode_keys(self.instrument, mode))


@cache
def _timing(instrument: str, mode: str) -> Mapping[str, Parameter]:
    keys = list(registry.load(instrument).example(mode)["timesnr"])
    dits = [Parameter(key, "number", low=1e-6, high=1e6, unit="s", about="integration time") for key in keys[::2]]
    counts = [Parameter(key, "integer", low=1, high=1e6, about="integrations in a file") for key in keys[1::2]]
    return {one.name: one for pair in zip(dits, counts, strict=True) for one in pair}


@cache
def _mode_keys(instrument: str, mode: str) -> Mapping[str, Parameter]:
    plugin: Any = registry.load(instrument)
    table = plugin.keys(mode) if hasattr(plugin, "keys") else {}
    return {name: p for key, one in table.items() for name, p in _keys(key, one)}


def _keys(key: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Parameter]]:
    """Yield a key of a mode, and its older names, as parameters."""
    if table.get("role") == "number":
        low, high = table["range"]
        yield key, Parameter(key, "number", low=low, high=high, unit=table["unit"], about=table.get("about", ""))
        return
    refused = table.get("refused", {})
    offered = tuple(option for option in table["options"] if option not in refused)
    yield key, Parameter(key, "option", options=offered, about=table.get("about", ""))
    for name, means in table.get("aliases", {}).items():
        yield name, Parameter(name, "option", options=tuple(means))


@cache
def load(instrument: str) -> Signatures:
    """Return the signatures of an instrument; none if it has no templates.toml.

    Raises
    ------
    ResourceError
        There is no such instrument, or its file is wrong.
    """
    plugin: Any = registry.load(instrument)
    folder = getattr(plugin, "folder", None)
    path = None if folder is None else Path(folder) / "templates.toml"
    tree = sourced_table.read(path) if path and path.is_file() else {}
    by_name = {name: _template(name, table) for name, table in tree.get("templates", {}).items()}
    return Signatures(instrument, by_name, tree.get("patterns", {}), tree)


@cache
def prefixes() -> Mapping[str, str]:
    """Return the instruments that have templates, by what the templates' names begin with."""
    instruments: dict[str, str] = {}
    for name in registry.names():
        try:
            by_name = load(name).templates
        except ResourceError:  # a broken plugin: the request for its instrument has the message
            continue
        instruments |= {template.partition("_")[0].casefold(): name for template in by_name}
    return instruments


@cache
def sequences() -> Mapping[str, Any]:
    """Return the tables of the shared file of sequences."""
    return sourced_table.read(registry.find_shared("_templates", "sequences.toml"))


def _template(name: str, table: Mapping[str, Any]) -> Template:
    shared = sequences()
    own = table.get("parameters", {})
    modes = table["modes"] if isinstance(table["modes"], Mapping) else {mode: mode for mode in table["modes"]}
    names = [n for n in shared["sequences"][table["sequence"]] if n not in table.get("without", ())]
    parameters = {n: _parameter(n, {**shared["parameters"].get(n, {}), **own.get(n, {})}) for n in (*names, *own)}
    if len(modes) > 1:
        parameters[MODE_PARAMETER] = Parameter(MODE_PARAMETER, "keyword", next(iter(modes)), options=tuple(modes))
    # A calibration sets its own DPR keywords (elvis_cli.instrument.calibration).
    own_names = {} if "calibration" in table else {"category": "SCIENCE", "object": "OBJECT", "sky": "SKY"}
    dpr = own_names | table.get("dpr", {})
    category = dpr.get("category")
    return Template(
        name,
        table["title"],
        table.get("type", "science"),
        table["sequence"],
        modes,
        parameters,
        table.get("keys", {}),
        table.get("calibration"),
        category,
        dpr.get("object") or None,  # "" leaves the type of the instrument's header, as that of fibres
        dpr.get("sky"),
        dpr.get("sky_category", category),
        dpr.get("tech"),
    )


def _text(default: Any) -> str:
    if isinstance(default, list):
        return " ".join(map(str, default))
    if isinstance(default, bool):
        return "T" if default else "F"
    return "" if default is None else str(default)


def _parameter(name: str, table: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name,
        table["type"],
        table.get("default"),
        table.get("min", -1e9),
        table.get("max", 1e9),
        table.get("unit", ""),
        tuple(table.get("options", ())),
        table.get("about", ""),
    )
