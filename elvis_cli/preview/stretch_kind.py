"""Curves from pixel values to brightness, by name; the command line knows them without the drawing code."""

import enum


class StretchKind(enum.StrEnum):
    """The curve from pixel values to brightness."""

    ASINH = "asinh"
    LINEAR = "linear"
    LOG = "log"
    SQRT = "sqrt"
