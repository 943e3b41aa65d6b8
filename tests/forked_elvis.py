"""An `elvis` for shell scripts in tests: each call is a fork of one warm process, so that it does not pay for imports.

``install(folder, plugins)`` writes the command; ``python -m tests.forked_elvis SOCKET`` is the warm process.
"""

from __future__ import annotations

import gc
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CLIENT = """
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
call = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [call], [0, 1, 2])
code = server.recv(1)
os._exit(code[0] if code else 70)
"""


@contextmanager
def install(folder: Path, plugins: Path) -> Iterator[Path]:
    """Yield a folder for PATH with the command `elvis`, which finds the packages in the folder ``plugins``."""
    address, bin_folder = folder / "socket", folder / "bin"
    bin_folder.mkdir()
    (folder / "client.py").write_text(CLIENT)
    command = shlex.join([sys.executable, "-IS", str(folder / "client.py"), str(address)])
    (bin_folder / "elvis").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (bin_folder / "elvis").chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(plugins), str(Path(__file__).parents[1]), *sys.path]),
    }
    server = subprocess.Popen([sys.executable, "-m", "tests.forked_elvis", str(address)], env=environment)
    try:
        while not address.exists():
            assert server.poll() is None, "the warm process ended"
            time.sleep(0.02)
        yield bin_folder
    finally:
        server.terminate()
        server.wait()


def serve(address: str) -> None:
    """Answer calls of the client until terminated."""
    from elvis_cli import cli
    from tests.conftest import run

    for name in ("fors", "micado"):  # loads kernels, data and modules, which each fork would else load again
        request = run("example", name).out
        run("validate", stdin=request)
        frame = run("--window=500,500,64,64", stdin=request).out
        run("preview", stdin=frame)
    for command in ("instruments", "stages", "scene", "explain"):
        run(command, stdin=request)
    gc.collect()
    gc.freeze()  # a fork that collects would copy all of it
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen(16)
    os.rename(address + ".new", address)
    while True:
        connection, _ = listener.accept()
        call, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if os.fork() == 0:
            listener.close()
            code = 70
            try:
                argv, folder, environment = json.loads(call)
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                    os.close(stream)
                os.chdir(folder)
                os.environ.clear()
                os.environ.update(environment)
                code = cli.run(argv)
            finally:
                connection.sendall(bytes([code]))
                os._exit(code)
        connection.close()
        for stream in streams:
            os.close(stream)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    serve(sys.argv[1])
