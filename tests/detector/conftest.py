"""Fixtures: a detector made by hand, and a short way to expose it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from elvis_cli.base.curve import Curve
from elvis_cli.detector import chain
from elvis_cli.model.atmosphere import Site, Turbulence
from elvis_cli.model.detector import Chip, Detector, Quadrant
from elvis_cli.model.elvis_block import ElvisBlock, Window
from elvis_cli.model.psf_model import GaussianPsf
from elvis_cli.model.setup import Setup
from elvis_cli.model.telescope import Telescope
from tests import setups

TRACKS = {"rate": 0.05, "probability": [0, 0.5, 1], "length": [2, 20, 600], "energy": [400, 2500, 60000]}
STAGES: Mapping[str, Mapping[str, Any]] = {
    "flat_field": {"rms": 0.02},
    "hot_pixels": {"fraction": 0.001, "low": 1, "high": 100},
    "dead_pixels": {"fraction": 0.001},
    "cosmic_rays": TRACKS,
    "nonlinearity": {"beta": 6e-7},
}


def detector(kind: str = "ir", **changes: Any) -> Detector:
    """Return a detector of four chips; ``changes`` are attributes of it."""
    one = np.array([1.0])
    chips = tuple(Chip(n, f"CHIP{n}", 0, 0, 0, gain=2.0, ron=12.0, dark=0.1) for n in (1, 2, 3, 4))
    base = Detector(
        name="H4RG",
        kind=kind,
        nx=2048,
        ny=2048,
        pixel_mm=0.015,
        binning=1,
        full_well=120000.0,
        bias=1000.0,
        adc_max=65535.0,
        qe=Curve(one, one),
        chips=chips,
        stages=STAGES,
    )
    return replace(base, **changes)


def exposure(
    shape: tuple[int, ...],
    *,
    kind: str = "ir",
    dit: float = 10.0,
    count: int = 1,
    chip: int = 1,
    x0: int = 0,
    y0: int = 0,
    ron: float | None = None,
    gain: float | None = None,
    dark: float | None = None,
    elvis_block: dict[str, Any] | None = None,
    **changes: Any,
) -> tuple[Setup, Chip, ElvisBlock]:
    """Return the arguments of the detector chain; ``elvis_block`` are keys of the block, others those of Detector."""
    array = detector(kind, **changes)
    own: dict[str, Any] = {k: v for k, v in (("ron", ron), ("gain", gain), ("dark", dark)) if v is not None}
    window = Window(x0, y0, shape[1], shape[0])
    setup = setups.make(
        instrument="test",
        mode="imaging",
        site=Site("here", 0, 0, 0, 283, 750, 0.1),
        telescope=Telescope("tube", 1, 1, 0, 0, ()),
        surfaces=(),
        band=(1.0, 2.0),
        filter_name="open",
        filter_centre=1.5,
        pixel_scale=0.1,
        plate_scale=1.0,
        detector=array,
        psf=GaussianPsf(),
        seeing=0.8,
        airmass=1.0,
        turbulence=Turbulence((0,), (1,), (10,), 25),
        dit=dit,
        count=count,
        count_key="DET.NDIT",
        infrared=kind == "ir",
        number=(elvis_block or {}).get("exposure", 1),
        window=window,
        chips=(chip,),
        header={},
    )
    return setup, replace(array.chip(chip), **own), ElvisBlock(**(elvis_block or {}))


def expose(rate: ArrayLike, **changes: Any) -> NDArray[Any]:
    """Expose an array of rates (a window of the chip at x0, y0)."""
    rate = np.asarray(rate, np.float32)
    return chain.expose(rate, *exposure(rate.shape, **changes))


@pytest.fixture(name="expose")
def expose_fixture() -> Callable[..., NDArray[Any]]:
    return expose


@pytest.fixture
def develop() -> Callable[..., dict[str | None, NDArray[Any]]]:
    """Return the images that are kept by the names of their stages, the frame under None."""

    def run(draw: Any, shape: tuple[int, int], **changes: Any) -> dict[str | None, NDArray[Any]]:
        return {name: image.copy() for name, image in chain.develop(draw, *exposure(shape, **changes))}

    return run


@pytest.fixture(name="detector")
def detector_fixture() -> Callable[..., Detector]:
    return detector


@pytest.fixture
def ccd() -> Callable[..., dict[str, Any]]:
    """Return the changes that make a CCD of the detector: four quadrants of nx x ny pixels, read to the corners."""

    def make(
        nx: int = 32,
        ny: int = 40,
        prescan: int = 5,
        overscan: int = 7,
        rows: int = 6,
        own: tuple[dict[str, Any], ...] = ({}, {}, {}, {}),
        **changes: Any,
    ) -> dict[str, Any]:
        places = (("E", 0, 0, "bottom-left"), ("F", nx, 0, "bottom-right"),
                  ("G", nx, ny, "top-right"), ("H", 0, ny, "top-left"))  # fmt: skip
        quadrants = tuple(
            Quadrant(name, x, y, nx, ny, corner, prescan, overscan, rows, **figures)
            for (name, x, y, corner), figures in zip(places, own, strict=True)
        )
        return {"kind": "ccd", "nx": 2 * nx, "ny": 2 * ny, "quadrants": quadrants, "stages": {}} | changes

    return make
