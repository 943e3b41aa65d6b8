"""The names that the configuration of another simulator, VIS-PP, gives to the stages (``"FITS_STARS": 1``); ours."""

from __future__ import annotations

STAGE_ALIASES = {
    "STARS": "stars",
    "GHOSTS": "ghosts",
    "GALAXIES": "galaxies",
    "FAINTGALAXIES": "faint_galaxies",
    "CALIBLAMP": "calibration_lamp",
    "SHUTTER": "shutter",
    "IPQE": "intrapixel",
    "THERMAL": "thermal",
    "BACKGROUND": "background",
    "FLATFIELD": "flat_field",
    "CHARGEINJECTION": "charge_injection",
    "CTI_CHARGEINJECTION": "cti_charge_injection",
    "TRAP_PUMPING": "trap_pumping",
    "COSMICRAYS": "cosmic_rays",
    "DARK": "dark",
    "BLEEDING": "bleeding",
    "NOISE": "shot_noise",
    "COSMETICS": "cosmetics",
    "PREOVERSCAN": "pre_overscan",
    "PARALLELOVERSCAN": "parallel_overscan",
    "RADIATIONDAMAGE": "cti",
    "NONLINEARITY": "nonlinearity",
    "READOUTNOISE": "read_noise",
    "ELECTRON2ADU": "gain",
    "BIAS": "bias",
    "XTALK": "crosstalk",
    "DISCRETIZE": "adc",
    "BFE": "brighter_fatter",
}
"""In the order of that simulator's documentation."""

MODEL_ALIASES = {
    "bfe": "brighter_fatter",
    "cosmic_ray": "cosmic_rays",
    "flag_map": "cosmetics",
    "ghost": "ghosts",
    "prnu": "flat_field",
    "xtalk": "crosstalk",
}
"""Names that the same configuration gives to the models of some stages."""


def stage_of(model: str) -> str:
    """Return the stage that a model belongs to."""
    return MODEL_ALIASES.get(model, canonical(model))


def canonical(name: str) -> str:
    """Return our name of a stage that may be written FITS_..."""
    return STAGE_ALIASES.get(name.removeprefix("FITS_"), name) if name.startswith("FITS_") else name
