"""What every plugin promises, built-in or a stranger's: all modes and filters configure, every number has a source."""

import itertools
import json
import math
import os
import tomllib
from pathlib import Path

import elvis_instruments
import numpy as np
import pytest

from elvis_cli.base.curve import Curve
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.instrument.sourced_table import EVERYWHERE
from elvis_cli.request import parse
from tests.each import each, failures

ROOT = Path(__file__).parents[2]
FOLDERS = [f for f in Path(elvis_instruments.__path__[0]).iterdir() if f.is_dir() and f.name[0] != "_"]
IMPOSSIBLE = {"crires2": "the polarimeter has no grating at"}
"""Words of the refusal of options that do not go together, by instrument."""
MAX_SETTINGS = 200
"""Of a mode, all of which are configured."""
MODES = [(name, mode.mode) for name in registry.names() for mode in registry.load(name).modes()]


def configure(plugin, document):
    return plugin.configure(parse.read(json.dumps(document), strict=True))


def test_entry_points_and_folders_agree():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][registry.GROUP]
    assert declared == {f.name.replace("_", "-"): f"elvis_instruments.{f.name}:PLUGIN" for f in FOLDERS}
    assert set(declared) <= set(registry.names())


@each("name", registry.names())
def test_plugin_and_entry_point_have_one_name(name):
    plugin = registry.load(name)
    assert plugin.name == name
    assert {m.instrument for m in plugin.modes()} == {name}


@each(("name", "mode"), MODES)
def test_the_example_of_every_mode_configures(name, mode):
    plugin = registry.load(name)
    document = plugin.example(mode)
    assert plugin.unknown_keys(parse.read(json.dumps(document))) == ()
    setup = configure(plugin, document)
    info = next(m for m in plugin.modes() if m.mode == mode)
    assert (setup.instrument, setup.mode) == (name, mode)
    assert setup.optics.pixel_scale == pytest.approx(info.pixel_scale)
    assert (len(setup.detector.chips), setup.detector.nx, setup.detector.ny) == info.frame
    dit_key, count_key, *others = document["timesnr"]
    assert count_key == setup.exposure.count_key
    assert (document["timesnr"][dit_key], document["timesnr"][count_key]) == (setup.exposure.dit, setup.exposure.count)
    assert len(others) <= 2 * max(len(setup.arms) - 1, 0)


@each("name", registry.names())
def test_the_example_without_mode_is_that_of_the_default(name):
    plugin = registry.load(name)
    document = plugin.example()
    assert document == plugin.example(document["instrument"]["ins_configuration"])


def curves(setup):
    yield "qe", setup.detector.qe
    for surface in setup.optics.surfaces:
        yield f"{surface.name} throughput", surface.throughput
        yield f"{surface.name} emissivity", surface.emissivity


def settings(plugin, mode):
    """Yield every combination of options of the keys that are no filter wheels, with each option of each wheel.

    Where these are many, each option beside the defaults, and beside the last options of the others. Modes of an
    instrument with arms repeat each other's keys: of all but the first, each option alone.
    """
    keys = plugin.keys(mode)
    offered = {
        k: [o for o in t.get("options", t.get("range")) if o not in t.get("refused", {})] for k, t in keys.items()
    }
    if plugin.document.get("arms") and mode != plugin.modes()[0].mode:
        yield from ({key: option} for key, options in offered.items() for option in options)
        return
    if math.prod(len(options) for options in offered.values()) > MAX_SETTINGS:
        last = {key: options[-1] for key, options in offered.items()}
        for key, options in offered.items():
            for option in options:
                yield {key: option}
                yield last | {key: option}
        return
    wheels = {key: offered.pop(key) for key, table in keys.items() if table.get("role") == "filter"}
    chosen = [{wheel: option} for wheel, options in wheels.items() for option in options] or [{}]
    for others in itertools.product(*offered.values()):
        for wheel in chosen:
            yield dict(zip(offered, others, strict=True)) | wheel


@pytest.mark.parametrize("name", registry.names())
def test_every_option_configures_with_sane_curves_and_sourced_numbers(name):
    plugin = registry.load(name)

    def configures(mode, options):
        document = plugin.example(mode)
        document["timesnr"] = {}  # the exposure that the options bring with them
        document["instrument"] |= options
        try:
            setup = configure(plugin, document)
        except RequestError as error:
            if IMPOSSIBLE.get(name, "-") not in error.message:
                raise
            return
        check(setup)

    cases = [(info.mode, options) for info in plugin.modes() for options in settings(plugin, info.mode)]
    for info in plugin.modes():
        for key, table in plugin.keys(info.mode).items():
            used = {options[key] for mode, options in cases if mode == info.mode and key in options}
            assert used == set(table.get("options", table.get("range"))) - set(table.get("refused", {})), key
    few = cases if os.environ.get("ELVIS_CLOSURE") else cases[::3]
    assert failures(configures, few) == {}


def check(setup):
    low, high = setup.optics.band
    assert 0.25 < low < high < 30.0
    assert setup.optics.filter_centre > 0
    for what, curve in curves(setup):
        assert isinstance(curve, Curve)
        assert np.all(np.diff(curve.wave) > 0), what
        assert np.all((curve.value >= 0) & (curve.value <= 1)), what
    for surface in setup.optics.surfaces:
        # dust scatters: the ELT's reflection and emissivity sum to a few per cent more than 1
        wave = np.linspace(low, high, 50)
        assert np.all(surface.throughput.at(wave) + surface.emissivity.at(wave) < 1.06), surface.name
        assert 20 < surface.temperature < 340  # METIS's N-band mirrors: 25 K; HARPS's gas cell: 333 K
    for value in setup.values:
        assert value.unit, value.name
        assert len(value.source) > 2, value.name
    names = {value.name for value in setup.values}
    air = set() if setup.atmosphere.site.space else {"site.elevation", "turbulence.outer_scale"}
    assert {"telescope.area", "pixel_scale", *air} <= names
    assert setup.spectrograph or any(name.startswith("filters.") for name in names)
    assert any(".stages." in name for name in names) == bool(setup.detector.stages)
    assert len(names) == len(setup.values)
    assert any("assumed" in note for note in setup.notes) == any(value.assumed for value in setup.values)
    assert setup.optics.pixel_scale == pytest.approx(setup.optics.plate_scale * setup.detector.pixel_mm)
    assert setup.atmosphere.site.space or abs(sum(setup.atmosphere.turbulence.weight) - 1) < 1e-12
    assert EVERYWHERE[0] < low


@each("folder", FOLDERS)
def test_a_plugin_is_data_and_a_few_lines(folder):
    assert len((folder / "__init__.py").read_text().splitlines()) < 20
    assert [p.name for p in folder.glob("*.py")] == ["__init__.py"]


@each("folder", FOLDERS)
def test_the_readme_names_every_key_mode_and_option(folder):
    text = (folder / "README.md").read_text()
    plugin = registry.load(folder.name.replace("_", "-"))
    modes = [m.mode for m in plugin.modes()]
    wanted = list(modes)
    for key, table in itertools.chain.from_iterable(plugin.keys(mode).items() for mode in modes):
        wanted += [key, *table.get("options", ())]
    assert [w for w in wanted if f"`{w}`" not in text] == []
