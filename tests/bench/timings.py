"""Times that parts of the program may take: `make bench` runs them; the suite does not, it would time the machine.

`python -m pytest tests/bench/timings.py`. Wall time is that of a machine which does nothing else.
"""

import json
import time

import numpy as np
import pytest
from astropy.table import Table

from elvis_cli.base import parallel
from elvis_cli.batch.naming import Template
from elvis_cli.batch.run import Names
from elvis_cli.batch.work import Settings, make
from elvis_cli.request import parse
from elvis_cli.request.files.catalogue import read_catalogue
from tests.detector.conftest import ccd, expose_fixture  # noqa: F401
from tests.detector.test_cti import CDM03, clocked
from tests.focalplane.test_fibres import bundle, draw  # noqa: F401
from tests.request.test_normalise import CORPUS
from tests.sky.test_local import DARK, load


def best(run, times=5):
    """Return the least wall time of several runs, s."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def test_a_request_is_read():
    longest = max(CORPUS, key=lambda p: p.stat().st_size).read_bytes()
    assert best(lambda: parse.read(longest)) < 0.015


def test_a_request_with_a_hundred_thousand_stars_is_read():
    column = [i * 1e-4 for i in range(100_000)]
    catalogue = {"x": column, "y": column, "mag": [20.5] * 100_000}
    text = json.dumps({"instrumentName": "x", "elvis": {"catalogue": catalogue}}).encode()
    assert best(lambda: parse.read(text)) < 0.5


def test_a_million_stars_are_packed_and_read(tmp_path):
    rng = np.random.default_rng(1)
    x, y, mag = rng.uniform(-50, 50, (3, 1_000_000))
    Table({"x": x, "y": y, "mag": abs(mag).astype("f4")}).write(tmp_path / "many.fits")

    def read():
        block = read_catalogue(tmp_path / "many.fits").block(None)
        parse.read(json.dumps({"instrumentName": "x", "elvis": {"catalogue": block}}))

    assert best(read, 1) < 10.0  # about 1.5 s


def test_the_sky_is_loaded():
    assert best(lambda: load(1.9, 2.4, DARK)) < 0.01


def test_a_hundred_orders_are_drawn(bundle, ready):  # noqa: F811
    many = ready(bundle(first=1100, orders=100))
    draw(ready(bundle()))  # compiles
    assert best(lambda: draw(many), 1) < 10.0


def test_a_large_chip_of_ten_species_takes_seconds(expose, ccd):  # noqa: F811
    """A sixteenth of 4096 x 4132 pixels: the whole must stay below 8 s on two cores, here four times as much time."""
    taus = list(np.geomspace(8e-7, 500, 7))
    table = CDM03 | {
        "parallel_density": [1e9] * 7, "parallel_sigma": [1e-15] * 7, "parallel_tau": taus,
        "serial_density": [1e9] * 3, "serial_sigma": [1e-12] * 3, "serial_tau": taus[:3],
    }  # fmt: skip
    rate = np.random.default_rng(1).poisson(120, (1033, 1024))
    clocked(expose, ccd, rate[:40, :40], table, nx=20, ny=20)
    assert best(lambda: clocked(expose, ccd, rate, table, nx=512, ny=517), 1) < 2


def test_a_warm_process_makes_four_megapixel_frames_a_second_on_two_cores(micado, tmp_path):
    """Processor time, which the machine's other work hardly changes: 2 cores / 4 frames = 0.5 s."""
    names, settings = Names(parse.read, Template()), Settings(str(tmp_path), {})
    texts = [json.dumps(micado({"elvis/date": f"2026-11-20T05:{n:02d}:00"})).encode() for n in range(6)]
    used = parallel.threads()
    parallel.set_threads(1)
    try:
        assert make(settings, *names.jobs(0, texts[0])).status == "made"
        begin = time.process_time()
        results = [make(settings, *names.jobs(n, text)) for n, text in enumerate(texts[1:], 1)]
        seconds = (time.process_time() - begin) / len(results)
    finally:
        parallel.set_threads(used)
    assert {result.status for result in results} == {"made"}
    assert all(result.size > 2 * 1024**2 for result in results)
    assert seconds < 0.5


@pytest.fixture(autouse=True)
def threads():
    """Leave the number of threads as it was."""
    yield
    parallel.set_threads(0)
