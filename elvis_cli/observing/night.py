"""The blocks of a night, read and planned: what `elvis ob` and the service make of a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elvis_cli.observing import constraints, load, plan
from elvis_cli.observing.languages import Language

if TYPE_CHECKING:
    from elvis_cli.observing.visit import Visit
    from elvis_cli.request.files.moving import Ephemeris


@dataclass(frozen=True, slots=True)
class Night:
    """Visits and exposures in their order."""

    visits: tuple[Visit, ...]
    exposures: tuple[plan.Exposure, ...]
    notes: tuple[str, ...]

    def documents(self, *, persistence: bool = False) -> Iterable[Mapping[str, Any]]:
        """Yield a request for each exposure, with the persistence of the one before if that is asked for."""
        exposures: Iterable[plan.Exposure] = self.exposures
        if persistence:
            from elvis_cli.observing import persistence as images

            exposures = images.add_persistence(self.exposures)
        return (exposure.document for exposure in exposures)


def read(
    text: bytes,
    language: Language,
    options: plan.Options,
    *,
    resolve: bool = False,
    ephemerides: Mapping[str, Ephemeris] | None = None,
    calibrations: int = 0,
) -> Night:
    """Return the night of the blocks in a text, all of it or none, with ``calibrations`` of each configuration.

    Raises
    ------
    RequestError
        A block is wrong.
    ResourceError
        There is no such instrument.
    """
    visits = load.read(text, language, options.effective_seed, resolve=resolve, ephemerides=dict(ephemerides or {}))
    notes: list[str] = []
    if calibrations:
        from elvis_cli.observing import daytime

        more, notes = daytime.calibrations(visits, calibrations, options.request)
        visits += more
    exposures = tuple(plan.plan(visits, options))
    notes += [line for visit in visits if visit.target for line in visit.target.notes()]
    notes += constraints.summarise(violation for exposure in exposures for violation in exposure.violations)
    return Night(tuple(visits), exposures, tuple(notes))
