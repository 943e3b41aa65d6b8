"""`elvis ob` and `elvis templates`: Observing Blocks to requests, or the plan of the night."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elvis_cli.commands.console import note, print_json, say, table, write
from elvis_cli.commands.options import AsJson
from elvis_cli.commands.standard_streams import stdin
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.observing.languages import Language, Output

if TYPE_CHECKING:
    from elvis_cli.request.files.moving import Ephemeris


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(ob)
    app.command()(templates)


def ob(
    language: Annotated[
        Language, typer.Option("--format", help="Language of the blocks; by default recognised from their structure.")
    ] = Language.AUTO,
    start: Annotated[
        str | None,
        typer.Option(metavar="ISO8601", help="Start of the night, UTC; by default such that the first target is high."),
    ] = None,
    request: Annotated[
        Path | None, typer.Option(help="JSON with defaults for all requests: brightness, scene, window ...")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all random numbers (0).")] = None,
    steady: Annotated[bool, typer.Option("--steady", help="Keep seeing, water vapour and airglow constant.")] = False,
    persistence: Annotated[
        bool, typer.Option("--persistence", help="Include the persistence of the exposure before.")
    ] = False,
    calibrations: Annotated[
        int,
        typer.Option(
            min=0, max=1000, metavar="N", help="Append N darks, biases, flats and arcs of each configuration."
        ),
    ] = 0,
    schedule: Annotated[bool, typer.Option("--schedule", help="Print the plan as a table.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check only; print a summary on stderr.")] = False,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Look up missing coordinates by name (needs the network).")
    ] = False,
    ephemeris: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TARGET=]FILE",
            help="Ephemeris of a moving target: JPL Horizons text, or ECSV; once for each.",
        ),
    ] = None,
    to: Annotated[Output | None, typer.Option(help="Print the targets or the blocks in this language.")] = None,
) -> None:
    """Print a request for each exposure of the blocks on stdin.

    One JSON line each. The blocks are those of ESO's p2 or of the Keck Observing Description Language.
    """
    from elvis_cli.model.limits import offline_by_environment
    from elvis_cli.observing import load

    if resolve and offline_by_environment():
        raise UsageError("--resolve is forbidden by ELVIS_OFFLINE: it needs the network")
    text = stdin()
    if to is not None:
        if ephemeris:
            raise UsageError("--ephemeris cannot be combined with --to: no language of blocks holds an ephemeris")
        write(load.translate(text, language, to, resolve=resolve).rstrip("\n"))
        return
    from elvis_cli.observing import night, plan
    from elvis_cli.observing import schedule as schedule_table

    options = plan.Options(
        start=_date(start),
        seed=seed,
        steady=steady,
        request=_patch(request),
    )
    blocks = night.read(
        text,
        language,
        options,
        resolve=resolve,
        ephemerides=_ephemerides(ephemeris or []),
        calibrations=calibrations,
    )
    note(blocks.notes)
    if check:
        say(f"elvis: valid: {schedule_table.summary(blocks.visits, blocks.exposures)}")
        return
    if schedule:
        table(schedule_table.COLUMNS, [schedule_table.row(exposure) for exposure in blocks.exposures])
        return
    for document in blocks.documents(persistence=persistence):
        write(json.dumps(document, separators=(",", ":")))


def templates(
    instrument: Annotated[str, typer.Argument(help="Instrument.")],
    name: Annotated[str | None, typer.Argument(help="Template; without it, all are listed.")] = None,
    as_json: AsJson = False,
) -> None:
    """List an instrument's templates, or a template's parameters."""
    from elvis_cli.observing import templates as signatures

    found = signatures.load(instrument)
    if name is None:
        listed = found.listing()
        head: tuple[str, ...] = ("template", "title", "type", "modes")
    else:
        listed = found.describe(found.find(name, "/templateName"))
        head = ("parameter", "type", "allowed", "default", "about")
    if as_json:
        print_json([dict(zip(head, row, strict=True)) for row in listed])
    else:
        table(head, listed)


def _date(text: str | None) -> datetime | None:
    from elvis_cli.base.dates import parse_date

    try:
        return None if text is None else parse_date(text, "--start", (1980, 2097))  # a night later is a date too
    except RequestError as error:
        raise UsageError(error.message) from None


def _ephemerides(texts: Iterable[str]) -> dict[str, Ephemeris]:
    """Return the ephemerides of ``TARGET=FILE`` by target; "" is the only target."""
    found: dict[str, Ephemeris] = {}
    for text in texts:
        from elvis_cli.request.files.ephemeris import read_ephemeris
        from elvis_cli.request.files.guard import reading

        name, _, file = ("", "", text) if Path(text).is_file() else text.rpartition("=")
        if name in found:
            raise UsageError(f"--ephemeris: {name or 'the target'} has two files")
        with reading("--ephemeris", Path(file)):
            found[name] = read_ephemeris(Path(file))
    return found


def _patch(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from elvis_cli.request.files.guard import reading
    from elvis_cli.request.parse import parse_json

    with reading("--request", path):
        found = parse_json(path.read_bytes())
    if not isinstance(found, dict):
        raise RequestError("", f"{path.name} is not a JSON object")
    return found
