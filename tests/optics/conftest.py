"""Setups made by hand: a telescope, an atmosphere and an AO system, nothing else that a PSF needs."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from elvis_cli.base.curve import Curve
from elvis_cli.focalplane import many_stars
from elvis_cli.instrument import telescopes
from elvis_cli.model.atmosphere import Site, Turbulence
from elvis_cli.model.detector import Detector
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.psf_model import AoPsf, GaussianPsf, SeeingPsf
from elvis_cli.model.setup import Setup
from elvis_cli.model.telescope import AoSystem, Telescope
from elvis_cli.optics.psf_types import Psf
from tests import setups

DATA = files("elvis_instruments")
SIX = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
ELT = Telescope("ELT", 978.0, 37.3, 10.9, 0.29, SIX, (1.22, 5.1, 18.85))
VLT = Telescope("VLT", 49.0, 8.0, 1.116, 0.04, (50.5, 129.5, 230.5, 309.5), mirror=8.2)


def read(*path: str) -> dict[str, Any]:
    return tomllib.loads(DATA.joinpath(*path).read_text("utf-8"))


def turbulence(site: str, profile: str = "median") -> Turbulence:
    table = read("_sites", f"{site}_turbulence.toml")
    layers = table["profiles"][profile]
    weight = np.array(layers["weight"]) / sum(layers["weight"])
    return Turbulence(tuple(layers["height"]), tuple(weight), tuple(layers["wind"]), table["outer_scale"]["value"])


def system(name: str) -> AoSystem:
    found = {key: v if isinstance(v, str) else v["value"] for key, v in read("micado", "ao.toml")[name].items()}
    return AoSystem(**{key: telescopes.frozen(v) for key, v in found.items()})


@pytest.fixture(scope="session")
def make() -> Callable[..., Setup]:
    """Return a factory: ``make("scao", seeing=1.0)``; names of AO systems, "seeing" or "gaussian"."""

    def factory(kind: str = "scao", telescope: str = "ELT", **changes: Any) -> Setup:
        curve = Curve(np.array([0.3, 30.0]), np.ones(2))
        elt = telescope == "ELT"
        magnitude = 10.0 if kind == "scao" else 10.7
        models = {"gaussian": GaussianPsf(), "seeing": SeeingPsf()}
        setup = setups.make(
            instrument="none",
            mode="none",
            site=Site("none", -24.6, -70.2, 3060.0, 280.0, 700.0, 0.1),
            telescope=ELT if elt else VLT,
            surfaces=(),
            band=(0.3, 2.5),
            filter_name="none",
            filter_centre=0.557,
            pixel_scale=0.004 if elt else 0.125,
            plate_scale=0.2667,
            detector=Detector("none", "ir", 4096, 4096, 0.015, 1, 1e5, 0.0, 65535.0, curve, (), {}),
            psf=models[kind] if kind in models else AoPsf(system(kind), magnitude),
            seeing=0.67 if elt else 0.8,
            airmass=1.1547,
            turbulence=turbulence("armazones" if elt else "paranal"),
            dit=10.0,
            count=1,
            count_key="NDIT",
            window=Window(0, 0, 1024, 1024),
            chips=(1,),
            header={},
        )
        return setups.change(setup, **changes)

    return factory


@pytest.fixture(scope="session")
def build() -> Callable[..., Psf]:
    """Return ``psf.build`` with the conditions of the published MICADO figures and places as (x, y) pairs."""

    def run(setup: Setup, *wave: float, at: Any = ((0.0, 0.0),), airmass: float = 1.1547) -> Psf:
        weight = np.full(len(wave), 1.0 / len(wave))
        return many_stars.psf_at(setups.change(setup, airmass=airmass), np.array(wave), weight, np.array(at, float))

    return run
