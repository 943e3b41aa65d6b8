"""A checked ETC document of any generation -> the one Request.

Every quantity is looked up under all the names that the three generations gave it, newest first, so that
mixed documents (which real callers write) work too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import (
    Cube,
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
from elvis_cli.request import normalise_block
from elvis_cli.request.keys import Keys, number

DIT_KEYS = ("DET.DIT", "DET1.DIT", "DET.WIN1.UIT1", "DET2.WIN1.UIT1", "DET1.WIN1.UIT1", "DET1.UIT1", "dit")
COUNT_KEYS = ("DET.NDIT", "DET1.NDIT", "SEQ.NEXPO", "SEQ.NEXPORED", "SEQ.NEXPOBLUE", "ndit/ndit", "ndit")
ARM_KEYS = re.compile(r"DET\d\.WIN1\.UIT1|DET[2-9]\.(UIT1|DIT|NDIT)|SEQ\.NEXP(O[A-Z0-9]+|\.[A-Z]+)")
"""Keys of one arm of a spectrograph: each arm may have its own value."""
ARM_GOALS = re.compile(r"(?P<arm>[a-z0-9]+)_snr")
"""Keys of the signal-to-noise ratio that is asked of one arm."""
SNR_KEYS = ("snr", "snr/snr", "red_snr", "blue_snr")
WAVELENGTH_PREFIXES = ("", "snr/", "red_", "blue_")
"""Before ``wavelengthmin`` and ``wavelengthmax``, in the order of SNR_KEYS."""

_MARCS_V1 = re.compile(r"[ps](?P<teff>\d+(\.\d+)?):g(?P<logg>[+-]\d+(\.\d+)?)(:m[+-]?(?P<mass>\d+(\.\d+)?))?")


def normalise(document: Mapping[str, Any], warnings: Sequence[str] = ()) -> Request:
    """Return the Request in a document that the schema has passed.

    Raises
    ------
    RequestError
        Keys contradict each other, or one that the others need is missing.
    """
    keys = Keys(document)
    names = ("/instrumentName", "/instrument/name", "/application/instrument", "/instrument/driver")
    instrument = str(keys.get(*names) or "").strip().casefold()
    if not instrument:
        raise RequestError("/instrumentName", "is missing: which instrument?")
    target, sky, image_quality, timing = _target(keys), _sky(keys), _image_quality(keys), _timing(keys)
    elvis_block = normalise_block.elvis_block(keys)
    notes = [*warnings, *keys.notes]
    if keys.defaults:
        notes.append("not given, so taken: " + ", ".join(keys.defaults))
    return Request(
        instrument=instrument,
        generation=_generation(document, keys),
        target=_with_cube(target, elvis_block.cube) if elvis_block.cube else target,
        sky=sky,
        image_quality=image_quality,
        keys={k: v for k, v in keys.section("instrument").items() if k not in ("name", "driver")},
        timing=timing,
        output=keys.section("output"),
        elvis=elvis_block,
        document=document,
        warnings=tuple(notes),
    )


def brightness(document: Mapping[str, Any]) -> Brightness:
    """Return the target's brightness in a document that the schema has passed."""
    return _brightness(Keys(document))


def _generation(document: Mapping[str, Any], keys: Keys) -> int:
    first = keys.find("/instrumentName") is None and (
        document.get("application") or keys.find("/instrument/name", "/instrument/driver")
    )
    if first:
        return 1
    second = document.get("seeingiqao") or keys.find("/sky/moon_fli", "/sky/pwv") is not None
    return 2 if second else 3


def _target(keys: Keys) -> Target:
    target = Target(_morphology(keys), _sed(keys), _brightness(keys))
    if target.sed.kind == "upload" and keys.find("/elvis/sed/absolute"):
        return _as_bright_as_its_spectrum(target, keys)
    cube = (keys.document.get("elvis") or {}).get("cube")
    if target.brightness.kind == "flux" and target.sed.kind != "emissionline" and not cube:
        raise RequestError(
            "/target/brightness/brightnesstype", "'flux' is for an emission line only", found="flux", allowed=["mag"]
        )
    return target


