"""Which raw files make a product: association by DPR, INS, DET and time, as by the rules of ESO's pipelines.

A set is all exposures of one target with one setting of the instrument and one integration time in one night. Darks
and biases must have its window and read-out, darks its integration time, flats its setting of the instrument.
Calibrations of the night that is nearest are taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from elvis_cli.errors import ResourceError
from elvis_cli.reduction.raw import RawFile, instrument_setup

LINEARITY = {"DETLIN", "LINEARITY", "DETCHAR", "DETCHECK"}
"""Words of DPR TYPE of frames of the detector's linearity, flats otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """A calibration that was looked for in vain."""

    kind: str
    wanted: dict[str, Any]
    present: tuple[str, ...]
    """What there is of the kind, in words."""

    def __str__(self) -> str:
        wanted = ", ".join(f"{key} = {value}" for key, value in self.wanted.items())
        return f"no {self.kind}: looked for {wanted}; there is {'; '.join(self.present) or 'none'}"


@dataclass(slots=True, eq=False)
class FileSet:
    """The files behind one product, in the order of their exposures."""

    science: list[RawFile]
    sky: list[RawFile] = field(default_factory=list)
    dark: list[RawFile] = field(default_factory=list)
    bias: list[RawFile] = field(default_factory=list)
    flat: list[RawFile] = field(default_factory=list)
    flat_dark: list[RawFile] = field(default_factory=list)
    linearity: list[RawFile] = field(default_factory=list)
    arc: list[RawFile] = field(default_factory=list)
    arc_dark: list[RawFile] = field(default_factory=list)
    psf: list[RawFile] = field(default_factory=list)
    """The star beside the mask of a coronagraph."""
    standard: FileSet | None = None
    missing: list[Missing] = field(default_factory=list)

    @property
    def ccd(self) -> bool:
        """Whether the detector is a CCD: it has biases, and its charge is of one integration."""
        return "ESO DET WIN1 DIT1" in self.science[0].header

    @property
    def calibrations(self) -> list[tuple[str, RawFile]]:
        """Each calibration with its kind."""
        kinds = ("sky", "dark", "bias", "flat", "flat_dark", "linearity", "arc", "arc_dark", "psf")
        own = [(kind, one) for kind in kinds for one in getattr(self, kind)]
        if self.standard is None:
            return own
        known = {one.name for _, one in own}
        more = [("standard", one) for one in self.standard.science]
        return own + more + [each for each in self.standard.calibrations if each[1].name not in known]

    def as_dict(self) -> dict[str, Any]:
        """Return the association as `elvis reduce --plan` prints it."""
        first = self.science[0]
        kinds = ("science", "sky", "dark", "bias", "flat", "flat_dark", "linearity", "arc", "arc_dark", "psf")
        return {
            "product": product_name(self),
            "instrument": first.get("INSTRUME"),
            "mode": first.get("ESO INS MODE"),
            "object": first.get("OBJECT"),
            **{kind: [one.name for one in getattr(self, kind)] for kind in kinds},
            "standard": [one.name for one in self.standard.science] if self.standard else [],
            "missing": [str(each) for each in self.missing],
        }


def product_name(files: FileSet) -> str:
    """Return the name of a product without its ending: that of its first raw file."""
    return files.science[0].name.removesuffix(".fits")


def associate(files: Sequence[RawFile]) -> list[FileSet]:
    """Return a set for each product that the files allow, in the order of their first exposures.

    Raises
    ------
    ResourceError
        There are no science frames.
    """
    groups: dict[tuple[Any, ...], list[RawFile]] = {}
    for one in files:
        if one.get("ESO DPR CATG") == "SCIENCE" and kind(one) == "object":
            groups.setdefault(_set_key(one), []).append(one)
    if not groups:
        types = sorted({f"{one.get('ESO DPR CATG')} {one.type}" for one in files})
        raise ResourceError(f"no science frame: looked for DPR CATG = SCIENCE, DPR TYPE = OBJECT; there is {types}")
    standards: dict[tuple[Any, ...], list[RawFile]] = {}
    for one in files:
        if kind(one) == "standard":
            standards.setdefault(_set_key(one), []).append(one)
    made = []
    for group in groups.values():
        each = _with_calibrations(FileSet(group), files)
        each.standard = _standard(group[0], list(standards.values()), files)
        made.append(each)
    return made


def kind(file: RawFile) -> str:
    """Return the kind of a raw file (object, flat, arc ...) by the words of its DPR TYPE, in any order.

    A tungsten lamp is TUN (HARPS User Manual 2.1), a continuum lamp behind slices RSRF (METIS), a flat also LAMP,FLAT.
    WCUOFF is no dark.
    """
    words = file.type.split(",")
    known = {"STD": "standard", "OBJECT": "object", "STAR": "object", "PSF": "psf"}
    if words[0] in known:  # the other words are what other fibres see: STAR,WAVE
        return known[words[0]]
    if LINEARITY & set(words):
        return "linearity"
    if set(words) <= {"BIAS", "DARK", "SKY"}:
        return words[0].lower()
    if {"FLAT", "TUN", "RSRF"} & set(words):
        return "flat"
    return "arc" if "WAVE" in words else ""


def check(files: FileSet) -> None:
    """Raise ResourceError if a set lacks a calibration that it cannot do without."""
    missing = [*files.missing, *(files.standard.missing if files.standard else [])]
    if missing:
        name = product_name(files)
        raise ResourceError(
            f"{name}: {' / '.join(map(str, missing))} (--allow-missing goes on without)",
            missing=[{"kind": each.kind, "wanted": each.wanted, "present": each.present} for each in missing],
        )


