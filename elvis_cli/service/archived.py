"""Files of executed blocks in an archive: kept in a folder of their own, since those of jobs are deleted."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

from elvis_cli.archive import ingest
from elvis_cli.archive.store import Store


class ArchivedFiles:
    """Puts files into an archive."""

    def __init__(self, place: str, folder: Path) -> None:
        """Open the store at ``place``; the files go into ``folder``.

        Raises
        ------
        ResourceError
            The store cannot be opened.
        """
        self.store = Store(place)
        self.folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, file: Path, sha256: str | None) -> ingest.Outcome:
        """Keep a file, and put it into the archive; a file that is there already stays as it is."""
        with self._lock:
            kept = self.folder / (f"{sha256[:16]}.{file.name}" if sha256 else file.name)
            if not kept.exists():
                try:
                    os.link(file, kept)
                except OSError:  # another disk
                    shutil.copyfile(file, kept)
            (outcome,) = ingest.add(self.store, [ingest.Entry(str(kept), sha256)])
        return outcome

    def close(self) -> None:
        """Close the store."""
        self.store.close()
