"""`elvis detect`, `elvis photom`, `elvis inject`: filters over images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from elvis_cli.commands.console import note
from elvis_cli.commands.help_format import CommandHelp
from elvis_cli.commands.options import OutputFile
from elvis_cli.commands.standard_streams import binary_stdin, check_stdout, sink
from elvis_cli.errors import ResourceError, UsageError
from elvis_cli.model.limits import MAX_PIPE_BYTES, read_all

ImageFile = Annotated[str, typer.Argument(help="Product, or another FITS image; - is stdin.")]
AsFits = Annotated[bool, typer.Option("--fits", help="Write a FITS table in place of ECSV.")]
Radius = Annotated[
    float | None, typer.Option(min=0.3, max=1000.0, help="Radius of the aperture, pixels; by default 1.5 FWHM.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the places.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (detect, photom, inject):
        app.command(cls=CommandHelp)(command)


def _read(file: str) -> list[Any]:
    from elvis_cli.detection.image_file import read

    return read(read_all(binary_stdin(), MAX_PIPE_BYTES) if file == "-" else Path(file))


def detect(
    file: ImageFile = "-",
    output: OutputFile = None,
    threshold: Annotated[float, typer.Option(min=1.0, help="Peak of a source over the noise.")] = 5.0,
    radius: Radius = None,
    injected: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Table of injected stars: print which of them are found, in place of sources."
        ),
    ] = None,
    fits: AsFits = False,
) -> None:
    """Print the sources of an image as a table."""
    from elvis_cli.detection import image_file, photometry

    if fits:
        check_stdout(output)
    rows: list[dict[str, Any]] = []
    for number, image in enumerate(_read(file), 1):
        columns = photometry.detect(image, threshold, radius)
        if injected is not None:
            import numpy as np

            table, places = image_file.read_places(injected, image)
            found = np.stack([columns["X"], columns["Y"]], axis=1) - 1.0
            hits = photometry.recovered(found, places, image.fwhm)
            columns = {name: np.asarray(table[name]) for name in table.colnames} | {"FOUND": hits.astype(np.int32)}
            fraction = f"{hits.mean():.3f}" if hits.size else "not known"
            note([f"completeness: {fraction} ({int(hits.sum())} of {len(hits)})"])
        else:
            import numpy as np

            columns = {"CHIP": np.full(len(columns["X"]), number, np.int32), **columns}
        rows.append(columns)
    _write(rows, output, fits)


def photom(
    files: Annotated[list[Path], typer.Argument(help="Products, or other FITS images: one for each time.")],
    at: Annotated[Path, typer.Option("--at", metavar="FILE", help="Table of places: RA, DEC (deg), or X, Y (from 1).")],
    output: OutputFile = None,
    psf: Annotated[bool, typer.Option("--psf", help="Fit the PSF of the image's stars, neighbours together.")] = False,
    radius: Radius = None,
    fits: AsFits = False,
) -> None:
    """Measure stars at known places: light curves.

    A row for each star and image, with the time of its middle.
    """
    import numpy as np

    from elvis_cli.detection import image_file, photometry

    if psf:
        from elvis_cli.reduction import installed

        installed.check()
    rows: list[dict[str, Any]] = []
    for path in files:
        for image in image_file.read(path):
            _, places = image_file.read_places(at, image)
            ny, nx = image.sci.shape
            inside = np.flatnonzero(np.all((places >= 0) & (places <= [nx - 1, ny - 1]), axis=1))
            if inside.size == 0:
                continue
            head = image.primary
            begin = float(head.get("MJD-OBS", np.nan))
            end = float(head.get("MJD-END", begin + float(head.get("EXPTIME", 0.0)) / 86400.0))
            columns = photometry.measure(image, places[inside], radius, psf)
            times = np.full(inside.size, (begin + end) / 2)
            rows.append({"STAR": (inside + 1).astype(np.int32), "MJD": times, **columns})
    if not rows:
        raise ResourceError("none of the places is on an image")
    _write(rows, output, fits)


def inject(
    file: ImageFile = "-",
    output: OutputFile = None,
    at: Annotated[
        Path | None, typer.Option("--at", metavar="FILE", help="Table of stars: places, and MAG or FLUX.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Number of stars at random places.")] = 100,
    mag: Annotated[float | None, typer.Option(help="Magnitude of the random stars, in the system of MAGZPT.")] = None,
    flux: Annotated[float | None, typer.Option(help="Flux of the random stars, in the unit of the image.")] = None,
    seed: Seed = 0,
    table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write places and fluxes to this ECSV file.")
    ] = None,
) -> None:
    """Add stars to a product: tests of completeness."""
    check_stdout(output)
    from elvis_cli.detection import injection

    if at is None and mag is None and flux is None:
        raise UsageError("--mag, --flux or --at is missing: how bright the stars are")
    source = read_all(binary_stdin(), MAX_PIPE_BYTES) if file == "-" else Path(file)
    with sink(output) as out:
        injection.inject(source, out, injection.Stars(at, count, mag, flux, seed), table)


def _write(rows: list[dict[str, Any]], output: Path | None, fits: bool) -> None:
    import numpy as np

    from elvis_cli.detection import image_file, photometry

    names = [name for name in rows[0] if all(name in row for row in rows)]
    columns = {name: np.concatenate([row[name] for row in rows]) for name in names}
    with sink(output) as out:
        image_file.write_table(columns, {k: u for k, u in photometry.UNITS.items() if k in columns}, out, fits)
