"""X-shooter, the three-armed spectrograph of the VLT's UT3: data only, see instrument.toml."""

from pathlib import Path

from elvis_cli.plugin import TomlInstrument

PLUGIN = TomlInstrument(Path(__file__).parent)
