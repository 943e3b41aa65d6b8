"""ELVIS as an observatory: frames rendered, reduced and measured; closure."""

import json
import os

import numpy as np
import pytest

pytest.importorskip("photutils")

from elvis_cli.errors import RequestError
from elvis_cli.observatory import base, results
from elvis_cli.observatory.cadence import CadenceParameters, times
from elvis_cli.observatory.efficiency import injected_seals
from elvis_cli.observatory.lightcurve import LightCurve, robust
from elvis_cli.observatory.measure import measure
from elvis_cli.observatory.source import Source

STAR = Source("S1", 150.0, -25.0, 17.0, 0.01, "K")
EPOCHS = int(os.environ.get("ELVIS_EPOCHS", "12"))
"""Epochs of the closure; `make observatory` takes more."""


def elvis(n=EPOCHS, **more):
    return base.make("elvis", {"instrument": "hawki", "cadence": {"n": n, "span": 30.0}, **more})


@pytest.fixture(scope="module")
def observed():
    return elvis().fetch(STAR)


def check_closure(raw, observatory, star):
    (part,) = observatory.reduce(raw, star)
    light = LightCurve.of(part)
    n = int(light.good.sum())
    assert n > 0.8 * len(light)
    mags, errors = light.mag[light.good], light.magerr[light.good]
    error = float(np.median(errors))
    assert abs(mags.mean() - star.mag) < 0.02 + 3 * error / n**0.5 * (n < 50)
    assert abs(robust(mags)[1] / error - 1.0) < 0.1 + 2.0 / (2 * n) ** 0.5
    assert np.abs(light.dsnr[light.good]).max() < 5
    print(star, mags.mean() - star.mag, mags.std(ddof=1) / error)


def test_magnitudes_and_scatter_close(observed):
    check_closure(observed, elvis(), STAR)


@pytest.mark.skipif("ELVIS_EPOCHS" not in os.environ, reason="ELVIS_EPOCHS=500 checks FORS2 too")
def test_fors_closes():
    star = Source("S1", 150.0, -25.0, 21.7, 0.01, "V")
    fors = elvis(instrument="fors")
    check_closure(fors.fetch(star), fors, star)


def test_products_that_are_kept_measure_as_the_epochs_do():
    raw = elvis(n=3, keep="product").fetch(STAR)
    assert [frame.path[-19:] for frame in raw.frames] == [f"_0000{n}_product.fits" for n in range(3)]
    measured = [measure(frame.data, STAR) for frame in raw.frames]
    for n, row in enumerate(measured):
        assert row["mjd"] == pytest.approx(raw.data["mjd"][n], abs=1e-6)
        assert row["mag"] == pytest.approx(raw.data["mag"][n], abs=0.1)  # 5 times the error
        assert row["filter"] == "Ks"
    again = elvis(n=3).fetch(STAR)
    assert (again.data["mag"] == raw.data["mag"]).all()
    assert again.frames == []


def test_what_is_measured_follows_from_the_parameters(observed):
    again = elvis().fetch(STAR)
    for key, values in observed.data.items():
        assert (again.data[key] == values).all(), key
    other = elvis(n=2, seed=5).fetch(STAR)
    assert other.data["mag"][0] not in observed.data["mag"]


def test_a_request_has_the_source_in_the_middle_of_its_window():
    document = elvis().request(STAR, 3, 61000.25, brightening=0.5)
    assert document["target"]["brightness"] == {**document["target"]["brightness"], "mag": 16.5, "magband": "K"}
    block = document["elvis"]
    assert block["place"] == {"ra": 150.0, "dec": -25.0} == block["pointing"]
    assert block["date"] == "2025-11-21T06:00:00.000"
    assert (block["window"]["nx"], len(block["chips"])) == (64, 1)
    assert elvis().request(STAR, 4, 61000.25)["elvis"]["seed"] != block["seed"]


def test_neighbours_and_weather_are_in_the_request(tmp_path):
    (tmp_path / "stars.csv").write_text(
        "name,ra,dec,mag\nS1,150.0,-25.0,17\nn,150.0,-24.9995,18.5\nfar,151.0,-25.0,10\n"
    )
    weather = [{"seeing": {"turbulence_category": 10}}, {"seeing": {"turbulence_category": 85}}]
    one = base.make("elvis", {"instrument": "hawki", "neighbours": "stars.csv", "conditions": weather}, tmp_path)
    documents = [one.request(STAR, n, 61000.0 + n) for n in range(12)]
    stars = documents[0]["elvis"]["catalogue"]
    assert stars["mag"] == [17.0, 18.5]
    assert stars["y"] == pytest.approx([0.0, 1.8], abs=0.01)
    assert {each["seeing"]["turbulence_category"] for each in documents} == {10, 85}


def test_events_are_rendered_into_the_frames(observed):
    one = elvis()
    change = np.zeros(observed.number)
    change[3] = 0.8
    again = one.render_with(STAR, observed, change)
    difference = observed.data["mag"] - again.data["mag"]
    assert difference[3] == pytest.approx(0.8, abs=0.1)
    assert (np.delete(difference, 3) == 0).all()
    demo = base.make("demo", {})
    with pytest.raises(RequestError, match="renders no frames"):
        demo.render_with(STAR, demo.fetch(STAR), np.zeros(100))


def test_times_are_at_night():
    mjd = times(CadenceParameters(n=50, span=100.0, night=(0.1, 0.3)), [1])
    assert ((mjd % 1 >= 0.1) & (mjd % 1 <= 0.3)).all()
    assert mjd.size == 50
    assert times(CadenceParameters(times=(61002.5, 61001.5)), [1]).tolist() == [61001.5, 61002.5]


def test_an_observatory_without_an_instrument_is_refused():
    with pytest.raises(RequestError, match="is missing"):
        elvis(instrument="").request(STAR, 0, 61000.0)


def test_spectrographs_are_refused():
    with pytest.raises(RequestError, match="spectra"):
        elvis(instrument="harps").request(STAR, 0, 61000.0)


def test_a_run_with_frames_that_are_kept_and_events_in_them(run):
    patch = {
        "catalog": {"rows": 2, "filter": "K", "mags": [15.0, 19.0]},
        "observatories": {"elvis": {"instrument": "hawki", "cadence": {"n": 16, "span": 10.0}, "keep": "raw"}},
        "simulator": {"level": "frames", "kinds": ["box"], "snr": [40.0, 40.0], "width": [0.01, 0.01]},
        "analysis": {"num_injections": 2},
    }
    one = run(patch=patch)
    done = one.go()
    assert [each.failure for each in done] == [None] * len(done)
    frames = sorted(one.project.data_folder.rglob("*_images_*.fits"))
    assert len(frames) == 16 * len(done)
    seals = injected_seals(one.project.parameters, one.project.key(), results.sources(one.store))
    found = [row for row in results.detections(one.store) if row["seal"] in seals]
    assert len(found) == len(seals) > 0
    assert all(row["snr"] == pytest.approx(40.0, rel=0.3) for row in found)
    assert one.go() == []
    rows = one.count("dataset")
    import sqlalchemy as sa

    with one.store.database.write() as connection:
        connection.execute(sa.text("UPDATE task SET state = 'open'"))
    assert all(each.reused for each in one.go())
    assert one.count("dataset") == rows
    json.dumps(results.sources(one.store))
