"""Jobs: whole focal planes and nights; a restart or a killed process loses nothing."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.conftest import closure_only


def wait(server, url, seconds=120):
    """Return the job when it has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = server.get(url).json()
        if job["state"] in ("made", "failed"):
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def lines(small, count):
    dates = (f"2026-11-20T05:{n:02d}:00" for n in range(count))
    return "\n".join(json.dumps(small({"elvis/date": date})) for date in dates).encode()


def test_a_job_has_the_bytes_of_the_filter(server, elvis, small):
    text = json.dumps(small({"elvis/chips": [1, 5]}), indent=1)
    posted = server.post("/jobs?seed=4", text.encode())
    assert posted.status == 202
    assert posted.json()["state"] == "queued"
    job = wait(server, posted.headers["location"])
    assert (job["state"], job["requests"], len(job["files"])) == ("made", 1, 1)
    wanted = elvis("--seed", "4", stdin=text).out
    file = server.get(f"{job['url']}/file")
    assert file.body == wanted
    assert file.headers["content-type"] == "application/fits"
    part = server.get(job["files"][0]["url"], Range="bytes=80-159")
    assert (part.status, part.body) == (206, wanted[80:160])
    assert job["id"] in [each["id"] for each in server.get("/jobs").json()]


def test_events_tell_the_states(server, small):
    url = server.post("/jobs", lines(small, 3)).headers["location"]
    text = server.get(f"{url}/events").body.decode()
    states = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert states[-1] == "made"
    assert set(states) <= {"queued", "running", "made"}
    last = json.loads([line for line in text.splitlines() if line.startswith("data: ")][-1][6:])
    assert [file["line"] for file in last["files"]] == [1, 2, 3]
    assert server.get(f"{url}/file").status == 409
    assert server.ask("DELETE", url).status == 204
    assert server.get(url).status == 404


def test_what_is_wrong_with_a_job(server, small):
    refused = server.post("/jobs", small({"sky/airmass": "high"}))
    assert (refused.status, refused.json()["pointer"]) == (422, "/sky/airmass")
    second = lines(small, 1) + b"\n" + json.dumps(small({"instrument/INS.FILT2.NAME": "Kz"})).encode()
    job = wait(server, server.post("/jobs", second).headers["location"])
    assert (job["state"], [file["status"] for file in job["files"]]) == ("failed", ["made", "failed"])
    assert "did you mean 'Ks'?" in job["files"][1]["message"]
    assert server.get(f"{job['url']}/files/nothing.fits").status == 404
    assert server.get(f"{job['url']}/files/..%2frequests.jsonl").status == 404
    assert server.get("/jobs/nothing").status == 404
    assert server.post("/jobs?product=reduced", small()).status == 400


def test_a_night_of_blocks(server, elvis, night_blocks):
    posted = server.post("/ob?start=2026-11-20T05:00:00&seed=2", night_blocks)
    assert posted.status == 202, posted.body
    job = wait(server, posted.headers["location"])
    assert job["state"] == "made"
    requests = elvis("ob", "--start", "2026-11-20T05:00:00", "--seed", "2", stdin=night_blocks).out.splitlines()
    assert job["requests"] == len(requests) == len(job["files"])
    assert server.get(job["files"][0]["url"]).body == elvis(stdin=requests[0]).out
    refused = server.post("/ob", night_blocks.replace(b"INS.FILT2.NAME", b"INS.FILT2.NAM"))
    assert refused.status == 422
    assert "INS.FILT2.NAM" in refused.json()["pointer"] + refused.json()["detail"]
    assert server.post("/ob?request=[1]", night_blocks).status == 400


@closure_only
def test_nothing_is_lost_when_processes_and_server_are_killed(start, small, tmp_path, elvis):
    argv = ("--warm", "none", "--folder", str(tmp_path), "--jobs-per-hour", "2")
    server = start(*argv)
    url = server.post("/jobs", lines(small, 8)).headers["location"]
    waiting = server.post("/jobs?seed=1", small()).headers["location"]
    refused = server.post("/jobs", small())
    assert (refused.status, refused.json()["limit"]) == (429, 2)

    def until(count):
        while len(server.get(url).json()["files"]) < count:
            time.sleep(0.02)

    until(1)
    os.kill(server.workers()[0], signal.SIGKILL)
    until(2)
    assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.errors.read_text()
    server.start()
    until(4)
    server.stop(signal.SIGKILL)
    server.start()
    job = wait(server, url)
    assert job["state"] == "made"
    assert [file["line"] for file in job["files"]] == list(range(1, 9))
    assert server.get(job["files"][4]["url"]).body == elvis(stdin=lines(small, 8).splitlines()[4]).out
    assert (
        server.get(f"{wait(server, waiting)['url']}/file").body == elvis("--seed", "1", stdin=json.dumps(small())).out
    )


@pytest.fixture
def night_blocks():
    """A block of ESO's p2 with two short exposures on a small window."""
    block = {
        "obId": 7, "itemType": "OB", "name": "M 1", "runId": "110.A-0001(B)",
        "target": {"name": "M 1", "ra": "05:34:31.900", "dec": "+22:00:52.00", "equinox": "J2000"},
        "templates": [{"templateName": "MICADO_img_obs_GenericOffset",
                       "parameters": [{"name": "INS.FILT2.NAME", "value": "H"}, {"name": "SEQ.NEXPO", "value": 2}]}],
        "elvis": {"elvis": {"window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, "chips": [5]}},
    }  # fmt: skip
    return json.dumps(block).encode()
