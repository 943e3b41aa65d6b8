"""A night is simulated, reduced, archived, and found by clients of others, byte for byte."""

from __future__ import annotations

import hashlib
import io
import json
import signal
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

from elvis_cli.archive import ingest, query
from elvis_cli.archive.store import Store
from elvis_cli.service import archive_openapi
from elvis_cli.service.archive_app import ROUTES
from tests import postgres as server
from tests.archive.conftest import BLOCK

pyvo = pytest.importorskip("pyvo", reason="needs the extra vo")
pytest.importorskip("python_multipart", reason="needs the extra archive")
pytest.importorskip("mocpy", reason="needs the extra archive")
pytestmark = pytest.mark.filterwarnings("ignore")  # of clients


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """The words of DataLink, which pyvo would load from the network."""
    words = ("this", "preview", "progenitor", "calibration", "cutout", "proc")
    found = {"terms": {word: {"label": word, "narrower": []} for word in words}}
    monkeypatch.setattr("pyvo.utils.vocabularies.get_vocabulary", lambda *_, **__: found)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_is_found_by_place_time_and_block_and_is_what_was_made(night):
    assert len(night.products) == 3
    tap = pyvo.dal.TAPService(f"{night.url}/tap")
    place = SkyCoord(BLOCK["target"]["ra"], BLOCK["target"]["dec"], unit=("hourangle", "deg"))
    science = {line["sha256"] for line in night.science} | {digest(path) for path in night.products}
    every = science | {line["sha256"] for line in night.manifest}
    assert len(every) == len(night.manifest) + 3
    conditions = {
        f"1=CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {place.ra.deg}, {place.dec.deg}, 0.1))": science,
        "t_min BETWEEN 61364.2 AND 61364.3": every,  # 2026-11-20, five hours UTC
        "ob_id = 4711": every,
    }
    for condition, wanted in conditions.items():
        found = tap.search(f"SELECT * FROM ivoa.obscore WHERE facility_name = 'ESO-ELT' AND {condition}")
        assert sorted(row["sha256"] for row in found) == sorted(wanted)
    for row in found:
        data = row.getdataset().read()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        head = fits.getheader(io.BytesIO(data))
        words = tuple(head[f"ESO {name}"] for name in ("OBS ID", "OBS PROG ID", "OBS TARG NAME", "TPL ID"))
        if row["sha256"] in science:
            assert words == (4711, "0110.A-1234", "M 42", "MICADO_img_obs_GenericOffset")
            assert words == tuple(row[name] for name in ("ob_id", "prog_id", "target_name", "tpl_id"))
        assert (row["ob_id"], row["prog_id"], row["tpl_id"]) == (words[0], words[1], words[3])
        assert (row["calib_level"], row["obs_id"]) == (2 if "PRODCATG" in head else 1, "4711")


def test_a_file_is_added_once(night):
    lines = night.archive("add", str(night.products[0])).splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["known"]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_product_is_the_same_before_and_after_its_raw_frame(night, database, tmp_path, request):
    if database == "postgres" and (reason := server.lacking("pg_sphere")):
        pytest.skip(reason)
    place = str(tmp_path / "late.sqlite") if database == "sqlite" else request.getfixturevalue("postgres")()
    late, first = Store(place), Store(str(night.store))
    raw = [Path(line["file"]) for line in night.science]
    for paths in (night.products, raw):
        assert {o.status for o in ingest.add(late, [ingest.Entry(str(path)) for path in paths])} == {"added"}
    found = [
        {row.pop("dp_id"): row for row in store.find(ob_id=4711, calib_level=2) if row.pop("rid")}
        for store in (late, first)
    ]
    assert found[0] == found[1]
    (table,) = (row for row in found[0].values() if row["dp_cat"] == "SCIENCE.SRCTBL")
    assert (table["s_region"], table["em_min"]) == (first.find(sha256=night.science[0]["sha256"])[0]["s_region"],
                                                    pytest.approx(1.96e-6, rel=1e-2))  # fmt: skip
    text = (
        f"SELECT dp_id FROM ivoa.obscore WHERE 1=CONTAINS(POINT('ICRS', {table['s_ra']}, {table['s_dec']}), s_region)"
    )
    assert len(query.rows(late, text)) == 5
    for store in (late, first):
        store.close()


