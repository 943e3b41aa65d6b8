"""Text in any of the languages -> visits: detects the language, converts KeckODL's blocks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from elvis_cli.errors import RequestError, UsageError, choice_error
from elvis_cli.instrument import registry
from elvis_cli.observing import odl, p2, starlist, templates, yaml_text
from elvis_cli.observing.block import ObservingBlock
from elvis_cli.observing.checked_object import MAX_TEXT_LENGTH, abbreviate, check_length
from elvis_cli.observing.detector_config import DetectorConfig, IRDetectorConfig, VisibleDetectorConfig
from elvis_cli.observing.languages import Language, Output
from elvis_cli.observing.target import Target
from elvis_cli.observing.visit import MAX_FILES, ExposureStep, TemplateRun, Visit, check_count
from elvis_cli.request.parse import parse_json

if TYPE_CHECKING:
    from elvis_cli.request.files.moving import Ephemeris

DPR_KEYWORDS = {
    "Science": ("SCIENCE", "OBJECT"),
    "Telluric": ("CALIB", "STD"),
    "StandardStar": ("CALIB", "STD"),
    "Focus": ("TECHNICAL", "FOCUS"),
    "Unknown": ("SCIENCE", "OBJECT"),
}
"""DPR CATG and TYPE by the type of a block."""


def read(
    text: bytes,
    language: Language,
    seed: int,
    *,
    resolve: bool = False,
    ephemerides: Mapping[str, Ephemeris] = MappingProxyType({}),
) -> list[Visit]:
    """Return the visits that a text describes; ``ephemerides`` by the name of their target, "" for the only one.

    Raises
    ------
    UsageError
        An ephemeris is of no target, or of any of several.
    RequestError
        The language is not known, or the content is wrong.
    ResourceError
        There is no such instrument, or a name cannot be resolved.
    """
    language, document = parse(text, language)
    if language is Language.P2:
        return _checked(p2.read(document, seed, ephemerides), ephemerides)
    if language is Language.STARLIST:
        raise RequestError("", "a starlist has targets only, no instrument: --to odl makes a document of it")
    blocks = odl.read(document, patterns, resolve=resolve, ephemerides=ephemerides)
    pointers = odl.pointers(document)
    return _checked((make_visit(*pair) for pair in zip(blocks, pointers, strict=True)), ephemerides)


def _checked(made: Iterable[Visit], ephemerides: Mapping[str, Ephemeris]) -> list[Visit]:
    """Return the visits of a document that holds neither too many blocks nor files, each ephemeris with a target."""
    visits: list[Visit] = []
    files = 0
    for visit in made:
        visits.append(visit)
        check_length(visits, "")
        files += sum(len(run.steps) for run in visit.runs)
        check_count(files, visit.pointer, MAX_FILES)
    _check_names(visits, ephemerides)
    return visits


def _check_names(visits: Iterable[Visit], ephemerides: Mapping[str, Ephemeris]) -> None:
    """Raise UsageError if an ephemeris is of no target, or of any of several."""
    names = {visit.target.name for visit in visits if visit.target is not None}
    for name in ephemerides:
        if name and name not in names:
            raise UsageError(f"--ephemeris: no block has the target {name!r}: there are {', '.join(sorted(names))}")
    if "" in ephemerides and len(names) > 1:
        raise UsageError(f"--ephemeris: TARGET=FILE is needed, for there are {', '.join(sorted(names))}")


def parse(text: bytes, language: Language) -> tuple[Language, Any]:
    """Return the language of a text, and its content: a document, or the targets of a starlist."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError("", f"not UTF-8: {error.reason} at byte {error.start}") from None
    if not decoded.strip():
        raise RequestError("", "there is no Observing Block")
    if language is Language.STARLIST or (language is Language.AUTO and starlist.looks_like(decoded)):
        return Language.STARLIST, starlist.read(decoded)
    document = _document(decoded)
    if isinstance(document, str) and language is Language.AUTO:
        raise RequestError("", f"must be an object, not {abbreviate(document)}: no block, and no line of a starlist",
                           found=document[:80], allowed=f"JSON or YAML; or {starlist.LINE}")  # fmt: skip
    if language is Language.AUTO:
        language = Language.P2 if p2.looks_like(document) else Language.ODL
    return language, document


def targets(text: bytes, language: Language, *, resolve: bool = False) -> tuple[Target, ...]:
    """Return the targets of a starlist or an ODL document, in their order."""
    language, document = parse(text, language)
    if language is Language.STARLIST:
        made: tuple[Target, ...] = document
        return made
    if language is Language.P2:
        return tuple(one.target for one in p2.read(document, 0) if one.target is not None)
    return odl.targets(document, patterns, resolve=resolve)


