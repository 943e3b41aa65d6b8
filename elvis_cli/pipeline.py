"""The way of the data, written once: request -> setup -> light -> scene -> focal plane -> detector -> FITS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, BinaryIO

from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.recent import Recent
from elvis_cli.detector import chain, steps
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.focalplane import behind_mask, imager
from elvis_cli.focalplane.renderer import PARTS, Renderer
from elvis_cli.instrument import registry
from elvis_cli.light import calibration
from elvis_cli.light.compose import compose
from elvis_cli.light.groups import groups
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.limits import Cost
from elvis_cli.model.psf_model import CubePsf
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.model.spectrograph import Spectrograph
from elvis_cli.prediction import imaging, noise
from elvis_cli.prediction import series as etc_series
from elvis_cli.prediction.calibration import summarise
from elvis_cli.prediction.types import Prediction
from elvis_cli.product import etc_tables, fits, truth
from elvis_cli.request import key_aliases
from elvis_cli.scene import provenance
from elvis_cli.sky import pointing

if TYPE_CHECKING:
    from elvis_cli.focalplane.spectrometer import Spectrometer

Progress = Callable[[int, int], None]
Rates = dict[int, NDArray[Any]]
"""Expected electrons/s of each chip, by number."""


def kept_images(most: int) -> Recent[Image]:
    """Return where expected images are kept, up to ``most`` bytes."""
    return Recent(most, lambda image: (image,))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedExposure:
    """A request made ready: nothing is drawn yet, everything is known."""

    request: Request
    setup: Setup
    renderer: Renderer
    prediction: Prediction
    series: frozenset[str]
    """The series that the ETC's ``output`` section asks for."""
    tables: Callable[[Rates], Iterator[fits.Table | fits.Image]]
    """The extensions of these series."""
    notes: tuple[str, ...]
    images: Recent[Image] = field(default_factory=partial(kept_images, 0))
    """Expected images, for another exposure of the same light."""

    def illuminate(self, chip: Chip, parts: frozenset[str]) -> Image:
        """Return the expected electrons/s of every pixel of some parts of the light (ny, nx); not to be changed."""
        key = repr((chip.id, sorted(parts))).encode()
        image = self.images.find(key)
        if image is None:
            image = self.renderer.illuminate(chip, self.setup.frame.window, parts)
            self.images.add(key, image)
        return image


def configure(request: Request) -> Setup:
    """Return the Setup of a request; its values name the shipped tables too."""
    with key_aliases.pointing_into(request.document):
        setup = registry.load(request.instrument).configure(request)
    values = (*setup.values, *provenance.tables(request))
    if request.elvis.calibration and setup.calibration is None:
        raise ResourceError(f"{setup.instrument} takes no calibration frames", allowed="the target's")
    notes = setup.notes
    if request.elvis.wavemap and setup.spectrograph is None:
        notes += ("/elvis/wavemap: not used, an image has no wavelengths",)
    if request.elvis.bare:
        notes += _check_bare(request)
    return replace(setup, values=values, notes=notes)


def _check_bare(request: Request) -> tuple[str, ...]:
    """Return a note of what is left out of a file without tables; raise if it was asked for by name."""
    block = request.elvis
    for key, wanted in (("wavemap", block.wavemap), ("keep", block.keep), ("reads", block.reads)):
        if wanted:
            raise RequestError(f"/elvis/{key}", "cannot be combined with /elvis/bare: a bare file has the frames alone")
    return ("/elvis/bare: no tables are written, neither of the output flags nor the request",)


def prepare(request: Request) -> PreparedExposure:
    """Return the exposure that a request describes, of its target or of a calibration.

    Raises
    ------
    RequestError
        The request asks for what the instrument, the sky or the target cannot give.
    ResourceError
        No such instrument, or data are missing.

    """
    with key_aliases.pointing_into(request.document):
        return _prepare(request)


