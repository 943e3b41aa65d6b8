"""Build the Setup of a request from an instrument's facts: each function makes one part of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elvis_cli.errors import RequestError, choice_error
from elvis_cli.instrument import (
    conditions,
    coronagraphs,
    detectors,
    fibres,
    filters,
    optical_models,
    readout,
    telescopes,
)
from elvis_cli.instrument import mask as masks
from elvis_cli.instrument.filters import Filter
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.detector import Detector
from elvis_cli.model.exposure import Exposure
from elvis_cli.model.psf_model import AoPsf, PsfModel
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Frame, Goal, Optics, Setup
from elvis_cli.model.spectrograph import Spectrograph

FAINT = 0.01
"""Peak throughput of the coloured optics below which the user is told that nearly nothing arrives."""


def build(
    request: Request,
    facts: SourcedTable,
    shared: Mapping[str, SourcedTable],
    mode: str,
    options: Mapping[str, Any],
    notes: tuple[str, ...],
    folder: Path,
) -> Setup:
    """Return the Setup; ``facts`` is the instrument with the patches of mode and options, ``shared`` the common files.

    ``folder`` is the plugin's own.

    Raises
    ------
    RequestError
        The seeing, the exposure, the window or the chips asked for do not exist.
    ResourceError
        A figure is missing from the data files.
    """
    timing, chip = facts.part("timing"), facts.part("detectors", facts.text("detector"))
    dit = detectors.integration_time(timing, chip, request)
    binning = binning_of(facts)
    detector = detectors.make(chip, *binning, dit)
    pixel = (facts.number("pixel_scale", "arcsec"), detector.pixel_mm / binning[0])
    spectrograph, unreached = make_spectrograph(facts, request, folder, pixel, binning)
    optics, unusual = make_optics(facts, shared, request, options, detector, spectrograph)
    ao = conditions.corrected(
        telescopes.make_ao(shared["ao"].part(facts.text("ao"))) if "ao" in facts else None, request
    )
    atmosphere, seeing_note = make_atmosphere(facts, shared, request, corrected=ao is not None)
    window, chips = detectors.frame(facts.part("frame"), detector, request)
    readout.check_rows(chip, dit, window.ny, timing.text("dit_key"))
    detector = readout.completed(detector, shared.get("family"), window, request.elvis)
    detector = readout.sampled(detector, chip, dit, window, request.elvis)
    psf = conditions.psf_model(facts, ao, request)
    notes += (*unreached, *unusual, *conditions.image_notes(psf))
    if spectrograph is not None:
        spectrograph, own = fed(spectrograph, facts.part("spectrograph"), atmosphere.seeing, psf, request)
        notes += own
    values = tuple({value.name: value for value in facts.ledger}.values())
    assumed = sum(value.assumed for value in values)
    if assumed:
        notes += (f"{assumed} of {len(values)} figures of {facts.text('name')} are assumed: see `elvis explain`",)
    return Setup(
        instrument=facts.text("name"),
        mode=mode,
        optics=optics,
        atmosphere=atmosphere,
        psf=psf,
        detector=detector,
        exposure=make_exposure(timing, request, dit, infrared=detector.kind == "ir"),
        frame=Frame(window, chips),
        goal=make_goal(facts.part("seeing"), request, spectral=spectrograph is not None),
        header=header_cards(facts, options, spectrograph),
        repeated_cards=facts.part("repeated_cards").tree,
        spectrograph=spectrograph,
        values=values,
        notes=(*notes, *seeing_note),
    )


def binning_of(facts: SourcedTable) -> tuple[int, int]:
    """Return the pixels of the detector along a row and along a column that are read as one."""
    columns = int(facts.number("binning", "1"))
    return columns, int(facts.number("row_binning", "1")) if "row_binning" in facts else columns


def make_optics(
    facts: SourcedTable,
    shared: Mapping[str, SourcedTable],
    request: Request,
    options: Mapping[str, Any],
    detector: Detector,
    spectrograph: Spectrograph | None,
) -> tuple[Optics, tuple[str, ...]]:
    """Return the way of the light to the detector, and notes on the filters in it.

    Raises
    ------
    ResourceError
        A figure is missing from the data files.
    """
    in_beam = [filters.load(facts, name, options) for name in facts.tree["filters_in_beam"]]
    telescope = telescopes.make(shared["telescope"])
    coronagraph, stops = coronagraphs.make(facts, telescope)
    surfaces = (*telescopes.make_surfaces(facts, shared["telescope"], in_beam), *stops)
    band, peak = filters.passband([*(s.throughput for s in surfaces), detector.qe])
    if spectrograph is not None:
        from elvis_cli.instrument import spectrograph as spectrographs

        band = spectrographs.band(spectrograph, band)
    axis, design_distortion = telescopes.axis(facts)
    names, unusual = describe(in_beam, peak)
    centre = filters.centre(in_beam, band)
    scale = facts.number("pixel_scale", "arcsec") * binning_of(facts)[0]
    optics = Optics(
        telescope=telescope,
        surfaces=surfaces,
        band=band,
        filter_name=names,
        filter_centre=centre,
        pixel_scale=scale,
        plate_scale=scale / detector.pixel_mm,
        pupil_mask=telescopes.make_pupil_mask(facts, [f.name for f in in_beam], centre),
        coronagraph=coronagraph,
        axis=axis,
        distortion=optical_models.distortion(request.elvis.models, design_distortion),
        design_distortion=design_distortion,
        throughput_factor=optical_models.throughput(request.elvis.models),
    )
    return optics, unusual


def make_atmosphere(
    facts: SourcedTable, shared: Mapping[str, SourcedTable], request: Request, *, corrected: bool
) -> tuple[Atmosphere, tuple[str, ...]]:
    """Return the air above the telescope and notes on the seeing; ``corrected`` tells that adaptive optics work.

    Raises
    ------
    RequestError
        The seeing does not exist.
    """
    site = conditions.make_site(shared["site"], facts.part("sky"))
    if site.space:
        return Atmosphere(site, conditions.NONE, 0.0, request.sky.airmass), conditions.unused(request)
    seeing, notes = conditions.zenith_seeing(facts.part("seeing"), request)
    category = conditions.turbulence_category(facts.part("seeing"), request) if corrected else None
    profile = facts.text("turbulence", "median")
    turbulence = conditions.turbulence(shared["turbulence"], profile, category, seeing, request)
    return Atmosphere(site, turbulence, seeing, request.sky.airmass), notes


def make_exposure(timing: SourcedTable, request: Request, dit: float, *, infrared: bool) -> Exposure:
    """Return the exposure of ``dit`` seconds; a request without a count of integrations or a goal takes the mode's."""
    count = request.timing.count_of(timing.text("count_key"))
    if count is None and request.timing.snr is None:
        count = int(timing.number("count", "1"))
    return Exposure(
        dit,
        count,
        timing.text("count_key"),
        request.elvis.exposure,
        infrared=infrared,
        dit_key=timing.text("dit_key"),
    )


