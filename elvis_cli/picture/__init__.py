"""Pictures of frames and tables, for looking at: PNG with Pillow, and characters for a terminal."""

import enum


class Kind(enum.StrEnum):
    """The curve from pixel values to brightness."""

    ASINH = "asinh"
    LINEAR = "linear"
    LOG = "log"
    SQRT = "sqrt"