def _prepare(request: Request) -> PreparedExposure:
    setup = configure(request)
    if request.elvis.psf is not None:
        from elvis_cli.optics import user_psf

        setup = user_psf.adopt(setup, request.elvis.psf, request.elvis.offset)
    request, doppler = _seen_from_earth(request, setup)
    request, setup = calibration.arrange(request, setup)
    chain.check(setup, request.elvis, request.limits)
    lit, light = calibration.illuminate(request, setup)
    ready = _predicted(request, setup, lit, light)
    _check_reached(ready.prediction, setup)
    if setup.exposure.count is None:
        setup = replace(setup, exposure=replace(setup.exposure, count=ready.prediction.count))
        ready = replace(ready, setup=setup)
        # what moves leaves a trail over all the integrations that were found; a later exposure begins after them
        moves = ready.renderer.scene.moving or setup.optics.coronagraph is not None
        if moves or request.elvis.exposure > 1:
            ready = replace(ready, renderer=_renderer(request, replace(light, setup=setup)))
    geometry = pointing.observe(request.elvis, setup)
    # a calibration unit shines below the sky and the scene, whose notes do not matter then
    above = (*ready.renderer.scene.notes, *ready.renderer.notes) if lit is request else ()
    return replace(ready, notes=(*setup.notes, *light.notes, *above, *geometry.notes, *doppler, *ready.notes))


def _seen_from_earth(request: Request, setup: Setup) -> tuple[Request, tuple[str, ...]]:
    """Return the request with the target's spectrum shifted by the observatory's motion where it asks for that."""
    site, sed = setup.atmosphere.site, request.target.sed
    if not request.elvis.barycentric:
        return request, ()
    if site.space:
        return request, ("/elvis/barycentric: not used, the orbit of this telescope is not known",)
    if sed.velocity:
        return request, (f"/elvis/barycentric: not used, the ETC's baryvelcor is {sed.velocity:g} km/s",)
    geometry = pointing.observe(request.elvis, setup)
    middle = geometry.start + timedelta(seconds=geometry.duration / 2)
    velocity = pointing.barycentric_correction(geometry.ra, geometry.dec, middle, site)
    sed = replace(sed, velocity=velocity)
    note = f"target: barycentric correction {velocity:+.3f} km/s"
    return replace(request, target=replace(request.target, sed=sed)), (note,)


def _predicted(request: Request, setup: Setup, lit: Request, light: Illumination) -> PreparedExposure:
    """Return an exposure with its prediction and the notes on it; ``lit`` is the request as ``light`` has it."""
    frame = setup.calibration
    if frame is not None and frame.standard is None:
        summary = summarise(frame, setup.exposure, request.elvis.lamp, request.timing, light.budget.sky_model)
        renderer = _renderer(lit, light)
        return PreparedExposure(request, setup, renderer, summary, frozenset(), _no_tables, summary.notes)
    series, notes = etc_series.requested(request.output, setup)
    if setup.spectrograph is not None:
        from elvis_cli.prediction import spectroscopy
        from elvis_cli.product import order_tables

        spectrometer = _spectrometer(request, light, setup.spectrograph)
        line = request.target.sed if request.target.sed.kind == "emissionline" and not request.elvis.catalogue else None
        spectra = spectroscopy.predict(spectrometer, request.target, line)
        tables = partial(order_tables.tables, series, light, spectra)
        return PreparedExposure(request, setup, spectrometer, spectra, series, tables, (*notes, *spectra.notes))
    camera = _imager(request, light)
    if isinstance(setup.psf, CubePsf):
        from elvis_cli.optics import user_psf

        user_psf.check_frame(camera.psf, setup.frame)
    prediction = imaging.predict(camera, request.target.brightness)
    if request.timing.wave is not None:
        notes += ("/timesnr: the ratio of an image is that of its whole band, not between wavelengths",)
    pictures = partial(etc_tables.extensions, series, request.target, request.elvis, camera, prediction)
    return PreparedExposure(request, setup, camera, prediction, series, pictures, (*notes, *prediction.notes))


def _no_tables(_: Rates) -> Iterator[fits.Table | fits.Image]:
    """Yield nothing: a frame without a target has no series."""
    return iter(())


