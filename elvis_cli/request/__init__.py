"""JSON text -> the one request: parse, check, normalise the generations of ETC JSON, unpack files."""
