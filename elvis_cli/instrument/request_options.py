"""Options of the command line that change requests: how each text of a request is read with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from elvis_cli.errors import RequestError, json_pointer
from elvis_cli.model.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from elvis_cli.model.request import Request
    from elvis_cli.request.files.moving import Ephemeris


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Options that hold for every request of a command; another process can have them too (they can be pickled)."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the request's ``elvis`` block."""
    strict: bool = False
    """Unknown keys are refused."""
    notes: tuple[str, ...] = ()
    """Assumptions about the files of the options."""
    ephemeris: Ephemeris | None = None
    """Where the target is at the date of each request."""
    limits: Limits = DEFAULT

    def read(self, text: bytes | str) -> Request:
        """Return the Request in ``text`` with these options.

        Raises
        ------
        RequestError
            The request is wrong.
        ResourceError
            Its instrument is not installed.
        """
        from elvis_cli.request import parse

        overrides = self._seen_by_filter(text)
        request = parse.read(text, overrides, strict=self.strict, limits=self.limits)
        from elvis_cli.instrument import registry

        plugin = registry.load(request.instrument)
        if self.strict:
            for key in plugin.unknown_keys(request):
                raise RequestError(json_pointer("instrument", key), "unknown key")
        if self.ephemeris is None:
            return request
        from elvis_cli.request.files.ephemeris import follow

        exposure = plugin.configure(request).exposure
        if exposure.infrared and exposure.count is None:
            reason = f"{self.ephemeris.name} needs the length of the exposure, not a signal-to-noise ratio"
            raise RequestError("/timesnr/snr", reason, allowed=exposure.count_key)
        keys = follow(self.ephemeris, request, exposure.duration)
        keys["pointing"] = {**self.overrides.get("pointing", {}), **keys["pointing"]}
        request = parse.read(text, {**overrides, **keys}, strict=self.strict, limits=self.limits)
        return replace(request, warnings=(*request.warnings, *self.ephemeris.notes))

    def _seen_by_filter(self, text: bytes | str) -> Mapping[str, Any]:
        """Return the overrides; a catalogue with magnitudes in several bands has those of the request's filter."""
        table: Any = self.overrides.get("catalogue")
        if not getattr(table, "has_bands", False):
            return self.overrides
        from elvis_cli.instrument import registry
        from elvis_cli.request import key_aliases, parse
        from elvis_cli.request.files.magnitudes import Passband

        request = parse.read(text, {**self.overrides, "catalogue": None}, limits=self.limits)
        with key_aliases.pointing_into(request.document):
            setup = registry.load(request.instrument).configure(request)
        if setup.calibration is not None:  # it shows no sources
            return {**self.overrides, "catalogue": None}
        optics = setup.optics
        name = f"the filter {optics.filter_name}" if setup.spectrograph is None else f"the setting of {setup.mode}"
        passband = Passband(name, optics.filter_centre, optics.band)
        return {**self.overrides, "catalogue": partial(table, passband=passband)}

    def file_notes(self) -> tuple[str, ...]:
        """Return the notes on the files of the options; some are only known when a request has been read."""
        return (*self.notes, *getattr(self.overrides.get("catalogue"), "notes", ()))
