"""The point-spread function as TIPTOP computes it (Neichel et al. 2020, SPIE 11448), for who has installed it.

TIPTOP (astro-tiptop, the extra ``elvis-cli[tiptop]``) runs in a process of its own: it takes seconds to import, prints
to stdout, and reads its parameters from a file.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.model.elvis_block import PsfCube
from elvis_cli.model.psf_model import AoPsf, adaptive_optics
from elvis_cli.model.setup import Setup
from elvis_cli.optics.ao.tilt import light
from elvis_cli.optics.ao.tomography import EDGE

PATIENCE = 1200.0
"""s."""
SIZE = 512
"""Elements across the PSF."""
RUN = (
    "import sys; from tiptop.tiptop import overallSimulation; "
    "overallSimulation(sys.argv[1], 'elvis', sys.argv[1], 'psf', exactMultiWavelengthPSD=True)"
)


def cube(setup: Setup, target: tuple[float, float]) -> PsfCube:
    """Return TIPTOP's PSF at ``target`` (x, y; arcsec in the field), at three wavelengths of the passband.

    Raises
    ------
    RequestError
        The mode has no adaptive optics that TIPTOP knows.
    ResourceError
        TIPTOP is not installed, or fails.
    """
    ao = adaptive_optics(setup.psf)
    if ao is None or ao.system.kind == "glao":
        raise RequestError("/elvis/psf", "TIPTOP is for modes with adaptive optics: scao, ltao, mcao", found="tiptop")
    if importlib.util.find_spec("tiptop") is None:
        raise ResourceError("TIPTOP is not installed: pip install 'elvis-cli[tiptop]'", package="astro-tiptop")
    wave = wavelengths(setup)
    text = parameters(setup, ao, target, wave)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "elvis.ini").write_text(text, "utf-8")
        # TIPTOP joins names with + and wants the closing slash
        command = [sys.executable, "-c", RUN, f"{folder}/"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise ResourceError(f"TIPTOP has not answered within {PATIENCE:g} s", package="astro-tiptop") from None
        made = Path(folder) / "psf.fits"
        if done.returncode or not made.is_file():
            last = (done.stderr.strip().splitlines() or ["it wrote no PSF"])[-1]
            raise ResourceError(f"TIPTOP failed: {last[:300]}", package="astro-tiptop")
        return _read(made, wave)


def _read(path: Path, wave: Floats) -> PsfCube:
    from astropy.io import fits

    with fits.open(path) as hdus:
        data, scale = np.asarray(hdus[1].data, "<f4"), float(hdus[1].header["PIX_MAS"]) * 1e-3
    data = data.reshape(-1, *data.shape[-2:])  # one source: (wavelengths, 1, y, x) or (1, y, x)
    if len(data) != len(wave):
        raise ResourceError(f"TIPTOP wrote {len(data)} images, not {len(wave)}", package="astro-tiptop")
    return PsfCube(np.ascontiguousarray(data).tobytes(), (len(data), *data.shape[1:]), scale, tuple(wave.tolist()))


def wavelengths(setup: Setup) -> Floats:
    """Return three wavelengths (um) that stand for the passband: its mean and what spans its width."""
    grid = np.linspace(*setup.optics.band, 2000)
    passed = np.prod([surface.throughput.at(grid) for surface in setup.optics.surfaces], axis=0) * setup.detector.qe.at(
        grid
    )
    passed = passed / passed.sum()
    mean = float(passed @ grid)
    spread = math.sqrt(float(passed @ (grid - mean) ** 2))
    return np.array([mean - 1.3 * spread, mean, mean + 1.3 * spread])


def parameters(setup: Setup, psf: AoPsf, target: tuple[float, float], wave: Floats) -> str:
    """Return TIPTOP's parameter file for a PSF at ``target`` (arcsec) and the wavelengths ``wave`` (um)."""
    ao, telescope = psf.system, setup.optics.telescope
    guide = np.array(psf.guide)
    sensor = telescope.diameter / ao.subapertures
    nyquist = float(wave.min()) * 1e-6 / (2 * telescope.diameter) / ARCSEC
    high = np.array([_on_circle(ao.asterism_radius, i, ao.lasers) for i in range(ao.lasers)]) if ao.lasers else guide
    count = max(ao.lasers, 1)
    photons = ao.laser_photons if ao.lasers else light(ao, psf.guide_star_mag) * sensor**2 / ao.rate
    pitches = ao.dm_pitches or (ao.pitch,)
    best = [(0.0, 0.0), *((ao.field_radius, 360.0 * i / EDGE) for i in range(EDGE))][: None if ao.kind == "mcao" else 1]
    turbulence = setup.atmosphere.turbulence
    sections: dict[str, dict[str, Any]] = {
        "telescope": {
            "TelescopeDiameter": telescope.diameter,
            "ZenithAngle": math.degrees(math.acos(1.0 / setup.atmosphere.airmass)),
            "ObscurationRatio": telescope.inner / telescope.diameter,
            "Resolution": 2 * max(64, 2 * ao.subapertures),
            "TechnicalFoV": 2.2 * max(10.0, ao.asterism_radius, *(math.hypot(x, y) for x, y, _ in ao.stars)),
            "extraErrorNm": ao.residual,
            "jitter_FWHM": ao.jitter * math.sqrt(8 * math.log(2)),
        },
        "atmosphere": {
            "Wavelength": 500e-9,
            "Seeing": setup.atmosphere.seeing,
            "L0": turbulence.outer_scale,
            "Cn2Weights": list(turbulence.weight),
            "Cn2Heights": list(turbulence.height),
            "WindSpeed": list(turbulence.wind),
            # from everywhere, as the built-in budget has it
            "WindDirection": [round(137.5 * i % 360.0, 1) for i in range(len(turbulence.wind))],
        },
        "sources_science": {"Wavelength": [w * 1e-6 for w in wave], **_polar(np.array([target]))},
        "sources_HO": {
            "Wavelength": ao.wfs_wavelength * 1e-6,
            **_polar(high.reshape(-1, 2)),
            "Height": 90e3 if ao.lasers else 0.0,
        },
        "sensor_science": {"PixelScale": min(setup.optics.pixel_scale, nyquist) * 1e3, "FieldOfView": SIZE},
        "sensor_HO": {
            "WfsType": "Pyramid" if ao.wfs == "pyramid" else "Shack-Hartmann",
            "Modulation": ao.modulation if ao.wfs == "pyramid" else None,
            "PixelScale": 220 if ao.wfs == "pyramid" else 830,
            "FieldOfView": 600 if ao.wfs == "pyramid" else 6,
            "NumberPhotons": [photons] * count,
            "SpotFWHM": [[1e3 * ao.laser_spot if ao.lasers else 0.0] * 2 + [0.0]],
            "SigmaRON": ao.wfs_ron,
            "ExcessNoiseFactor": ao.excess_noise,
            "NumberLenslets": [ao.subapertures] * count,
            "Algorithm": "wcog",
        },
        "DM": {
            "NumberActuators": [round(telescope.diameter / p) + 1 for p in pitches],
            "DmPitchs": list(pitches),
            "InfModel": "gaussian",
            "InfCoupling": [0.2] * len(pitches),
            "DmHeights": list(ao.dm_heights),
            "OptimizationZenith": [radius for radius, _ in best],
            "OptimizationAzimuth": [angle for _, angle in best],
            "OptimizationWeight": [1.0, *[2.0] * EDGE][: len(best)],
            "OptimizationConditioning": 1e4 if ao.kind == "mcao" else 1e2,
            "NumberReconstructedLayers": min(10, len(turbulence.weight)),
            "AoArea": "circle",
        },
        "RTC": {
            "LoopGain_HO": ao.gain,
            "SensorFrameRate_HO": ao.rate,
            "LoopDelaySteps_HO": round(ao.delay),
        },
    }
    if ao.lasers:
        _low_order(sections, setup, psf)
    return "".join(f"[{name}]\n{_lines(section)}\n" for name, section in sections.items())


