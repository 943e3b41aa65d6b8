"""ELVIS, the ELT Virtual Instrument Simulator: a Unix filter from ETC JSON to detector frames."""

__version__ = "0.2.0"
