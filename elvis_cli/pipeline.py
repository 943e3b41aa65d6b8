"""The way of the data, written once: request -> setup -> light -> scene -> focal plane -> detector -> FITS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, BinaryIO

from numpy.typing import NDArray

from elvis_cli.detector import chain, steps
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.focalplane import imager
from elvis_cli.focalplane.geometry import nearest_chip
from elvis_cli.instrument import optical_models, registry
from elvis_cli.light import budget
from elvis_cli.light.compose import compose
from elvis_cli.model.detector import Chip
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.prediction import imaging
from elvis_cli.prediction import series as etc_output
from elvis_cli.product import etc_tables, fits, truth
from elvis_cli.request import key_aliases
from elvis_cli.scene import provenance
from elvis_cli.sky import pointing

if TYPE_CHECKING:
    from elvis_cli.focalplane.spectrometer import Spectrometer
    from elvis_cli.prediction import spectroscopy

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedExposure:
    """A request made ready: nothing is drawn yet, everything is known."""

    request: Request
    setup: Setup
    imager: imager.Imager | Spectrometer
    prediction: imaging.Prediction | spectroscopy.Prediction | imaging.Exposed
    series: frozenset[str]
    """What the ETC's ``output`` section asks for."""
    notes: tuple[str, ...]


def configure(request: Request) -> Setup:
    """Return the Setup of a request; its values name the shipped tables too."""
    with key_aliases.of(request.document):
        setup = registry.load(request.instrument).configure(request)
    values = (*setup.values, *provenance.tables(request))
    if request.elvis.calibration and setup.calibration is None:
        raise ResourceError(f"{setup.instrument} takes no calibration frames", allowed="the target's")
    notes = setup.notes
    if request.elvis.wavemap and setup.spectrograph is None:
        notes += ("/elvis/wavemap: not used, an image has no wavelengths",)
    return replace(setup, values=values, notes=notes, distortion=optical_models.distortion(request))


def prepare(request: Request) -> PreparedExposure:
    """Return the observation that a request describes.

    Raises
    ------
    RequestError
        The request asks for what the instrument, the sky or the target cannot give.
    ResourceError
        No such instrument, or data are missing.

    """
    with key_aliases.of(request.document):
        return _prepare(request)


def _prepare(request: Request) -> PreparedExposure:
    """Return the observation that a request describes."""
    setup = configure(request)
    if request.elvis.psf is not None:
        from elvis_cli.optics import user_psf

        setup = user_psf.adopt(setup, request)
    if setup.calibration is not None:
        from elvis_cli.light import calibration

        request, setup = calibration.arranged(request, setup)
        if request.elvis.calibration != "std":
            return _calibrate(request, setup)
    chain.check(request, setup)
    light = budget.detect(request, setup)
    camera, prediction = _predicted(request, setup, light)
    if prediction.count < 1:
        once = f"one of {setup.dit:g} s gives {prediction.snr_single:.3g}"
        why = "; ".join([f"{imaging.MAX_COUNT} integrations are the most, {once}", *prediction.notes])
        reason = f"a signal-to-noise ratio of {setup.snr_goal:g} cannot be reached: {why}"
        raise RequestError("/timesnr/snr", reason, found=setup.snr_goal)
    if setup.count is None:
        setup = replace(setup, count=prediction.count)
        # what moves leaves a trail over all the integrations that were found; a later exposure begins after them
        if camera.scene.moving or request.elvis.exposure > 1:
            camera = _camera(request, setup, light)
    when = pointing.observe(request, setup, prediction.count)
    series, told = etc_output.wanted(request.output, setup)
    notes = [*setup.notes, *light.notes, *camera.scene.notes, *camera.notes, *when.notes, *told, *prediction.notes]
    if request.timing.wave is not None and setup.spectrograph is None:
        notes.append("/timesnr: the ratio of an image is that of its whole band, not between wavelengths")
    return PreparedExposure(request, setup, camera, prediction, series, tuple(notes))


def _calibrate(request: Request, setup: Setup) -> PreparedExposure:
    """Return a calibration frame without a target."""
    from elvis_cli.light import calibration

    chain.check(request, setup)
    drawn, seen = calibration.seen(request, setup)
    drawn, light = calibration.exposed(drawn, seen, budget.detect(drawn, seen))
    camera = _camera(drawn, seen, light)
    if not isinstance(camera, imager.Imager):
        camera = calibration.lined(camera)
    told = calibration.told(request, setup, light.sky_model)
    when = pointing.observe(request, setup, told.count)
    above = camera.notes if drawn.sky == request.sky else ()  # of the sky, which a lamp does not shine through
    notes = [*setup.notes, *light.notes, *above, *when.notes, *told.notes]
    return PreparedExposure(request, setup, camera, told, frozenset(), tuple(notes))


def _camera(request: Request, setup: Setup, light: budget.PhotonBudget) -> imager.Imager | Spectrometer:
    """Return what draws the frames."""
    scene = compose(request, setup, light)
    if setup.spectrograph is not None:
        from elvis_cli.focalplane import spectrometer

        return spectrometer.prepare(request, setup, scene, light)
    return imager.prepare(request, setup, scene, light)