def _renderer(request: Request, light: Illumination) -> Renderer:
    """Return the renderer of a mode: an Imager, or a Spectrometer where the Setup has a spectrograph."""
    if light.setup.spectrograph is None:
        return _imager(request, light)
    return _spectrometer(request, light, light.setup.spectrograph)


def _imager(request: Request, light: Illumination) -> imager.Imager:
    """Return the renderer of an image."""
    scene = compose(request, light)
    if light.setup.optics.coronagraph is None:
        camera = imager.prepare(light, scene)
    else:
        state = behind_mask.state(request.elvis, light.setup, pointing.observe(request.elvis, light.setup))
        camera = imager.prepare_behind_mask(light, scene, state)
    _check_cost(request, camera.cost(light.setup.frame))
    return camera


def _spectrometer(request: Request, light: Illumination, spectrograph: Spectrograph) -> Spectrometer:
    """Return the renderer of a spectrograph."""
    from elvis_cli.focalplane import cost, spectrometer

    scene = compose(request, light)
    traces = spectrometer.sampled_traces(spectrograph, light.setup.detector.pixel_mm)
    parts = groups(request, light.setup, spectrometer.velocity_step(traces))
    geometry = pointing.observe(request.elvis, light.setup)
    masked = light.setup.optics.coronagraph is not None
    state = behind_mask.state(request.elvis, light.setup, geometry) if masked else None
    prepared = spectrometer.prepare(light, spectrograph, traces, scene, parts, geometry, state)
    _check_cost(request, cost.estimate(prepared, light.setup.frame))
    return prepared


def _check_cost(request: Request, expected: Cost) -> None:
    """Raise if drawing takes more than the limits of the request allow."""
    block = request.elvis
    scenes = (("cube", block.cube), ("image", block.image), ("scene", block.scene), ("catalogue", block.catalogue))
    pointer = next((f"/elvis/{name}" for name, value in scenes if value is not None), "/instrument")
    request.limits.check_memory(request.memory + expected.memory, pointer)
    request.limits.check_time(expected.seconds, pointer)


def _check_reached(prediction: Prediction, setup: Setup) -> None:
    """Raise if no number of integrations reaches the requested signal-to-noise ratio."""
    if prediction.count > 0:
        return
    goal, dit = setup.goal.snr, setup.exposure.dit
    once = f"one of {dit:g} s gives {prediction.snr_single:.3g}"
    why = "; ".join([f"{noise.MAX_COUNT} integrations are the most, {once}", *prediction.notes])
    raise RequestError("/timesnr/snr", f"a signal-to-noise ratio of {goal:g} cannot be reached: {why}", found=goal)


def frames(
    ready: PreparedExposure, progress: Progress | None = None, rates: Rates | None = None
) -> Iterator[tuple[Chip, NDArray[Any]] | fits.Image]:
    """Yield each chip's frame (ny, nx), one at a time: ADU, or electrons/s for the product "expected".

    Before it come the images that the request wants to keep of it, each only good until the next is asked for.

    ``rates`` is given the electrons/s of each chip, if there will be an S/N map of them.
    """
    block, setup = ready.request.elvis, ready.setup
    chips = setup.frame.chips
    for done, number in enumerate(chips):
        if progress:
            progress(done, len(chips))
        chip = setup.detector.chip(number)
        draw = cache(partial(ready.illuminate, chip))
        parts = steps.drawn(block, setup.detector)
        if rates is not None and etc_series.mapped(ready.series, setup):
            rates[number] = draw(PARTS)  # the ETC knows no switches
        if block.product == "expected":
            yield chip, draw(parts)
            continue
        unit = partial(steps.unit, steps.sequence(setup.detector, block.order))
        for name, image in chain.develop(draw, setup, chip, block):
            if not name:
                draw.cache_clear()  # it is the frame: the light is needed no more
            yield etc_tables.kept(name, unit(name), chip, image) if name else (chip, image)
    if progress:
        progress(len(chips), len(chips))


