"""The registry finds what is installed, and a stranger's package after `pip install`."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from elvis_cli.errors import ResourceError
from elvis_cli.instrument import registry

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "plugin_package"


@pytest.fixture
def points(monkeypatch):
    """Replace the installed entry points."""

    def use(*found):
        registry._found.cache_clear()
        monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint(n, v, group) for n, v in found])

    yield use
    registry._found.cache_clear()


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
print(json.dumps([registry.names(), setup.site.name, setup.window.nx, setup.band, out.getvalue()[:9].decode()]))
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
