"""A checked ETC document of any generation -> the one Request.

Every quantity is looked up under all the names that the three generations gave it, newest first, so that
mixed documents (which real callers write) work too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import combinations, pairwise
from typing import Any, TypeVar

from elvis_cli.base.dates import parse_date
from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import (
    Ao,
    Block,
    Cube,
    ElvisBlock,
    GuideStar,
    Mask,
    Model,
    Motion,
    NamedScene,
    Pointing,
    RequestedAtmosphere,
    Standard,
    Template,
    Window,
)
from elvis_cli.model.request import (
    ArmGoal,
    Brightness,
    ImageQuality,
    Morphology,
    Request,
    Sed,
    SkyConditions,
    Target,
    Timing,
)
from elvis_cli.request import payload, places
from elvis_cli.request.stage_aliases import canonical, stage_of

DIT_KEYS = ("DET.DIT", "DET1.DIT", "DET.WIN1.UIT1", "DET2.WIN1.UIT1", "DET1.WIN1.UIT1", "DET1.UIT1", "dit")
COUNT_KEYS = ("DET.NDIT", "DET1.NDIT", "SEQ.NEXPO", "SEQ.NEXPORED", "SEQ.NEXPOBLUE", "ndit/ndit", "ndit")
ARM_KEYS = re.compile(r"DET\d\.WIN1\.UIT1|DET[2-9]\.(UIT1|DIT|NDIT)|SEQ\.NEXP(O[A-Z0-9]+|\.[A-Z]+)")
"""Keys of one arm of a spectrograph: each arm may have its own value."""
ARM_GOALS = re.compile(r"(?P<arm>[a-z0-9]+)_snr")
"""Keys of the signal-to-noise ratio that is asked of one arm."""
_SCENE_KEYS = ("catalogue", "scene", "image", "cube", "motion")
SNR_KEYS = ("snr", "snr/snr", "red_snr", "blue_snr")
WAVELENGTH_PREFIXES = ("", "snr/", "red_", "blue_")
"""Before ``wavelengthmin`` and ``wavelengthmax``, in the order of SNR_KEYS."""

_ATMOSPHERE_KEYS = ("seeing", "coherence_time", "outer_scale", "wind_scale", "profile")
_Part = TypeVar("_Part")
_MARCS_V1 = re.compile(r"[ps](?P<teff>\d+(\.\d+)?):g(?P<logg>[+-]\d+(\.\d+)?)(:m[+-]?(?P<mass>\d+(\.\d+)?))?")


class _Keys:
    """Looks quantities up by pointer, and notes what was overruled or not given."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.notes: list[str] = []
        self.defaults: list[str] = []

    def find(self, *pointers: str) -> Any:
        """Return the first that holds a value (not null, not an object), or None."""
        for pointer in pointers:
            value: Any = self.document
            for step in pointer[1:].split("/"):
                value = value.get(step) if isinstance(value, Mapping) else None
            if value is not None and not isinstance(value, Mapping):
                return value
        return None

    def get(self, *pointers: str, default: Any = None) -> Any:
        """Return the first that holds a value, else ``default``, the default of the ETC's form, and note that."""
        given = [(p, v) for p in pointers if (v := self.find(p)) is not None]
        if not given:
            if default is not None:
                self.defaults.append(f"{pointers[0]} = {default}")
            return default
        self.notes += [f"{p}: not used, {given[0][0]} is given" for p, v in given[1:] if v != given[0][1]]
        return given[0][1]


def normalise(document: Mapping[str, Any], warnings: Sequence[str] = ()) -> Request:
    """Return the Request in a document that the schema has passed.

    Raises
    ------
    RequestError
        Keys contradict each other, or one that the others need is missing.
    """
    keys = _Keys(document)
    names = ("/instrumentName", "/instrument/name", "/application/instrument", "/instrument/driver")
    instrument = str(keys.get(*names) or "").strip().casefold()
    if not instrument:
        raise RequestError("/instrumentName", "is missing: which instrument?")
    target, sky, image_quality, timing = _target(keys), _sky(keys), _image_quality(keys), _timing(keys)
    elvis_block = _elvis_block(keys)
    notes = [*warnings, *keys.notes]
    if keys.defaults:
        notes.append("not given, so taken: " + ", ".join(keys.defaults))
    return Request(
        instrument=instrument,
        generation=_generation(document, keys),
        target=_with_cube(target, elvis_block.cube) if elvis_block.cube else target,
        sky=sky,
        image_quality=image_quality,
        keys={k: v for k, v in _section(document, "instrument").items() if k not in ("name", "driver")},
        timing=timing,
        output=_section(document, "output"),
        elvis=elvis_block,
        document=document,
        warnings=tuple(notes),
    )


