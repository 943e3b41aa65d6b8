"""Build the Setup of a request from an instrument's facts: each function makes one part of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.curve import Curve
from elvis_cli.errors import RequestError, ResourceError, choice_error
from elvis_cli.instrument import conditions, coronagraphs, fibres, filters, optical_models, readout
from elvis_cli.instrument import mask as masks
from elvis_cli.instrument.filters import Filter
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.detector import Chip, Detector, Quadrant
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.exposure import Exposure
from elvis_cli.model.psf_model import AoPsf, PsfModel
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Frame, Goal, Optics, Setup
from elvis_cli.model.spectrograph import Spectrograph
from elvis_cli.model.telescope import AoSystem, PupilMask, Surface, Telescope

TANGENT = 1.0 / 3.0
"""Cubic term of the tangent."""
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
    binning = int(facts.number("binning", "1"))
    row_binning = int(facts.number("row_binning", "1")) if "row_binning" in facts else binning
    timing = facts.part("timing")
    dit = integration_time(timing, facts.part("detectors", facts.text("detector")), request)
    detector = make_detector(facts.part("detectors", facts.text("detector")), binning, row_binning, dit)
    in_beam = [filters.load(facts, name, options) for name in facts.tree["filters_in_beam"]]
    telescope = make_telescope(shared["telescope"])
    coronagraph, stops = coronagraphs.make(facts, telescope)
    surfaces = (*make_surfaces(facts, shared["telescope"], in_beam), *stops)
    band, peak = filters.passband([*(s.throughput for s in surfaces), detector.qe])
    scale = facts.number("pixel_scale", "arcsec")
    spectrograph, unreached = make_spectrograph(
        facts, request, folder, (scale, detector.pixel_mm / binning), (binning, row_binning)
    )
    notes += unreached
    if spectrograph is not None:
        from elvis_cli.instrument import spectrograph as spectrographs

        band = spectrographs.band(spectrograph, band)
    axis, design_distortion = telescope_axis(facts)
    names, unusual = describe(in_beam, peak)
    notes += unusual
    site = conditions.make_site(shared["site"], facts.part("sky"))
    air = not site.space
    seeing, seeing_note = (
        conditions.zenith_seeing(facts.part("seeing"), request) if air else (0.0, conditions.unused(request))
    )
    ao = conditions.corrected(make_ao(shared["ao"].part(facts.text("ao"))) if "ao" in facts else None, request)
    window, chips = frame(facts.part("frame"), detector, request)
    category = conditions.turbulence_category(facts.part("seeing"), request) if ao else None
    profile = facts.text("turbulence", "median")
    turbulence = conditions.NONE
    if air:
        turbulence = conditions.turbulence(shared["turbulence"], profile, category, seeing, request)
    detector_table = facts.part("detectors", facts.text("detector"))
    readout.check_rows(detector_table, dit, window.ny, timing.text("dit_key"))
    detector = readout.completed(detector, shared.get("family"), window, request.elvis)
    detector = readout.sampled(detector, detector_table, dit, window, request.elvis)
    count = request.timing.count_of(timing.text("count_key"))
    if count is None and request.timing.snr is None:
        count = int(timing.number("count", "1"))
    psf = conditions.psf_model(facts, ao, request)
    notes += conditions.image_notes(psf)
    if spectrograph is not None:
        spectrograph, own = fed(spectrograph, facts.part("spectrograph"), seeing, psf, request)
        notes += own
    goal = make_goal(facts.part("seeing"), request, spectral=spectrograph is not None)
    centre = filters.centre(in_beam, band)
    mask = make_pupil_mask(facts, [f.name for f in in_beam], centre)
    values = tuple({value.name: value for value in facts.ledger}.values())
    assumed = sum(value.assumed for value in values)
    if assumed:
        notes += (f"{assumed} of {len(values)} figures of {facts.text('name')} are assumed: see `elvis explain`",)
    return Setup(
        instrument=facts.text("name"),
        mode=mode,
        optics=Optics(
            telescope=telescope,
            surfaces=surfaces,
            band=band,
            filter_name=names,
            filter_centre=centre,
            pixel_scale=scale * binning,
            plate_scale=scale * binning / detector.pixel_mm,
            pupil_mask=mask,
            coronagraph=coronagraph,
            axis=axis,
            distortion=optical_models.distortion(request.elvis.models, design_distortion),
            design_distortion=design_distortion,
            throughput_factor=optical_models.throughput(request.elvis.models),
        ),
        atmosphere=Atmosphere(site, turbulence, seeing, request.sky.airmass),
        psf=psf,
        detector=detector,
        exposure=Exposure(
            dit,
            count,
            timing.text("count_key"),
            request.elvis.exposure,
            infrared=detector.kind == "ir",
            dit_key=timing.text("dit_key"),
        ),
        frame=Frame(window, chips),
        goal=goal,
        header={
            **facts.part("header").tree,
            **{f"ESO {key.replace('.', ' ').upper()}": option for key, option in options.items() if "." in key},
            **(
                {}
                if spectrograph is None
                else masks.cards(facts.part("spectrograph", "aperture"), spectrograph.apertures)
            ),
        },
        repeated_cards=facts.part("repeated_cards").tree,
        spectrograph=spectrograph,
        values=values,
        notes=(*notes, *seeing_note),
    )


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


def telescope_axis(facts: SourcedTable) -> tuple[tuple[float, float], float]:
    """Return the field coordinates (arcsec) of the telescope's axis and the cubic distortion (1/arcsec2) about it.

    The table gives the ``distortion`` d as the zenithal polynomial of FITS (ZPN, PV2_3): an angle z from the axis is
    imaged at z + d z^3. Field coordinates are tangents, z + z^3 / 3.
    """
    x, y = facts.value("axis", "arcsec") if "axis" in facts else (0.0, 0.0)
    cubic = facts.number("distortion", "1/rad2") - TANGENT if "distortion" in facts else 0.0
    return (float(x), float(y)), cubic * math.radians(1.0 / 3600.0) ** 2


def make_telescope(facts: SourcedTable) -> Telescope:
    """Return the collecting area and pupil of a telescope file."""
    return Telescope(
        name=facts.text("name"),
        area=facts.number("area", "m2"),
        diameter=facts.number("diameter", "m"),
        inner=facts.number("inner", "m"),
        spider_width=facts.number("spider_width", "m"),
        spider_angles=tuple(float(a) for a in facts.value("spider_angles", "deg")),
        segments=tuple(float(s) for s in facts.value("segments", "m")) if "segments" in facts else (),
        mirror=facts.number("mirror", "m") if "mirror" in facts else 0.0,
    )


def make_pupil_mask(facts: SourcedTable, in_beam: list[str], centre: float) -> PupilMask | None:
    """Return the mask that a wheel's element in the beam is, if any; ``centre`` (um) is the filter's wavelength."""
    name = next((name for name in in_beam if name in facts.part("pupil_masks")), None)
    if name is None:
        return None
    table = facts.part("pupil_masks", name)
    plate = facts.part("pupil_masks", table.text("plate")) if "plate" in table else table  # the phase of another mask
    sines = plate.value("sines", "rad") if "sines" in plate else ()
    return PupilMask(
        name=name,
        angle=table.number("angle", "deg"),
        holes=tuple((float(x), float(y), float(r)) for x, y, r in table.value("holes", "m"))
        if "holes" in table
        else (),
        sines=tuple(tuple(float(a) for a in row) for row in sines),
        grating=table.number("grating", "1") if "grating" in table else 0.0,
        leak=float(table.curve("leak").at(np.array([centre]))[0]) if "leak" in table else 0.0,
        stop=coronagraphs.make_stop(facts.part("stops", table.text("stop"))) if "stop" in table else None,
    )


def make_ao(facts: SourcedTable) -> AoSystem:
    """Return an adaptive-optics system; the names in the table are the fields of AoSystem."""
    parameters: dict[str, Any] = {}
    for item in dataclasses.fields(AoSystem):
        if item.name not in facts:
            if item.default is dataclasses.MISSING:
                raise ResourceError(f"{facts.file}: {facts.path}.{item.name} is missing", file=facts.file)
            continue
        raw = facts.tree[item.name]
        value = raw if isinstance(raw, str) else facts.value(item.name)
        parameters[item.name] = frozen(value)
    return AoSystem(**parameters)


def frozen(value: Any) -> Any:
    """Return lists, and lists in them, as tuples."""
    return tuple(frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def make_surface(facts: SourcedTable) -> Surface:
    """Return an optical element, or ``count`` equal ones in a row as one.

    What is not transmitted or reflected is emitted (Kirchhoff) unless the table gives ``emissivity``, that of one
    element. A row of n equal elements of throughput t and emissivity e emits
    e (1 + t + ... + t^(n-1)) = e (1 - t^n) / (1 - t).
    """
    one = facts.curve("throughput")
    count = int(facts.number("count", "1")) if "count" in facts else 1
    throughput = Curve(one.wave, one.value**count, one.outside)
    if "emissivity" in facts:
        emissivity = facts.curve("emissivity")
        t = one.at(emissivity.wave)
        row = np.where(t < 1.0, (1.0 - t**count) / np.where(t < 1.0, 1.0 - t, 1.0), count)
        emissivity = Curve(emissivity.wave, emissivity.value * row, emissivity.outside)
    else:
        emissivity = Curve(one.wave, 1.0 - throughput.value)
    return Surface(facts.text("name"), facts.text("group"), throughput, emissivity, facts.number("temperature", "K"))


def make_surfaces(facts: SourcedTable, telescope: SourcedTable, in_beam: list[Filter]) -> tuple[Surface, ...]:
    """Return the telescope's mirrors, then the ``optics`` list of the mode; "filters" in it stands for the wheels."""
    dark = Curve(np.array([0.0, 1.0]), np.zeros(2))
    surfaces = [make_surface(telescope.part("surfaces", name)) for name in telescope.part("surfaces")]
    for name in facts.tree.get("optics", ["filters"]):
        if name == "filters":
            cold = facts.number("filter_temperature", "K")
            surfaces += [Surface(f.name, "filter", f.transmission, dark, cold) for f in in_beam]
        else:
            surfaces.append(make_surface(facts.part("surfaces", name)))
    return tuple(surfaces)


