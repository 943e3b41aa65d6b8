"""X-shooter's arms against the positions of its pipeline's physical model and the manual's resolving powers."""

import json

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.focalplane import trace
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse
from tests.conftest import closure_only
from tests.setups import target_in_field

PINHOLES = [
    ("uvb", 23, 318.8233, -2.826, 634.336, 1225.619),
    ("uvb", 23, 323.8116, 0.0, 683.149, 1718.964),
    ("uvb", 23, 333.0477, 2.826, 700.265, 2671.841),
    ("uvb", 21, 341.3013, 5.652, 903.967, 558.642),
    ("uvb", 22, 347.6728, -4.239, 789.982, 2625.283),
    ("uvb", 21, 353.9587, -1.413, 941.922, 1677.335),
    ("uvb", 19, 374.2923, -5.652, 1070.952, 337.936),
    ("uvb", 19, 382.8385, -2.826, 1146.452, 1018.747),
    ("uvb", 19, 405.9253, 4.239, 1162.172, 2969.394),
    ("uvb", 17, 436.7831, -2.826, 1376.155, 1684.037),
    ("uvb", 17, 449.3334, 0.0, 1357.201, 2640.146),
    ("uvb", 15, 471.2481, 2.826, 1539.748, 202.135),
    ("uvb", 13, 539.8922, -1.413, 1677.01, 4.422),
    ("uvb", 13, 591.2086, 5.652, 1691.659, 2910.525),
    ("vis", 29, 541.7486, -5.832, 218.782, 480.344),
    ("vis", 28, 558.7026, 2.916, 273.515, 293.419),
    ("vis", 28, 566.518, -4.374, 462.143, 902.21),
    ("vis", 29, 574.8741, 5.832, 399.628, 3423.16),
    ("vis", 29, 579.6068, 1.458, 376.926, 3910.928),
    ("vis", 27, 586.8375, -1.458, 580.362, 850.231),
    ("vis", 27, 596.9738, -4.374, 717.512, 1654.947),
    ("vis", 26, 602.1036, -5.832, 633.759, 318.576),
    ("vis", 25, 630.7657, 1.458, 792.774, 635.45),
    ("vis", 24, 658.8539, -2.916, 969.875, 761.559),
    ("vis", 23, 682.7248, 0.0, 1011.907, 449.934),
    ("vis", 22, 708.6704, -2.916, 1077.997, 140.136),
    ("vis", 22, 731.6006, 5.832, 1248.794, 1600.654),
    ("vis", 22, 748.4327, 2.916, 1287.512, 2788.083),
    ("vis", 19, 823.1407, -4.374, 1430.156, 282.025),
    ("vis", 16, 974.6463, -4.374, 1675.789, 162.154),
    ("vis", 16, 1047.0052, 5.832, 1675.722, 3851.357),
    ("nir", 24, 1070.098, -5.74, 152.425, 1497.221),
    ("nir", 24, 1086.1071, -2.87, 199.877, 1194.377),
    ("nir", 23, 1140.913, -2.87, 271.646, 1046.7),
    ("nir", 22, 1161.408, 1.435, 300.86, 1596.418),
    ("nir", 22, 1178.9041, 2.87, 350.1, 1290.043),
    ("nir", 21, 1198.4908, 5.74, 310.878, 1884.873),
    ("nir", 21, 1268.9197, -4.305, 365.784, 688.258),
    ("nir", 20, 1321.9235, -1.435, 455.946, 857.589),
    ("nir", 17, 1589.9662, 5.74, 548.032, 301.212),
    ("nir", 16, 1707.277, -4.305, 472.859, 47.757),
    ("nir", 14, 1822.1067, -2.87, 757.268, 1620.532),
    ("nir", 14, 1863.2257, -1.435, 805.931, 1125.729),
    ("nir", 13, 2084.873, 1.435, 721.413, 189.953),
]
"""Some of soxspipe's theoretical multi-pinhole tables: arm, order, air nm, arcsec in the slit, column and row
(from 1)."""
POWERS = {"uvb": 5400, "vis": 8900, "nir": 5600}


def configure(arm, **keys):
    document = registry.load("xshooter").example()
    document["instrument"] |= keys
    document["elvis"] = {"arm": arm}
    return registry.load("xshooter").configure(parse.read(json.dumps(document), strict=True))


