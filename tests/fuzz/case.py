"""One case: a command line, standard input and files, and how it is kept in a file."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """What `elvis` is given; ``{NAME}`` in the command line is the path of that file."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)

    def arguments(self, folder: Path) -> list[str]:
        """Return the command line, its files written to a folder."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return [self._filled(word, folder) for word in self.argv]

    def _filled(self, word: str, folder: Path) -> str:
        for name in self.files:
            word = word.replace(f"{{{name}}}", str(folder / name))
        return word

    def dump(self) -> str:
        """Return the case as JSON."""
        files = {name: _pack(content) for name, content in self.files.items()}
        return json.dumps({"argv": self.argv, "stdin": _pack(self.stdin), "files": files}, indent=1) + "\n"


def load(text: str) -> Case:
    """Return the case that `Case.dump` wrote."""
    found = json.loads(text)
    files = {name: _unpack(content) for name, content in found["files"].items()}
    return Case(tuple(found["argv"]), _unpack(found["stdin"]), files)


def _pack(content: bytes) -> str:
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        text = "\0"
    if len(text) < 4000 and (text.isprintable() or text.replace("\n", "").isprintable()):
        return text
    return "zlib:" + base64.b64encode(zlib.compress(content, 9)).decode()


def _unpack(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text[5:])) if text.startswith("zlib:") else text.encode()
