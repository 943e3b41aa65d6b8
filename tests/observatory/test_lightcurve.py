"""Photometry, quality and the finder (scenarios 4, 6, 8)."""

from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.errors import ResourceError
from elvis_cli.observatory.calibration import Calibration
from elvis_cli.observatory.columns import recognise
from elvis_cli.observatory.dataset import PhotometricDataset
from elvis_cli.observatory.finder import Finder
from elvis_cli.observatory.lightcurve import LightCurve, flux_of, mag_of, robust
from elvis_cli.observatory.parameters import CalibrationParameters, FinderParameters
from elvis_cli.observatory.quality import Quality
from tests.observatory.conftest import curve


def find(light, **parameters):
    return Finder(FinderParameters(**parameters)).find(light, Quality().check(light))


def test_magnitudes_and_fluxes():
    assert flux_of(np.array([23.9, 21.4])) == pytest.approx([1.0, 10.0])
    assert mag_of(np.array([1.0, 0.0, -1.0]))[0] == pytest.approx(23.9)
    assert np.isnan(mag_of(np.array([0.0, -1.0]))).all()


def test_photometry_of_thirty_points():
    random = np.random.default_rng(2)
    mag = 18.5 + random.normal(0, 0.1, 30)
    mag[4], mag[11] = 10.0, 20.0
    flag = np.zeros(30, int)
    flag[[20, 21, 22]] = 1
    data = {
        "MJD": 57000.0 + np.arange(30.0)[::-1],
        "Exp Time": np.full(30, 30.0),
        "mag": mag,
        "mag_err": np.full(30, 0.1),
    }
    columns = recognise({**data, "flag": flag, "comment": np.full(30, "x")})
    assert set(columns) == {"mjd", "exptime", "mag", "magerr", "flag"}
    dataset = PhotometricDataset.of(columns, source_name="X", observatory="O", filter="R")
    light = LightCurve.of(dataset)
    assert (np.diff(light.mjd) > 0).all()
    assert (dataset.t_start, dataset.t_end) == (57000.0, 57029.0)
    about = light.properties()
    assert about["num_good"] == 27
    assert about["mag"] == pytest.approx(18.5, abs=0.1)
    assert about["mag_rms"] == pytest.approx(0.1, abs=0.1)
    assert about["snr"] == pytest.approx(10, abs=2)
    assert about["uniform"]
    assert light.dmag[29 - 4] == pytest.approx(8.5, abs=0.5)
    assert light.dmag[29 - 11] == pytest.approx(-1.5, abs=0.5)


def test_what_a_light_curve_needs():
    about = {"source_name": "X", "observatory": "O"}
    good = {"mjd": np.arange(3.0), "exptime": np.ones(3), "mag": np.ones(3), "magerr": np.ones(3)}
    with pytest.raises(ResourceError, match="needs exptime"):
        LightCurve.of(PhotometricDataset.of({k: v for k, v in good.items() if k != "exptime"}, **about))
    with pytest.raises(ResourceError, match="one filter, not R, V"):
        LightCurve.of(PhotometricDataset.of({**good, "filter": np.array(["R", "V", "R"])}, **about))
    with pytest.raises(ResourceError, match="flux and fluxerr, or mag"):
        LightCurve.of(PhotometricDataset.of({k: v for k, v in good.items() if k != "magerr"}, **about))


def test_times_with_offsets():
    assert recognise({"BJD - 2457000": np.array([1.5])})["mjd"] == pytest.approx(57001.0)
    assert recognise({"MJD - 50000": np.array([1.5])})["mjd"] == pytest.approx(50001.5)
    assert recognise({"unix": np.array([86400.0])})["mjd"] == pytest.approx(40588.0)
    assert recognise({"iso": np.array(["2000-01-01T12:00:00"])})["mjd"] == pytest.approx(51544.5)
    with pytest.raises(ResourceError, match="without a time"):
        recognise({"mag": np.ones(2)})


def test_statistics_without_outliers():
    values = np.append(np.random.default_rng(1).normal(10, 1, 1000), [1e3, -1e3])
    mean, rms = robust(values)
    assert mean == pytest.approx(10, abs=0.1)
    assert rms == pytest.approx(1, abs=0.06)
    assert robust(np.array([1.0, 2.0, 30.0]))[0] == 2.0


