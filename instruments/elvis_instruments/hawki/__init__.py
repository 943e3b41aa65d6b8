"""HAWK-I, the near-infrared wide-field imager of the VLT: data only, see instrument.toml."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
