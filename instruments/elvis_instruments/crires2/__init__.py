"""CRIRES2, the cross-dispersed infrared spectrograph of the VLT: data only, see instrument.toml."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
