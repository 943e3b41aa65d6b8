"""Calibration frames: what shines in the target's place, and what the frame is called.

A calibration changes the request and the Setup, and the frame is then made as any other. The light of the calibration
unit fills the aperture evenly behind the telescope: no atmosphere, no telescope, but the instrument's own heat. Its
brightness is that which fills a part of the full well in the brightest pixel, as an operator sets it; in flats for the
detector's linearity it does so in the mode's usual integration time.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.light import cells, illumination, lamps
from elvis_cli.light.budget import PhotonBudget
from elvis_cli.light.illumination import Illumination
from elvis_cli.light.uniform import UniformSource, background
from elvis_cli.model.calibration import POINTER, Calibration
from elvis_cli.model.elvis_block import Catalogue, Image
from elvis_cli.model.psf_model import DiffractionPsf
from elvis_cli.model.request import Brightness, Request, Sed, SkyConditions, Target
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Spectrograph
from elvis_cli.optics import occulted_star, pupil
from elvis_cli.scene import frame, spectrum
from elvis_cli.sky.resolved import ResolvedSky

UNIT = ("lines", "lamp", "pinholes", "pupil", "off")
"""Light that comes from the calibration unit."""
SKY_STAGES = ("ghosts", "faint_galaxies", "shutter")
"""Stages that are about the light of the sky."""


def arrange(request: Request, setup: Setup) -> tuple[Request, Setup]:
    """Return the request and the Setup of a calibration frame, both unchanged where none is taken.

    Raises
    ------
    RequestError
        The lamps have no line, or their cell absorbs nothing, in the band.
    """
    calibration = setup.calibration
    if calibration is None:
        return request, setup
    block = replace(request.elvis, scene=None, image=None, cube=None, motion=None, catalogue=None)
    if calibration.standard is not None:
        return replace(request, target=calibration.standard, elvis=block), setup
    if calibration.light == "lines":
        _check_lines(calibration, setup.optics.band)
    _check_cells(calibration, setup.optics.band)
    x, y = calibration.pinholes
    holes = Catalogue(x, y, (0.0,) * len(x))
    warm = next((lamp.temperature for lamp in calibration.lamps if lamp.temperature), 1000.0)
    target = Target(sed=Sed("blackbody", temperature=warm), brightness=Brightness(mag=0.0))
    truth = request.elvis.truth and calibration.light == "pinholes"
    block = replace(block, catalogue=holes, truth=truth, offset=(0.0, 0.0))
    if calibration.light == "pupil":
        block = replace(block, catalogue=None, image=_pupil_image(request, setup, calibration.pupil))
    dit = 0.0 if calibration.name == "bias" else setup.exposure.dit
    setup = replace(setup, exposure=replace(setup.exposure, count=setup.exposure.count or 1, dit=dit))
    if calibration.light not in ("sky", "twilight"):
        stages = {name: table for name, table in setup.detector.stages.items() if name not in SKY_STAGES}
        setup = replace(setup, detector=replace(setup.detector, stages=stages))
    if setup.spectrograph is not None:
        setup = replace(setup, spectrograph=_prepared(setup.spectrograph, calibration))
    return replace(request, target=target, elvis=block), setup


def _prepared(graph: Spectrograph, calibration: Calibration) -> Spectrograph:
    """Return a spectrograph whose fibres all see the light of the calibration, but for those that see nothing.

    The calibration unit lights each image of a calibration fibre as it does those of the object's, however many share
    the object's light. Only the sky is seen through the absorption cell of the science: a calibration through a cell
    has a lamp behind one.
    """
    shared = max((len(one.images) for one in graph.apertures if one.feed == "sky"), default=1)
    apertures = tuple(
        replace(one, feed="sky", transmission=one.transmission * len(one.images) / shared)
        if one.feed == "lamp"
        else one
        for one in graph.apertures
    )
    return replace(graph, apertures=apertures, lamps=(), cell=graph.cell if calibration.light == "sky" else "")


def _check_lines(calibration: Calibration, band: tuple[float, float]) -> None:
    """Raise if no line of the lamps is in the band, um."""
    low, high = band
    wave = np.concatenate([lamp.wave for lamp in calibration.lamps])
    if np.any((wave > low) & (wave < high)):
        return
    near = wave[np.abs(wave - (low + high) / 2).argmin()]
    raise _unfit(calibration, f"no line between {low:.4g} and {high:.4g} um, the nearest is at {near:.5g}")


def _check_cells(calibration: Calibration, band: tuple[float, float]) -> None:
    """Raise if an absorption cell of the lamps absorbs nothing in the band, um."""
    for lamp in calibration.lamps:
        if lamp.cell and not cells.absorbs(lamp.cell, band):
            raise _unfit(calibration, f"the cell absorbs nothing between {band[0]:.4g} and {band[1]:.4g} um")


def _unfit(calibration: Calibration, why: str) -> RequestError:
    """Return the error that the lamps of a calibration do not fit its band."""
    reason = f"{' + '.join(lamp.name for lamp in calibration.lamps)}: {why}"
    allowed = [each for each in calibration.offered if each != calibration.name]
    return RequestError(POINTER, reason, found=calibration.name, allowed=allowed)


def illuminate(request: Request, setup: Setup) -> tuple[Request, Illumination]:
    """Return the light of an exposure, of the target or of the calibration that `arrange` set up, and its request.

    Raises
    ------
    RequestError
        The target's spectrum cannot be scaled to its brightness.
    """
    calibration = setup.calibration
    if calibration is None or calibration.light == "star":
        return request, illumination.of_target(request, setup)
    request, setup = _behind_telescope(request, setup, calibration)
    light = illumination.of_target(request, setup)
    if calibration.light == "sky":
        return request, light
    if calibration.light == "none":
        dark = np.zeros_like(light.budget.wave)
        return request, _with(light, lamps.instead(light.budget, {"sky": dark}, setup))
    if calibration.light == "pinholes":
        request, light = _pinholes(request, light, calibration)
    if calibration.light == "pupil":
        request, light = _pupil(request, light, calibration)
    budget = light.budget
    shine = np.zeros_like(budget.wave)
    if calibration.light in ("lamp", "twilight"):
        shine = lamps.continuum(calibration.lamps, budget)
    most = lamps.brightest(shine, budget, setup)
    ratio = level(calibration, setup) / most if most > 0.0 else 1.0
    light = _with(light, lamps.instead(budget, {**budget.density, "sky": shine * ratio}, setup))
    if calibration.light == "twilight" and budget.resolved is not None:
        return request, _sunlit(light, budget, budget.resolved, ratio * lamps.behind_air(calibration.lamps, budget))
    if calibration.light == "lines":
        return request, _lines(light, calibration)
    return request, _filtered(light, calibration) if calibration.light == "lamp" else light


def _with(light: Illumination, budget: PhotonBudget) -> Illumination:
    """Return the light with another budget of sky and warm optics."""
    return replace(light, budget=budget, uniform=background(budget))


def _behind_telescope(request: Request, setup: Setup, calibration: Calibration) -> tuple[Request, Setup]:
    """Return request and Setup without atmosphere and telescope, for light from the calibration unit; else unchanged.

    Pinholes are seen by a perfect pupil of the telescope's shape, beside the mask of a coronagraph.
    """
    if calibration.light not in (*UNIT, "none"):
        return request, setup
    behind = tuple(surface for surface in setup.optics.surfaces if surface.group != "telescope")
    site = replace(setup.atmosphere.site, space=True, zodiacal=(99.0, 1.0), pressure=0.0)
    request = replace(request, sky=SkyConditions(airmass=1.0), elvis=replace(request.elvis, sky="local"))
    return request, replace(
        setup,
        optics=replace(setup.optics, surfaces=behind, coronagraph=None),
        atmosphere=replace(setup.atmosphere, site=site, airmass=1.0),
        psf=setup.psf if isinstance(setup.psf, DiffractionPsf) else DiffractionPsf(),
    )


def _pinholes(request: Request, light: Illumination, calibration: Calibration) -> tuple[Request, Illumination]:
    """Return the request and its light with pinholes that fill the brightest pixel as the lamp is to fill it."""
    target, setup = light.target, light.setup
    most = lamps.brightest_point(target.density, light.budget, setup)
    ratio = level(calibration, setup) / most if most > 0.0 else 1.0
    mag = -2.5 * math.log10(ratio)
    brightness = replace(request.target.brightness, mag=mag)
    holes = Catalogue(*calibration.pinholes, mag=(mag,) * len(calibration.pinholes[0]))
    request = replace(
        request,
        target=replace(request.target, brightness=brightness),
        elvis=replace(request.elvis, catalogue=holes),
    )
    return request, replace(light, target=replace(target, density=target.density * ratio, rate=target.rate * ratio))


def _pupil_image(request: Request, setup: Setup, diameter: float) -> Image:
    """Return the light of the telescope's pupil behind its mask or stop, upright on the detector.

    ``diameter`` (pixels) is that of its image.
    """
    optics = setup.optics
    if optics.coronagraph is None:
        passed, step = pupil.raster(optics.telescope, optics.pupil_mask)
    else:
        parts = occulted_star.operator(optics.telescope, optics.coronagraph)
        passed, step = np.asarray(parts.plain**2, float), parts.step
    scale = diameter * optics.pixel_scale * step / pupil.extent(optics.telescope)
    return Image(passed.astype("<f4").tobytes(), passed.shape, scale, frame.position_angle(request))


def _pupil(request: Request, light: Illumination, calibration: Calibration) -> tuple[Request, Illumination]:
    """Return the request and its light with a pupil whose open parts are as bright as the lamp is to make them."""
    target, image = light.target, request.elvis.image
    assert image is not None
    values = np.frombuffer(image.data, "<f4")
    share = float(values.max() / values.sum()) * (light.setup.optics.pixel_scale / image.scale) ** 2
    ratio = level(calibration, light.setup) / (target.rate * share)
    brightness = replace(request.target.brightness, mag=-2.5 * math.log10(ratio))
    request = replace(request, target=replace(request.target, brightness=brightness))
    return request, replace(light, target=replace(target, density=target.density * ratio, rate=target.rate * ratio))


def _lines(light: Illumination, calibration: Calibration) -> Illumination:
    """Return the light with the lines of the lamps in place of the sky, for a spectrograph."""
    wave, strength = lamps.lines(calibration.lamps, light.budget)
    most = lamps.brightest_line(wave, strength, light.setup)
    if most > 0.0:
        strength = strength * (level(calibration, light.setup) / most)
    comb = UniformSource("background", partial(spectrum.in_bins, wave, strength))
    return replace(light, uniform=(comb, *(source for source in light.uniform if source.part != "background")))


def _sunlit(light: Illumination, budget: PhotonBudget, sky: ResolvedSky, behind_air: Floats) -> Illumination:
    """Return the light with a twilight that has the lines of the Sun and of the air.

    ``behind_air`` (n,) is the twilight as it is detected but for the air's transmission, on the budget's wavelengths.
    """

    def density(edges: Floats) -> Floats:
        middle = (edges[1:] + edges[:-1]) / 2
        return np.interp(middle, budget.wave, behind_air, left=0.0, right=0.0) * sky.sunlit(edges)

    _, *others = light.uniform
    return replace(light, uniform=(UniformSource("background", density), *others))


def _filtered(light: Illumination, calibration: Calibration) -> Illumination:
    """Return the light with the lamp's continuum as its Fabry-Perot or absorption cell passes it."""
    filters = [lamp for lamp in calibration.lamps if lamp.etalon or lamp.cell]
    if not filters:
        return light
    background, *others = light.uniform
    passed = UniformSource(background.part, partial(lamps.filtered, filters, background.density))
    return replace(light, uniform=(passed, *others))


def level(calibration: Calibration, setup: Setup) -> float:
    """Return the electrons/s of the brightest pixel."""
    return calibration.fill * lamps.capacity(setup) / (calibration.time or setup.exposure.dit)
