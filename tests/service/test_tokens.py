"""Tokens: shown once, kept as SHA-256, good for their scopes."""

from __future__ import annotations

import hashlib
import stat

import pytest

from elvis_cli.service import tokens


@pytest.fixture(scope="module")
def guarded(start, tmp_path_factory):
    """Return a server with tokens, their file, and a token for rendering only."""
    file = tmp_path_factory.mktemp("tokens") / "tokens.json"
    text = tokens.add(file, "alice", ["render"])
    return start("--warm", "none", "--tokens", str(file)), file, text


def test_the_file_has_no_token(guarded):
    _, file, text = guarded
    assert text not in file.read_text()
    assert hashlib.sha256(text.encode()).hexdigest() in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(text) >= 43


def test_a_token_opens_what_its_scope_says(guarded, small):
    server, file, text = guarded
    assert server.get("/health/live").status == 200
    refused = server.post("/etc", small())
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert server.post("/etc", small(), Authorization="Bearer wrong").status == 401
    assert server.post("/validate", small(), Authorization=f"Bearer {text}").status == 200
    other = tokens.add(file, "bob", ["jobs"])
    refused = server.post("/validate", small(), Authorization=f"Bearer {other}")
    assert refused.status == 403
    assert "scope 'render'" in refused.json()["detail"]
    tokens.remove(file, "bob")
    assert server.post("/validate", small(), Authorization=f"Bearer {other}").status == 401


def test_commands(elvis, tmp_path):
    file = str(tmp_path / "tokens.json")
    text = elvis("serve", "token", "add", "alice", "--tokens", file).out.decode().strip()
    assert tokens.Tokens(tmp_path / "tokens.json").find(text).name == "alice"
    assert b"alice\trender jobs ob" in elvis("serve", "token", "list", "--tokens", file).out
    assert elvis("serve", "token", "add", "alice", "--tokens", file).code == 2
    assert "did you mean 'render'?" in elvis("serve", "token", "add", "b", "--tokens", file, "--scope", "rendr").err
    assert elvis("serve", "token", "remove", "alice", "--tokens", file).code == 0
    assert elvis("serve", "token", "remove", "alice", "--tokens", file).code == 2


def test_an_address_of_others_needs_tokens(elvis):
    result = elvis("serve", "--host", "0.0.0.0")
    assert (result.code, result.out) == (2, b"")
    assert "--tokens FILE or --public" in result.err
