"""The request's own block ``elvis`` as the dataclasses of the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from elvis_cli.base.dates import parse_date
from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import (
    Ao,
    Block,
    ElvisBlock,
    GuideStar,
    Mask,
    Model,
    Motion,
    NamedScene,
    Pointing,
    Polarisation,
    RequestedAtmosphere,
    Standard,
    Template,
    Window,
)
from elvis_cli.request import payload, places
from elvis_cli.request.keys import Keys, number
from elvis_cli.request.stage_aliases import canonical, stage_of

_SCENE_KEYS = ("catalogue", "scene", "image", "cube", "motion")
_ATMOSPHERE_KEYS = ("seeing", "coherence_time", "outer_scale", "wind_scale", "profile")
_Part = TypeVar("_Part")


def elvis_block(keys: Keys) -> ElvisBlock:
    """Return the block; notes on it go to ``keys``."""
    block = keys.section("elvis")
    window, chips, pointing = block.get("window"), block.get("chips"), block.get("pointing")
    place = block.get("place")
    x, y = places.offset(place, block) if place else block.get("offset", (0, 0))
    catalogue, scene, image, cube, motion = (block.get(name) for name in _SCENE_KEYS)
    picture, notes = payload.image(image) if image else (None, ())
    volume, told = payload.cube(cube) if cube else (None, ())
    keys.notes += (*notes, *told)
    return ElvisBlock(
        seed=int(block.get("seed", 0)),
        window=_window(window) if isinstance(window, Mapping) else window and "full",
        mosaic=tuple(map(int, block["mosaic"])) if "mosaic" in block else None,
        chips=() if isinstance(chips, str) else chips and tuple(map(int, chips)),
        pointing=pointing and _pointing(pointing),
        date=_date(block["date"]) if "date" in block else None,
        sky=block.get("sky", "local"),
        product=block.get("product", "raw"),
        calibration=block.get("calibration"),
        barycentric=bool(block.get("barycentric")),
        lamp=number(block.get("lamp")),
        standard=_standard(block.get("standard") or {}),
        wavemap=block.get("wavemap"),
        bare=bool(block.get("bare")),
        arm=block.get("arm"),
        mask=_mask(block["mask"]) if block.get("mask") else None,
        exposure=int(block.get("exposure", 1)),
        offset=(float(x), float(y)),
        place=(float(place["ra"]), float(place["dec"])) if place else None,
        catalogue=catalogue and payload.catalogue(catalogue, pointed=pointing is not None),
        scene=scene and NamedScene(scene["name"], {key: value for key, value in scene.items() if key != "name"}),
        image=picture,
        cube=volume,
        motion=motion and Motion(float(motion["rate"]), float(motion["angle"]), bool(motion.get("tracked"))),
        atmosphere=_atmosphere(block.get("atmosphere") or {}),
        ao=_ao(block["ao"], keys) if block.get("ao") else None,
        polarisation=_polarisation(block["polarisation"]) if block.get("polarisation") else None,
        psf=payload.psf(block["psf"]) if isinstance(block.get("psf"), Mapping) else block.get("psf"),
        truth=bool(block.get("truth", catalogue or scene or image or cube or motion)),
        stages=_stages(block["stages"]) if "stages" in block else None,
        skip=_stages(block.get("skip", ())),
        only=_stages(block["only"]) if "only" in block else None,
        also=_stages(block.get("also", ())),
        order=block.get("order"),
        models=_models(block.get("models", {})),
        keep=_stages((*block.get("keep", ()), *(key for key, on in block.items() if key.startswith("FITS_") and on))),
        readout=block.get("readout"),
        obs=_part(Block, block.get("obs")),
        template=_part(Template, block.get("template")),
        keywords=block.get("keywords") or {},
        reads=bool(block.get("reads")),
        previous=payload.previous(block["previous"]) if block.get("previous") else None,
    )


def _polarisation(block: Mapping[str, Any]) -> Polarisation:
    """Return Stokes parameters, or those of a degree and an angle (deg, North through East), which are linear.

    Raises
    ------
    RequestError
        Both are given, or the light would be more than polarised.
    """
    where, linear = "/elvis/polarisation", {key for key in ("degree", "angle") if block.get(key) is not None}
    q, u, v = (float(block.get(key) or 0.0) for key in ("q", "u", "v"))
    if linear:
        if block.get("q") is not None or block.get("u") is not None:
            raise RequestError(
                where, "q and u are given too", found=sorted(block), allowed="degree and angle, or q and u"
            )
        degree, twice = float(block.get("degree") or 0.0), math.radians(2.0 * float(block.get("angle") or 0.0))
        q, u = degree * math.cos(twice), degree * math.sin(twice)
    if (total := math.sqrt(q * q + u * u + v * v)) > 1.0 + 1e-12:
        raise RequestError(where, "is more than all of the light", found=round(total, 6), allowed="at most 1")
    return Polarisation(q, u, v)


def _standard(block: dict[str, Any]) -> Standard:
    """Return the standard star of a calibration."""
    return Standard(**{key: block.get(key) for key in ("mag", "band", "system", "sed", "name")})


def _mask(block: Mapping[str, Any]) -> Mask:
    """Return the slits of a mask: columns of one length, a single number holds for all."""
    count = len(block["x"])
    columns = {}
    for name in ("x", "y", "length", "width", "angle"):
        value = block.get(name)
        if isinstance(value, Sequence) and len(value) != count:
            where = f"/elvis/mask/{name}"
            raise RequestError(where, f"has {len(value)} items", found=len(value), allowed=f"as many as x: {count}")
        if value is not None:
            columns[name] = tuple(map(float, value)) if isinstance(value, Sequence) else (float(value),) * count
    return Mask(**columns)


def _stages(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of stages in our words; what is no stage stays, and is refused where the detector is known."""
    return tuple(canonical(name) for name in names)