def make_detector(facts: SourcedTable, binning: int, row_binning: int, dit: float) -> Detector:
    """Return the detector as read out: sizes and dark current are per binned pixel.

    The read noise may depend on the integration time ``dit``, s. Pixels that are binned differently along x and y are
    squares of the width along x: places along y shrink with them.
    """
    pixel = facts.number("pixel", "mm")
    stretch = binning / row_binning

    def of_chip(number: str, name: str, unit: str) -> float:
        table = facts.part("chips", number)
        return (table if name in table else facts).against(name, unit, "dit", dit)

    chips = tuple(
        Chip(
            id=int(number),
            extname=facts.part("chips", number).text("extname"),
            x_mm=of_chip(number, "x", "mm"),
            y_mm=of_chip(number, "y", "mm") * stretch,
            rotation=of_chip(number, "rotation", "deg"),
            gain=of_chip(number, "gain", "electron/adu"),
            ron=of_chip(number, "ron", "electron"),
            dark=of_chip(number, "dark", "electron/s") * binning * row_binning,
            header=tuple(facts.part("chips", number, "header").tree.items()),
            scale=facts.part("chips", number).number("scale", "1") if "scale" in facts.part("chips", number) else 1.0,
        )
        for number in facts.part("chips")
    )
    stages, orders = facts.part("stages"), facts.tree.get("order", {})
    orders = orders if isinstance(orders, Mapping) else {"usual": orders}
    return Detector(
        name=facts.text("name"),
        kind=facts.text("kind"),
        nx=int(facts.number("nx", "pixel")) // binning,
        ny=int(facts.number("ny", "pixel")) // row_binning,
        pixel_mm=pixel * binning,
        binning=binning,
        full_well=facts.number("full_well", "electron"),
        bias=facts.number("bias", "adu"),
        adc_max=facts.number("adc_max", "adu"),
        qe=facts.curve("qe"),
        chips=chips,
        stages={stage: {name: stages.part(stage).value(name) for name in stages.part(stage)} for stage in stages},
        orders={name: tuple(names) for name, names in orders.items()},
        optional=tuple(facts.tree.get("optional", ())),
        quadrants=tuple(
            _quadrant(facts.part("quadrants", name), name, binning, row_binning) for name in facts.part("quadrants")
        ),
        extensions=facts.text("extensions", "chips"),
        row_binning=row_binning,
        wcs=facts.text("wcs", ""),
    )


