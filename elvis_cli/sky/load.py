"""The sky of a request, from the model that it names."""

from __future__ import annotations

from dataclasses import replace

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ResourceError
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.request import SkyConditions
from elvis_cli.sky import local
from elvis_cli.sky.types import Sky


def load(conditions: SkyConditions, site: Site, wave: Floats, model: str = "local") -> Sky:
    """Return the sky in these conditions on ``wave``, which must come from `elvis_cli.base.spectral_grid.grid`.

    ``model`` is local or skycalc. Where SkyCalc's client is not installed or the service does not answer, the local
    tables stand in and a note warns of it.

    Raises
    ------
    ResourceError
        SkyCalc is asked for, and there is no atmosphere.
    ElvisError
        ``wave`` is not a part of the table's grid.
    """
    if site.zodiacal is not None:
        if model == "skycalc":
            raise ResourceError("--sky skycalc: there is no atmosphere above this telescope")
        return local.zodiacal(site.zodiacal, wave)
    if model != "skycalc":
        return local.load(conditions, site, wave)
    from elvis_cli.sky import skycalc

    try:
        return skycalc.load(conditions, site, wave)
    except skycalc.NoAnswer as reason:
        sky = local.load(conditions, site, wave)
        warning = f"WARNING: SkyCalc was asked for and not used, {reason}: the sky is that of the local tables"
        return replace(sky, notes=(warning, *sky.notes))