def brightness(document: Mapping[str, Any]) -> Brightness:
    """Return the target's brightness in a document that the schema has passed."""
    return _brightness(_Keys(document))


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in (document.get(name) or {}).items() if value is not None}


def _generation(document: Mapping[str, Any], keys: _Keys) -> int:
    first = keys.find("/instrumentName") is None and (
        document.get("application") or keys.find("/instrument/name", "/instrument/driver")
    )
    if first:
        return 1
    second = document.get("seeingiqao") or keys.find("/sky/moon_fli", "/sky/pwv") is not None
    return 2 if second else 3


def _target(keys: _Keys) -> Target:
    target = Target(_morphology(keys), _sed(keys), _brightness(keys))
    if target.sed.kind == "upload" and keys.find("/elvis/sed/absolute"):
        return _as_bright_as_its_spectrum(target, keys)
    cube = (keys.document.get("elvis") or {}).get("cube")
    if target.brightness.kind == "flux" and target.sed.kind != "emissionline" and not cube:
        raise RequestError(
            "/target/brightness/brightnesstype", "'flux' is for an emission line only", found="flux", allowed=["mag"]
        )
    return target


def _as_bright_as_its_spectrum(target: Target, keys: _Keys) -> Target:
    """Return the target with the brightness that its uploaded spectrum has, W/m2 in all."""
    if target.morphology.kind == "infinite":
        reason = "is the flux of a whole source, and the target is infinite"
        raise RequestError("/elvis/sed/absolute", reason, found=True, allowed="point or sersic; false")
    if target.sed.uploaded is None:
        return target
    steps = zip(*map(pairwise, target.sed.uploaded), strict=True)
    watts = sum((b - a) * (y + z) / 2 for (a, b), (y, z) in steps)
    keys.notes.append("/elvis/sed: as bright as its flux says, not as /target/brightness")
    if target.sed.extinction_av:
        keys.notes.append(
            "/target/sed/extinctionav: changes the shape of the spectrum; /elvis/sed is the flux observed"
        )
    return replace(target, brightness=Brightness("flux", flux=watts))


def _with_cube(target: Target, cube: Cube) -> Target:
    """Return the target with the spectrum, and perhaps the brightness, of a data cube.

    The spectrum is linear between the channels; the outer halves of the first and the last are as bright as they.
    """
    brightness, wave, total = target.brightness, cube.wavelength, cube.total
    wave = (max(3 * wave[0] - wave[1], wave[0]) / 2, *wave, (3 * wave[-1] - wave[-2]) / 2)
    total = (total[0], *total, total[-1])
    if cube.absolute:
        steps = zip(pairwise(wave), pairwise(total), strict=True)
        brightness = Brightness("flux", flux=sum((b - a) * (y + z) / 2 for (a, b), (y, z) in steps))
    return replace(target, sed=replace(target.sed, kind="cube", uploaded=(wave, total)), brightness=brightness)


def _morphology(keys: _Keys) -> Morphology:
    at = "/target/morphology/"
    if keys.get(at + "morphologytype", default="point") == "point":
        return Morphology()
    kind = keys.get(at + "extendedtype")
    if kind is None:
        raise RequestError(at + "extendedtype", "is missing", allowed=["sersic", "infinite"])
    if kind == "infinite":
        return Morphology(kind)
    return Morphology(
        kind,
        index=float(keys.get(at + "index", default=1.0)),
        radius=float(keys.get(at + "radius", default=0.5)),
        ellipticity=float(keys.get(at + "ellipticity") or 0),
        angle=float(keys.get(at + "angle") or 0),
    )


