"""Charge transfer inefficiency: traps that radiation has made catch electrons on their way to the amplifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import choice, number, numbers
from elvis_cli.detector import transfer
from elvis_cli.detector.stage import Stage, StageContext
from elvis_cli.detector.transfer import Traps


@dataclass(frozen=True, slots=True)
class Parameters:
    """CDM03 (Short et al. 2013) or ArCTIC (Massey et al. 2014); lists have an item for each species of traps.

    CDM03 needs cross-sections, volumes and the velocity, and densities per cm3; ArCTIC densities per pixel. Release
    times are in the unit of the transfer periods, which may be 1 for times in transfers.
    """

    model: str = choice(("cdm03", "arctic"), "how traps are filled")
    dose: float = number("", 0.0, 1e20, "factor on all densities, e.g. the dose in protons per cm2", 1.0)
    beta: float = number("", 0.0, 1.0, "exponent of the volume that a packet fills", 0.6)
    parallel_density: tuple[float, ...] = numbers("1/cm3 or 1/pixel", 0.0, 1e20, "traps along columns", ())
    parallel_tau: tuple[float, ...] = numbers("s", 1e-12, 1e9, "their release times", ())
    parallel_sigma: tuple[float, ...] = numbers("cm2", 0.0, 1.0, "their cross-sections", ())
    parallel_period: float = number("s", 1e-9, 1e6, "time of the transfer of a row", 1.0)
    parallel_well: float = number("electron", 1.0, 1e9, "full well of a pixel", 2e5)
    parallel_volume: float = number("cm3", 0.0, 1.0, "volume of a full packet", 0.0)
    serial_density: tuple[float, ...] = numbers("1/cm3 or 1/pixel", 0.0, 1e20, "traps along the register", ())
    serial_tau: tuple[float, ...] = numbers("s", 1e-12, 1e9, "their release times", ())
    serial_sigma: tuple[float, ...] = numbers("cm2", 0.0, 1.0, "their cross-sections", ())
    serial_period: float = number("s", 1e-9, 1e6, "time of the transfer of a pixel", 1.0)
    serial_well: float = number("electron", 1.0, 1e9, "full well of the register", 2e5)
    serial_volume: float = number("cm3", 0.0, 1.0, "volume of a full packet in the register", 0.0)
    velocity: float = number("cm/s", 0.0, 1e9, "thermal velocity of the electrons", 0.0)
    background: float = number("electron", 0.0, 1e6, "diffuse charge that fills traps and is not read", 0.0)
    notch: float = number("electron", -1e6, 1e6, "charge that fills no volume", 0.0)
    express: float = number("", 0.0, 1e5, "passes that stand for all transfers; 0 = one each", 1.0)

    def __post_init__(self) -> None:
        for way in ("parallel", "serial"):
            density, tau = getattr(self, f"{way}_density"), getattr(self, f"{way}_tau")
            if len(density) != len(tau):
                raise ValueError(f"{way}_density and {way}_tau must be equally long")
            if self.model == "cdm03" and density:
                if len(getattr(self, f"{way}_sigma")) != len(density):
                    raise ValueError(f"{way}_density and {way}_sigma must be equally long")
                if not (self.velocity > 0 and getattr(self, f"{way}_volume") > 0):
                    raise ValueError(f"cdm03 needs velocity and {way}_volume")

    def traps(self, way: str) -> Traps:
        """Return the traps of one direction, parallel or serial."""
        return Traps(
            model=self.model,
            density=self.dose * np.array(getattr(self, f"{way}_density")),
            tau=np.array(getattr(self, f"{way}_tau")),
            period=getattr(self, f"{way}_period"),
            beta=self.beta,
            well=getattr(self, f"{way}_well"),
            sigma=np.array(getattr(self, f"{way}_sigma")),
            velocity=self.velocity,
            volume=getattr(self, f"{way}_volume"),
            notch=self.notch,
            express=int(self.express),
        )


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Clock every quadrant to its amplifier: along its columns, then along the register."""
    ways = parameters.traps("parallel"), parameters.traps("serial")
    for area in context.areas(image):
        view = area.read_order(image)
        charge = np.add(view, parameters.background, dtype=np.float64, order="C")
        columns = np.ascontiguousarray(charge[:, area.prescan : area.prescan + area.nx])
        transfer.clock(columns, transfer.parallel_transfers(area, len(charge)), ways[0], along_rows=False)
        charge[:, area.prescan : area.prescan + area.nx] = columns
        transfer.clock(charge, transfer.serial_transfers(area, charge.shape[1]), ways[1], along_rows=True)
        view[...] = charge - parameters.background
    return image


STAGE = Stage("cti", "charge transfer inefficiency: trails behind bright pixels", Parameters, image=apply)
