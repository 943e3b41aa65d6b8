"""JSON text -> Request: parse, check, normalise the generations of ETC JSON, unpack files."""
