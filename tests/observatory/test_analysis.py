"""Injection and recovery, and the seal (scenario 5, check A)."""

import math

import numpy as np
import pytest

from elvis_cli.errors import ResourceError
from elvis_cli.observatory import detection
from elvis_cli.observatory.analysis import Analysis
from elvis_cli.observatory.parameters import Parameters
from elvis_cli.observatory.simulator import Event, Simulator, profile
from elvis_cli.observatory.source import Source
from tests.observatory.conftest import curve

SECRET = bytes(range(32))
STAR = Source("X", 10.0, 20.0, 18.0, 0.1, "R")


def analysis(**patch):
    return Analysis(Parameters.load(None, {"analysis": {"num_injections": 0}, **patch}))


def injecting(kind, snr, width=1.0):
    return analysis(
        analysis={"num_injections": 1},
        simulator={"kinds": [kind], "snr": [snr, snr], "width": [width, width]},
    )


def recovered(kind, snr, width=1.0, curves=400):
    """Return the fraction of injected events that are found, and their S/N; a curve for each of many sources."""
    made, events, snrs = injecting(kind, snr, width), 0, []
    for n in range(curves):
        source = Source(f"S{n}", 0.0, 0.0, 18.0)
        light = curve(seed=1000 + n)
        events += len(made.events(SECRET, source.name))
        found = made.analyse(source, [light], SECRET).detections
        real = {detection.seal(SECRET, "events", source.name, k, False) for k in range(3)}
        snrs += [each.snr for each in found if each.seal not in real]
    return len(snrs) / events, np.array(snrs), events


@pytest.mark.parametrize(("kind", "width"), [("box", 1.0), ("gaussian", 1.0), ("transit", 2.0), ("flare", 0.3)])
def test_events_of_ten_sigma_are_found(kind, width):
    fraction, snrs, events = recovered(kind, 10.0, width, 150)
    assert events > 100
    assert fraction > 0.99
    sign = -1 if kind == "transit" else 1
    assert abs(np.mean(sign * snrs) - 10.0) < 0.5
    assert (sign * snrs > 6).all()


def test_half_of_the_events_at_the_threshold_are_found():
    fraction, _, events = recovered("box", 5.0, curves=1200)
    assert abs(fraction - 0.5) < 0.05, events


def test_the_event_is_where_it_was_put():
    made = injecting("box", 10.0)
    for n in range(40):
        for event in made.events(SECRET, f"S{n}")[:1]:
            light = curve(seed=n)
            place = Simulator(made.parameters.simulator).place(event, [light])
            found = [d for d in made.analyse(Source(f"S{n}", 0, 0, 18.0), [light], SECRET).detections if d.snr > 5]
            times = [d.peak_time for d in found]
            assert place.mjd in times
            assert all(abs(d.snr - 10) < 4 for d in found)


def test_no_data_no_detections():
    found = injecting("box", 10.0).analyse(STAR, [], SECRET)
    assert (found.detections, found.has_data) == ([], False)


def test_shapes():
    t = np.linspace(-3, 3, 601)
    event = {
        k: Event(k, 5.0, None, 1.0, 0.0, 0.0) for k in ("box", "gaussian", "flare", "dip", "transit", "step", "moving")
    }
    for kind, each in event.items():
        shape = profile(each, t)
        assert shape.max() == pytest.approx(1.0)
        assert profile(each, np.array([0.0]))[0] == pytest.approx(1.0), kind
    assert profile(event["gaussian"], np.array([0.5]))[0] == pytest.approx(0.5)
    assert profile(event["flare"], np.array([1.0]))[0] == pytest.approx(math.exp(-1))
    assert profile(event["transit"], np.array([0.45, 0.5, 0.56])) == pytest.approx([1.0, 0.5, 0.0])
    assert profile(event["step"], np.array([-0.1, 9.0])).tolist() == [0.0, 1.0]


def test_what_is_drawn_follows_from_the_key_and_the_name():
    made = analysis(analysis={"num_injections": 0.5})
    assert made.events(SECRET, "A") == made.events(SECRET, "A")
    counts = [len(made.events(SECRET, f"S{n}")) for n in range(2000)]
    assert np.mean(counts) == pytest.approx(0.5, abs=0.06)
    assert np.var(counts) == pytest.approx(0.5, abs=0.1)
    other = bytes(32)
    assert [len(made.events(other, f"S{n}")) for n in range(50)] != counts[:50]


def test_three_filters_one_event():
    lights = [curve(seed=n, filter=f) for n, f in enumerate("RVI")]
    lights[1] = curve(seed=1, spikes={60: 10.0}, filter="V")
    found = analysis().analyse(STAR, lights, SECRET)
    (one,) = found.detections
    assert (one.filter, one.peak_time) == ("V", lights[1].mjd[60])
    assert [each["filter"] for each in found.properties["lightcurves"]] == ["R", "V", "I"]


def test_injected_copies_do_not_enter_the_histograms():
    lights = [curve()]
    quiet, busy = analysis(), injecting("box", 15.0)
    assert any(busy.events(SECRET, "X"))
    assert busy.analyse(STAR, lights, SECRET).histograms == quiet.analyse(STAR, lights, SECRET).histograms


def test_a_real_and_an_injected_event_that_overlap_are_two_records():
    made = injecting("box", 30.0, width=2000.0)  # an event that covers all epochs
    name = next(f"S{n}" for n in range(50) if len(made.events(SECRET, f"S{n}")) == 1)
    place = Simulator(made.parameters.simulator).place(made.events(SECRET, name)[0], [curve()])
    light = curve(spikes={place.peak: 9.0})
    narrow = injecting("box", 30.0)
    found = narrow.analyse(Source(name, 0, 0, 18.0), [light], SECRET).detections
    assert sorted(round(each.snr / 10) for each in found) == [1, 4]


def test_the_key_is_a_file_for_its_owner_only(tmp_path):
    path = tmp_path / "run.key"
    key = detection.make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert detection.make_key(path) == key
    path.chmod(0o644)
    with pytest.raises(ResourceError, match="chmod 600"):
        detection.read_key(path)
    path.chmod(0o600)
    path.write_text("abc")
    with pytest.raises(ResourceError, match="no key"):
        detection.read_key(path)