def _predicted(
    request: Request, setup: Setup, light: budget.PhotonBudget
) -> tuple[imager.Imager | Spectrometer, imaging.Prediction | spectroscopy.Prediction]:
    """Return what draws the frames, and the prediction."""
    camera = _camera(request, setup, light)
    if not isinstance(camera, imager.Imager):
        from elvis_cli.prediction import spectroscopy

        return camera, spectroscopy.predict(camera, setup, request)
    aperture = imaging.Aperture.around(camera.psf.fwhm, setup)
    encircled = camera.concentration(aperture.diameter)
    chip = nearest_chip(setup, *camera.scene.centre)
    return camera, imaging.predict(
        setup, chip, light, camera.psf, encircled, camera.brightest(), aperture, request.target.brightness
    )


def frames(
    ready: PreparedExposure, progress: Progress | None = None, rates: dict[int, NDArray[Any]] | None = None
) -> Iterator[tuple[Chip, NDArray[Any]] | fits.Image]:
    """Yield each chip's frame (ny, nx), one at a time: ADU, or electrons/s for the product "expected".

    Before it come the images that the request wants to keep of it, each only good until the next is asked for.

    ``rates`` is given the electrons/s of each chip, if there will be an S/N map of them.
    """
    request, setup = ready.request, ready.setup
    for done, number in enumerate(setup.chips):
        if progress:
            progress(done, len(setup.chips))
        chip = setup.detector.chip(number)
        draw = cache(partial(_draw, ready, chip))
        parts = steps.drawn(request.elvis, setup.detector)
        if rates is not None and etc_output.mapped(ready.series, setup):
            rates[number] = draw(steps.PARTS)  # the ETC knows no switches
        if request.elvis.product == "expected":
            yield chip, draw(parts)
            continue
        unit = partial(steps.unit, steps.sequence(setup.detector, request.elvis.order))
        for name, image in chain.develop(draw, setup, chip, setup.window, request, ready.prediction.count):
            yield etc_tables.kept(name, unit(name), chip, image) if name else (chip, image)
    if progress:
        progress(len(setup.chips), len(setup.chips))


def _draw(ready: PreparedExposure, chip: Chip, parts: frozenset[str]) -> NDArray[Any]:
    """Return some parts of the light on a chip, electrons/s."""
    if parts == steps.PARTS:
        return ready.imager.illuminate(chip, ready.setup.window)
    return ready.imager.illuminate(chip, ready.setup.window, parts)


def render(request: Request, out: BinaryIO, progress: Progress | None = None) -> tuple[str, ...]:
    """Write the FITS of a request to ``out`` and return what its user should know."""
    ready, rates = prepare(request), dict[int, NDArray[Any]]()
    drawn = frames(ready, progress, rates)
    fits.write(ready.request, ready.setup, ready.prediction, drawn, ready.notes, out, extensions(ready, rates))
    return ready.notes


def extensions(ready: PreparedExposure, rates: dict[int, NDArray[Any]]) -> Iterator[fits.Table | fits.Image]:
    """Yield what follows the frames; ``rates`` are those that `frames` has been given."""
    request, setup, camera = ready.request, ready.setup, ready.imager
    yield from truth.extensions(request, setup, camera.scene.sources)
    wanted = request.elvis.wavemap
    if wanted if wanted is not None else request.elvis.product == "expected":
        yield from _wavemap(ready)
    if not isinstance(ready.prediction, imaging.Exposed):
        yield from etc_tables.extensions(
            ready.series, request, setup, camera.light, camera.psf, ready.prediction, rates
        )


def _wavemap(ready: PreparedExposure) -> Iterator[fits.Image]:
    """Yield the map of wavelengths, of a spectrograph."""
    if isinstance(ready.imager, imager.Imager):
        return
    from elvis_cli.product import wavemap

    yield from wavemap.extensions(ready.imager, ready.setup)


def predict(request: Request) -> imaging.Prediction | spectroscopy.Prediction:
    """Return the ETC's prediction for a request.

    Raises
    ------
    RequestError
        It asks for a frame without a target.
    """
    prediction = prepare(request).prediction
    if isinstance(prediction, imaging.Exposed):
        raise RequestError("/elvis/calibration", "there is no target, so no signal-to-noise ratio")
    return prediction


def explain(request: Request) -> tuple[SourcedValue, ...]:
    """Return every number and table that rendering this request uses, with unit and source."""
    return configure(request).values


def warm() -> None:
    """Compile the kernels, so that the first real request does not wait for it."""
    import io
    import json

    from elvis_cli.request import parse

    galaxy = {"target": {"morphology": {"morphologytype": "extended", "extendedtype": "sersic"}}}
    crowd = {"elvis": {"catalogue": {**{key: [20.0] * 10 for key in ("x", "y", "mag")}, "radius": [0, 20] * 5}}}
    for name in registry.names():
        for scene in ({}, galaxy, crowd):
            document = registry.load(name).example()
            document["target"] |= scene.get("target", {})
            document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}, **scene.get("elvis", {})}
            render(parse.read(json.dumps(document)), io.BytesIO())
