"""All that the author of a plugin imports: the only module that re-exports."""

from elvis_cli.instrument.toml_plugin import TomlInstrument
from elvis_cli.model.plugin import Instrument, ModeInfo
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.model.sourced_value import SourcedValue

__all__ = ["Instrument", "ModeInfo", "Request", "Setup", "SourcedValue", "TomlInstrument"]