def header_cards(facts: SourcedTable, options: Mapping[str, Any], spectrograph: Spectrograph | None) -> dict[str, Any]:
    """Return the instrument's own cards: of its data, of options that are named as keywords, of a mask's slits."""
    named = {f"ESO {key.replace('.', ' ').upper()}": option for key, option in options.items() if "." in key}
    slits = masks.cards(facts.part("spectrograph", "aperture"), spectrograph.apertures) if spectrograph else {}
    return {**facts.part("header").tree, **named, **slits}


def fed(
    spectrograph: Spectrograph, facts: SourcedTable, seeing: float, psf: PsfModel, request: Request
) -> tuple[Spectrograph, tuple[str, ...]]:
    """Return a spectrograph with what its fibres take of a star behind adaptive optics, and notes; slits unchanged."""
    notes: tuple[str, ...] = ()
    if request.image_quality.aperture_pix and all(one.fibre for one in spectrograph.apertures):
        notes += ("/seeing/aperturepix: not used, the image of a fibre is extracted whole",)
    if "coupling" in facts:
        star = psf.guide_star_mag if isinstance(psf, AoPsf) else 0.0
        curve, beyond = fibres.coupling(facts.part("coupling"), seeing, star)
        spectrograph, notes = dataclasses.replace(spectrograph, coupling=curve), (*notes, *beyond)
    return spectrograph, notes


