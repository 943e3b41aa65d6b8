"""Query parameters: the options of the command line by the same names, with the same checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from elvis_cli.errors import UsageError, nearest_name
from elvis_cli.instrument.request_options import RequestOptions
from elvis_cli.model.limits import Limits
from elvis_cli.request.option_values import block_keys


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query."""

    name: str
    kind: str
    """integer, number, boolean or string, as JSON Schema has them."""
    about: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the value."""
        bounds = {"minimum": self.low, "maximum": self.high, "enum": list(self.choices) or None}
        return {"type": self.kind, **{key: value for key, value in bounds.items() if value is not None}}

    def value(self, text: str) -> Any:
        """Return the value in a text.

        Raises
        ------
        UsageError
            It has none, or it is out of range.
        """
        if self.kind == "boolean":
            if text.casefold() in ("true", "1", "yes", ""):
                return True
            if text.casefold() in ("false", "0", "no"):
                return False
            raise UsageError(f"{self.name}: {text[:60]!r} is neither true nor false")
        if self.kind == "string":
            if self.choices and text not in self.choices:
                near = nearest_name(text, self.choices)
                hint = f"; did you mean {near!r}?" if near else ""
                raise UsageError(f"{self.name}: {text[:60]!r} is not one of {', '.join(self.choices)}{hint}")
            return text
        try:
            number = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            raise UsageError(f"{self.name}: {text[:60]!r} is not a{'n' * (self.kind[0] == 'i')} {self.kind}") from None
        low, high = -1e300 if self.low is None else self.low, 1e300 if self.high is None else self.high
        if not low <= number <= high:  # nan too
            raise UsageError(f"{self.name}: {text[:60]} is out of range; allowed: {low:g} to {high:g}")
        return number


CALIBRATIONS = ("arc", "comb", "fabry-perot", "cell", "flat", "orders", "format", "dark", "bias", "sky", "std",
                "pinhole", "pupil", "twilight", "off", "detlin")  # fmt: skip
REQUEST = (
    Parameter("strict", "boolean", "Refuse unknown keys."),
    Parameter("seed", "integer", "Seed of all random numbers.", low=0, high=2**63 - 1),
    Parameter("window", "string", "Part of each chip: X0,Y0,NX,NY or full."),
    Parameter("chips", "string", "Chips to render: 1,2,... or all."),
    Parameter("product", "string", "Quantity in the pixels.", ("raw", "expected", "reduced")),
    Parameter("arm", "string", "Arm of a spectrograph."),
    Parameter("exposure", "integer", "Number of the exposure.", low=1, high=2**31),
    Parameter("ra", "number", "Right ascension of the field centre, deg.", low=0, high=360),
    Parameter("dec", "number", "Declination of the field centre, deg.", low=-90, high=90),
    Parameter("pa", "number", "Position angle of +y, deg.", low=-360, high=360),
    Parameter("date", "string", "Start of the exposure, ISO 8601, UTC."),
    Parameter("sky", "string", "Source of the sky.", ("local", "skycalc")),
    Parameter("calibration", "string", "Calibration frame in place of the science frame.", CALIBRATIONS),
    Parameter("lamp", "number", "Level of the lamp as a fraction of the full well.", low=1e-6, high=100),
    Parameter("psf", "string", "The PSF of TIPTOP, where the server allows it.", ("tiptop",)),
    Parameter("stages", "string", "Run only these stages of the detector: A,B,..."),
    Parameter("skip", "string", "Leave out these stages."),
    Parameter("only", "string", "Run only these stages, light included."),
    Parameter("also", "string", "Run these optional stages too."),
    Parameter("order", "string", "Order of the stages."),
    Parameter("keep", "string", "Write the image after these stages too."),
    Parameter("readout", "string", "Sampling of an infrared detector."),
    Parameter("reads", "boolean", "Write every read."),
    Parameter("truth", "boolean", "Write the table TRUTH."),
    Parameter("wavemap", "boolean", "Write wavelength and position of every pixel."),
)
PICTURE = (
    Parameter("size", "integer", "Largest width of the picture, pixels.", low=64, high=4096),
    Parameter("pixels", "integer", "Most pixels to render: of a larger frame a part is shown, which Elvis-Part names.",
              low=4096, high=2**31),
    Parameter("stretch", "string", "Scale of the brightness.", ("asinh", "linear", "log", "sqrt")),
    Parameter("limits", "string", "Values of black and white: LOW,HIGH or zscale."),
    Parameter("ext", "string", "Extension to draw: NAME or NAME,VERSION."),
)  # fmt: skip


def values(pairs: Iterable[tuple[str, str]], allowed: Iterable[Parameter]) -> dict[str, Any]:
    """Return the values of a query by name.

    Raises
    ------
    UsageError
        A parameter is unknown, is there twice, or has a wrong value.
    """
    known = {parameter.name: parameter for parameter in allowed}
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name not in known:
            near = nearest_name(name, known)
            raise UsageError(f"unknown parameter {name[:60]!r}" + (f"; did you mean {near!r}?" if near else ""))
        if name in found:
            raise UsageError(f"the parameter {name!r} is given twice")
        found[name] = known[name].value(text)
    return found


def request_options(found: dict[str, Any], limits: Limits) -> RequestOptions:
    """Return the options of a request from the values of a query; those of pictures are passed over.

    Raises
    ------
    UsageError
        A list of numbers is malformed.
    """
    names = {parameter.name for parameter in REQUEST} - {"strict", "psf"}
    keys = block_keys({name: value for name, value in found.items() if name in names})
    if "psf" in found:
        keys["psf"] = found["psf"]
    return RequestOptions(keys, strict=found.get("strict", False), limits=limits)
