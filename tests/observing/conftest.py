"""Blocks to start from."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from elvis_cli.observing import load
from elvis_cli.observing import plan as night
from elvis_cli.observing.languages import Language
from elvis_cli.observing.plan import Exposure, Options

Block = dict[str, Any]


def ob(template: str, parameters: Block | None = None, acquisition: Block | None = None, **members: Any) -> Block:
    """Return a p2 block of one template, with its acquisition if that has parameters."""
    prefix, _, _ = template.replace("_cal_", "_obs_").partition("_obs_")
    templates = [{"templateName": template, "parameters": parameters or {}}]
    if acquisition is not None:
        templates.insert(0, {"templateName": f"{prefix}_acq", "parameters": acquisition})
    return {
        "obId": 7, "itemType": "OB", "name": "block", "runId": "110.A-0001(B)",
        "target": {"name": "T", "ra": "05:00:00.000", "dec": "-30:00:00.00", "equinox": "J2000"},
        "templates": templates, **members,
    }  # fmt: skip


@pytest.fixture
def make() -> Callable[..., Block]:
    """Make a p2 block."""
    return ob


@pytest.fixture
def plan() -> Callable[..., list[Exposure]]:
    """Plan blocks, given as a document or as text."""

    def planned(document: Any, **options: Any) -> list[Exposure]:
        text = document if isinstance(document, str) else json.dumps(copy.deepcopy(document))
        made = Options(**{"steady": True, **options})
        return list(night.plan(load.read(text.encode(), Language.AUTO, made.effective_seed), made))

    return planned
