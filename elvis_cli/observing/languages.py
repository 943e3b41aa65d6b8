"""The languages of Observing Blocks, as the command line names them."""

import enum


class Language(enum.StrEnum):
    """Languages of the input."""

    AUTO = "auto"
    P2 = "p2"
    ODL = "odl"
    STARLIST = "starlist"


class Output(enum.StrEnum):
    """Languages of the output."""

    ODL = "odl"
    JSON = "json"
    STARLIST = "starlist"