def _low_order(sections: dict[str, dict[str, Any]], setup: Setup, psf: AoPsf) -> None:
    """Add the natural guide stars beside the lasers, and their sensor."""
    ao = psf.system
    asterism = [
        (psf.guide[0] + x, psf.guide[1] + y, psf.guide_star_mag + m) for x, y, m in ao.stars or ((0.0, 0.0, 0.0),)
    ]
    stars = np.array(psf.guide_stars or asterism, float)
    sections["sources_LO"] = {"Wavelength": ao.tiptilt_wavelength * 1e-6, **_polar(stars[:, :2])}
    sections["sensor_LO"] = {
        "PixelScale": 0.5e3 * ao.tiptilt_wavelength * 1e-6 / setup.optics.telescope.diameter / ARCSEC,
        "FieldOfView": 100,
        "NumberPhotons": [light(ao, m) * setup.optics.telescope.area / ao.tiptilt_rate for m in stars[:, 2]],
        "SigmaRON": ao.tiptilt_ron,
        "ExcessNoiseFactor": 1.0,
        "NumberLenslets": [1] * len(stars),
        "Algorithm": "wcog",
        "WindowRadiusWCoG": "optimize",
        "SpotFWHM": [[0.0, 0.0, 0.0]],
        **dict.fromkeys(("Dark", "SkyBackground", "ThresholdWCoG", "NewValueThrPix"), 0.0),
    }
    sections["RTC"] |= {"LoopGain_LO": "optimize", "SensorFrameRate_LO": ao.tiptilt_rate, "LoopDelaySteps_LO": 2}


def _on_circle(radius: float, i: int, count: int) -> tuple[float, float]:
    angle = 2 * math.pi * i / count
    return radius * math.cos(angle), radius * math.sin(angle)


def _polar(places: Floats) -> dict[str, list[float]]:
    """Return places (n, 2), arcsec, as TIPTOP has them."""
    return {
        "Zenith": np.hypot(*places.T).tolist(),
        "Azimuth": np.degrees(np.arctan2(places[:, 1], places[:, 0])).tolist(),
    }


def _lines(section: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_plain(value)!r}\n" for key, value in section.items())


def _plain(value: Any) -> Any:
    """Return a number of numpy's, or a list of them, as Python's."""
    return [_plain(item) for item in value] if isinstance(value, list) else getattr(value, "item", lambda: value)()