def vacuum(air):
    """Return the vacuum wavelength (um) of an air wavelength (nm); Morton 2000, ApJS 130, 403."""
    s2 = (1e3 / air) ** 2
    index = 1.00008336624212083 + 0.02408926869968 / (130.1065924522 - s2) + 0.0001599740894897 / (38.92568793293 - s2)
    return air * index * 1e-3


def turned_by_soxspipe(arm, x, y):
    """Return column and row from 1, of a pixel (from 0, scans left out), in the frame that soxspipe turns and cuts."""
    if arm == "uvb":
        return [2048 - x, 3000 - y]
    return [x + 1, y + 1] if arm == "vis" else [y - 20 + 1, 2048 - 1 - x - 4 + 1]


@pytest.mark.parametrize("arm", POWERS)
def test_orders_fall_where_the_pipelines_model_has_them(arm):
    setup = configure(arm)
    traces = {one.order: one for one in setup.spectrograph.traces}
    for _, order, air, s, column, row in (pinhole for pinhole in PINHOLES if pinhole[0] == arm):
        place = traces[order].place(np.array([vacuum(air)]), np.array([s]))
        x, y = trace.to_pixels(*place, setup.detector.chips[0], setup.detector)
        found = turned_by_soxspipe(arm, float(x[0]), float(y[0]))
        assert found == pytest.approx([column, row], abs=0.35), (order, air, s)


@pytest.mark.parametrize("arm", POWERS)
def test_resolving_power_is_the_manuals(arm):
    setup = configure(arm)
    found = setup.spectrograph.resolving_power(setup.optics.band, setup.detector.pixel_mm)
    assert found == pytest.approx(POWERS[arm], rel=0.05)


def test_a_wider_slit_is_that_of_its_own_arm():
    keys = {"INS.OPTI3.NAME": "1.6x11"}
    widths = {arm: configure(arm, **keys).spectrograph.apertures[0].width for arm in POWERS}
    assert widths == {"uvb": 1.6, "vis": 0.9, "nir": 0.9}


def test_k_is_dark_behind_the_slits_that_block_it():
    seen = {name: configure("nir", **{"INS.OPTI5.NAME": name}) for name in ("0.9x11", "0.9x11JH")}
    widths = {name: setup.spectrograph.apertures[0].width for name, setup in seen.items()}
    assert widths == {"0.9x11": 0.9, "0.9x11JH": 0.9}
    wave = np.array([1.6, 2.2])
    through = {
        name: np.prod([surface.throughput.at(wave) for surface in setup.optics.surfaces], axis=0)
        for name, setup in seen.items()
    }
    assert through["0.9x11JH"] / through["0.9x11"] == pytest.approx([0.95, 0.0])


@pytest.mark.parametrize(("arms", "edge"), [(("uvb", "vis"), 0.5595), (("vis", "nir"), 1.024)])
def test_the_arms_share_the_light_where_eso_s_dichroics_part(arms, edge):
    """Where an arm has half of what it has beside the dichroic's edge (eso.org, overview of X-shooter)."""
    for arm, far in zip(arms, (edge - 0.03, edge + 0.05), strict=True):
        curve = configure(arm).optics.surfaces[-1].throughput
        assert curve.at(np.array([edge]))[0] / curve.at(np.array([far]))[0] == pytest.approx(0.45, abs=0.12)


def test_a_request_is_of_the_arm_that_sees_its_wavelength():
    document = registry.load("xshooter").example()
    document["timesnr"] |= {"wavelengthmin": 2100, "wavelengthmax": 2200}
    setup = registry.load("xshooter").configure(parse.read(json.dumps(document)))
    assert (setup.arm, setup.arms) == ("nir", ("vis", "uvb", "nir"))
    assert setup.exposure.count_key == "DET3.NDIT"


@pytest.mark.parametrize(("kind", "known"), [("arc", "LAMP,WAVE"), ("flat", "LAMP,FLAT"), ("std", "STD,FLUX")])
def test_calibrations_are_told_as_the_data_flow_knows_them(kind, known):
    document = registry.load("xshooter").example()
    document["elvis"] = {"arm": "nir", "calibration": kind}
    setup = registry.load("xshooter").configure(parse.read(json.dumps(document)))
    assert setup.header["ESO DPR TYPE"] == known


