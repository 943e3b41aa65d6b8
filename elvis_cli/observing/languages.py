"""The languages of Observing Blocks, as the command line names them."""

import enum


class Language(enum.StrEnum):
    """How Observing Blocks are written."""

    AUTO = "auto"
    P2 = "p2"
    ODL = "odl"
    STARLIST = "starlist"


class Output(enum.StrEnum):
    """Into what they can be translated."""

    ODL = "odl"
    JSON = "json"
    STARLIST = "starlist"
