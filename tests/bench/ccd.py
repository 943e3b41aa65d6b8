"""ELVIS beside Pyxel and arcticpy (PyPI) on one quadrant of 2048 x 2048 pixels: charge transfer, and a detector chain.

Both do the same stage on the same array in a process of their own, one thread, after a first time on a small array that
compiles; the time is that of the stage, the memory that of the process. The floor is numpy's: a normal and a Poisson
deviate for each pixel.

CDM03: charge transfer, three species of traps along the columns, three along the register (the numbers below), from the
same charge. Pyxel has the same equations (Short et al. 2013), so the electrons that they move are compared.
ArCTIC: the same with the trap by trap scheme of Massey et al. 2014, two species each way, by arcticpy, its source. It
has to be compiled, which takes GSL's headers (Debian: libgsl-dev); without them the row says so.
Chain, beside Pyxel: Poisson noise of the photons, quantum efficiency 1 (no binomial draws), full well, read noise, gain
and an ADC of 16 bits. ELVIS has its stages shot_noise, full_well, read_noise, gain, bias and adc; Pyxel's models are
shot_noise, simple_conversion, simple_collection, simple_full_well, simple_measurement, output_node_noise,
simple_amplifier and simple_adc. ELVIS draws deviates of its own for each pixel, in 32 bits; Pyxel has numpy's, in 64.
Its ADC cuts where ours rounds: half an ADU.

    python -m tests.bench.ccd
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.detector import chain, transfer
from elvis_cli.detector.transfer import Traps
from tests.bench import measure
from tests.detector.conftest import exposure

SIDE = 2048
PEERS = {"CDM03": "Pyxel", "ArCTIC": "arcticpy", "chain": "Pyxel"}
"""By stage."""
INSTALLED = {"Pyxel": ("pyxel-sim",), "arcticpy": ("arcticpy==2.6", "matplotlib", "scipy")}
"""Packages that pip installs for a peer; arcticpy imports more than it asks for."""
ONE_THREAD = {"ELVIS_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TEMPERATURE, MASS = 153.0, 0.5
"""K; effective mass of an electron in silicon, in units of its mass. They give the thermal velocity."""
VELOCITY = float(np.sqrt(3 * 1.380649e-23 * TEMPERATURE / (MASS * 9.1093837e-31))) * 100
"""cm/s."""
SPECIES: dict[str, dict[str, Any]] = {
    "parallel": {
        "tau": [3e-3, 3e-2, 1.0], "density": [6e8, 1e9, 4e8], "sigma": [2e-15, 2e-15, 2e-15], "period": 9.4722e-3,
    },
    "serial": {
        "tau": [2e-8, 1e-6, 1e-4], "density": [1e9, 2e9, 4e8], "sigma": [6e-14, 1.1e-14, 5e-12], "period": 4.75e-6,
    },
}  # fmt: skip
"""Release times (s), densities (1/cm3), cross-sections (cm2) and the time of a transfer (s)."""
BETA, WELL, VOLUME = 0.6, 2e5, 6e-11
LEVELS = {
    "parallel": {"tau": [1.25, 4.4], "density": [0.13, 0.25]},
    "serial": {"tau": [0.8, 4.0], "density": [0.0442, 0.1326]},
}
"""ArCTIC's release times (transfers) and densities (per pixel)."""
EXPRESS = 5
"""Passes of ArCTIC that stand for all transfers."""
NOISE, GAIN, BITS = 4.5, 3.0, 16
STAGES = "shot_noise", "full_well", "read_noise", "gain", "bias", "adc"
RUN = """
import json, sys, time
import numpy as np

job = json.load(open(sys.argv[1]))
image = np.load(job["image"])
stage = STAGES[job["stage"]]
stage(image[:16, :16])
begin = time.process_time()
result = stage(image)
print("seconds", time.process_time() - begin)
np.save(job["result"], result)
"""
"""End of a peer's script: one of its stages on the array, and its processor seconds."""
ARCTICPY_STAGES = """
import arcticpy

def trailed(image):
    made = {}
    for way, species in job["levels"].items():
        made[way + "_traps"] = [
            arcticpy.TrapInstantCapture(density=density, release_timescale=tau)
            for tau, density in zip(species["tau"], species["density"])]
        made[way + "_ccd"] = arcticpy.CCD(
            full_well_depth=job["well"], well_notch_depth=0.0, well_fill_power=job["beta"])
        made[way + "_roe"] = arcticpy.ROE()
        made[way + "_express"] = job["express"]
    return arcticpy.add_cti(image, verbosity=0, **made)

STAGES = {"ArCTIC": trailed}
"""
PYXEL_STAGES = """
import numpy as np
from pyxel.detectors import CCD, CCDGeometry, Characteristics, Environment
from pyxel.models import (charge_collection, charge_generation, charge_measurement, charge_transfer, photon_collection,
                          readout_electronics)

def detector(shape):
    return CCD(
        geometry=CCDGeometry(row=shape[0], col=shape[1], pixel_vert_size=12.0, pixel_horz_size=12.0),
        environment=Environment(temperature=job["temperature"]),
        characteristics=Characteristics(
            quantum_efficiency=1.0, pre_amplification=10.0,
            full_well_capacity=job["well"], adc_bit_resolution=16, adc_voltage_range=(0.0, 65535 * 3 * 1e-5)))

def clocked(image):
    ccd = detector(image.shape)
    ccd.pixel.array = image.copy()
    for way, species in job["species"].items():
        charge_transfer.cdm(
            ccd, direction=way, beta=job["beta"], trap_release_times=species["tau"], trap_densities=species["density"],
            sigma=species["sigma"], full_well_capacity=job["well"], max_electron_volume=job["volume"],
            transfer_period=species["period"], charge_injection=False, electron_effective_mass=job["mass"])
    return ccd.pixel.array

def developed(image):
    ccd = detector(image.shape)
    ccd.photon.array = image.copy()
    photon_collection.shot_noise(ccd, type="poisson", seed=1)
    charge_generation.simple_conversion(ccd, quantum_efficiency=1.0, binomial_sampling=False)
    charge_collection.simple_collection(ccd)
    charge_collection.simple_full_well(ccd)
    charge_measurement.simple_measurement(ccd, gain=1e-6)
    charge_measurement.output_node_noise(ccd, std_deviation=job["noise"] * 1e-6, seed=1)
    readout_electronics.simple_amplifier(ccd)
    readout_electronics.simple_adc(ccd)
    return ccd.image.array

STAGES = {"CDM03": clocked, "chain": developed}
"""
SCRIPTS = {"Pyxel": PYXEL_STAGES + RUN, "arcticpy": ARCTICPY_STAGES + RUN}


