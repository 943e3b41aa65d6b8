"""`elvis serve`: the filter as a service by HTTP; `elvis serve token`: who may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elvis_cli.commands.console import note, say, table, write
from elvis_cli.errors import ResourceError, UsageError, nearest_name

TokenFile = Annotated[Path, typer.Option("--tokens", metavar="FILE", help="File of the tokens.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    commands = typer.Typer(invoke_without_command=True, no_args_is_help=False)
    commands.callback()(serve)
    tokens = typer.Typer(help="Add, list and remove tokens.")
    tokens.command()(add)
    tokens.command("list")(list_tokens)
    tokens.command()(remove)
    commands.add_typer(tokens, name="token")
    app.add_typer(commands, name="serve")


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 = any that is free.")] = 8642,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Number of processes; 0 = all cores.")] = 0,
    tokens: Annotated[Path | None, typer.Option(metavar="FILE", help="Answer only to the tokens in this file.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Listen where others reach it, without tokens.")] = False,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Origin whose pages may use the service; repeatable.")
    ] = None,
    root_path: Annotated[str, typer.Option(metavar="PATH", help="Path under which a proxy shows the service.")] = "",
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="skycalc|tiptop", help="Allow requests that reach the network; repeatable."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep jobs and blocks here, through restarts; else they end with it."),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(metavar="FILE|ADDRESS", help="Put the files of blocks into this archive; needs --folder."),
    ] = None,
    keep_for: Annotated[str, typer.Option(metavar="TIME", help="Keep ended jobs so long: 1h, 7d, 90s.")] = "1h",
    warm: Annotated[
        str, typer.Option(metavar="all|none|A,B,...", help="Instruments to be rendered once before it is ready.")
    ] = "all",
    max_body: Annotated[int, typer.Option(min=1, metavar="MB", help="Largest body.")] = 64,
    max_pixels: Annotated[int, typer.Option(min=1, metavar="N", help="Most pixels of an answer, in 1e6.")] = 32,
    queue: Annotated[int, typer.Option(min=0, metavar="N", help="Most requests that wait.")] = 32,
    deadline: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time of a request.")] = 30.0,
    max_memory: Annotated[int, typer.Option(min=800, metavar="MB", help="Address space of each process.")] = 8000,
    max_cpu: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="Processor time of a task.")] = 3600,
    jobs_per_hour: Annotated[int, typer.Option(min=1, metavar="N", help="Most jobs of a token in an hour.")] = 60,
) -> None:
    """Serve ETC requests by HTTP: the bytes are those of elvis.

    `elvis help service` describes it.
    """
    if ctx.invoked_subcommand is not None:
        return
    _check_installed()
    if archive is not None:
        from elvis_cli.commands.archive import check_installed

        check_installed()
        if folder is None:
            raise UsageError("--archive needs --folder, where the files are kept")
    from elvis_cli.base import parallel
    from elvis_cli.service import app, limits, run

    app.check_address(host, is_public=public or tokens is not None)
    for name in allow or ():
        if name not in app.NETWORKED:
            raise UsageError(f"--allow: {name!r} is not one of {', '.join(app.NETWORKED)}")
    cores = parallel.threads()
    million = 10**6
    bounds = limits.ServiceLimits(
        body=max_body * million, pixels=max_pixels * million, queue=queue, deadline=deadline,
        memory=max_memory * million, cpu=max_cpu, jobs_per_hour=jobs_per_hour, keep_for=_seconds(keep_for),
    )  # fmt: skip
    options = app.ServiceOptions(
        jobs or cores, cores, bounds, _instruments(warm), tokens, tuple(origin or ()), tuple(allow or ()), folder,
        root_path.rstrip("/"), archive,
    )  # fmt: skip
    run.serve(host, port, options, say)


def add(
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    tokens: TokenFile,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="render|jobs|ob|archive:write", help="What it is good for; repeatable (render, jobs, ob)."
        ),
    ] = None,
) -> None:
    """Add a token and print it, once: the file has only its SHA-256."""
    from elvis_cli.service import tokens as file

    write(file.add(tokens, name, scope or ["render", "jobs", "ob"]))
    note([f"token {name!r} added; it cannot be shown again"])


def list_tokens(tokens: TokenFile) -> None:
    """List names and scopes of the tokens."""
    from elvis_cli.service import tokens as file

    table(("name", "scopes"), [(token.name, " ".join(token.scopes)) for token in file.read(tokens)])


def remove(name: Annotated[str, typer.Argument(help="Name of the token.")], tokens: TokenFile) -> None:
    """Remove a token; a running server knows it at once."""
    from elvis_cli.service import tokens as file

    file.remove(tokens, name)


def _check_installed() -> None:
    from importlib.util import find_spec

    lacking = [name for name in ("starlette", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if lacking:
        raise ResourceError(
            f"{' and '.join(lacking)} not installed: pip install 'elvis-cli[service]'", allowed="elvis-cli[service]"
        )


def _instruments(text: str) -> tuple[str, ...]:
    from elvis_cli.instrument import registry

    if text == "none":
        return ()
    known = registry.names()
    if text == "all":
        return known
    wanted = tuple(part.strip() for part in text.split(","))
    for name in wanted:
        if name not in known:
            near = nearest_name(name, known)
            raise UsageError(f"--warm: no instrument {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    return wanted


def _seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in units:
        raise UsageError(f"--keep-for: {text!r} is not a whole number and s, m, h or d, such as 1h")
    return int(number) * units[unit]
