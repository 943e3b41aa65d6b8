"""UVES, the echelle spectrograph of the VLT for the visible and the ultraviolet."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