def _sed(keys: _Keys) -> Sed:
    at = "/target/sed/"
    common: dict[str, Any] = {
        "extinction_av": float(keys.get(at + "extinctionav", "/target/brightness/extinctionav") or 0),
        "redshift": float(keys.get(at + "redshift/redshift") or 0),
        "velocity": float(keys.get(at + "redshift/baryvelcor") or 0),
        "vsini": float(keys.find("/elvis/vsini") or 0),
        "macroturbulence": _number(keys.find("/elvis/macroturbulence")),
    }
    if keys.get(at + "sedtype", default="spectrum") == "emissionline":
        line = at + "emissionline/params/"
        centre = float(keys.get(line + "lambda", default=1000.0))
        width = float(keys.get(line + "fwhm", default=1.0))
        return Sed("emissionline", line_wavelength=centre, line_fwhm=width, **common)
    kind = keys.get(at + "spectrum/spectrumtype", default="template")
    params = at + "spectrum/params/"
    if kind == "blackbody":
        return Sed(kind, temperature=float(keys.get(params + "temperature", default=1000.0)), **common)
    if kind == "powerlaw":
        return Sed(kind, exponent=float(keys.get(params + "exponent", default=0.0)), **common)
    if kind == "upload":
        return Sed(kind, uploaded=_uploaded(keys), **common)
    named = keys.find(params + "id") or keys.find(params + "spectype")
    catalog = keys.get(params + "catalog", params + "ctlg", default="MARCS" if named else Sed().catalog)
    default = Sed().id if catalog == Sed().catalog else "5750:4.5"
    name = _v1_template(keys.get(params + "id", params + "spectype", default=default))
    return Sed("template", catalog=catalog, id=name, **common)


def _v1_template(name: str) -> str:
    """Return "Teff:logg" for the first generation's "p6000:g+4.0:m0.0:...", other names as they are."""
    match = _MARCS_V1.match(name)
    return f"{float(match['teff']):g}:{float(match['logg']):.1f}" if match else name


def _uploaded(keys: _Keys) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    wave, flux = keys.find("/elvis/sed/wavelength_um"), keys.find("/elvis/sed/flux")
    if wave is None:
        return None
    if len(wave) != len(flux):
        raise RequestError(
            "/elvis/sed/flux", f"has {len(flux)} items", allowed=f"as many as wavelength_um: {len(wave)}"
        )
    for i, (a, b) in enumerate(pairwise(wave)):
        if a >= b:
            raise RequestError(f"/elvis/sed/wavelength_um/{i + 1}", f"{b} after {a}", allowed="ascending wavelengths")
    if not any(flux):
        raise RequestError("/elvis/sed/flux", "is zero everywhere")
    return tuple(map(float, wave)), tuple(map(float, flux))


def _brightness(keys: _Keys) -> Brightness:
    at, v1 = "/target/brightness/", "/target/brightness/params/"
    if keys.get(at + "brightnesstype", default="mag") == "flux":
        flux = keys.get(at + "flux", v1 + "flux")
        if flux is None:
            raise RequestError(at + "flux", "is missing", allowed="above 0, W/m2")
        return Brightness("flux", flux=float(flux))
    return Brightness(
        "mag",
        mag=float(keys.get(at + "mag", v1 + "mag", default=20.0)),
        band=keys.get(at + "magband", v1 + "magband", default="V"),
        system=keys.get(at + "magsys", v1 + "magsys", default="vega"),
    )


def _sky(keys: _Keys) -> SkyConditions:
    phase = keys.find("/sky/moon_sun_sep")
    fli = keys.get("/sky/fli", "/sky/moon_fli", default=0.5 if phase is None else None)
    if fli is None:
        fli = (1 - math.cos(math.radians(phase))) / 2
    if set((keys.document.get("sky") or {}).get("almanac") or {}) - {"targetName"}:
        keys.notes.append("/sky/almanac: not used; the airmass and the Moon are those of /sky")
    airglow = keys.get("/sky/airglowEnabled")
    altitude = keys.get("/sky/moon_alt")
    return SkyConditions(
        airmass=float(keys.get("/sky/airmass", default=1.2)),
        fli=float(fli),
        pwv=float(keys.get("/sky/waterVapour", "/sky/pwv", default=2.5)),
        moon_distance=float(keys.get("/sky/moonDistance", "/sky/moon_target_sep", default=30.0)),
        moon_altitude=45.0 if altitude is None else float(altitude),
        airglow=airglow is not False,
        airglow_scale=float(keys.find("/elvis/airglow") or 1),
    )


