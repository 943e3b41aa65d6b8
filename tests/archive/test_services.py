"""From a block to an answer: a night is simulated, archived, and found by clients of others, byte for byte."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from elvis_cli.archive.store import Store
from tests.archive import rows

pyvo = pytest.importorskip("pyvo", reason="needs the extra vo")
pytest.importorskip("python_multipart", reason="needs the extra archive")
pytest.importorskip("mocpy", reason="needs the extra archive")
pytestmark = pytest.mark.filterwarnings("ignore")  # of clients
PARAMETERS = {"SEQ.NEXPO": 2, "INS.FILT2.NAME": "Ks", "DET.DIT": 2.0}
BLOCK = {
    "obId": 4711, "itemType": "OB", "name": "cluster", "runId": "0110.A-1234", "instrument": "micado",
    "target": {"name": "M 42", "ra": "05:35:17.300", "dec": "-05:23:28.00"},
    "templates": [{
        "templateName": "MICADO_img_obs_GenericOffset", "type": "science",
        "parameters": [{"name": name, "value": value} for name, value in PARAMETERS.items()],
    }],
    "elvis": {"elvis": {"window": {"x0": 2000, "y0": 2000, "nx": 64, "ny": 64}, "chips": [5]}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """The words of DataLink, which pyvo would load from the network."""
    words = ("this", "preview", "progenitor", "calibration", "cutout", "proc")
    found = {"terms": {word: {"label": word, "narrower": []} for word in words}}
    monkeypatch.setattr("pyvo.utils.vocabularies.get_vocabulary", lambda *_, **__: found)


class Night:
    """Files of a night in an archive that is served."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "archive.sqlite"
        self.manifest: list[dict] = []

    def run(self, *argv: str, stdin: bytes = b"") -> bytes:
        command = [sys.executable, "-m", "elvis_cli.cli", *argv]
        environment = {**os.environ, "ELVIS_THREADS": "1", "ELVIS_ARCHIVE": str(self.store)}
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment, cwd=self.folder, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def serve(self) -> None:
        errors = self.folder / "stderr"
        command = [sys.executable, "-m", "elvis_cli.cli", "archive", "serve", "--port", "0", "--store", str(self.store)]
        with open(errors, "wb") as out:
            self.process = subprocess.Popen(command, stderr=out)
        while not (found := re.search(r"archive at (\S+)\n", errors.read_text())):
            assert self.process.poll() is None, errors.read_text()
            signal.sigtimedwait((), 0.05)
        self.url = found[1]

    def get(self, path: str, data: bytes | None = None) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.url + path, data, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def ask(self, text: str, **more: str) -> tuple[int, bytes]:
        return self.get("/tap/sync", urllib.parse.urlencode({"QUERY": text, **more}).encode())


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    made = Night(tmp_path_factory.mktemp("night"))
    requests = made.run("ob", "--start", "2026-11-20T05:00:00", stdin=json.dumps(BLOCK).encode())
    manifest = made.run("batch", "-j", "1", "--outdir", "raw", stdin=requests)
    made.manifest = [json.loads(line) for line in manifest.splitlines()]
    made.run("archive", "add", "-", stdin=manifest)
    product(made)
    made.run("archive", "add", "product.fits")
    store = Store(str(made.store))
    rows.fill(store, rows.products(50))
    store.close()
    made.serve()
    yield made
    made.process.send_signal(signal.SIGTERM)
    assert made.process.wait(30) == 0


def product(night):
    """Write a product of the night's first frame, with the headers that `elvis reduce` writes."""
    with fits.open(night.folder / night.manifest[0]["file"]) as raw:
        head = raw[0].header.copy()
        head["PRODCATG"], head["PROV1"], head["FLUXCAL"] = "SCIENCE.IMAGE", head["ARCFILE"], "ABSOLUTE"
        data, wcs = raw[1].data, WCS(raw[1].header).to_header()
        parts = [fits.ImageHDU(data * scale, wcs, name=name) for name, scale in (("SCI", 1), ("ERR", 0.1), ("DQ", 0))]
        fits.HDUList([fits.PrimaryHDU(None, head), *parts]).writeto(night.folder / "product.fits")


def test_every_file_is_found_by_place_time_and_block_and_is_what_was_made(night):
    tap = pyvo.dal.TAPService(f"{night.url}/tap")
    place = SkyCoord(BLOCK["target"]["ra"], BLOCK["target"]["dec"], unit=("hourangle", "deg"))
    start = min(row["t_min"] for row in tap.search("SELECT t_min FROM ivoa.obscore WHERE ob_id = 4711"))
    conditions = (
        f"1=CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {place.ra.deg}, {place.dec.deg}, 0.1))",
        f"t_min BETWEEN {start} AND {start + 1}",
        "ob_id = 4711",
    )
    for condition in conditions:
        found = tap.search(
            f"SELECT * FROM ivoa.obscore WHERE calib_level = 1 AND facility_name = 'ESO-ELT' AND {condition}"
        )
        assert sorted(row["sha256"] for row in found) == sorted(line["sha256"] for line in night.manifest)
        for row in found:
            data = row.getdataset().read()
            assert hashlib.sha256(data).hexdigest() == row["sha256"]
            head = fits.getheader(io.BytesIO(data))
            words = (head["ESO OBS ID"], head["ESO OBS PROG ID"], head["ESO OBS TARG NAME"], head["ESO TPL ID"])
            assert words == tuple(row[name] for name in ("ob_id", "prog_id", "target_name", "tpl_id"))
            assert words == (4711, "0110.A-1234", "M 42", "MICADO_img_obs_GenericOffset")
            assert row["obs_id"] == "4711"


