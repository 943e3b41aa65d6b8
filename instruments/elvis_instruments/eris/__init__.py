"""ERIS on the VLT: NIX, its camera for 1 to 5 um; data only, see instrument.toml."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
