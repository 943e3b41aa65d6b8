"""Blocks of a night, surveys and requests for several chips: what is damaged afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import FORS, changed

ODL = (Path(__file__).parents[1] / "observing" / "night.yaml").read_text()
DEFAULTS = """- Targets:
    - {name: a, RA: 60.0, Dec: -60.0, PMRA: 3.0, PMDec: -1.0, epoch: 2000, mag: {V: 12}}
    - {name: b, RA: "04:00:00", Dec: "-60:00:00", equinox: 1950.0, frame: fk4, dra: 1.0, ddec: 2.0, rotmode: vertical}
- InstrumentConfigs:
    - {instrument: fors}
- DetectorConfigs:
    - {exptime: 30, nexp: 2}
- OffsetPatterns:
    - {name: Box5, dx: 5, repeat: 2}
"""
P2: list[Any] = [
    {
        "obId": 1, "name": "HL Tau", "target": {"name": "HL Tau", "ra": "04:31:38.4", "dec": "+18:13:57.6",
        "properMotionRa": 0.01},
        "constraints": {"airmass": 1.5, "seeing": 1.0}, "absoluteTimeConstraints": [{"from": "2030-03-01T00:00",
        "to": "2030-03-02T00:00"}],
        "templates": [
            {"templateName": "METIS_img_lm_acq", "parameters": [{"name": "TEL.ROT.OFFANGLE", "value": 37}]},
            {"templateName": "METIS_img_lm_obs_GenericOffset", "parameters": [{"name": "SEQ.OFFSET1.LIST",
            "value": "0 1 -1"}]},
        ],
    },
    {"itemType": "Folder", "name": "run", "children": [
        {"obId": 2, "name": "b", "target": {"name": "b", "ra": "05:00:00", "dec": "+10:00:00"},
        "elvis": {"elvis": {"seed": 3}},
         "templates": [{"templateName": "METIS_img_n_obs_AutoChopNod", "parameters": []}]}]},
]  # fmt: skip
SMALL = changed(
    FORS, {"elvis/window": {"x0": 480, "y0": 480, "nx": 16, "ny": 16}, "elvis/pointing": {"ra": 150, "dec": 2}}
)
SURVEY = {
    "request": SMALL,
    "survey": {
        "pointings": [{"ra": 53, "dec": -27, "position_angle": 10, "name": "a"}, {"ra": 54, "dec": -27}],
        "dithers": [[0, 0], [2.5, -2.5]],
        "exposures": [{"name": "v"}, {"name": "long", "request": {"timesnr": {"DET.WIN1.UIT1": 200}}}],
        "start": "2030-03-01T02:00:00",
        "overhead": 30,
    },
}
SPLIT = changed(SMALL, {"elvis/chips": [1, 2], "elvis/catalogue": {
    "ra": [150, 150.001], "dec": [2, 2.001], "mag": [18, 19], "radius": [0, 1.5], "index": [1, 4], "id": [5, 7],
         "sed": ["", "Pickles:A0V"]}})  # fmt: skip
PATCH = {"target": {"brightness": {"mag": 15}}, "elvis": {"seed": 3, "window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}}}


def as_json(yaml_text: str) -> Any:
    """Return a document in YAML as JSON has it."""
    from elvis_cli.observing import yaml_text

    return json.loads(json.dumps(yaml_text.parse(yaml_text)))
