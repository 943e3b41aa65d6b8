"""JSON Schemas (2020-12) of what ELVIS reads."""
