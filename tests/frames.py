"""A small infrared mosaic and a small CCD, to write frames with."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from elvis_cli.base.curve import Curve
from elvis_cli.model.atmosphere import Atmosphere, Site, Turbulence
from elvis_cli.model.detector import Chip, Detector
from elvis_cli.model.elvis_block import ElvisBlock, Window
from elvis_cli.model.exposure import Exposure
from elvis_cli.model.psf_model import SeeingPsf
from elvis_cli.model.request import ImageQuality, Request, SkyConditions, Target, Timing
from elvis_cli.model.setup import Frame, Goal, Optics, Setup
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.model.telescope import Telescope
from elvis_cli.product import fits

PLACES: tuple[tuple[float, float, int], ...] = (
    *((-63.94, 63.94, 0), (0, 63.94, 90), (63.94, 63.94, 180), (67.94, 0, 270), (0, 0, 0)),
    *((-63.94, 0, 90), (-63.94, -63.94, 0), (0, -63.94, 180), (63.94, -63.94, 270)),
)


@dataclass(frozen=True)
class StandIn:
    """Takes the place of an imager's prediction."""

    count: int = 3
    snr: float | None = 12.5
    snr_single: float = 7.2
    notes: tuple[str, ...] = ()

    def cards(self) -> list[tuple[str, object, str]]:
        return [
            ("ESO SIM SNR", np.float64(12.5), "predicted S/N of an exposure, with a comment that cannot possibly fit"),
            ("ESO SIM PEAK SATUR", False, "brightest pixel above the full well"),
            ("SIM SKY ELEC", float("inf"), "not a FITS number"),
        ]


def _setup(
    kind: str = "ir",
    *,
    window: Window | None = None,
    chips: tuple[int, ...] | None = None,
    airmass: float = 1.2,
    **changes: Any,
) -> Setup:
    ir = kind == "ir"
    places = PLACES if ir else ((0, 15.6, 0), (0.03, -15.6, 0.08))
    detector = Detector(
        name="H4RG-15" if ir else "MIT",
        kind=kind,
        nx=4096,
        ny=4096 if ir else 2048,
        pixel_mm=0.015,
        binning=1,
        full_well=1e5,
        bias=200.0,
        adc_max=65535.0,
        qe=Curve(np.array([0.3, 3.0]), np.array([0.9, 0.9])),
        chips=tuple(
            Chip(n, f"DET{n}.IMG" if ir else f"CHIP{n}", x, y, float(angle), 2.0, 12.0, 0.1)
            for n, (x, y, angle) in enumerate(places, start=1)
        ),
        stages={},
    )
    site = Site("Armazones", -24.589, -70.192, 3046.0, 280.0, 712.0, 0.15)
    setup = Setup(
        instrument="micado" if ir else "fors",
        mode="img_4mas_scao",
        optics=Optics(
            telescope=Telescope("ELT", 978.0, 38.5, 11.0, 0.5, (0.0, 60.0)),
            surfaces=(),
            band=(2.0, 2.3),
            filter_name="Ks",
            filter_centre=2.15,
            pixel_scale=0.004,
            plate_scale=0.004 / 0.015,
        ),
        atmosphere=Atmosphere(site, Turbulence((0.0,), (1.0,), (10.0,), 25.0), seeing=0.67, airmass=airmass),
        psf=SeeingPsf(),
        detector=detector,
        exposure=Exposure(dit=60.0, count=3, count_key="DET.NDIT", infrared=ir),
        frame=Frame(window or Window(2016, 1000, 64, 48), ((5,) if ir else (1, 2)) if chips is None else chips),
        goal=Goal(),
        header={"ESO INS FILT1 NAME": ("Ks", "filter"), "INSTRUME": "MICADO" if ir else "FORS2"},
        values=(SourcedValue("detector.ron", 12.0, "electron", "irdb: µ-electronics", assumed=True),),
    )
    return replace(setup, **changes)


def _request(document: dict[str, Any] | None = None, airmass: float = 1.2, **elvis_block: Any) -> Request:
    return Request(
        instrument="micado",
        generation=3,
        target=Target(),
        sky=SkyConditions(airmass=airmass),
        image_quality=ImageQuality(),
        keys={"INS.FILT2.NAME": "open", "ins_configuration": "img_4mas_scao"},
        timing=Timing(60.0, 3),
        output={},
        elvis=ElvisBlock(**elvis_block),
        document={"instrumentName": "micado", "elvis": {"seed": 7}} if document is None else document,
        warnings=("/target/colour: not known",),
    )


def _pixels(setup: Setup) -> Iterable[tuple[Chip, Any]]:
    shape = (setup.frame.window.ny, setup.frame.window.nx)
    for number in setup.frame.chips:
        rng = np.random.default_rng(number)
        if setup.detector.kind == "ccd":
            yield setup.detector.chip(number), rng.integers(0, 65536, shape, dtype=np.uint16)
        else:
            yield setup.detector.chip(number), rng.normal(100.0, 10.0, shape).astype(np.float32)


def _written(request: Request, setup: Setup, notes: Iterable[str] = ("the sky is assumed",), count: int = 3) -> bytes:
    out = io.BytesIO()
    fits.write(request, setup, StandIn(count), _pixels(setup), tuple(notes), out)
    return out.getvalue()


@pytest.fixture
def setup() -> Callable[..., Setup]:
    return _setup


@pytest.fixture
def request_for() -> Callable[..., Request]:
    return _request


@pytest.fixture
def pixels() -> Callable[[Setup], Iterable[tuple[Chip, Any]]]:
    return _pixels


@pytest.fixture
def prediction() -> StandIn:
    return StandIn()


@pytest.fixture
def written() -> Callable[..., bytes]:
    return _written
