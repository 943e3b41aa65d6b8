"""HARPS and NIRPS, the fibre-fed spectrographs of ESO's 3.6 m telescope: data only, see instrument.toml."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