def _image_quality(keys: _Keys) -> ImageQuality:
    new, old = "/seeing/", "/seeingiqao/params/"
    aperture = keys.get(new + "aperturepix", "/seeingiqao/aperturepix")
    iq, wavelength = _number(keys.get(old + "iq")), _number(keys.get(old + "wavelength"))
    if iq is not None and wavelength is None:
        raise RequestError(old + "wavelength", "is missing: where does iq hold?", allowed="um")
    return ImageQuality(
        turbulence_category=_number(keys.get(new + "turbulence_category", old + "turbulence_category")),
        seeing=_number(keys.get(old + "seeing")),
        iq=iq,
        iq_wavelength=wavelength,
        aperture_pix=None if aperture is None else int(aperture),
        ao_mode=keys.get("/seeingiqao/mode"),
        guide_star_mag=_number(keys.get(new + "SEQ.NGS.MAG", new + "SEQ.TTS.MAG", old + "gsmag")),
        separation=float(keys.get(new + "separation", old + "separation") or 0),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _timing(keys: _Keys) -> Timing:
    dit, count = _consistent(keys, DIT_KEYS), _consistent(keys, COUNT_KEYS)
    goals = _arm_goals(keys)
    snr = keys.find(*(f"/timesnr/{key}" for key in (*SNR_KEYS, *(f"{arm}_snr" for arm in goals))))
    asked = keys.get("/timesnr/inputtype", "/timesnr/mode")
    if asked == "snr" and snr is None:
        raise RequestError("/timesnr/snr", "is missing, and inputtype asks for it", allowed="above 0")
    if asked in ("ndit", "nexp"):
        snr = None
    elif asked is None and snr is not None and count is not None:
        keys.notes.append(f"/timesnr: the number of integrations is not used, it follows from snr = {snr}")
    return Timing(
        dit=_number(dit),
        count=None if count is None or snr is not None else int(count),
        snr=_number(snr),
        arms={key: value for key, value in _section(keys.document, "timesnr").items() if ARM_KEYS.fullmatch(key)},
        wave=_wavelengths(keys),
        goals={} if snr is None else goals,
    )


def _arm_goals(keys: _Keys) -> dict[str, ArmGoal]:
    """Return what is asked of single arms, by the arm's name."""
    section = _section(keys.document, "timesnr")
    named = {match["arm"]: value for key, value in section.items() if (match := ARM_GOALS.fullmatch(key))}
    return {arm: ArmGoal(float(value), _range(keys, f"{arm}_")) for arm, value in named.items()}


def _consistent(keys: _Keys, names: Sequence[str]) -> Any:
    """Return the first of the values that ``timesnr`` has for one quantity; only two arms may have different ones."""
    values = {name: value for name in names if (value := keys.find(f"/timesnr/{name}")) is not None}
    for (first, one), (second, other) in combinations(values.items(), 2):
        if one != other and not (ARM_KEYS.fullmatch(first) and ARM_KEYS.fullmatch(second)):
            raise RequestError(
                f"/timesnr/{second}",
                f"{other:g} contradicts /timesnr/{first}: {one:g}",
                found=other,
                allowed="one of them",
            )
    return next(iter(values.values()), None)


def _wavelengths(keys: _Keys) -> tuple[float, float] | None:
    """Return from where to where the signal-to-noise ratio is meant, um: of the arm whose ratio is asked for."""
    given = [
        prefix
        for prefix, key in zip(WAVELENGTH_PREFIXES, SNR_KEYS, strict=True)
        if keys.find(f"/timesnr/{key}") is not None
    ]
    found = (_range(keys, prefix) for prefix in (*given, *WAVELENGTH_PREFIXES))
    return next((wave for wave in found if wave is not None), None)


def _range(keys: _Keys, prefix: str) -> tuple[float, float] | None:
    """Return the wavelengths (um) of the keys of ``timesnr`` with a prefix; None = it has none."""
    low, high = (keys.find(f"/timesnr/{prefix}wavelength{end}") for end in ("min", "max"))
    if low is None and high is None:
        return None
    if low is not None and high is not None and low >= high:
        where = f"/timesnr/{prefix}wavelengthmax"
        raise RequestError(where, f"{high:g} nm is not above {low:g}", found=high, allowed=f"> {low:g} nm")
    return 0.0 if low is None else low / 1000, math.inf if high is None else high / 1000


def _elvis_block(keys: _Keys) -> ElvisBlock:
    block = _section(keys.document, "elvis")
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
        lamp=_number(block.get("lamp")),
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


def _ao(block: Mapping[str, Any], keys: _Keys) -> Ao:
    given = block.get("guide_star") or ()
    if given and keys.find("/seeing/separation", "/seeingiqao/params/separation"):
        keys.notes.append("/seeing/separation: not used, /elvis/ao/guide_star is given")
    stars = [given] if isinstance(given, Mapping) else given
    return Ao(
        rate=_number(block.get("rate")),
        ncpa=_number(block.get("ncpa")),
        jitter=_number(block.get("jitter")),
        guide_stars=tuple(GuideStar(float(s["x"]), float(s["y"]), _number(s.get("mag"))) for s in stars),
    )


def _date(text: str) -> str:
    return parse_date(text, "/elvis/date").isoformat(timespec="milliseconds")
