"""The installed plugins: instruments, and folders of files that instruments share. Loaded one at a time.

Instruments are entry points of the group ``elvis.instruments``. Older names of an instrument are entry points of the
group ``elvis.aliases`` to the same plugin; they are not listed. An entry point of the group ``elvis.shared`` names a
package whose folders ``_sites``, ``_telescopes``, ``_detectors``, ``_lamps`` and ``_templates`` are open to all
instruments.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from elvis_cli.errors import ResourceError, nearest_name
from elvis_cli.model.plugin import Instrument

GROUP = "elvis.instruments"
ALIASES = "elvis.aliases"
SHARED = "elvis.shared"
GROUPS = (GROUP, ALIASES, SHARED)


@cache
def _entry_points(group: str = GROUP) -> dict[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in sorted(_scan()[group], key=lambda p: (p.name, p.value)):
        first = points.setdefault(point.name, point)
        if first.value != point.value:  # the same package twice on the path is no conflict
            raise ResourceError(
                f"two packages provide {point.name!r} ({group}): {first.value} and {point.value}; uninstall one",
                instrument=point.name,
            )
    return points


@cache
def _scan() -> dict[str, list[EntryPoint]]:
    """Return the entry points of each group. One scan of the installed packages (60 ms) serves all groups."""
    found = entry_points()
    return {group: list(found.select(group=group)) for group in GROUPS}


def names() -> tuple[str, ...]:
    """Return the names of the installed instruments, sorted; no plugin is imported.

    Raises
    ------
    ResourceError
        Two packages provide the same name.
    """
    return tuple(_entry_points())


def load(name: str) -> Instrument:
    """Return the plugin of this name (case does not matter).

    Raises
    ------
    ResourceError
        No installed package provides it (the message lists those that exist), or its package cannot be imported.
    """
    small = name.casefold()
    point = _entry_points().get(name) or _entry_points().get(small) or _entry_points(ALIASES).get(small)
    if point is None:
        near = nearest_name(name, names())
        raise ResourceError(
            f"no instrument {name!r}; installed: {', '.join(names()) or 'none'}"
            + (f"; did you mean {near!r}?" if near else ""),
            instrument=name,
            allowed=list(names()),
            nearest=near,
        )
    plugin: Instrument = _import(point, "configure")
    return plugin


def find_shared(folder: str, name: str) -> Path:
    """Return the path of a shared file, such as ``name`` = paranal.toml in ``folder`` = _sites.

    Raises
    ------
    ResourceError
        No installed package has this file, two have it, or a package cannot be imported.
    """
    packages = [_import(point, "__path__") for point in _entry_points(SHARED).values()]
    places = list(dict.fromkeys(Path(path) / folder / name for package in packages for path in package.__path__))
    files = [place for place in places if place.is_file()]
    if not files:
        raise ResourceError(f"there is no {name} in {' or '.join(str(p.parent) for p in places)}", file=name)
    if len(files) > 1:
        raise ResourceError(f"two packages provide {name}: {files[0]} and {files[1]}; uninstall one", file=name)
    return files[0]


def _import(point: EntryPoint, attribute: str) -> Any:
    """Return the object of an entry point, which must have the ``attribute``."""
    try:
        plugin = point.load()
        getattr(plugin, attribute)
    except Exception as error:  # whatever a stranger's package raises on import
        raise ResourceError(
            f"the plugin {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}",
            instrument=point.name,
        ) from error
    return plugin
