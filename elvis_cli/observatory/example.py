"""The commented example of a run's parameters."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from textwrap import wrap

from elvis_cli.observatory.demo import DemoParameters
from elvis_cli.observatory.parameters import Parameters, described

HEAD = """\
# Parameters of `elvis observatory`; all of them are here, with what they mean and their defaults.
# This file runs as it is: ten sources with a hundred epochs each, drawn without frames, network or server.
#
#   elvis observatory run {name}
#   elvis observatory detections {name} --unblind
#   elvis observatory lightcurve {name} NAME -o lc.png
"""
EXAMPLE = {"flares": 0.5}
"""Parameters of the demo observatory in the example that differ from their defaults: something is to be found."""
WIDTH = 110


def example(name: str = "run.yaml") -> str:
    """Return the text of the example, a YAML file ``name``."""
    lines = [HEAD.format(name=name)]
    for indent, key, default, text in described(Parameters):
        lines += _comment(text, indent)
        if key == "observatories":
            lines += ["observatories:", "  demo:"]
            for _, own, value, meaning in described(DemoParameters):
                lines += _comment(meaning, 2)
                lines.append(f"    {own}: {_value(EXAMPLE.get(own, value))}")
            lines += ["", *_comment(OTHERS, 1)]
        elif is_dataclass(default):
            lines.append(f"{key}:")
        else:
            lines.append(f"{'  ' * indent}{key}: {_value(default)}")
    return "\n".join(lines) + "\n"


OTHERS = (
    "Others: `elvis` (simulated frames, reduced and measured), `files` (light curves in files), `tap` and `sia2`"
    " (archives of the Virtual Observatory); elvis help observatory"
)


def _comment(text: str, indent: int) -> list[str]:
    space = "  " * indent
    return [f"{space}# {line}" for line in wrap(text, WIDTH - len(space))]


def _value(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)