def night(file: RawFile) -> int:
    """Return the day of the night of an exposure: noon to noon, UTC-12 h, as ESO counts."""
    return math.floor(file.mjd - 0.5)


def setting(file: RawFile) -> tuple[tuple[str, str], ...]:
    """Return the setting of the instrument, filters included."""
    return (("INSTRUME", str(file.get("INSTRUME"))), *sorted(instrument_setup(file)))


def _detector(file: RawFile) -> tuple[Any, ...]:
    """Return how the detector is read, its window included."""
    keys = ("INSTRUME", "ESO DET NAME", "ESO DET NCORRS NAME", "ESO DET READ CURNAME", "ESO DET READ CLOCK")
    return (*(file.get(key) for key in keys), file.chips, file.windows)


def _set_key(file: RawFile) -> tuple[Any, ...]:
    target = (file.get("OBJECT"), file.get("ESO OBS ID"), file.get("ESO OBS TARG NAME"))
    return (*target, setting(file), _detector(file), file.dit, night(file))


def _nearest(found: Iterable[RawFile], when: float) -> list[RawFile]:
    """Return the files of the night that is nearest to a date."""
    files = list(found)
    if not files:
        return []
    best = night(min(files, key=lambda one: abs(one.mjd - when)))
    return [one for one in files if night(one) == best]


def _with_calibrations(own: FileSet, files: Sequence[RawFile]) -> FileSet:
    first = own.science[0]
    when, how, light = first.mjd, _detector(first), setting(first)

    def take(accept: Callable[[RawFile], bool]) -> list[RawFile]:
        return _nearest((one for one in files if _detector(one) == how and accept(one)), when)

    own.bias = take(lambda one: kind(one) == "bias") if own.ccd else []
    own.dark = take(lambda one: kind(one) == "dark" and math.isclose(one.dit, first.dit))
    own.flat = _same_time(take(lambda one: kind(one) == "flat" and setting(one) == light), first.dit)
    own.linearity = take(lambda one: kind(one) == "linearity")
    own.arc = take(lambda one: kind(one) == "arc" and setting(one) == light)
    if own.arc:
        own.arc_dark = take(lambda one: kind(one) == "dark" and math.isclose(one.dit, own.arc[0].dit))
    own.sky = take(lambda one: kind(one) == "sky" and setting(one) == light and math.isclose(one.dit, first.dit))
    if own.flat:
        own.flat_dark = take(lambda one: kind(one) == "dark" and math.isclose(one.dit, own.flat[0].dit))
    own.psf = take(lambda one: kind(one) == "psf" and one.get("ESO SIM MODE") == first.get("ESO SIM MODE"))
    own.missing = list(_missing(own, files))
    return own


def _same_time(flats: Sequence[RawFile], dit: float) -> list[RawFile]:
    """Return the flats of one integration time, the nearest to ``dit``: others would need another dark."""
    if not flats:
        return []
    best = min((one.dit for one in flats), key=lambda each: (abs(math.log(max(each, 1e-6) / max(dit, 1e-6))), each))
    return [one for one in flats if math.isclose(one.dit, best)]


def _missing(own: FileSet, files: Sequence[RawFile]) -> Iterable[Missing]:
    first = own.science[0]
    if own.ccd and not own.bias:
        yield Missing("bias", {"DPR TYPE": "BIAS", **_shape(first)}, _present(files, "bias"))
    if not own.ccd and not own.dark:
        wanted = {"DPR TYPE": "DARK", "DET DIT": first.dit, **_shape(first)}
        yield Missing("dark", wanted, _present(files, "dark"))
    if not own.flat:
        wanted = {"DPR TYPE": "FLAT", **{key: value for key, value in setting(first) if "FILT" in key or "NX" in key}}
        yield Missing("flat", {**wanted, **_shape(first)}, _present(files, "flat"))
    elif not own.ccd and not own.flat_dark:
        wanted = {"DPR TYPE": "DARK", "DET DIT": own.flat[0].dit, **_shape(first)}
        yield Missing("dark of the flats", wanted, _present(files, "dark"))


def _shape(file: RawFile) -> dict[str, Any]:
    nx, ny, x0, y0 = file.windows[0]
    return {"window": f"{x0},{y0},{nx},{ny}"}


def _present(files: Sequence[RawFile], wanted: str) -> tuple[str, ...]:
    found: dict[str, int] = {}
    for one in files:
        if kind(one) == wanted:
            filters = " ".join(value for key, value in setting(one) if "FILT" in key or "NXFW" in key)
            words = f"{one.get('INSTRUME')} {one.type}, DIT {one.dit:g} s, {filters}, window {_shape(one)['window']}"
            found[words] = found.get(words, 0) + 1
    return tuple(f"{count} x {words}" for words, count in found.items())


def _standard(first: RawFile, groups: Sequence[list[RawFile]], files: Sequence[RawFile]) -> FileSet | None:
    """Return the set of the standard star of an exposure: the same setting, the nearest in time; None without one."""
    fitting = [group for group in groups if setting(group[0]) == setting(first) and group[0].chips == first.chips]
    if not fitting:
        return None
    return _with_calibrations(FileSet(min(fitting, key=lambda group: abs(group[0].mjd - first.mjd))), files)
