"""CRIRES2, the cross-dispersed infrared spectrograph of the VLT: data only, see instrument.toml."""

from pathlib import Path

from elvis_cli.toml_instrument import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
