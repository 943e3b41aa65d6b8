"""The installed instruments: entry points of the group ``elvis.instruments``, listed cheaply, loaded one at a time.

Older names of an instrument are entry points of the group ``elvis.aliases`` to the same plugin; they are not listed.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from elvis_cli.errors import ResourceError, nearest_name
from elvis_cli.model.plugin import Instrument

GROUP = "elvis.instruments"
ALIASES = "elvis.aliases"


@cache
def _found(group: str = GROUP) -> dict[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, p.value)):
        first = points.setdefault(point.name, point)
        if first.value != point.value:  # the same package seen twice on the path is no conflict
            raise ResourceError(
                f"two packages provide the instrument {point.name!r}: {first.value} and {point.value}; uninstall one",
                instrument=point.name,
            )
    return points


def names() -> tuple[str, ...]:
    """Return the names of the installed instruments, sorted; nothing of them is imported.

    Raises
    ------
    ResourceError
        Two packages provide the same name.
    """
    return tuple(_found())


def load(name: str) -> Instrument:
    """Return the plugin of this name (case does not matter).

    Raises
    ------
    ResourceError
        No installed package provides it (the message lists those that exist), or its package cannot be imported.
    """
    small = name.casefold()
    point = _found().get(name) or _found().get(small) or _found(ALIASES).get(small)
    if point is None:
        near = nearest_name(name, names())
        raise ResourceError(
            f"no instrument {name!r}; installed: {', '.join(names()) or 'none'}"
            + (f"; did you mean {near!r}?" if near else ""),
            instrument=name,
            allowed=list(names()),
            nearest=near,
        )
    try:
        plugin: Instrument = point.load()
        plugin.configure  # noqa: B018 - a plugin without it is no plugin
    except Exception as error:  # whatever a stranger's package raises on import
        raise ResourceError(
            f"the plugin {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}",
            instrument=point.name,
        ) from error
    return plugin
