"""The registry finds what is installed, and a stranger's package after `pip install`."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from elvis_cli.errors import ResourceError
from elvis_cli.instrument import registry

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "plugin_package"


@pytest.fixture
def points(monkeypatch):
    """Replace the installed entry points."""

    def use(*found, group=registry.GROUP):
        clear()
        points = EntryPoints(EntryPoint(n, v, group) for n, v in found)
        monkeypatch.setattr(registry, "entry_points", lambda: points)

    yield use
    clear()


def clear():
    registry._scan.cache_clear()
    registry._entry_points.cache_clear()


def test_names_import_no_plugin(points):
    points(("zeta", "no.such.module:PLUGIN"), ("alpha", "none.either:PLUGIN"))
    assert registry.names() == ("alpha", "zeta")


def test_load_returns_the_plugin_in_any_case():
    plugin = registry.load("micado")
    assert plugin.name == "micado"
    assert registry.load("MICADO") is plugin


def test_an_older_name_finds_the_plugin_and_is_not_listed():
    assert registry.load("crires") is registry.load("Crires") is registry.load("crires2")
    assert "crires" not in registry.names()


def test_unknown_name_lists_what_exists():
    with pytest.raises(ResourceError) as caught:
        registry.load("mikado")
    assert caught.value.exit_code == 69
    assert caught.value.details["nearest"] == "micado"
    assert {"fors", "micado"} <= set(caught.value.details["allowed"])
    assert "did you mean 'micado'?" in caught.value.message


def test_broken_plugin_is_a_resource_error(points):
    points(("broken", "no.such.module:PLUGIN"), ("other", "math:pi"))
    with pytest.raises(ResourceError, match="ModuleNotFoundError"):
        registry.load("broken")
    with pytest.raises(ResourceError, match="configure"):
        registry.load("other")


def test_one_package_seen_twice_is_one_plugin(points):
    points(("alpha", "a:PLUGIN"), ("alpha", "a:PLUGIN"))
    assert registry.names() == ("alpha",)


def test_two_packages_of_one_name_are_refused(points):
    points(("alpha", "a:PLUGIN"), ("alpha", "b:PLUGIN"))
    with pytest.raises(ResourceError, match="two packages"):
        registry.names()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a maker of packages with one shared site."""

    def make(name, site):
        folder = tmp_path / name / "_sites"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / f"{site}.toml").write_text('name = "Mauna"\n')
        return folder / f"{site}.toml"

    monkeypatch.syspath_prepend(tmp_path)
    return make


def test_a_package_brings_a_site_of_its_own(points, package):
    file = package("elvis_mauna", "mauna")
    points(("builtin", "elvis_instruments"), ("mauna", "elvis_mauna"), group=registry.SHARED)
    assert registry.find_shared("_sites", "mauna.toml") == file
    assert registry.find_shared("_sites", "paranal.toml").parts[-3:] == ("elvis_instruments", "_sites", "paranal.toml")
    with pytest.raises(ResourceError, match=r"there is no mars.toml in .*elvis_instruments/_sites or .*elvis_mauna"):
        registry.find_shared("_sites", "mars.toml")


def test_two_packages_with_the_same_shared_file_are_refused(points, package):
    package("elvis_second_paranal", "paranal")
    points(("builtin", "elvis_instruments"), ("second", "elvis_second_paranal"), group=registry.SHARED)
    with pytest.raises(ResourceError, match=r"two packages provide paranal.toml"):
        registry.find_shared("_sites", "paranal.toml")


def test_a_shared_package_that_cannot_be_imported_is_a_resource_error(points):
    points(("broken", "no_such_module"), group=registry.SHARED)
    with pytest.raises(ResourceError, match="ModuleNotFoundError"):
        registry.find_shared("_sites", "paranal.toml")


def test_third_party_package_is_found_after_pip_install(tmp_path):
    """A real `pip install` of a real package, without the network; it renders and nothing of ELVIS changes."""
    pytest.importorskip("hatchling")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    installed = subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(tmp_path), str(PACKAGE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    script = """
import io
import json
from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.request import parse
plugin = registry.load("pinhole")
request = parse.read(json.dumps(plugin.example()))
setup = plugin.configure(request)
out = io.BytesIO()
pipeline.render(request, out)
site, window, band = setup.atmosphere.site.name, setup.frame.window, setup.optics.band
print(json.dumps([registry.names(), site, window.nx, band, out.getvalue()[:9].decode()]))
"""
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "instruments"), str(ROOT / "schemas")])
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    names, site, columns, band, first = json.loads(run.stdout)
    assert "pinhole" in names
    assert {"fors", "micado"} <= set(names)
    assert (site, columns, first) == ("Paranal", 64, "SIMPLE  =")
    assert band[0] < 0.55 < band[1]