def _models(block: Mapping[str, Any]) -> dict[str, Model]:
    """Return the models by the name of their stage."""
    models: dict[str, Model] = {}
    for name, model in block.items():
        if not model:
            continue
        stage = stage_of(name)
        if stage in models:
            raise RequestError(f"/elvis/models/{name}", f"a model of {stage} is given twice", allowed="one of them")
        models[stage] = payload.model(name, model)
    return models


def _part(kind: type[_Part], block: Mapping[str, Any] | None) -> _Part | None:
    """Return the dataclass that a sub-block fills; what it does not know is not used."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return None if block is None else kind(**{key: value for key, value in block.items() if key in names})


def _window(window: Mapping[str, Any]) -> Window:
    return Window(*(int(window[key]) for key in ("x0", "y0", "nx", "ny")))


def _pointing(pointing: Mapping[str, Any]) -> Pointing:
    return Pointing(float(pointing["ra"]), float(pointing["dec"]), float(pointing.get("position_angle") or 0))


def _atmosphere(block: Mapping[str, Any]) -> RequestedAtmosphere:
    if block.get("coherence_time") is not None and block.get("wind_scale") is not None:
        raise RequestError("/elvis/atmosphere/wind_scale", "coherence_time is given too", allowed="one of them")
    return RequestedAtmosphere(
        **{key: value for key, value in block.items() if value is not None and key in _ATMOSPHERE_KEYS}
    )


def _ao(block: Mapping[str, Any], keys: Keys) -> Ao:
    given = block.get("guide_star") or ()
    if given and keys.find("/seeing/separation", "/seeingiqao/params/separation"):
        keys.notes.append("/seeing/separation: not used, /elvis/ao/guide_star is given")
    stars = [given] if isinstance(given, Mapping) else given
    return Ao(
        rate=number(block.get("rate")),
        ncpa=number(block.get("ncpa")),
        jitter=number(block.get("jitter")),
        guide_stars=tuple(GuideStar(float(s["x"]), float(s["y"]), number(s.get("mag"))) for s in stars),
    )


def _date(text: str) -> str:
    return parse_date(text, "/elvis/date").isoformat(timespec="milliseconds")
