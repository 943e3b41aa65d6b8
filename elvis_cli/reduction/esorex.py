"""ESO's own recipes on the files of a set, by EsoRex, where both are installed.

The table `[[reduction.esorex]]` of an instrument lists the recipes in their order: ``recipe``, ``raw`` (kind of the
set's files -> tag), ``at_most`` files of each kind, ``products`` (PRO CATG of what earlier recipes made), ``options``,
and ``deliver`` for the recipe that makes what the user gets, which takes the user's own files too.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elvis_cli.errors import ResourceError
from elvis_cli.reduction import instrument_table
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.request.files import guard

PROGRAM = "esorex"


def run(files: FileSet, outdir: Path, static: Sequence[tuple[Path, str]] = ()) -> dict[Path, str]:
    """Run the recipes for a set of raw files, and return the products in ``outdir`` with their PRO CATG.

    ``static`` are files of the user's and their tags.

    Raises
    ------
    ResourceError
        EsoRex is not installed, the instrument has no recipes, a recipe is not installed or fails, or a kind of files
        that it wants is missing.
    """
    first = files.science[0]
    steps = recipes(first)
    program = shutil.which(PROGRAM)
    if program is None:
        raise ResourceError(f"{PROGRAM} is not installed: it runs ESO's recipes (Debian: esorex, cpl-plugin-...)")
    delivered: dict[Path, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, list[Path]] = {}
        for number, step in enumerate(steps):
            own = Path(folder) / str(number)
            own.mkdir()
            last = bool(step.get("deliver"))
            frames = [*_raw(step, files, own), *_products(step, made), *(static if last else ())]
            found = _execute(program, step, frames, own)
            for category, paths in found.items():
                made.setdefault(category, []).extend(paths)
            for category, paths in found.items() if last else ():
                for path in paths:
                    target = outdir / f"{product_name(files)}_{path.stem}.fits"
                    shutil.copyfile(path, target)
                    delivered[target] = category
    if not delivered:
        raise ResourceError(f"{first.name}: the recipes made no product")
    return delivered


def recipes(first: Any) -> Sequence[Mapping[str, Any]]:
    """Return the recipes of the instrument that a raw header names.

    Raises
    ------
    ResourceError
        It has none.
    """
    name = first.get("ESO SIM INSTR")
    table = instrument_table.tree(name)
    if not table.get("esorex"):
        raise ResourceError(f"{first.name}: {name or first.get('INSTRUME')} names no recipes of ESO for its frames")
    steps: Sequence[Mapping[str, Any]] = table["esorex"]
    return steps


def _raw(step: Mapping[str, Any], files: FileSet, folder: Path) -> list[tuple[Path, str]]:
    """Return the files that a recipe wants and their tags, as copies in a folder without our own tables.

    Recipes count the extensions of a raw file.
    """
    frames = []
    for kind, tag in step.get("raw", {}).items():
        raw = getattr(files, kind)
        if not raw:
            raise ResourceError(f"{product_name(files)}: no {kind}, which {step['recipe']} wants")
        for one in raw[: step.get("at_most")]:
            path = folder / f"raw_{one.name}"
            with guard.opened(one.source) as hdus:
                hdus.__class__([hdus[0], *(hdus[chip] for chip in one.chips)]).writeto(path)
            frames.append((path, tag))
    return frames


def _products(step: Mapping[str, Any], made: Mapping[str, Sequence[Path]]) -> list[tuple[Path, str]]:
    return [(path, category) for category in step.get("products", ()) for path in made.get(category, ())]


def _execute(
    program: str, step: Mapping[str, Any], frames: Sequence[tuple[Path, str]], folder: Path
) -> dict[str, list[Path]]:
    """Run one recipe in a folder of its own, and return its products by PRO CATG."""
    from astropy.io import fits

    (folder / "frames.sof").write_text("".join(f"{path} {tag}\n" for path, tag in frames))
    command = [
        program,
        "--msg-level=warning",
        "--log-level=off",
        step["recipe"],
        *step.get("options", ()),
        "frames.sof",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise ResourceError(
            f"{step['recipe']} of {PROGRAM} failed with code {done.returncode}: {' / '.join(lines[:3]) or 'no reason'}",
            recipe=step["recipe"],
        )
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.fits")):
        if path.name.startswith("raw_"):
            continue
        found.setdefault(str(fits.getval(path, "ESO PRO CATG")), []).append(path)
    return found
