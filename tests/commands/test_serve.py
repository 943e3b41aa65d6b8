"""`elvis serve` on the command line; `elvis` itself knows nothing of it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("argv", [["--version"], ["example", "micado"]])
def test_the_filter_does_not_load_the_service(argv):
    code = f"import sys; sys.argv = ['elvis', *{argv}]\nfrom elvis_cli import cli\ncli.run({argv})\n"
    code += "heavy = ('starlette', 'uvicorn', 'anyio', 'asyncio', 'http.client', 'prometheus_client', 'sqlite3')\n"
    code += "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_without_the_extra_the_message_says_what_to_install(elvis, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = elvis("serve")
    assert result.code == 69
    assert "pip install 'elvis-cli[service]'" in result.err


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--warm", "micadoo"], "did you mean 'micado'?"),
        (["--allow", "network"], "skycalc, tiptop"),
        (["--keep-for", "long"], "such as 1h"),
    ],
)
def test_wrong_options(elvis, argv, word):
    pytest.importorskip("starlette")
    result = elvis("serve", *argv)
    assert result.code == 2
    assert word in result.err
