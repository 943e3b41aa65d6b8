"""The layout of ``--help``: commands first, then the options in groups; without the start-up time of rich."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from typer.core import TyperCommand, TyperGroup

GROUPS = (
    "Arguments",
    "Options",
    "Output",
    "Request",
    "Frame",
    "Pointing and sky",
    "Sources",
    "Calibration",
    "Optics",
    "Detector",
    "Infrared detector",
)
"""Headings in the order in which they are printed. An option's heading is its ``rich_help_panel``."""


class CommandHelp(TyperCommand):
    """A command whose help has its options in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the groups of arguments and options."""
        write_groups(self, ctx, formatter)


class MainHelp(TyperGroup):
    """The command line itself: Usage, purpose, Commands, groups of options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the groups of options."""
        self.format_commands(ctx, formatter)
        write_groups(self, ctx, formatter)


def write_groups(command: Any, ctx: Any, formatter: Any) -> None:
    """Write the arguments and options of a command under their headings."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            groups[heading(parameter)].append(record)
    for name in sorted(groups, key=GROUPS.index):
        with formatter.section(name):
            formatter.write_dl(groups[name])


def heading(parameter: Any) -> str:
    """Return the heading under which a parameter of a command is printed."""
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"
