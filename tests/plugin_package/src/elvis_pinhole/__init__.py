"""A small camera on the VLT's site, described by one TOML file."""

from pathlib import Path

from elvis_cli.toml_instrument import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