def _as_bright_as_its_spectrum(target: Target, keys: Keys) -> Target:
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


def _morphology(keys: Keys) -> Morphology:
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


def _sed(keys: Keys) -> Sed:
    at = "/target/sed/"
    common: dict[str, Any] = {
        "extinction_av": float(keys.get(at + "extinctionav", "/target/brightness/extinctionav") or 0),
        "redshift": float(keys.get(at + "redshift/redshift") or 0),
        "velocity": float(keys.get(at + "redshift/baryvelcor") or 0),
        "vsini": float(keys.find("/elvis/vsini") or 0),
        "macroturbulence": number(keys.find("/elvis/macroturbulence")),
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


def _uploaded(keys: Keys) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
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


def _brightness(keys: Keys) -> Brightness:
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


def _sky(keys: Keys) -> SkyConditions:
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


def _image_quality(keys: Keys) -> ImageQuality:
    new, old = "/seeing/", "/seeingiqao/params/"
    aperture = keys.get(new + "aperturepix", "/seeingiqao/aperturepix")
    iq, wavelength = number(keys.get(old + "iq")), number(keys.get(old + "wavelength"))
    if iq is not None and wavelength is None:
        raise RequestError(old + "wavelength", "is missing: where does iq hold?", allowed="um")
    return ImageQuality(
        turbulence_category=number(keys.get(new + "turbulence_category", old + "turbulence_category")),
        seeing=number(keys.get(old + "seeing")),
        iq=iq,
        iq_wavelength=wavelength,
        aperture_pix=None if aperture is None else int(aperture),
        ao_mode=keys.get("/seeingiqao/mode"),
        guide_star_mag=number(keys.get(new + "SEQ.NGS.MAG", new + "SEQ.TTS.MAG", old + "gsmag")),
        separation=float(keys.get(new + "separation", old + "separation") or 0),
    )


def _timing(keys: Keys) -> Timing:
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
        dit=number(dit),
        count=None if count is None or snr is not None else int(count),
        snr=number(snr),
        arms={key: value for key, value in keys.section("timesnr").items() if ARM_KEYS.fullmatch(key)},
        wave=_wavelengths(keys),
        goals={} if snr is None else goals,
    )


def _arm_goals(keys: Keys) -> dict[str, ArmGoal]:
    """Return what is asked of single arms, by the arm's name."""
    section = keys.section("timesnr")
    named = {match["arm"]: value for key, value in section.items() if (match := ARM_GOALS.fullmatch(key))}
    return {arm: ArmGoal(float(value), _range(keys, f"{arm}_")) for arm, value in named.items()}


def _consistent(keys: Keys, names: Sequence[str]) -> Any:
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


def _wavelengths(keys: Keys) -> tuple[float, float] | None:
    """Return from where to where the signal-to-noise ratio is meant, um: of the arm whose ratio is asked for."""
    given = [
        prefix
        for prefix, key in zip(WAVELENGTH_PREFIXES, SNR_KEYS, strict=True)
        if keys.find(f"/timesnr/{key}") is not None
    ]
    found = (_range(keys, prefix) for prefix in (*given, *WAVELENGTH_PREFIXES))
    return next((wave for wave in found if wave is not None), None)


def _range(keys: Keys, prefix: str) -> tuple[float, float] | None:
    """Return the wavelengths (um) of the keys of ``timesnr`` with a prefix; None = it has none."""
    low, high = (keys.find(f"/timesnr/{prefix}wavelength{end}") for end in ("min", "max"))
    if low is None and high is None:
        return None
    if low is not None and high is not None and low >= high:
        where = f"/timesnr/{prefix}wavelengthmax"
        raise RequestError(where, f"{high:g} nm is not above {low:g}", found=high, allowed=f"> {low:g} nm")
    return 0.0 if low is None else low / 1000, math.inf if high is None else high / 1000
