"""`elvis reduce`: raw frames and their calibrations to products."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from elvis_cli.commands.console import note, write
from elvis_cli.commands.filter import read_request
from elvis_cli.commands.help_format import CommandHelp
from elvis_cli.commands.standard_streams import sink, stdin
from elvis_cli.errors import OutputError, UsageError
from elvis_cli.instrument.request_options import RequestOptions

RECIPES = ("elvis", "esorex")
TELLURIC = ("none", "standard", "sky")
KERNELS = ("square", "gaussian", "point", "turbo", "lanczos2", "lanczos3")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=CommandHelp)(reduce)


def reduce(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Raw FITS files: science frames and calibrations; - reads their names from elvis batch."),
    ] = None,
    outdir: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the products.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would be made of what, a JSON line a product.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on without calibrations that are missing.")
    ] = False,
    kernel: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(KERNELS), help="Kernel of the drizzling; by default lanczos3, or square if undersampled."
        ),
    ] = None,
    pixfrac: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="Side of a pixel's drop, as a fraction of the pixel.")
    ] = 1.0,
    north_up: Annotated[bool, typer.Option("--north-up", help="Turn the products: North up, East left.")] = False,
    mosaic: Annotated[bool, typer.Option("--mosaic", help="All chips in one image.")] = False,
    standards: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Catalogue of standard stars, CSV, in place of the shipped one.")
    ] = None,
    aperture: Annotated[
        float | None,
        typer.Option(metavar="PIXELS", min=1.0, help="Length of the box of a spectrum; by default 2.5 FWHM."),
    ] = None,
    recipes: Annotated[
        str,
        typer.Option(
            metavar="|".join(RECIPES), help="Whose recipes: ours, or ESO's by EsoRex where they are installed."
        ),
    ] = "elvis",
    static: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG=FILE", help="A file that ESO's recipes want besides, by its tag (repeatable)."),
    ] = None,
    barycentric: Annotated[
        bool,
        typer.Option(
            "--barycentric", help="Wavelengths of spectra and cubes at rest with the Solar System's barycentre."
        ),
    ] = False,
    telluric: Annotated[
        str,
        typer.Option(
            metavar="|".join(TELLURIC),
            help="Take the air's lines out by the standard star or the model of the sky.",
        ),
    ] = "none",
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS|FILE", help="Dask scheduler, or its file; it must share the folders."),
    ] = None,
    requests: Annotated[
        bool,
        typer.Option(
            "--requests", help="Print the requests behind the product of the ETC request on stdin, JSON lines."
        ),
    ] = False,
) -> None:
    """Reduce raw frames as an observatory's pipeline does.

    Prints a JSON line for each product file.
    """
    if requests:
        _print_requests(files)
        return
    if not files:
        raise UsageError("no files: elvis reduce raw/*.fits -o products/")
    _check_choice("--kernel", kernel, KERNELS)
    _check_choice("--recipes", recipes, RECIPES)
    _check_choice("--telluric", telluric, TELLURIC)
    _check_places(outdir, cluster, plan=plan, esorex=recipes == "esorex")
    from elvis_cli.reduction import installed

    installed.check()
    from elvis_cli.reduction import associate, products, raw
    from elvis_cli.reduction.image_options import ImageOptions
    from elvis_cli.reduction.spectrum_options import SpectrumOptions

    sets = associate.associate(raw.open_all(_named(files)))
    if plan:
        for each in sets:
            write(json.dumps(each.as_dict()))
        return
    assert outdir is not None
    _make(outdir)
    if recipes == "esorex":
        _run_esorex(sets, outdir, static or [])
        return
    standards = standards.resolve() if cluster and standards else standards
    image = ImageOptions(kernel, pixfrac, north_up, allow_missing, standards, mosaic)
    options = products.Options(image, SpectrumOptions(aperture, standards, barycentric, telluric))
    if not allow_missing:
        for each in sets:
            associate.check(each)
    _write_all(files, sets, options, outdir, cluster)


def _write_all(files: Sequence[Path], sets: Sequence[Any], options: Any, outdir: Path, cluster: str | None) -> None:
    """Write the products of sets of raw files, here or on a cluster, and a line for each of their files."""
    from elvis_cli.reduction import product_task

    if cluster is None:
        for each in sets:
            _tell(product_task.write(each, options, outdir))
        return
    for written in _on_cluster(product_task.tasks(files, len(sets), options, outdir), cluster):
        if written.failure is not None:
            raise written.failure
        _tell(written)


def _check_places(outdir: Path | None, cluster: str | None, *, plan: bool, esorex: bool) -> None:
    if outdir is None and not plan:
        raise UsageError("-o FOLDER is missing: where the products go")
    if cluster and (plan or esorex):
        raise UsageError("--cluster cannot be combined with --plan or --recipes esorex")


def _named(files: Sequence[Path]) -> list[Path]:
    """Return the files, with those that the lines of `elvis batch` on stdin name in place of "-"."""
    if Path("-") not in files:
        return list(files)
    named = [one for one in files if one != Path("-")]
    failed = 0
    for number, line in enumerate(stdin().splitlines(), 1):
        try:
            outcome = json.loads(line)
            path, status = outcome["file"], outcome["status"]
        except (ValueError, TypeError, KeyError):
            raise UsageError(f"line {number} on stdin is none of elvis batch: it has no file and status") from None
        if status == "failed" or not path:
            failed += 1
        else:
            named.append(Path(path))
    if not named:
        raise UsageError(f"no files: none of the lines on stdin names one, {failed} failed")
    if failed:
        note([f"requests of the batch that failed: {failed}; the reduction is without them"])
    return named


def _check_choice(option: str, value: str | None, allowed: Sequence[str]) -> None:
    if value is not None and value not in allowed:
        raise UsageError(f"{option}: {value!r} is not one of {', '.join(allowed)}")


def _print_requests(files: list[Path] | None) -> None:
    if files:
        raise UsageError("--requests reads an ETC request on stdin, and no files")
    from elvis_cli.reduction.requests import documents

    for document in documents(read_request(stdin(), RequestOptions({}, strict=False))):
        write(json.dumps(document, separators=(",", ":")))


def _run_esorex(sets: Sequence[Any], outdir: Path, static: Sequence[str]) -> None:
    """Have ESO's recipes reduce each set, and write a line for each of their products."""
    from elvis_cli.reduction import esorex

    own = []
    for each in static:
        tag, equals, name = each.partition("=")
        if not equals or not Path(name).is_file():
            raise UsageError(f"--static: {each!r} is not TAG=FILE with a file that exists")
        own.append((Path(name).absolute(), tag))
    for each in sets:
        for path, category in esorex.run(each, outdir, own).items():
            write(json.dumps({"file": str(path), "kind": category, "raw": len(each.science)}))


def _tell(written: Any) -> None:
    """Write a line for each file of a product, and its notes."""
    for line in written.files:
        write(json.dumps(line))
    note(written.notes)


def _on_cluster(tasks: Sequence[Any], address: str) -> Iterator[Any]:
    """Yield what a Dask cluster wrote of each product, in their order."""
    from elvis_cli.batch import cluster, work

    workers, now = cluster.Cluster(work.Settings(""), address), True
    try:
        for future in [workers.submit(task) for task in tasks]:
            yield future.result()
        now = False
    finally:
        workers.close(now=now)


def in_memory(text: bytes | str, options: RequestOptions, output: Path | None) -> None:
    """Write the reduced image or spectrum of an ETC request: its raw frames are rendered in memory."""
    from elvis_cli.reduction import installed

    installed.check()
    request = read_request(text, replace(options, overrides={**options.overrides, "product": "raw"}))
    from elvis_cli.reduction.in_memory import reduce

    with sink(output) as out:
        notes = reduce(request, out)
    note(notes)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {folder}: {error.strerror}", path=str(folder)) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into {folder}", path=str(folder))