def translate(text: bytes, language: Language, to: Output, *, resolve: bool = False) -> str:
    """Return blocks of the Observing Description Language, or the targets of any, in a language."""
    language, document = parse(text, language)
    if to is Output.STARLIST:
        return starlist.write(targets(text, language, resolve=resolve))
    if language is Language.ODL and any(odl.BLOCKS_KEY in part for part in _parts(document)):
        translated = odl.document(odl.read(document, patterns, resolve=resolve))
    else:
        translated = odl.targets_document(targets(text, language, resolve=resolve))
    return odl.to_yaml(translated) if to is Output.ODL else json.dumps(translated, indent=2)


def _parts(document: Any) -> list[Mapping[str, Any]]:
    entries = document if isinstance(document, list) else [document]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def patterns(instrument: str) -> Mapping[str, Any]:
    """Return an instrument's own offset patterns, none if there is no such instrument."""
    return templates.load(instrument).patterns if instrument in registry.names() else {}


def make_visit(block: ObservingBlock, pointer: str) -> Visit:
    """Return the visit of a block of the Observing Description Language.

    Raises
    ------
    RequestError
        The mode does not exist, or the detector cannot be read out so.
    ResourceError
        There is no such instrument.
    """
    config = block.instconfig
    plugin = registry.load(config.instrument)
    mode = config.mode or str(plugin.example()["instrument"]["ins_configuration"])
    modes = [info.mode for info in plugin.modes()]
    if mode not in modes:
        raise choice_error(f"{pointer}/instconfig/mode", mode, modes)
    places = block.pattern.repeat * len(block.pattern.offsets)
    check_count(places * sum(config.nexp for config in block.detconfig), pointer)
    category, kind = DPR_KEYWORDS.get(block.type, (None, None))
    name = block.name or f"{block.target.name if block.target else block.type}"
    title = f"{block.pattern.label}, {config.name or mode}"[:MAX_TEXT_LENGTH]
    run = TemplateRun(
        template=f"{plugin.name}_odl_{block.type}",
        title=title,
        number=1,
        pointer=pointer,
        mode=mode,
        keys=config.keys,
        timing={},
        steps=tuple(_exposure_steps(block)),
        category=category,
        object_type=kind,
        sky_type=kind and "SKY",
        sky_category=category,
        calibration=_calibration(block),
    )
    align = block.align
    return Visit(
        pointer=pointer,
        id=block.id,
        name=name,
        programme=block.programme or "SIMULATED",
        target=block.target,
        instrument=plugin.name,
        runs=(run,),
        slews=align is not None and block.target is not None and block.target.placed,
        acquires=align is not None and align.kind != "Blind",
        alignment=align.exposures() if align else 0.0,
        request=block.request,
        cards=block.header(),
    )


def _calibration(block: ObservingBlock) -> str | None:
    """Return the calibration of a block without a place on the sky: a dark if its detector says so, else a flat."""
    if block.type != "Calibration" or (block.target is not None and block.target.placed):
        return None
    dark = any(isinstance(one, VisibleDetectorConfig) and one.dark for one in block.detconfig)
    return "dark" if dark else "flat"


def _exposure_steps(block: ObservingBlock) -> Iterator[ExposureStep]:
    for _ in range(block.pattern.repeat):
        for offset in block.pattern.offsets:
            move = None if block.target is None or not block.target.placed else offset
            for config in block.detconfig:
                elvis = _readout(config)
                for _ in range(config.nexp):
                    sky = not offset.guide or offset.posname.casefold().startswith("sky")
                    yield ExposureStep(move, sky, None, config.exptime, config.integrations, elvis)
                    move = None


def _readout(config: DetectorConfig) -> dict[str, Any]:
    """Return the members ``readout`` and ``window`` of the block ``elvis`` of a request."""
    members: dict[str, Any] = {}
    if isinstance(config, IRDetectorConfig) and config.readoutmode:
        members["readout"] = re.sub(r"(?<=mcds)(?=\d)", ":", config.readoutmode.casefold())
    if isinstance(config, VisibleDetectorConfig) and config.window:
        x1, x2, y1, y2 = (int(part) for part in re.split("[:,]", config.window))
        members["window"] = {"x0": x1 - 1, "y0": y1 - 1, "nx": x2 - x1 + 1, "ny": y2 - y1 + 1}
    return members


def _document(text: str) -> Any:
    """Return the document in JSON, JSON lines or YAML."""
    first = text.lstrip()[:1]
    if first not in "{[":
        return yaml_text.parse(text)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.lstrip()[0] == "{" and line.rstrip()[-1] == "}" for line in lines):
        return [parse_json(line) for line in lines]
    return parse_json(text)
