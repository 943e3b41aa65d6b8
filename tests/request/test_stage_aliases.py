"""The names that another simulator gives to the stages."""

from elvis_cli.detector import steps
from elvis_cli.request.stage_aliases import MODEL_ALIASES, STAGE_ALIASES, canonical, stage_of


def test_every_name_of_the_euclid_simulator_is_a_stage():
    assert len(STAGE_ALIASES) == 28
    assert {canonical(f"FITS_{name}") for name in STAGE_ALIASES} <= set(steps.NAMES)
    assert {stage_of(name) for name in MODEL_ALIASES} <= set(steps.NAMES)


def test_other_names_stay():
    assert canonical("FITS_NONE") == "FITS_NONE"
    assert (stage_of("dark"), stage_of("zero_point")) == ("dark", "zero_point")