def moved(image: np.ndarray, traps: dict[str, dict[str, Any]], **common: Any) -> np.ndarray:
    """Return the charge of a quadrant after its transfers through traps along its columns, then along its rows."""
    charge = image.astype(float)
    for way, species in traps.items():
        lists = {name: np.array(value) if isinstance(value, list) else value for name, value in species.items()}
        along = way == "serial"
        transfers = np.arange(1.0, image.shape[along] + 1)
        transfer.clock(charge, transfers, Traps(**lists, beta=BETA, well=WELL, notch=0.0, **common), along_rows=along)
    return charge


def clocked(image: np.ndarray) -> np.ndarray:
    """Return the charge after its transfers by the equations of CDM03."""
    return moved(image, SPECIES, model="cdm03", velocity=VELOCITY, volume=VOLUME, express=1)


def trailed(image: np.ndarray) -> np.ndarray:
    """Return the charge after its transfers by the scheme of ArCTIC."""
    unused = {"sigma": np.zeros(0), "velocity": 0.0, "volume": 0.0}
    return moved(image, LEVELS, model="arctic", period=1.0, express=EXPRESS, **unused)


def developed(image: np.ndarray) -> np.ndarray:
    """Return ADU of a map of electrons."""
    block = {"stages": STAGES, "seed": 1}
    changes = {"kind": "ccd", "nx": SIDE, "ny": SIDE, "full_well": WELL, "bias": 0.0, "stages": {}}
    return chain.expose(
        image.astype(np.float32), *exposure(image.shape, dit=1.0, gain=GAIN, ron=NOISE, elvis_block=block, **changes)
    )


def ours(job: dict[str, Any]) -> None:
    """Do a stage in this process, as the peer's script does."""
    parallel.set_threads(1)
    image = np.load(job["image"])
    stage = {"CDM03": clocked, "ArCTIC": trailed, "chain": developed}[job["stage"]]
    stage(image[:16, :16])
    begin = time.process_time()
    result = stage(image)
    print("seconds", time.process_time() - begin)
    np.save(job["result"], result)


def timed(argv: list[str], folder: Path) -> measure.Used:
    """Return the seconds of the stage, as the process prints them, and the peak of the process."""
    with (folder / "said").open("w+") as said:
        used = measure.watch(argv, ONE_THREAD, stdout=said)
        said.seek(0)
        return measure.Used(float(said.read().split("seconds")[-1]), used.memory)


def difference(stage: str, image: np.ndarray, own: np.ndarray, other: np.ndarray) -> str:
    """Return how the results differ, as text."""
    if stage != "chain":
        share = np.abs(own - other).sum() / np.abs(own - image).sum()
        return f"of the charge moved {share:.1e} is elsewhere"
    ours, theirs = (f"{each.mean():.2f} +- {each.std():.2f} ADU" for each in (own, other))
    return f"{theirs}, ELVIS {ours}"


def main() -> None:
    """Print rows."""
    measure.head(__doc__)
    rng = np.random.default_rng(5)
    image = rng.poisson(150.0, (SIDE, SIDE)).astype(float)
    image[rng.integers(0, SIDE, 2000), rng.integers(0, SIDE, 2000)] = 3e4
    job = {"species": SPECIES, "beta": BETA, "well": WELL, "volume": VOLUME, "temperature": TEMPERATURE, "mass": MASS,
           "noise": NOISE, "levels": LEVELS, "express": EXPRESS}  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "image.npy", image)
        for stage, peer in PEERS.items():
            limit = measure.floor().deviates * SIDE**2
            own, made = one(stage, [sys.executable, "-m", "tests.bench.ccd"], job, folder)
            measure.row(f"{stage} of {SIDE} x {SIDE}: ELVIS", own, limit)
            with measure.skipping(f"    {peer}"):
                python = measure.peer(peer.lower(), *INSTALLED[peer])
                (folder / "run.py").write_text(SCRIPTS[peer])
                other, theirs = one(stage, [python, str(folder / "run.py")], job, folder)
                remark = f"{other.cpu / own.cpu:.1f} times ELVIS; {difference(stage, image, made, theirs)}"
                measure.row(f"    {peer}", other, limit, remark)


def one(stage: str, start: list[str], job: dict[str, Any], folder: Path) -> tuple[measure.Used, np.ndarray]:
    """Return processor seconds and memory of a stage in a process of its own, and its result."""
    text, result = folder / "job.json", folder / "result.npy"
    paths = {"image": str(folder / "image.npy"), "result": str(result), "stage": stage}
    text.write_text(json.dumps({**job, **paths}))
    used = timed([*start, str(text)], folder)
    return used, np.load(result)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ours(json.loads(Path(sys.argv[1]).read_text()))
    else:
        main()
