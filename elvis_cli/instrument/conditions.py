"""Turbulence and adaptive optics as the request wants them: category, then what the block ``elvis`` changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from elvis_cli.errors import RequestError, ResourceError, choice_error
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.atmosphere import Site, Turbulence
from elvis_cli.model.psf_model import AoPsf, DiffractionPsf, GaussianPsf, PsfModel, SeeingPsf
from elvis_cli.model.request import Request
from elvis_cli.model.telescope import AoSystem
from elvis_cli.sky.turbulence import coherence_time, fried

NONE = Turbulence((), (), (), math.inf)
"""No atmosphere."""


def make_site(facts: SourcedTable, sky: SourcedTable) -> Site:
    """Return the observatory of a site file; in space ``sky``, the instrument's table, tells of the zodiacal light."""
    name = facts.text("name")
    if not facts.tree.get("space", False):
        return Site(
            name=name,
            latitude=facts.number("latitude", "deg"),
            longitude=facts.number("longitude", "deg"),
            elevation=facts.number("elevation", "m"),
            temperature=facts.number("temperature", "K"),
            pressure=facts.number("pressure", "hPa"),
            humidity=facts.number("humidity", "1"),
        )
    stray = 1.0 + sky.number("stray", "1")
    zodiacal = sky.number("zodiacal", "mag/arcsec2") - 2.5 * math.log10(stray), sky.number("wavelength", "um")
    return Site(name, *(0.0,) * 6, space=True, zodiacal=zodiacal)


def unused(request: Request) -> tuple[str, ...]:
    """Return a note if a request to an instrument in space speaks of atmosphere or Moon."""
    sky, quality = request.sky, request.image_quality
    pointers = [f"/sky/{key}" for key, used in (("airmass", sky.airmass != 1.0), ("fli", sky.fli != 0.0)) if used]
    pointers += ["/seeing"] if (quality.turbulence_category, quality.seeing, quality.iq) != (None, None, None) else []
    return (f"{', '.join(pointers)}: not used, there is no atmosphere",) if pointers else ()


def zenith_seeing(facts: SourcedTable, request: Request) -> tuple[float, tuple[str, ...]]:
    """Return the zenith seeing (FWHM at 500 nm, arcsec) that the request's section asks for, and notes."""
    quality = request.image_quality
    requested = request.elvis.atmosphere.seeing or quality.seeing
    if requested is not None:
        return requested, ()
    category = turbulence_category(facts, request)
    if category is None and quality.iq is not None:
        wave = quality.iq_wavelength or 0.5
        seeing = quality.iq * (wave / 0.5) ** 0.2 * request.sky.airmass**-0.6
        return seeing, (
            f"image quality {quality.iq:g} arcsec at {wave:g} um taken as {seeing:.2f} arcsec zenith seeing",
        )
    categories: Mapping[str, float] = facts.value("categories", "arcsec")
    if category is None or f"{category:g}" not in categories:
        raise choice_error("/seeing/turbulence_category", category, [float(c) for c in categories])
    if "max_airmass" in facts and request.sky.airmass > (highest := facts.value("max_airmass", "1")[f"{category:g}"]):
        raise RequestError(
            "/sky/airmass",
            f"{request.sky.airmass:g} is too far from the zenith for turbulence category {category:g}",
            found=request.sky.airmass,
            allowed=f"<= {highest:g}",
        )
    return float(categories[f"{category:g}"]), ()


def turbulence_category(facts: SourcedTable, request: Request) -> float | None:
    """Return the turbulence category (%), the form's default if need be; None where the seeing is given without one."""
    quality = request.image_quality
    if quality.turbulence_category is not None:
        return quality.turbulence_category
    seeing = (quality.seeing, quality.iq, request.elvis.atmosphere.seeing)
    return facts.number("default_category", "%") if seeing == (None, None, None) else None


def turbulence(site: SourcedTable, default: str, category: float | None, seeing: float, request: Request) -> Turbulence:
    """Return the profile above a site at the zenith ``seeing``, arcsec.

    ``site`` is its turbulence file, ``default`` the instrument's profile, and ``category`` (%) the turbulence category
    that the seeing comes from, None where the seeing was given: the category may have a profile and, of its own, a
    coherence time.

    Raises
    ------
    RequestError
        There is no such profile above this site.
    """
    requested = request.elvis.atmosphere
    profiles: Mapping[str, str] = site.value("category_profiles") if "category_profiles" in site else {}
    name = requested.profile or (default if category is None else profiles.get(f"{category:g}", default))
    if name not in site.part("profiles"):
        raise choice_error("/elvis/atmosphere/profile", name, list(site.part("profiles")))
    profile = make(site, name)
    tau = requested.coherence_time
    if tau is None and requested.profile is None and category is not None and "category_coherence_times" in site:
        tau = site.value("category_coherence_times", "ms").get(f"{category:g}")
    scale = requested.wind_scale * (coherence_time(profile, fried(seeing)) / (tau * 1e-3) if tau else 1.0)
    return replace(
        profile,
        wind=tuple(v * scale for v in profile.wind),
        outer_scale=requested.outer_scale or profile.outer_scale,
    )