def test_a_quiet_curve_has_no_detection_and_a_spike_one():
    assert find(curve()) == []
    (peak,) = find(curve(spikes={40: 8.0}))
    assert peak.at == 40
    assert abs(peak.snr - 8.0) < 1
    two = curve(spikes={40: 8.4, 70: -8.0})
    assert [round(each.snr) for each in find(two, max_detections=2)] == [8, -8]
    assert [each.at for each in find(two, max_detections=2, positive_only=True)] == [40]
    assert len(find(two)) == 1


def test_missing_and_flagged_epochs_are_no_detections():
    light = curve(spikes={40: 8.0, **dict.fromkeys(range(50, 60), 100.0)})
    flux, flag = light.flux.copy(), light.flag.copy()
    flux[10], flag[50:60] = np.nan, True
    (peak,) = find(replace(light, flux=flux, flag=flag))
    assert peak.at == 40


def test_five_bright_points_are_one_detection():
    (peak,) = find(curve(spikes=dict.fromkeys(range(30, 35), 8.0)), max_detections=3)
    assert (peak.start, peak.end) == (30, 34)


def placed(light, off=(), jitter=1e-4, sigma=10.0):
    """Return a light curve with places, some epochs ``sigma`` MAD off."""
    random = np.random.default_rng(8)
    angle, r = random.uniform(0, 2 * np.pi, len(light)), np.abs(random.normal(5.0, 1.0, len(light))) * jitter
    for n in off:
        r[n] = np.median(r) + sigma * np.median(np.abs(r - np.median(r)))
    ra, dec = 100.0 + r * np.cos(angle) / np.cos(np.radians(30.0)), 30.0 + r * np.sin(angle)
    return replace(light, ra=ra, dec=dec)


def test_quality_of_detections():
    flagged = curve(spikes={40: 12.0})
    flag = flagged.flag.copy()
    flag[40] = True
    off = placed(curve(spikes={40: 12.0}), off=[40])
    for light in (replace(flagged, flag=flag), off):
        assert find(light) == []
        (peak,) = find(light, remove_failed=False)
        assert peak.is_bad
    assert find(off, remove_failed=False)[0].offset == pytest.approx(10, abs=3)
    edge = placed(curve(spikes={40: 12.0, 41: 9.0, 42: 8.0}), off=[42])
    assert find(edge) == []
    (peak,) = find(edge, remove_failed=False)
    assert (peak.at, peak.end, peak.is_bad) == (40, 42, True)


def test_offsets_at_their_limits():
    assert not Quality().check(curve()).bad.any()
    same = replace(curve(), ra=np.full(100, 5.0), dec=np.full(100, 5.0))
    assert (Quality().check(same).offset == 0).all()
    assert Quality().check(replace(curve(), flux=np.full(100, np.nan))).bad.all()
    around = replace(curve(), ra=np.where(np.arange(100) % 2, 359.99999, 0.00001), dec=np.zeros(100))
    assert not Quality().check(around).bad.any()


def test_calibration_changes_what_is_loaded_and_nothing_else():
    columns = {"mjd": np.arange(9.0), "exptime": np.ones(9), "mag": np.full(9, 20.0), "magerr": np.full(9, 0.1)}
    columns["filter"], columns["flag"] = np.full(9, "r"), np.ones(9, int)
    dataset = PhotometricDataset.of(columns, source_name="X", observatory="ZTF", filter="r")
    p = CalibrationParameters(zero_points={"R": 0.5}, filters={"ZTF-r": "R"}, ignore_flags=True)
    light = Calibration(p).apply(dataset)
    assert light.filter == "R"
    assert light.mag == pytest.approx(20.5)
    assert not light.flag.any()
    assert (dataset.data["mag"] == 20.0).all()
    assert (dataset.data["flag"] == 1).all()
    assert Calibration(CalibrationParameters(name="none")).apply(dataset).mag == pytest.approx(20.0)
    assert Calibration(p).identity != Calibration().identity
