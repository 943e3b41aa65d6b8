"""Real archives by the protocols of the Virtual Observatory: tables by TAP, images by SIA2 (pyvo).

The network is touched by these observatories only, and by the parameter `tap` of a catalogue.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from elvis_cli.errors import ElvisError, RequestError, ResourceError
from elvis_cli.observatory.base import Observatory, ReductionParameters
from elvis_cli.observatory.dataset import PhotometricDataset
from elvis_cli.observatory.files import columns_of, photometry
from elvis_cli.observatory.parameters import parameter
from elvis_cli.observatory.source import Source

T = TypeVar("T")
TOKEN = "ELVIS_VO_TOKEN"
"""Environment variable of a bearer token for archives that want one."""
DATALINK = "content=datalink"
"""In the media type of an address that leads to rows of DataLink (DataLink 1.1, section 3.1)."""
_last: dict[str, float] = {}
"""When each service was asked last, by its address."""


@dataclass(frozen=True)
class VirtualParameters(ReductionParameters):
    """Of all archives."""

    url: str = parameter("", "address of the service")
    search_radius: float = parameter(2.0, "radius of the search", "arcsec", low=0, high=3600)
    rate: float = parameter(5.0, "most requests in a second, of each process", low=0.001)
    retries: int = parameter(3, "times that a request is tried again, after 1, 2, 4 ... s", low=0, high=20)
    timeout: float = parameter(60.0, "time that an answer may take", "s", low=0.1)
    columns: dict[str, str] = parameter({}, "names of columns, where they are others: {mjd: obs_time}")
    exptime: float | None = parameter(None, "exposure time of rows that do not have it", "s", low=0)
    filter: str | None = parameter(None, "filter of rows that do not have it")


@dataclass(frozen=True)
class TapParameters(VirtualParameters):
    """Of a table service."""

    table: str = parameter("", "table that is asked by a cone, with the columns ra and dec")
    query: str | None = parameter(
        None, "ADQL query in place of a cone; {name}, {ra}, {dec} and {radius} (deg) are the source's"
    )


@dataclass(frozen=True)
class Tap(Observatory):
    """Fetches photometry from a table of an archive."""

    Parameters: ClassVar[type[ReductionParameters]] = TapParameters
    uses_network: ClassVar[bool] = True

    def fetch(self, source: Source) -> PhotometricDataset:
        """Return the rows about a source."""
        p = self.parameters
        _check_url(self.name, p.url)
        table = ask(p, lambda: _query(p.url, self._adql(source)))
        if len(table) == 0:
            return self.raw(source, {})
        return self.raw(source, photometry(columns_of(table), p))

    def _adql(self, source: Source) -> str:
        p = self.parameters
        radius = p.search_radius / 3600.0
        if p.query is not None:
            values = {"name": source.name, "ra": source.ra, "dec": source.dec, "radius": radius}
            text: str = p.query
            for key, value in values.items():
                text = text.replace("{" + key + "}", str(value))
            return text
        if not p.table:
            raise RequestError(f"/observatories/{self.name}/table", "is missing", allowed="table or query")
        ra, dec = p.columns.get("ra", "ra"), p.columns.get("dec", "dec")
        circle = f"CIRCLE('ICRS', {source.ra!r}, {source.dec!r}, {radius!r})"
        return f"SELECT * FROM {p.table} WHERE 1 = CONTAINS(POINT('ICRS', {ra}, {dec}), {circle})"


@dataclass(frozen=True)
class Sia2Parameters(VirtualParameters):
    """Of an image service."""

    collection: str | None = parameter(None, "only images of this collection")
    aperture: float | None = parameter(None, "radius of the aperture; null is 1.5 FWHM", "pixel", low=0.3)
    max_images: int = parameter(1000, "most images of a source", low=1)


@dataclass(frozen=True)
class Sia2(Observatory):
    """Fetches images, and measures the source on each as `elvis photom` does."""

    Parameters: ClassVar[type[ReductionParameters]] = Sia2Parameters
    uses_network: ClassVar[bool] = True

    def fetch(self, source: Source) -> PhotometricDataset:
        """Return photometry of a source on all images about it."""
        p = self.parameters
        _check_url(self.name, p.url)
        from elvis_cli.observatory.measure import measure, table_of

        def records() -> list[Any]:
            more = {} if p.collection is None else {"collection": p.collection}
            radius = p.search_radius / 3600.0
            found = _service("SIA2Service", p.url).search(
                pos=(source.ra, source.dec, radius), data_type="image", maxrec=p.max_images, **more
            )
            return [record for record in found if not str(record.get("o_ucd")).startswith("stat.")]  # no weight maps

        rows = []
        for record in ask(p, records):
            content = ask(p, partial(_content, record, p.timeout))
            row = measure(content, source, p.aperture)
            if row is not None:
                rows.append(row)
        return self.raw(source, table_of(rows))


def query(url: str, adql: str) -> Any:
    """Return the table of an ADQL query.

    Raises
    ------
    ResourceError
        The service does not answer.
    """
    if not adql:
        raise RequestError("/catalog/query", "is missing: a catalogue by TAP needs a query")
    return ask(VirtualParameters(url=url), lambda: _query(url, adql))


def _query(url: str, adql: str) -> Any:
    return _service("TAPService", url).search(adql).to_table()


def _content(record: Any, timeout: float) -> bytes:
    """Return the file of a record: that of its address, or where this leads to rows of DataLink, that of `#this`.

    ``getdataset`` of pyvo does the same, but loads the vocabulary of DataLink from ivoa.net for it.
    """
    address = record.getdataurl()
    if DATALINK in str(record.getdataformat() or "").replace(" ", ""):
        from pyvo.dal.adhoc import DatalinkResults

        links = DatalinkResults.from_result_url(address, session=_session())
        address = next((row.access_url for row in links if row.semantics == "#this"), None)
    if not address:
        raise ResourceError("a row of the service has no address of its file")
    answer = _session().get(address, timeout=timeout)
    answer.raise_for_status()
    return bytes(answer.content)


def _check_url(name: str, url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise RequestError(f"/observatories/{name}/url", f"is {url!r}", found=url, allowed="http:// or https://")


def _service(kind: str, url: str) -> Any:
    """Return a service of pyvo, with a session that carries the token of the environment."""
    try:
        from pyvo import dal
    except ImportError:
        raise ResourceError("archives need pyvo: pip install 'elvis-cli[vo]'") from None
    return getattr(dal, kind)(url, session=_session())


def _session() -> Any:
    import requests

    session = requests.Session()
    if token := os.environ.get(TOKEN):
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def ask(parameters: Any, question: Callable[[], T]) -> T:
    """Return the answer to a question, asked no more often than ``rate``, and again when it fails.

    Raises
    ------
    ResourceError
        It failed each time.
    """
    p = parameters
    for attempt in range(p.retries + 1):
        wait = _last.get(p.url, 0.0) + 1.0 / p.rate - time.monotonic()
        if wait > 0.0:
            time.sleep(wait)
        _last[p.url] = time.monotonic()
        try:
            return question()
        except ElvisError:
            raise
        except Exception as error:  # pyvo, requests and astropy raise what they like
            if attempt == p.retries:
                words = " ".join(str(error).split())[:200]
                raise ResourceError(f"{p.url} does not answer: {type(error).__name__}: {words}", url=p.url) from None
            time.sleep(2.0**attempt)
    raise AssertionError
