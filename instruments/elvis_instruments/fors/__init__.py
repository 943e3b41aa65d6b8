"""FORS2, the visible imager of the VLT's UT1: data only, see instrument.toml."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