@pytest.mark.parametrize(("arm", "key", "clock", "shape"), [
    pytest.param("uvb", "DET1.READ.CLKDESCR", "100k/1pt/hg", (3000, 2144), marks=closure_only),
    ("uvb", "DET1.READ.CLKDESCR", "400k/1pt/lg/2x2", (1500, 1072)),
    ("vis", "DET2.READ.CLKDESCR", "100k/1pt/hg/1x2", (2000, 2106)), ("nir", None, None, (1100, 2048)),
])  # fmt: skip
def test_a_frame_has_the_image_and_scans_of_the_read_out_in_its_primary_hdu(elvis, tmp_path, arm, key, clock, shape):
    document = registry.load("xshooter").example()
    document["instrument"] |= {key: clock} if key else {}
    kind = "bias" if key else "dark"
    done = elvis("--arm", arm, "--calibration", kind, "-o", str(tmp_path / "bias.fits"), stdin=json.dumps(document))
    assert done.code == 0, done.err
    with fits.open(tmp_path / "bias.fits") as file:
        head, image = file[0].header, file[0].data
    assert image.shape == shape
    assert head["ESO SEQ ARM"] == arm.upper()
    if key:
        assert head["ESO DET OUT1 PRSCX"] + head["ESO DET OUT1 NX"] + head["ESO DET OUT1 OVSCX"] == shape[1]


def test_binning_conserves_the_electrons():
    lit = []
    for clock, window in (("100k/1pt/hg", (900, 1400, 240, 200)), ("100k/1pt/hg/2x2", (450, 700, 120, 100))):
        document = registry.load("xshooter").example()
        document["instrument"]["DET1.READ.CLKDESCR"] = clock
        document["elvis"] = {"arm": "uvb"}
        ready = pipeline.prepare(parse.read(json.dumps(document)))
        lit.append(float(ready.renderer.illuminate(ready.setup.detector.chip(1), Window(*window)).sum(dtype=float)))
    assert lit[1] == pytest.approx(lit[0], rel=2e-3)


@pytest.mark.parametrize(("arm", "key", "slit", "power"), [("vis", "INS.OPTI4.NAME", "0.4x11", 18400)])
def test_a_narrow_slit_has_the_resolving_power_of_esos_table(arm, key, slit, power):
    setup = configure(arm, **{key: slit})
    found = setup.spectrograph.resolving_power(setup.optics.band, setup.detector.pixel_mm)
    assert found == pytest.approx(power, rel=0.05)


def test_a_block_has_the_exposures_of_each_arm(elvis):
    times = {"DET1.WIN1.UIT1": 600, "DET2.WIN1.UIT1": 200, "SEQ.NEXP.VIS": 3, "DET3.DIT": 100, "SEQ.NOD.THROW": 5.0}
    block = {
        "obId": 3, "name": "star", "target": {"name": "star", "ra": "04:31:38.4", "dec": "-18:13:57.6"},
        "elvis": {"instrumentName": "xshooter"},
        "templates": [
            {"templateName": "XSHOOTER_slt_acq", "parameters": []},
            {"templateName": "XSHOOTER_slt_obs_AutoNodOnSlit",
             "parameters": [{"name": name, "value": value} for name, value in times.items()]},
        ],
    }  # fmt: skip
    lines = [json.loads(line) for line in elvis("ob", stdin=json.dumps(block)).out.decode().splitlines()]
    counts = {arm: sum(line["elvis"]["arm"] == arm for line in lines) for arm in POWERS}
    assert counts == {"uvb": 2, "vis": 6, "nir": 2}  # two places along the slit
    assert {round(target_in_field(line)[1], 1) for line in lines} == {-2.5, 2.5}


@closure_only
def test_a_batch_has_a_file_of_each_arm(elvis, tmp_path):
    document = registry.load("xshooter").example()
    document["elvis"] = {"window": {"x0": 900, "y0": 900, "nx": 16, "ny": 16}}
    done = elvis("batch", "--jobs", "1", "--outdir", str(tmp_path), stdin=json.dumps(document) + "\n")
    assert done.code == 0, done.err
    arms = sorted(fits.getheader(path)["ESO SEQ ARM"] for path in tmp_path.glob("*.fits"))
    assert arms == ["NIR", "UVB", "VIS"]