def _quadrant(facts: SourcedTable, name: str, binning: int, row_binning: int) -> Quadrant:
    """Return a part of a chip; what its table does not say are the chip's own figures."""

    def own(key: str, unit: str) -> float | None:
        return facts.number(key, unit) if key in facts else None

    x0, nx = (int(facts.number(key, "pixel")) // binning for key in ("x0", "nx"))
    y0, ny, rows = (int(facts.number(key, "pixel")) // row_binning for key in ("y0", "ny", "rows"))
    return Quadrant(
        name, x0, y0, nx, ny, facts.text("corner"),
        prescan=int(facts.number("prescan", "pixel")),
        overscan=int(facts.number("overscan", "pixel")),
        rows=rows,
        gain=own("gain", "electron/adu"),
        ron=own("ron", "electron"),
        bias=own("bias", "adu"),
    )  # fmt: skip


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


def integration_time(timing: SourcedTable, detector: SourcedTable, request: Request) -> float:
    """Return the integration time (s) asked for, else the form's default.

    Raises
    ------
    RequestError
        It is shorter than the detector's ``min_dit``, where there is one, or longer than the ``free_dit`` up to
        which any time goes and none of the ``long_dits``.
    """
    dit = request.timing.dit_of(timing.text("dit_key"))
    dit = timing.number("dit", "s") if dit is None else dit
    if "min_dit" in detector and dit < (least := detector.number("min_dit", "s")):
        raise RequestError(
            f"/timesnr/{timing.text('dit_key')}",
            f"{detector.text('name')} cannot be read out after {dit:g} s",
            found=dit,
            allowed=f">= {least:g} s",
        )
    if "free_dit" in timing and dit > (longest := timing.number("free_dit", "s")):
        allowed = timing.value("long_dits", "s")
        if dit not in allowed:
            raise RequestError(
                f"/timesnr/{timing.text('dit_key')}",
                f"{dit:g} s: beyond {longest:g} s some integration times are offered only",
                found=dit,
                allowed=[f"<= {longest:g} s", *allowed],
            )
    return dit


def frame(facts: SourcedTable, detector: Detector, request: Request) -> tuple[Window, tuple[int, ...]]:
    """Return the part of each chip, and the chips, to be rendered.

    The default frame is ``chips`` and the central ``window`` = [columns, rows] of each; without ``window`` all of it.
    Chips come in the order of ``chips``, if these are all, else of their numbers.
    """
    numbers = [chip.id for chip in detector.chips]
    full = Window(0, 0, detector.nx, detector.ny)
    requested = request.elvis.window
    default = tuple(int(c) for c in facts.tree.get("chips", numbers))
    if set(default) == set(numbers):
        numbers = list(default)
    if isinstance(requested, Window):
        window = requested
        inside = 0 <= window.x0 <= detector.nx - window.nx and 0 <= window.y0 <= detector.ny - window.ny
        if window.nx < 1 or window.ny < 1 or not inside:
            raise RequestError(
                "/elvis/window",
                f"{window.nx} x {window.ny} at ({window.x0}, {window.y0}) is not within the chip",
                found=dataclasses.asdict(window),
                allowed=f"x0 + nx <= {detector.nx}, y0 + ny <= {detector.ny}, all of them >= 0",
            )
    elif requested is None and "window" in facts:
        columns, rows = (min(n, most) for n, most in zip(facts.tree["window"], (full.nx, full.ny), strict=True))
        window = Window((full.nx - columns) // 2, (full.ny - rows) // 2, columns, rows)
    elif requested is None or requested == "full":
        window, default = full, tuple(numbers) if requested else default
    else:
        raise choice_error("/elvis/window", requested, ["full", "{x0, y0, nx, ny}"])
    chips = default if request.elvis.chips is None else request.elvis.chips or tuple(numbers)
    for chip in chips:
        if chip not in numbers:
            raise choice_error("/elvis/chips", chip, numbers)
    return window, tuple(number for number in numbers if number in chips)
