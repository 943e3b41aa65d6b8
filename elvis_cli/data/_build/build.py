"""Rebuild the tables that ELVIS ships, from pinned public packages: ``python -m elvis_cli.data._build.build``.

Needs pip, a network and a few minutes (the archives are kept in the folder
ELVIS_ARCHIVES, if it is set, and used again); nothing here is used at run time. The result is the same byte for byte
whenever and wherever it runs, so that `git status` afterwards shows whether a table is what it claims to be.
"""

from __future__ import annotations

import argparse
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

from elvis_cli.data._build import cells, resolved, sky, spectra
from elvis_cli.data._build.packages import Provenance
from typing import Any

def write_provenance(entries: Sequence[Provenance], path: Path) -> None:
    """Write the table of origins as Markdown."""
    lines = [
        "# Where the shipped tables come from",
        "",
        "Written by `python -m elvis_cli.data._build.build`, which makes every file below again, byte for byte, "
        "but for those that are computed for ELVIS: no public package has what they are made from, and they are kept.",
        "",
        "The tables of the sky and the ETC's filter curves are figures that ESO publishes and computes for anyone, credited "
        "to ESO (Noll et al. 2012; Jones et al. 2013); the packages named only carried them here.",
        "",
    ]
    for name in sorted({e.file for e in entries}):
        lines += [f"## {name}", ""]
        for e in sorted((e for e in entries if e.file == name), key=lambda e: (e.package, e.member)):
            lines += [
                f"- `{e.member}` of {e.package} {e.version} ({e.licence})",
                f"  - published in: {e.publication}",
                f"  - done: {e.done}",
            ]
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Rebuild everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1], help="folder of the tables")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    write_provenance([*spectra.build(out), *sky.build(out), *cells.build(out), *resolved.build(out)], out / "PROVENANCE.md")


if __name__ == "__main__":
    main()