def test_a_file_is_added_once(night):
    lines = night.run("archive", "add", "product.fits").splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["known"]


def test_a_product_leads_to_its_raw_frame_and_to_its_cut(night):
    sia = pyvo.dal.SIA2Service(f"{night.url}/sia2/query")
    found = sia.search(pos=(83.822, -5.391, 0.1), calib_level=2, band=(2.0e-6, 2.3e-6))
    assert [row["dp_cat"] for row in found] == ["SCIENCE.IMAGE"]
    row = found[0]
    links = row.getdatalink()
    assert {link.semantics for link in links} >= {"#this", "#preview", "#progenitor", "#cutout"}
    raw = next(links.bysemantics("#progenitor"))
    assert hashlib.sha256(raw.getdataset().read()).hexdigest() == night.manifest[0]["sha256"]
    circle = (row["s_ra"] * units.deg, row["s_dec"] * units.deg, 0.05 / 3600 * units.deg)
    cut = fits.open(io.BytesIO(row.processed(circle=circle).read()))
    whole = fits.open(night.folder / "product.fits")
    assert [hdu.name for hdu in cut[1:]] == ["SCI", "ERR", "DQ"]
    x, y = (round(float(whole["SCI"].header[f"CRPIX{n}"] - cut["SCI"].header[f"CRPIX{n}"])) for n in (1, 2))
    ny, nx = cut["SCI"].shape
    assert 20 < nx < 40
    for name in ("SCI", "ERR"):
        assert cut[name].data.sum() == whole[name].data[y : y + ny, x : x + nx].sum()
    places = [
        WCS(each["SCI"].header).all_pix2world(*pixel, 0) for each, pixel in ((cut, (3, 4)), (whole, (x + 3, y + 4)))
    ]
    assert np.allclose(*places, atol=1e-10)
    gone = urllib.parse.urlencode({"ID": row["obs_publisher_did"], "CIRCLE": "10 10 0.1"})
    assert night.get(f"/soda/sync?{gone}")[0] == 204


def test_observatories_read_from_it(night):
    from elvis_cli.observatory import virtual
    from elvis_cli.observatory.source import Source

    place = SkyCoord(BLOCK["target"]["ra"], BLOCK["target"]["dec"], unit=("hourangle", "deg"))
    source = Source("M_42", float(place.ra.deg), float(place.dec.deg))
    text = "SELECT dp_id, s_ra, s_dec FROM ivoa.obscore WHERE ob_id = {ob} AND calib_level = 1"
    assert len(virtual.query(f"{night.url}/tap", text.replace("{ob}", "4711"))) == 2
    parameters = virtual.Sia2Parameters(url=f"{night.url}/sia2/query", collection="MICADO", search_radius=1.0)
    seen = virtual.Sia2("ELT", parameters).fetch(source)
    assert seen.number == 3
    columns = {"ra": "s_ra", "dec": "s_dec", "mjd": "t_min", "mag": "abmaglim", "filter": "filter"}
    tap = virtual.Tap("TAP", virtual.TapParameters(url=f"{night.url}/tap", table="ivoa.obscore", columns=columns))
    assert "CIRCLE" in tap._adql(source)
    assert len(virtual.query(f"{night.url}/tap", tap._adql(source))) == 3


def test_tables_are_uploaded_to_sync_and_async_queries(night):
    tap = pyvo.dal.TAPService(f"{night.url}/tap")
    mine = Table({"name": ["a", "b"], "ra": [83.822, 10.0], "dec": [-5.391, 10.0]})
    text = (
        "SELECT m.name, o.dp_id FROM tap_upload.mine AS m JOIN ivoa.obscore AS o ON "
        "1=CONTAINS(POINT('ICRS', o.s_ra, o.s_dec), CIRCLE('ICRS', m.ra, m.dec, 0.1))"
    )
    assert set(tap.search(text, uploads={"mine": mine})["name"]) == {"a"}
    job = tap.submit_job(text, uploads={"mine": mine})
    job.run().wait(phases=["COMPLETED", "ERROR"], timeout=60)
    assert job.phase == "COMPLETED"
    assert len(job.fetch_result()) == 3
    address = job.url
    job.delete()
    assert night.get(urllib.parse.urlsplit(address).path)[0] == 404
    assert tap.run_async("SELECT COUNT(*) AS n FROM ivoa.obscore")[0]["n"] == 53
    assert "ivoa.obscore" in tap.tables