def render(request: Request, out: BinaryIO, progress: Progress | None = None) -> tuple[str, ...]:
    """Write the FITS of a request to ``out`` and return notes for its user."""
    return render_prepared(prepare(request), out, progress)


def render_prepared(ready: PreparedExposure, out: BinaryIO, progress: Progress | None = None) -> tuple[str, ...]:
    """Write the FITS of a prepared exposure to ``out`` and return notes for its user."""
    rates = Rates()
    drawn = frames(ready, progress, rates)
    fits.write(ready.request, ready.setup, ready.prediction, drawn, ready.notes, out, extensions(ready, rates))
    return ready.notes


def extensions(ready: PreparedExposure, rates: Rates) -> Iterator[fits.Table | fits.Image]:
    """Yield the extensions behind the frames; ``rates`` are those that `frames` has been given."""
    request, setup = ready.request, ready.setup
    if request.elvis.bare:
        return
    yield from truth.extensions(request, setup, ready.renderer.scene.sources)
    wanted = request.elvis.wavemap
    if setup.spectrograph is not None and (request.elvis.product == "expected" if wanted is None else wanted):
        from elvis_cli.product import wavemap

        yield from wavemap.extensions(request, setup, ready.renderer)
    yield from ready.tables(rates)


def predict(request: Request) -> Prediction:
    """Return the ETC's prediction for a request.

    Raises
    ------
    RequestError
        It asks for a frame without a target.
    """
    prediction = prepare(request).prediction
    if prediction.snr is None:
        raise RequestError("/elvis/calibration", "there is no target, so no signal-to-noise ratio")
    return prediction


def summary(ready: PreparedExposure) -> str:
    """Return mode, chips, window, integrations and signal-to-noise ratio of a prepared exposure in one line."""
    setup, prediction = ready.setup, ready.prediction
    frame, exposure = setup.frame, setup.exposure
    arm = f" arm {setup.arm}" if setup.arm else ""
    return (
        f"{setup.instrument} {setup.mode}{arm} {setup.optics.filter_name}, "
        f"chips {', '.join(map(str, frame.chips))}, {frame.window.nx} x {frame.window.ny} pixels, "
        f"{exposure.count_key} {prediction.count} x {exposure.dit:g} s, "
        + ("no target" if prediction.snr is None else f"S/N {prediction.snr:.4g}")
    )


def explain(request: Request) -> tuple[SourcedValue, ...]:
    """Return every number and table that rendering this request uses, with unit and source."""
    return configure(request).values


def warm() -> None:
    """Compile the kernels, so that the first real request does not wait for it.

    Of instruments that are alike one is rendered: the kernels are the same. Those of galaxies and crowds are the
    imagers'; spectrographs differ in what their slits or fibres need.
    """
    import io
    import json

    from elvis_cli.request import parse

    galaxy = {"target": {"morphology": {"morphologytype": "extended", "extendedtype": "sersic"}}}
    crowd = {"elvis": {"catalogue": {**{key: [20.0] * 10 for key in ("x", "y", "mag")}, "radius": [0, 20] * 5}}}
    setups = {name: configure(parse.read(json.dumps(registry.load(name).example()))) for name in registry.names()}
    seen: set[object] = set()
    for name, setup in sorted(setups.items(), key=lambda item: orders_and_traces(item[1])):
        spectrograph = setup.spectrograph
        kind = type(setup.psf) if spectrograph is None else spectrograph.apertures[0].fibre
        parts = {kind, *setup.detector.stages}
        if parts <= seen:
            continue
        seen |= parts
        for scene in ({}, galaxy, crowd) if spectrograph is None else ({},):
            document = registry.load(name).example()
            document["target"] |= scene.get("target", {})
            document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}, **scene.get("elvis", {})}
            render(parse.read(json.dumps(document)), io.BytesIO())


def orders_and_traces(setup: Setup) -> tuple[int, int]:
    """Return the numbers of orders and of traces of a spectrograph, 0 of an imager: what prediction and frames cost."""
    found = setup.spectrograph
    return (len({trace.order for trace in found.traces}), len(found.traces)) if found else (0, 0)
