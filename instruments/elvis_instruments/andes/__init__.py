"""ANDES on the ELT: U to H at R = 100 000, two apertures of 31 fibres, or 61 spaxels behind adaptive optics."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