def make(site: SourcedTable, name: str) -> Turbulence:
    """Return one profile of a turbulence file; weights are normalised."""
    table = site.part("profiles", name)
    weight = [float(w) for w in table.value("weight")]
    return Turbulence(
        height=tuple(float(h) for h in table.value("height", "m")),
        weight=tuple(w / sum(weight) for w in weight),
        wind=tuple(float(v) for v in table.value("wind", "m/s")),
        outer_scale=site.number("outer_scale", "m"),
        name=name,
    )


def corrected(system: AoSystem | None, request: Request) -> AoSystem | None:
    """Return the instrument's adaptive optics with what the request changes in it.

    Raises
    ------
    RequestError
        There is none to change, or it has one guide star only.
    """
    requested = request.elvis.ao
    if requested is None:
        return system
    if system is None:
        raise RequestError("/elvis/ao", "this mode has no adaptive optics")
    if system.kind == "scao" and len(requested.guide_stars) > 1:
        raise RequestError("/elvis/ao/guide_star", "this mode has one guide star", allowed="{x, y, mag}")
    return replace(
        system,
        rate=system.rate if requested.rate is None else requested.rate,
        residual=system.residual if requested.ncpa is None else requested.ncpa,
        jitter=system.jitter if requested.jitter is None else requested.jitter,
    )


def psf_model(facts: SourcedTable, system: AoSystem | None, request: Request) -> PsfModel:
    """Return the kind of PSF that the instrument's key ``psf`` names; ``system`` is its adaptive optics.

    The guide star stands ``separation`` arcsec West (+x) of the target, wherever that is in the field; an asterism
    (MCAO, GLAO) stands as far West of the field's centre; unless the request says where.

    Raises
    ------
    ResourceError
        There is no such kind, or the adaptive optics are missing.
    """
    match facts.text("psf"), system:
        case "gaussian", _:
            return GaussianPsf()
        case "seeing", _:
            return SeeingPsf()
        case "diffraction", _:
            return DiffractionPsf(facts.number("jitter", "arcsec") if "jitter" in facts else 0.0)
        case "ao", AoSystem():
            return _behind(facts.part("seeing"), system, request)
        case kind, _:
            reason = f"{facts.file}: psf is {kind!r}" + ("" if kind != "ao" else ", and there is no table ao")
            raise ResourceError(f"{reason}; allowed: gaussian, seeing, ao, diffraction", file=facts.file)


def etc_of_2020(facts: SourcedTable, request: Request) -> tuple[float, float]:
    """Return the weight of the guide star's distance and the power of the airmass in the image behind adaptive optics.

    ``facts`` is the table ``seeing`` of the instrument: its keys ``first_distance_weight`` and ``first_airmass_power``
    are those of first-generation requests, whose answers were the first ETC's. Both are 1 otherwise.
    """
    if request.generation != 1 or "first_distance_weight" not in facts:
        return 1.0, 1.0
    return facts.number("first_distance_weight", "1"), facts.number("first_airmass_power", "1")


def image_notes(psf: PsfModel) -> tuple[str, ...]:
    """Return a note if the image is that of the first generation's ETC, not that of the turbulence."""
    if not isinstance(psf, AoPsf) or psf.distance_weight == psf.airmass_power == 1.0:
        return ()
    return (
        f"seeing: the image behind adaptive optics depends on distance (times {psf.distance_weight:g}) and airmass "
        f"(to the power of {psf.airmass_power:g}) as that of the first ETC; later generations get all of it",
    )


def _behind(facts: SourcedTable, system: AoSystem, request: Request) -> AoPsf:
    """Return the PSF behind adaptive optics, with the guide stars where the request puts them."""
    requested = request.image_quality.guide_star_mag
    magnitude = system.default_guide_star_mag if requested is None else requested
    placed = request.elvis.ao.guide_stars if request.elvis.ao else ()
    stars = tuple((star.x, star.y, magnitude if star.mag is None else star.mag) for star in placed)
    x, y = (0.0, 0.0) if system.kind in ("mcao", "glao") else request.elvis.offset
    weight, power = etc_of_2020(facts, request)
    return AoPsf(
        system,
        guide_star_mag=min((mag for _, _, mag in stars), default=magnitude),
        guide_stars=stars,
        guide=stars[0][:2] if stars else (x + request.image_quality.separation, y),
        distance_weight=weight,
        airmass_power=power,
    )