def test_a_product_leads_to_its_raw_frame_and_to_its_cut(night):
    sia = pyvo.dal.SIA2Service(f"{night.url}/sia2/query")
    found = sia.search(pos=(83.822, -5.391, 0.1), calib_level=2, band=(2.0e-6, 2.3e-6))
    (row,) = (row for row in found if row["dp_cat"] == "SCIENCE.IMAGE")
    links = row.getdatalink()
    assert {link.semantics for link in links} >= {"#this", "#preview", "#progenitor", "#cutout"}
    raw = next(links.bysemantics("#progenitor"))
    assert hashlib.sha256(raw.getdataset().read()).hexdigest() == night.science[0]["sha256"]
    circle = (row["s_ra"] * units.deg, row["s_dec"] * units.deg, 0.05 / 3600 * units.deg)
    cut = fits.open(io.BytesIO(row.processed(circle=circle).read()))
    whole = fits.open(image(night))
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


def image(night):
    (path,) = (path for path in night.products if path.name.endswith("_image.fits"))
    return path


def test_observatories_read_from_it(night):
    from elvis_cli.observatory import virtual
    from elvis_cli.observatory.source import Source

    place = SkyCoord(BLOCK["target"]["ra"], BLOCK["target"]["dec"], unit=("hourangle", "deg"))
    source = Source("M_42", float(place.ra.deg), float(place.dec.deg))
    text = "SELECT dp_id, s_ra, s_dec FROM ivoa.obscore WHERE ob_id = {ob} AND dp_cat = 'SCIENCE'"
    assert len(virtual.query(f"{night.url}/tap", text.replace("{ob}", "4711"))) == 2
    parameters = virtual.Sia2Parameters(url=f"{night.url}/sia2/query", collection="MICADO", search_radius=1.0)
    seen = virtual.Sia2("ELT", parameters).fetch(source)
    assert seen.number == 3  # neither on the weight map nor on the table of sources
    columns = {"ra": "s_ra", "dec": "s_dec", "mjd": "t_min", "mag": "abmaglim", "filter": "filter"}
    tap = virtual.Tap("TAP", virtual.TapParameters(url=f"{night.url}/tap", table="ivoa.obscore", columns=columns))
    assert "CIRCLE" in tap._adql(source)
    assert len(virtual.query(f"{night.url}/tap", tap._adql(source))) == 5


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
    assert len(job.fetch_result()) == 5
    address = job.url
    job.delete()
    assert night.get(urllib.parse.urlsplit(address).path)[0] == 404
    assert tap.run_async("SELECT COUNT(*) AS n FROM ivoa.obscore")[0]["n"] == len(night.manifest) + 53
    assert "ivoa.obscore" in tap.tables


def test_astroquery_asks_at_once_and_by_a_job(night):
    core = pytest.importorskip("astroquery.utils.tap.core", reason="needs astroquery")
    tap = core.TapPlus(url=f"{night.url}/tap")
    text = "SELECT dp_id, calib_level FROM ivoa.obscore WHERE ob_id = 4711"
    answers = [ask(text).get_results() for ask in (tap.launch_job, tap.launch_job_async)]
    assert [len(answer) for answer in answers] == [len(night.manifest) + 3] * 2
    assert list(answers[0]["dp_id"]) == list(answers[1]["dp_id"])


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
    assert f"<TD>{len(night.manifest) + 53}</TD>".encode() in night.get(f"{path}/results/result")[1]


def test_cone_search_moc_and_page(night):
    cone = pyvo.dal.SCSService(f"{night.url}/scs?")
    assert len(cone.search(pos=(83.822, -5.391), radius=0.1)) == 5
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
    text = "SELECT dp_id FROM ivoa.obscore WHERE dp_cat = 'SCIENCE'"
    return json.loads(night.archive("query", "--format", "json", text))["data"][0][0]


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
    record = night.archive("registry", "--url", "https://archive.example.org/").decode()
    for path in ("tap", "sia2/query", "scs", "datalink/links", "soda/sync"):
        assert f"https://archive.example.org/{path}" in record
    from defusedxml import ElementTree

    assert ElementTree.fromstring(record).tag.endswith("Resource")


def test_the_openapi_document_has_every_path_and_the_parameters_of_the_protocols(night):
    status, body = night.get("/openapi.json")
    paths = json.loads(body)["paths"]
    assert (status, set(paths)) == (200, {path for path, _, _ in ROUTES})
    assert archive_openapi.PARAMETERS.keys() <= paths.keys()
    assert [p["name"] for p in paths["/scs"]["get"]["parameters"]] == ["RA", "DEC", "SR", "VERB"]
    form = paths["/tap/sync"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert {"LANG", "QUERY", "UPLOAD", "MAXREC"} <= form["properties"].keys()
