"""Calibrated light curves of a source of a run, and their epochs as CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from elvis_cli.errors import ResourceError, nearest_name
from elvis_cli.observatory import tables as t
from elvis_cli.observatory.calibration import Calibration
from elvis_cli.observatory.dataset import REDUCED, PhotometricDataset
from elvis_cli.observatory.lightcurve import LightCurve
from elvis_cli.observatory.project import Project
from elvis_cli.observatory.source import legal
from elvis_cli.observatory.store import Store


def of_source(project: Project, store: Store, name: str) -> list[LightCurve]:
    """Return the calibrated light curves of a source; ``name`` may be any of its names.

    Raises
    ------
    ResourceError
        There is no such source, or it has no data yet.
    """
    number = _number(store, name)
    folders = project.settings(()).folders
    calibration = Calibration(project.parameters.calibration)
    found = [
        calibration.apply(each)
        for each in store.datasets(number, folders)
        if isinstance(each, PhotometricDataset) and each.level == REDUCED and not each.is_empty
    ]
    if not found:
        raise ResourceError(f"{name} has no light curve yet, or no data")
    return found


def _number(store: Store, name: str) -> int:
    mine = t.source.c.project == store.project
    with store.database.read() as connection:
        query = sa.select(t.source.c.id).where(mine, t.source.c.name == legal(name))
        number = connection.execute(query).scalar()
        if number is None:
            query = sa.select(t.source.c.id).join(t.alias, t.alias.c.source == t.source.c.id)
            number = connection.execute(query.where(mine, t.alias.c.name == name)).scalar()
        if number is None:
            names = connection.execute(sa.select(t.source.c.name).where(mine).limit(100_000)).scalars().all()
            nearest = nearest_name(legal(name), names)
            raise ResourceError(f"no source {name!r}" + (f"; did you mean {nearest!r}?" if nearest else ""))
    return int(number)


def as_csv(curves: Sequence[LightCurve]) -> str:
    """Return the epochs of light curves as CSV."""
    names = ("mjd", "exptimes", "mag", "magerr", "flux", "fluxerr", "snr", "dsnr", "dmag")
    lines = ["observatory,filter,series,mjd,exptime,mag,magerr,flux,fluxerr,snr,dsnr,dmag,flag"]
    for curve in curves:
        columns = [np.asarray(getattr(curve, name)).tolist() for name in names]
        for *values, flag in zip(*columns, curve.flag.tolist(), strict=True):
            numbers = ("" if math.isnan(value) else repr(value) for value in values)
            lines.append(",".join((curve.observatory, curve.filter, curve.series, *numbers, str(int(flag)))))
    return "\n".join(lines) + "\n"