def make_spectrograph(
    facts: SourcedTable, request: Request, folder: Path, pixel: tuple[float, float], binning: tuple[int, int]
) -> tuple[Spectrograph | None, tuple[str, ...]]:
    """Return the spectrograph of a mode, None of an imager, and notes; ``pixel`` and ``binning`` as
    `spectrograph.make` has them.

    Raises
    ------
    RequestError
        The mask is not one of this mode.
    """
    if "spectrograph" not in facts:
        if request.elvis.mask is not None:
            raise RequestError("/elvis/mask", "an image has no slits", allowed="absent")
        if request.elvis.polarisation is not None:
            raise RequestError("/elvis/polarisation", "this mode has no polarimeter", allowed="absent")
        return None, ()
    from elvis_cli.instrument import polarimeter
    from elvis_cli.instrument import spectrograph as spectrographs

    table = facts.part("spectrograph")
    targets, unreached = fibres.targets(table, request)
    mask = request.elvis.mask
    graph = spectrographs.make(table, facts.text("kind"), folder, pixel, binning, targets, mask)
    if mask is not None:
        unreached += masks.overlaps(graph.apertures)
    return polarimeter.fitted(graph, table, request.elvis, spectrographs.extent(graph)), unreached


def make_goal(facts: SourcedTable, request: Request, *, spectral: bool) -> Goal:
    """Return the goal of the prediction; ``facts`` is the table ``seeing`` of the instrument.

    The aperture of a spectrum in the first generation of ETC JSON is the central pixel unless the request gives one.
    """
    first = request.generation == 1
    central = spectral and first and request.image_quality.aperture_pix is None
    orders = request.keys.get("orders_list", request.keys.get("order"))
    named = list(orders.values()) if isinstance(orders, Mapping) else orders if isinstance(orders, list) else []
    return Goal(
        snr=request.timing.snr,
        wave=request.timing.wave,
        aperture_pix=1 if central else aperture_diameter(facts, request),
        aperture_inside=facts.text("automatic_aperture", "around") == "inside",
        orders=tuple(str(order).removesuffix(".0") for order in named if order is not None),
        read_noise_once=first,
    )


def describe(in_beam: Sequence[Filter], peak: float) -> tuple[str, tuple[str, ...]]:
    """Return what the filters in the beam are called together, and notes; ``peak`` is the throughput of all optics."""
    names = " + ".join(f.name for f in in_beam if f.transmission.value.min() != 1.0) or "open"
    notes: tuple[str, ...] = ()
    if in_beam and not any(f.cuts for f in in_beam):
        notes += (f"no colour filter in the beam ({names})",)
    grey = math.prod(float(f.transmission.value[0]) for f in in_beam if f.cuts is None)
    if peak < FAINT * grey or peak == 0.0:
        notes += (f"the optics pass at most {peak:.2g} of the light with {names}",)
    return names, notes


def aperture_diameter(facts: SourcedTable, request: Request) -> int:
    """Return the diameter (pixels) of the aperture for the signal-to-noise ratio; 0 is automatic.

    With a list ``apertures`` it is one of them, the ``default_aperture`` where the request gives none. The
    ``first_aperture`` is what requests of the first generation mean that give none.
    """
    requested = request.image_quality.aperture_pix
    if requested is None and request.generation == 1 and "first_aperture" in facts:
        return int(facts.number("first_aperture", "pixel"))
    if "apertures" not in facts:
        return requested or 0
    if requested is None:
        return int(facts.number("default_aperture", "pixel"))
    if requested not in (allowed := facts.value("apertures", "pixel")):
        raise choice_error("/seeing/aperturepix", requested, allowed)
    return requested
