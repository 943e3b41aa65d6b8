"""An audit hook for the processes of a server: ``python`` loads it as sitecustomize."""

from __future__ import annotations

from pathlib import Path

MARK = "hostile-name"
"""Part of every path and host of the requests that must not be opened."""
HOOK = """
import os, sys
_log = os.open(os.environ["ELVIS_AUDIT_LOG"], os.O_WRONLY | os.O_APPEND)
_network = {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request", "os.system",
}

def _hook(event, argv):
    if event in _network or "%s" in repr(argv)[:5000]:
        os.write(_log, (event + " " + repr(argv)[:300] + "\\n").encode())

sys.addaudithook(_hook)
"""


class Audit:
    """What the processes of a server have opened that they must not."""

    def __init__(self, folder: Path) -> None:
        folder.joinpath("sitecustomize.py").write_text(HOOK % MARK)
        self.log = folder / "log"
        self.log.touch()
        self.environment = {"PYTHONPATH": str(folder), "ELVIS_AUDIT_LOG": str(self.log)}

    def events(self) -> list[str]:
        """Return the events: a name of a request was opened, or any connection was made."""
        return self.log.read_text().splitlines()