def test_jobs_outlive_a_restart(night):
    tap = pyvo.dal.TAPService(f"{night.url}/tap")
    job = tap.submit_job("SELECT COUNT(*) AS n FROM ivoa.obscore")
    port = night.url.rpartition(":")[2]
    job.run().wait(phases=["COMPLETED"], timeout=60)
    store = Store(str(night.store))
    with store.writing() as connection:  # as if the server had been killed before it ran
        connection.exec_driver_sql("UPDATE jobs SET phase = 'QUEUED', result = NULL")
    store.close()
    night.process.send_signal(signal.SIGTERM)
    assert night.process.wait(30) == 0
    night.serve()
    path = urllib.parse.urlsplit(job.url).path
    for _ in range(100):
        status, phase = night.get(f"{path}/phase")
        if phase == b"COMPLETED":
            break
        signal.sigtimedwait((), 0.1)
    assert (status, phase, port.isdigit()) == (200, b"COMPLETED", True)
    assert b"<TD>53</TD>" in night.get(f"{path}/results/result")[1]


def test_cone_search_moc_and_page(night):
    cone = pyvo.dal.SCSService(f"{night.url}/scs?")
    assert len(cone.search(pos=(83.822, -5.391), radius=0.1)) == 3
    from mocpy import MOC

    moc = MOC.from_fits(io.BytesIO(night.get("/moc?COLLECTION=MICADO")[1]))
    assert moc.contains_lonlat(83.822 * units.deg, -5.391 * units.deg).all()
    assert not moc.contains_lonlat(84.0 * units.deg, -5.391 * units.deg).any()
    assert 0 < moc.sky_fraction < 1e-7 * 20
    status, page = night.get("/?place=05:35:17.3+-05:23:28&radius=5&level=1")
    assert status == 200
    assert page.decode().count("<tr>") == 3
    assert "0110.A-1234" in page.decode()
    assert night.get("/?place=nowhere")[0] == 400
    for path in ("/coverage.png", f"/previews/{night_name(night)}?size=64"):
        assert night.get(path)[1].startswith(b"\x89PNG")


def night_name(night):
    text = "SELECT dp_id FROM ivoa.obscore WHERE calib_level = 1 AND ob_id = 4711"
    return json.loads(night.run("archive", "query", "--format", "json", text))["data"][0][0]


@pytest.mark.parametrize(("form", "start"), [
    ("csv", b"dp_id,s_ra"), ("tsv", b"dp_id\ts_ra"), ("json", b'{"metadata"'), ("votable", b"<?xml"),
    ("votable/b2", b"<?xml"),
])  # fmt: skip
def test_formats(night, form, start):
    status, body = night.ask("SELECT dp_id, s_ra FROM ivoa.obscore", RESPONSEFORMAT=form, MAXREC="10")
    assert status == 200
    assert body.startswith(start)
    if form.startswith("votable"):
        assert b'value="OVERFLOW"' in body
        assert len(Table.read(io.BytesIO(body), format="votable")) == 10


@pytest.mark.parametrize(("path", "status"), [
    ("/tap/sync?QUERY=DROP+TABLE+products", 400), ("/tap/sync", 400), ("/tap/sync?QUERY=SELECT+1&LANG=SQL", 400),
    ("/tap/sync?QUERY=SELECT+dp_id+FROM+ivoa.obscore&UPLOAD=a,http://127.0.0.1/x", 400), ("/nowhere", 404),
    ("/tap/async/abc", 404), ("/sia2/query?POS=CIRCLE+1+2", 400), ("/soda/sync?ID=x", 404), ("/files/x", 404),
    ("/sia2/query?BAND=a", 400), ("/moc?BAND=x", 400), ("/tap/sync?QUERY=SELECT+1&MAXREC=-1", 400),
    ("/previews/..%2Fx", 404),
])  # fmt: skip
def test_refusals(night, path, status):
    found, body = night.get(path)
    assert found == status
    assert b"Traceback" not in body
    assert str(night.folder).encode() not in body


def test_entities_in_uploads_are_refused(night):
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><VOTABLE>&b;</VOTABLE>'
    edge = "xxxx"
    parts = (("QUERY", b"SELECT * FROM tap_upload.a"), ("UPLOAD", b"a,param:f"), ('f"; filename="f.xml', bomb))
    head = f"--{edge}\r\nContent-Disposition: form-data; name=".encode()
    body = b"".join(head + f'"{name}"'.encode() + b"\r\n\r\n" + data + b"\r\n" for name, data in parts)
    body += f"--{edge}--\r\n".encode()
    request = urllib.request.Request(
        f"{night.url}/tap/sync", body, {"content-type": f"multipart/form-data; boundary={edge}"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 400
    assert b"entities" in caught.value.read()


def test_the_registry_record_names_all_services(night):
    record = night.run("archive", "registry", "--url", "https://archive.example.org/").decode()
    for path in ("tap", "sia2/query", "scs", "datalink/links", "soda/sync"):
        assert f"https://archive.example.org/{path}" in record
    from defusedxml import ElementTree

    assert ElementTree.fromstring(record).tag.endswith("Resource")
