"""Processor time of parts of the program in one process, each with its limit; the suite does not time the machine.

A row's floor is what the least of it takes: `json.loads` of a request, `numpy.load` of a table, `astropy` reading a
catalogue, numpy's normal and Poisson deviates for the pixels that are drawn.

    python -m pytest -q -s tests/bench/timings.py
"""

import json
import time

import numpy as np
import pytest
from astropy.table import Table

from elvis_cli.base import parallel
from elvis_cli.batch.work import Job, Settings, make
from elvis_cli.request import parse
from elvis_cli.request.files.catalogue import read_catalogue
from elvis_cli.sky import local
from tests.bench import measure
from tests.detector.conftest import ccd, expose_fixture  # noqa: F401
from tests.detector.test_cti import CDM03, clocked
from tests.focalplane.test_fibres import bundle, draw  # noqa: F401
from tests.request.test_normalise import CORPUS
from tests.sky.test_local import DARK, load


def within(name, limit, run, floor, times=5):
    """Print the row of the least of several runs, which must stay below the ``limit``; a ``floor`` is run too, or s."""
    used = measure.least(run, times)
    seconds = measure.least(floor, times).cpu if callable(floor) else floor
    measure.row(name, used, seconds, f"limit {limit:g} s")
    assert used.cpu < limit


@pytest.fixture(scope="module", autouse=True)
def _head():
    measure.head(__doc__)


def deviates(pixels):
    """Return the seconds of numpy's deviates of as many pixels: the floor of what draws them."""
    return pixels * measure.floor().deviates


def test_a_request_is_read():
    longest = max(CORPUS, key=lambda p: p.stat().st_size).read_bytes()
    within("the longest request of the corpus is read", 0.015, lambda: parse.read(longest), lambda: json.loads(longest))


def test_a_request_with_a_hundred_thousand_stars_is_read():
    column = [i * 1e-4 for i in range(100_000)]
    catalogue = {"x": column, "y": column, "mag": [20.5] * 100_000}
    text = json.dumps({"instrumentName": "x", "elvis": {"catalogue": catalogue}}).encode()
    within("a request with 1e5 stars is read", 0.5, lambda: parse.read(text), lambda: json.loads(text))


def test_a_million_stars_are_packed_and_read(tmp_path):
    rng = np.random.default_rng(1)
    x, y, mag = rng.uniform(-50, 50, (3, 1_000_000))
    Table({"x": x, "y": y, "mag": abs(mag).astype("f4")}).write(tmp_path / "many.fits")

    def read():
        block = read_catalogue(tmp_path / "many.fits").block(None)
        parse.read(json.dumps({"instrumentName": "x", "elvis": {"catalogue": block}}))

    within("1e6 stars of a file are packed and read", 10.0, read, lambda: Table.read(tmp_path / "many.fits"), 1)


def test_the_sky_is_loaded():
    table = local.Path(local.__file__).parents[1] / "data" / "sky.npy"
    within("the sky of 1.9 to 2.4 um", 0.01, lambda: load(1.9, 2.4, DARK), lambda: np.load(table))


def test_a_hundred_orders_are_drawn(bundle, ready):  # noqa: F811
    many = ready(bundle(first=1100, orders=100))
    draw(ready(bundle()))  # compiles
    pixels = many.setup.detector.nx * many.setup.detector.ny
    within("100 orders of a bundle of fibres are drawn", 10.0, lambda: draw(many), deviates(pixels), 1)


def test_a_large_chip_of_ten_species_takes_seconds(expose, ccd):  # noqa: F811
    """A sixteenth of 4096 x 4132 pixels: the whole must stay below 8 s on two cores, here four times as much."""
    taus = list(np.geomspace(8e-7, 500, 7))
    table = CDM03 | {
        "parallel_density": [1e9] * 7, "parallel_sigma": [1e-15] * 7, "parallel_tau": taus,
        "serial_density": [1e9] * 3, "serial_sigma": [1e-12] * 3, "serial_tau": taus[:3],
    }  # fmt: skip
    rate = np.random.default_rng(1).poisson(120, (1033, 1024))
    clocked(expose, ccd, rate[:40, :40], table, nx=20, ny=20)

    def run():
        clocked(expose, ccd, rate, table, nx=512, ny=517)

    within("charge transfer of ten species, 1024 x 1033 pixels", 2.0, run, deviates(rate.size), 1)


def test_a_warm_process_makes_four_megapixel_frames_a_second_on_two_cores(micado, tmp_path):
    """Processor time, which the machine's other work hardly changes: 2 cores / 4 frames = 0.5 s."""
    settings = Settings(str(tmp_path))
    texts = [json.dumps(micado({"elvis/date": f"2026-11-20T05:{n:02d}:00"})).encode() for n in range(6)]
    used = parallel.threads()
    parallel.set_threads(1)
    try:
        assert make(settings, Job(1, texts[0], name="0.fits")).status == "made"
        begin = time.process_time()
        results = [make(settings, Job(n + 1, text, name=f"{n}.fits")) for n, text in enumerate(texts[1:], 1)]
        seconds = (time.process_time() - begin) / len(results)
        measure.row("a warm frame of 1024 x 1024", measure.used(seconds), deviates(1024**2), "limit 0.5 s")
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
