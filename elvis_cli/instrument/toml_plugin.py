"""An instrument from a folder of TOML files: a plugin is data plus ``PLUGIN = TomlInstrument(Path(__file__).parent)``.

``instrument.toml`` (and the files that it includes) describes the instrument with its defaults. A mode and every option
of a key is a patch: tables that are laid over that description, in the order in which the keys stand in the file.
A Setup is built from the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from elvis_cli.errors import RequestError, ResourceError, choice_error, json_pointer
from elvis_cli.instrument import arms, registry
from elvis_cli.instrument import configure as setups
from elvis_cli.instrument import mask as masks
from elvis_cli.instrument.arms import ORDER_KEYS
from elvis_cli.instrument.sourced_table import SourcedTable, overlay, read
from elvis_cli.model.plugin import ModeInfo
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Trace
from elvis_cli.request.parse import MAX_UNKNOWN_KEYS

MODE_KEY = "ins_configuration"


class TomlInstrument:
    """The Instrument protocol from data alone; a file is read when it is first needed.

    Shared files are looked for in the folder's own ``_sites``, ``_telescopes``, ``_detectors`` and ``_lamps``, then in
    those of the packages in the entry-point group ``elvis.shared``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The tables of instrument.toml and the files that it includes."""
        document = read(self.folder / "instrument.toml")
        for name in document.get("include", []):
            document = overlay(document, read(self.folder / name))
        for needed in ("name", "default_mode", "modes", "keys"):
            if needed not in document:
                raise ResourceError(f"{self.folder / 'instrument.toml'}: {needed} is missing", file=str(self.folder))
        return document

    @property
    def name(self) -> str:
        """The plugin's name, as in ``instrumentName``."""
        return str(self.document["name"])

    def modes(self) -> tuple[ModeInfo, ...]:
        """Return the modes, for `elvis instruments`."""
        return self._modes

    @cached_property
    def _modes(self) -> tuple[ModeInfo, ...]:
        return tuple(self._mode_info(mode) for mode in self.document["modes"])

    def example(self, mode: str | None = None) -> dict[str, Any]:
        """Return a complete valid request for ``mode`` (None: the default mode) from the form's defaults."""
        mode = self._known_mode(mode or self.document["default_mode"])
        defaults = self._defaults(mode)
        facts = self._facts(mode, defaults)
        timings = [self._facts(mode, defaults, arm).part("timing") for arm in self._arms(mode)] or [
            facts.part("timing")
        ]
        request: dict[str, Any] = {
            "target": {
                "morphology": {"morphologytype": "point"},
                "sed": {
                    "sedtype": "spectrum",
                    "spectrum": {"spectrumtype": "template", "params": {"catalog": "Pickles", "id": "G:2:V"}},
                    "extinctionav": 0,
                },
                "brightness": {"brightnesstype": "mag", "magband": "V", "mag": 20, "magsys": "vega"},
            },
            "sky": {"airmass": 1.2, "fli": 0.5, "waterVapour": 2.5, "moonDistance": 30},
            "seeing": {"turbulence_category": 50, "aperturepix": 0},
            "instrument": {MODE_KEY: mode, **defaults},
            "timesnr": {
                timing.text(f"{kind}_key"): timing.value(kind) for timing in timings for kind in ("dit", "count")
            },
            "output": {"snr": {"snr": True, "noise_components": True}},
            "instrumentName": self.name,
        }
        if read(self._find("_sites", f"{facts.text('site')}.toml")).get("space", False):
            request["sky"] = {"airmass": 1, "fli": 0, "waterVapour": 0.05, "moonDistance": 180}
            request["seeing"] = {"aperturepix": 0}
        request = overlay(request, self.document.get("example", {}))
        return overlay(request, self._patch(mode).get("example", {}))

    def mask_of(self, mode: str, header: Mapping[str, Any]) -> dict[str, list[float]] | None:
        """Return the block ``elvis.mask`` that the header of a raw frame tells, None without slits in it."""
        facts = self._facts(self._known_mode(mode), self._defaults(mode))
        if "spectrograph" not in facts or "aperture" not in facts.part("spectrograph"):
            return None
        return masks.of_header(facts.part("spectrograph", "aperture"), header)

    def mask(self, mode: str, places: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
        """Return the block ``elvis.mask`` of a mode for sources at ``places``: x, y (arcsec in the field), magnitude.

        Raises
        ------
        RequestError
            The mode has no masks, or no source is where a slit can be.
        """
        facts = self._facts(self._known_mode(mode), self._defaults(mode)).part("spectrograph", "aperture")
        if "usual" not in facts:
            raise RequestError("/elvis/mask", f"{mode} has no masks of slits", found=mode)
        return masks.design(facts, places)

    def keys(self, mode: str) -> Mapping[str, Any]:
        """Return the keys of the ``instrument`` section in a mode, which may replace, add and be ``without`` some."""
        patch = self._patch(mode)
        keys = overlay(self.document["keys"], patch.get("keys", {}))
        return {key: table for key, table in keys.items() if key not in patch.get("without", [])}

    def unknown_keys(self, request: Request) -> tuple[str, ...]:
        """Return the keys of the request's ``instrument`` section that this instrument does not have."""
        request = arms.flatten(request, self.document.get("arms", {}))
        requested = self._mode(request)[0]
        mode = (
            requested
            if isinstance(requested, str) and requested in self.document["modes"]
            else self.document["default_mode"]
        )
        keys, kind = self.keys(mode), self._patch(mode).get("kind", self.document.get("kind", "imager"))
        known = {MODE_KEY, *keys, *self.document.get("ignored_keys", []), *(() if kind == "imager" else ORDER_KEYS)}
        known |= {old for table in keys.values() for old in table.get("aliases", {})}
        return tuple(key for key in request.keys if key not in known)

    def arms(self, request: Request) -> tuple[str, ...]:
        """Return the arms of which a request makes a file each, the default first; () without arms.

        Raises
        ------
        RequestError
            There is no such mode, or it does not have the arm that the request names.
        """
        names = arms.active(self._arms(self._known_mode(self._mode(request)[0])), request)
        asked = arms.asked(self.name, names, request)
        return names if asked is None else (asked,)

    def configure(self, request: Request) -> Setup:
        """Return the Setup for a request.

        Raises
        ------
        RequestError
            A key of the ``instrument``, ``seeing`` or ``elvis`` section has a value that this instrument does not have.
        ResourceError
            The data files are incomplete.
        """
        chosen, mode_notes = self._mode(request)
        mode = self._known_mode(chosen)
        names = arms.active(self._arms(mode), request)
        options = self._options(mode, arms.flatten(request, self.document.get("arms", {})).keys)
        arm, arm_notes = arms.choose(self.name, names, request, lambda name: self._traces(mode, options, name))
        request = arms.flatten(request, self.document.get("arms", {}), arm)
        request = replace(request, timing=request.timing.of_arm(arm))
        facts = self._facts(mode, options, arm)
        unknown = _unknown_notes(self.unknown_keys(request))
        notes = (*mode_notes, *unknown, *arm_notes, *self._remarks(mode, request.keys, options))
        if request.elvis.calibration is None and "reference_lamp" not in facts.part("spectrograph"):
            setup = setups.build(request, facts, self._shared(facts), mode, options, notes, self.folder)
            return replace(setup, arms=names, arm=arm)
        from elvis_cli.instrument import calibration

        if request.elvis.calibration is None:
            lamps = calibration.reference(facts, self._find)
            setup = setups.build(request, facts, self._shared(facts), mode, options, notes, self.folder)
            assert setup.spectrograph is not None
            graph = replace(setup.spectrograph, lamps=lamps)
            return replace(setup, arms=names, arm=arm, spectrograph=graph)
        exposure_calibration, cards = calibration.make(request.elvis.calibration, request, facts, self._find)
        patch = facts.part("calibration", request.elvis.calibration, "patch").tree
        facts = replace(facts, tree=overlay(facts.tree, patch))
        setup = setups.build(request, facts, self._shared(facts), mode, options, notes, self.folder)
        setup = replace(setup, arms=names, arm=arm)
        exposure_calibration = calibration.faded(exposure_calibration, request, setup)
        return replace(setup, calibration=exposure_calibration, header={**setup.header, **cards})

    def _mode(self, request: Request) -> tuple[object, list[str]]:
        """Return the requested mode, or the default, and notes.

        In the second generation of ETC JSON a part of the third generation's mode is in /seeingiqao/mode:
        ``mode_aliases`` has the mode of each pair; the first pair of a table holds if /seeingiqao/mode is missing. Its
        table "" is for requests without a mode; without that table they have the default. ``mode_keys`` has the mode of
        a request without one that has a certain key.
        """
        requested, ao = request.keys.get(MODE_KEY), request.image_quality.ao_mode
        aliases = self.document.get("mode_aliases", {})
        if requested is None:
            keys = self.document.get("mode_keys", {})
            requested = next((mode for key, mode in keys.items() if request.keys.get(key) is not None), None)
        if requested is None:
            requested = "" if ao is not None and "" in aliases else self.document["default_mode"]
        if not isinstance(requested, str):
            return requested, []
        where = "/seeingiqao/mode"
        if requested not in aliases:
            means = [table.get(ao) for table in aliases.values()]
            spare = ao is not None and requested in self.document["modes"] and means and requested not in means
            return requested, [f"{where}: not used, the mode is {requested}"] if spare else []
        pairs = aliases[requested]
        if ao is None:
            ao = next(iter(pairs))
            return pairs[ao], [f"{where}: not given, taken as {ao}"]
        if ao not in pairs:
            raise choice_error(where, ao, pairs)
        return pairs[ao], []

    def _known_mode(self, mode: object) -> str:
        modes = self.document["modes"]
        where = json_pointer("instrument", MODE_KEY)
        if mode in self.document.get("unsupported_modes", []):
            raise RequestError(where, f"{mode!r} is not supported yet", found=mode, allowed=list(modes))
        if not isinstance(mode, str) or mode not in modes:
            raise choice_error(where, mode, modes)
        return mode

    def _arms(self, mode: str) -> tuple[str, ...]:
        """Return the arms of a mode, the default first: those that it lists, else all."""
        return tuple(self._patch(mode).get("use_arms", self.document.get("arms", {})))

    def _traces(self, mode: str, options: Mapping[str, Any], arm: str) -> tuple[Trace, ...]:
        """Return the traces of an arm; () for an imager."""
        facts = self._facts(mode, options, arm)
        if "spectrograph" not in facts:
            return ()
        from elvis_cli.instrument import spectrograph

        detector = facts.part("detectors", facts.text("detector"))
        pixel, kind = (facts.number("pixel_scale", "arcsec"), detector.number("pixel", "mm")), facts.text("kind")
        return spectrograph.make(facts.part("spectrograph"), kind, self.folder, pixel, (1, 1)).traces

    def _defaults(self, mode: str) -> dict[str, Any]:
        defaults = {key: table["default"] for key, table in self.keys(mode).items()}
        return {**defaults, **self._going_with(mode, defaults)}

    def _going_with(self, mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the defaults of other keys that go with the chosen options: a grism's order-sorting filter."""
        followers: dict[str, Any] = {}
        for key, table in self.keys(mode).items():
            followers |= table.get("defaults", {}).get(options[key], {})
        return followers

    def _options(self, mode: str, keys: Mapping[str, Any]) -> dict[str, Any]:
        """Return the option (or number) of every key, the default where the request has none (or null)."""
        options = self._defaults(mode)
        for key, table in self.keys(mode).items():
            name_used = next((name for name in (key, *table.get("aliases", {})) if keys.get(name) is not None), None)
            if name_used is None:
                continue
            value, where = keys[name_used], json_pointer("instrument", name_used)
            if table.get("role") == "number":
                options[key] = _within(key, table, value)
                continue
            refused = table.get("refused", {})
            allowed = [option for option in table["options"] if option not in refused]
            if isinstance(value, str) and value in refused:
                raise RequestError(where, f"{value!r} {refused[value]}", found=value, allowed=allowed)
            means = {option: option for option in allowed} if name_used == key else table["aliases"][name_used]
            name = _named(means, value)
            if name is None:
                raise choice_error(where, value, filter(None, means))
            options[key] = means[name] if isinstance(table["default"], str) else float(means[name])
        going = self._going_with(mode, options)
        return {**options, **{key: option for key, option in going.items() if keys.get(key) is None}}

    def _remarks(self, mode: str, keys: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
        """Return notes on the chosen options, and on older keys that a newer key overrules."""
        notes = []
        for key, table in self.keys(mode).items():
            remark = table.get("notes", {}).get(options[key])
            notes += [f"{json_pointer('instrument', key)}: {remark}"] if remark else []
            names = [name for name in (key, *table.get("aliases", {})) if keys.get(name) is not None]
            notes += [f"{json_pointer('instrument', old)}: not used, {names[0]} is given" for old in names[1:]]
        return notes

    def _patch(self, mode: str) -> Mapping[str, Any]:
        """Return the patch of a mode: the ``parts`` that it names, then its own tables."""
        own, patch = self.document["modes"][mode], dict[str, Any]()
        for part in own.get("parts", []):
            if part not in self.document.get("parts", {}):
                raise ResourceError(f"{self.name}: mode {mode}: there is no part {part!r}", file=str(self.folder))
            patch = overlay(patch, self.document["parts"][part])
        return overlay(patch, own)

    def _facts(self, mode: str, options: Mapping[str, Any], arm: str = "") -> SourcedTable:
        """Return the instrument's table with the patches of mode, options and arm, and an empty ledger.

        The patch of an arm comes last, after the ``parts`` that it names; modes and options may patch all of them: what
        an arm has depends on them.
        Without ``arm`` it is the default one.
        """
        tree, keys = overlay(self.document, self._patch(mode)), self.keys(mode)
        for key, option in options.items():
            if "card" in keys[key]:
                tree = overlay(tree, {"header": {keys[key]["card"]: option}})
            if keys[key].get("role") == "number":
                patch: Any = {"value": option, "unit": keys[key]["unit"], "source": f"the request's {key}"}
                for name in reversed(keys[key]["sets"].split(".")):
                    patch = {name: patch}
                tree = overlay(tree, patch)
                continue
            choices = keys[key]["options"]
            if isinstance(choices, Mapping):
                tree = overlay(tree, choices[_named(choices, option)])
        if arm := arm or next(iter(self._arms(mode)), ""):
            for part in tree["arms"][arm].get("parts", []):
                tree = overlay(tree, tree["parts"][part])
            tree = overlay(tree, tree["arms"][arm])
        tree["filters_in_beam"] = [options[k] for k, t in keys.items() if t.get("role") == "filter"]
        return SourcedTable(tree, f"{self.name}/instrument.toml", root=self.document)

    def _shared(self, facts: SourcedTable) -> dict[str, SourcedTable]:
        """Return the tables of site, turbulence and telescope, and of AO system and detector ``family`` if any."""
        site, telescope = facts.text("site"), facts.text("telescope")
        files = {
            "site": ("_sites", f"{site}.toml"),
            "turbulence": ("_sites", f"{site}_turbulence.toml"),
            "telescope": ("_telescopes", f"{telescope}.toml"),
        }
        if "ao" in facts:
            files["ao"] = ("", "ao.toml")
        if "family" in (detector := facts.part("detectors", facts.text("detector"))):
            files["family"] = ("_detectors", f"{detector.text('family')}.toml")
        shared: dict[str, SourcedTable] = {}
        for part, (folder, name) in files.items():
            if part == "turbulence" and shared["site"].tree.get("space", False):
                continue
            tree = read(self._find(folder, name))
            shared[part] = SourcedTable(tree, name, part, tree, facts.ledger)
        return shared

    def _find(self, folder: str, name: str) -> Path:
        own = self.folder / folder / name
        return own if own.is_file() else registry.find_shared(folder, name)

    def _mode_info(self, mode: str) -> ModeInfo:
        facts = self._facts(mode, self._defaults(mode))
        detector = facts.part("detectors", facts.text("detector"))
        binning = int(facts.number("binning", "1"))
        row_binning = int(facts.number("row_binning", "1")) if "row_binning" in facts else binning
        columns = int(detector.number("nx", "pixel")) // binning
        rows = int(detector.number("ny", "pixel")) // row_binning
        wheels = [table for table in self.keys(mode).values() if table.get("role") == "filter"]
        return ModeInfo(
            instrument=self.name,
            mode=mode,
            title=facts.text("title"),
            pixel_scale=facts.number("pixel_scale", "arcsec") * binning,
            frame=(len(detector.part("chips").tree), columns, rows),
            filters=tuple(dict.fromkeys(f for t in wheels for f in t["options"])),
        )


def _named(options: Iterable[str], value: object) -> str | None:
    """Return the option of this name, or whose name is this number; None if there is none."""
    if isinstance(value, str):
        return value if value in options else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return next((name for name in options if name.replace(".", "").isdecimal() and float(name) == value), None)


def _within(key: str, table: Mapping[str, Any], value: object) -> float:
    """Return the number of a key, checked against the ``range`` of its table."""
    low, high = table["range"]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        allowed = f"{low:g} to {high:g} {table['unit']}"
        raise RequestError(json_pointer("instrument", key), f"{value!r} is out of range", found=value, allowed=allowed)
    return float(value)


def _unknown_notes(keys: Sequence[str]) -> list[str]:
    """Return a note for each of the first unknown keys, and one with the number of the others."""
    notes = [f"{json_pointer('instrument', key)}: unknown key, ignored" for key in keys[:MAX_UNKNOWN_KEYS]]
    others = len(keys) - len(notes)
    return [*notes, f"/instrument: and {others} more unknown keys, ignored"] if others else notes
