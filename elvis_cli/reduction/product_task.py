"""One product made and written: here, or by a worker of a cluster that shares the folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elvis_cli import __version__, errors
from elvis_cli.errors import ElvisError, OutputError, ResourceError
from elvis_cli.product.sinks import file_sink
from elvis_cli.reduction import associate, products, raw


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a product."""

    files: tuple[dict[str, Any], ...] = ()
    """Path, kind and number of raw files of each."""
    notes: tuple[str, ...] = ()
    failure: ElvisError | None = None
    """Why there are none."""


@dataclass(frozen=True, slots=True, eq=False)
class ProductTask:
    """The product of some raw files, a task for `batch.cluster`."""

    sources: tuple[Path, ...]
    """All raw files of the command."""
    number: int
    """Of the set of files that is meant, as `associate.associate` orders them."""
    options: products.Options
    folder: Path
    version: str = __version__

    def do(self, _settings: Any, _report: Any) -> Written:
        """Return the files of the product, or the failure in their place."""
        try:
            if self.version != __version__:
                raise ResourceError(f"this is ELVIS {__version__}, and the reduction is of {self.version}")
            if not self.folder.is_dir():
                raise OutputError(f"{self.folder} is not here: the folder must be shared by all machines")
            files = associate.associate(raw.open_all(self.sources))[self.number]
            return write(files, self.options, self.folder)
        except Exception as error:  # a worker's exceptions cannot all be sent; the command raises this one
            return Written(failure=_sendable(errors.expected(error)))


def _sendable(error: ElvisError) -> ElvisError:
    """Return an error of the base class, which can be pickled, with the exit code of ``error``."""
    failure = ElvisError(error.message, **error.details)
    failure.exit_code = error.exit_code
    return failure


def tasks(sources: Sequence[Path], count: int, options: products.Options, folder: Path) -> list[ProductTask]:
    """Return a task for each of the ``count`` sets of raw files, with the paths that other machines know."""
    paths = tuple(path.resolve() for path in sources)
    return [ProductTask(paths, number, options, folder.resolve()) for number in range(count)]


def write(files: associate.FileSet, options: products.Options, folder: Path) -> Written:
    """Make the product of a set of raw files and write its files.

    Raises
    ------
    ElvisError
        It cannot be made, or written.
    """
    product, writers = products.make(files, options)
    written = []
    for kind, writer in writers.items():
        path = folder / f"{product.name}_{kind}.fits"
        with file_sink(path) as out:
            writer(product, out)
        written.append({"file": str(path), "kind": kind, "raw": len(product.files.science)})
    return Written(tuple(written), tuple(product.notes))
