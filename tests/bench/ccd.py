"""ELVIS beside Pyxel (PyPI): charge transfer after CDM03 and a detector chain, on one quadrant of 2048 x 2048 pixels.

Both do the same stage on the same array in a process of their own, one thread, after a first time on a small array that
compiles; the time is that of the stage, the memory that of the process.

Charge transfer: three species of traps along the columns, three along the register (the numbers below), from the same
charge. Both have the same equations (Short et al. 2013), so the electrons that they move are compared.
Chain: Poisson noise of the photons, quantum efficiency 1 (no binomial draws), full well, read noise, gain and an ADC of
16 bits. ELVIS has its stages shot_noise, full_well, read_noise, gain, bias and adc; Pyxel's models are shot_noise,
simple_conversion, simple_collection, simple_full_well, simple_measurement, output_node_noise, simple_amplifier and
simple_adc. ELVIS draws deviates of its own for each pixel, in 32 bits; Pyxel has numpy's, in 64. Its ADC
cuts where ours rounds: half an ADU.

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
PYXEL = ("pyxel-sim",)
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
NOISE, GAIN, BITS = 4.5, 3.0, 16
STAGES = "shot_noise", "full_well", "read_noise", "gain", "bias", "adc"
SCRIPT = """
import json, sys, time
import numpy as np
from pyxel.detectors import CCD, CCDGeometry, Characteristics, Environment
from pyxel.models import (charge_collection, charge_generation, charge_measurement, charge_transfer, photon_collection,
                          readout_electronics)

job = json.load(open(sys.argv[1]))
image = np.load(job["image"])

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

stage = {"transfer": clocked, "chain": developed}[job["stage"]]
stage(image[:16, :16])
begin = time.process_time()
result = stage(image)
print("seconds", time.process_time() - begin)
np.save(job["result"], result)
"""


def clocked(image: np.ndarray) -> np.ndarray:
    """Return the charge of a quadrant after its transfers."""
    charge = image.astype(float)
    for way, species in SPECIES.items():
        lists = {name: np.array(species[name]) for name in ("tau", "density", "sigma")}
        traps = Traps(model="cdm03", **lists, period=species["period"], beta=BETA, well=WELL, velocity=VELOCITY,
                      volume=VOLUME, notch=0.0, express=1)  # fmt: skip
        along = way == "serial"
        transfer.clock(charge, np.arange(1.0, image.shape[along] + 1), traps, along_rows=along)
    return charge


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
    stage = {"transfer": clocked, "chain": developed}[job["stage"]]
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
    if stage == "transfer":
        moved = np.abs(own - image).sum()
        return f"of the charge moved {np.abs(own - other).sum() / moved:.1e} is elsewhere"
    text = (f"{name} {each.mean():.2f} +- {each.std():.2f} ADU" for name, each in (("ELVIS", own), ("Pyxel", other)))
    return ", ".join(text)


def main() -> None:
    """Print rows."""
    rng = np.random.default_rng(5)
    image = rng.poisson(150.0, (SIDE, SIDE)).astype(float)
    image[rng.integers(0, SIDE, 2000), rng.integers(0, SIDE, 2000)] = 3e4
    job = {"species": SPECIES, "beta": BETA, "well": WELL, "volume": VOLUME, "temperature": TEMPERATURE, "mass": MASS,
           "noise": NOISE}  # fmt: skip
    with tempfile.TemporaryDirectory() as name, measure.skipping("Pyxel"):
        folder = Path(name)
        np.save(folder / "image.npy", image)
        (folder / "run.py").write_text(SCRIPT)
        for stage in ("transfer", "chain"):
            floor, results, argv = measure.floor(), {}, {}
            for who, start in (
                ("ELVIS", [sys.executable, "-m", "tests.bench.ccd"]),
                ("Pyxel", [measure.peer("pyxel", *PYXEL), str(folder / "run.py")]),
            ):
                paths = {"image": str(folder / "image.npy"), "result": str(folder / f"{who}.npy"), "stage": stage}
                (folder / f"{who}.json").write_text(json.dumps({**job, **paths}))
                argv[who] = [*start, str(folder / f"{who}.json")]
                results[who] = timed(argv[who], folder)
            deviates = floor._replace(imports=0.0)
            measure.row(f"{stage} of {SIDE} x {SIDE}: ELVIS", results["ELVIS"], deviates, SIDE**2)
            frames = (np.load(folder / f"{who}.npy") for who in results)
            remark = (
                f"{results['Pyxel'].cpu / results['ELVIS'].cpu:.1f} times ELVIS; {difference(stage, image, *frames)}"
            )
            measure.row("    Pyxel", results["Pyxel"], deviates, SIDE**2, remark)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ours(json.loads(Path(sys.argv[1]).read_text()))
    else:
        main()
