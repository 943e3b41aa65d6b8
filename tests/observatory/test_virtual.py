"""Archives of the Virtual Observatory, played by a server of the test on this machine."""

import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import Table

pytest.importorskip("pyvo")

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.observatory import base, virtual
from elvis_cli.observatory.catalog import Catalog
from elvis_cli.observatory.parameters import CatalogParameters
from elvis_cli.observatory.source import Source

STAR = Source("X", 150.0, -25.0, 18.0, 0.1, "R")


def frame(n):
    """Return an image of a star of 100 at (16, 16) on noise of 1, with a zero point."""
    y, x = np.indices((33, 33)) - 16.0
    random = np.random.default_rng(n)
    data = random.normal(0, 0.02, (33, 33)) + 100 * np.exp(-(x**2 + y**2) / (2 * 1.2**2)) / (2 * np.pi * 1.2**2)
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 17.0, "CRPIX2": 17.0}
    cards |= {"CRVAL1": 150.0, "CRVAL2": -25.0, "CDELT1": -1e-4, "CDELT2": 1e-4, "MAGZPT": 23.0}
    cards |= {"MJD-OBS": 57000.0 + n, "EXPTIME": 60.0, "FILTER": "R"}
    out = io.BytesIO()
    fits.PrimaryHDU(data.astype(np.float32), fits.Header(cards)).writeto(out)
    return out.getvalue()


class Archive(BaseHTTPRequestHandler):
    """TAP and SIA2, as much of them as is asked; the first `failures` requests fail."""

    failures = 0
    asked: list[str] = []  # noqa: RUF012 - shared on purpose

    def log_message(self, *words):
        pass

    def do_POST(self):
        self.answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

    def do_GET(self):
        self.answer(parse_qs(urlparse(self.path).query))

    def answer(self, fields):
        cls = type(self)
        path = urlparse(self.path).path
        cls.asked.append(f"{path} {fields.get('QUERY', fields.get('POS', ['']))[0]}")
        if cls.failures and path != "/tap/capabilities":
            cls.failures -= 1
            self.send_error(503)
            return
        if path.startswith("/frame"):
            self.send(frame(int(path.rsplit("/", 1)[1])), "image/fits")
        elif path == "/tap/sync":
            self.send(votable(self.rows(fields["QUERY"][0])), "application/x-votable+xml")
        elif path == "/sia/query":
            links = fields.get("COLLECTION") == ["LINKED"]
            address = f"http://127.0.0.1:{self.server.server_port}/{'links' if links else 'frame'}/"
            kind = "application/x-votable+xml;content=datalink" if links else "image/fits"
            rows = {"access_url": [f"{address}{n}" for n in range(3)], "access_format": [kind] * 3}
            self.send(votable(Table(rows)), "application/x-votable+xml")
        elif path.startswith("/links"):
            address = f"http://127.0.0.1:{self.server.server_port}/frame/"
            number = path.rsplit("/", 1)[1]
            rows = {"ID": [number] * 2, "access_url": [address + "9", address + number]}
            rows |= {"semantics": ["#preview", "#this"], "content_type": ["image/fits"] * 2}
            self.send(votable(Table(rows)), "application/x-votable+xml")
        elif path == "/sia/capabilities":
            address = f"http://127.0.0.1:{self.server.server_port}/sia/query"
            self.send(CAPABILITIES.replace("ADDRESS", address).encode(), "text/xml")
        else:
            self.send_error(404)

    def rows(self, query):
        if "catalogue" in query:
            return Table({"name": ["a", "b"], "ra": [1.0, 2.0], "dec": [3.0, 4.0], "mag": [15.0, 16.0]})
        time = 57000.0 + np.arange(5.0)
        return Table({"obs_time": time, "mag": np.full(5, 18.0), "magerr": np.full(5, 0.1), "filter": ["R"] * 5})

    def send(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


CAPABILITIES = """<?xml version="1.0"?><vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0"
 xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<capability standardID="ivo://ivoa.net/std/SIA#query-2.0"><interface xsi:type="vs:ParamHTTP" role="std" version="2.0">
<accessURL use="base">ADDRESS</accessURL></interface></capability></vosi:capabilities>"""


def votable(table):
    document = from_table(table)
    document.resources[0].type = "results"
    for field in document.resources[0].tables[0].fields:
        if field.name == "access_url":
            field.ucd, field.utype = "meta.ref.url", "obscore:access.reference"
        if field.name == "access_format":
            field.ucd, field.utype = "meta.code.mime", "obscore:access.format"
    from astropy.io.votable.tree import Info

    document.resources[0].infos.append(Info(name="QUERY_STATUS", value="OK"))
    out = io.BytesIO()
    document.to_xml(out)
    return out.getvalue()


@pytest.fixture
def archive(monkeypatch):
    monkeypatch.setattr(virtual.time, "sleep", lambda seconds: None)
    Archive.failures, Archive.asked = 0, []
    server = HTTPServer(("127.0.0.1", 0), Archive)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_rows_about_a_source(archive):
    parameters = {"url": f"{archive}/tap", "table": "obs.phot", "columns": {"mjd": "obs_time"}, "exptime": 30.0}
    raw = base.make("tap", parameters).fetch(STAR)
    assert raw.data["mjd"].tolist() == (57000.0 + np.arange(5)).tolist()
    assert set(raw.data) == {"mjd", "mag", "magerr", "filter", "exptime"}
    (asked,) = [each for each in Archive.asked if "sync" in each]
    assert "FROM obs.phot WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 150.0, -25.0, 0.000555" in asked


def test_failures_are_tried_again(archive):
    parameters = {
        "url": f"{archive}/tap",
        "query": "SELECT * FROM t WHERE n = '{name}'",
        "columns": {"mjd": "obs_time"},
    }
    Archive.failures = 2
    assert base.make("tap", {**parameters, "retries": 3}).fetch(STAR).number == 5
    assert "n = 'X'" in Archive.asked[-1]
    Archive.failures = 9
    with pytest.raises(ResourceError, match="does not answer"):
        base.make("tap", {**parameters, "retries": 2}).fetch(STAR)


@pytest.mark.parametrize("collection", [None, "LINKED"])
def test_images_are_measured_without_the_network(archive, monkeypatch, collection):
    """The files are those of the addresses, or of the rows `#this` that they lead to."""

    def unreachable(*_, **__):
        raise AssertionError("asks ivoa.net for a vocabulary")

    monkeypatch.setattr("pyvo.utils.vocabularies.get_vocabulary", unreachable)
    parameters = {"url": f"{archive}/sia", "aperture": 5.0, "collection": collection, "retries": 0}
    raw = base.make("sia2", parameters).fetch(STAR)
    assert raw.number == 3
    assert raw.data["mjd"] == pytest.approx(57000.0 + np.arange(3) + 30 / 86400, abs=1e-6)
    assert raw.data["mag"] == pytest.approx(23.0 - 5.0, abs=0.01)
    assert (raw.data["exptime"] == 60.0).all()


def test_a_catalogue_by_tap(archive):
    read = Catalog.load(CatalogParameters(tap=f"{archive}/tap", query="SELECT * FROM catalogue"))
    assert [one.name for one in read] == ["A", "B"]


def test_what_is_missing_is_named():
    with pytest.raises(RequestError, match="http"):
        base.make("tap", {}).fetch(STAR)
    with pytest.raises(RequestError, match="table or query"):
        base.make("tap", {"url": "http://127.0.0.1:1"}).fetch(STAR)
