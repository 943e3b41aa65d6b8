"""Targets with an ephemeris: in the blocks of a night, and in one request."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from astropy.coordinates import SkyCoord

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.observing import load, plan
from elvis_cli.observing.languages import Language
from elvis_cli.request.files.ephemeris import read_ephemeris
from tests.conftest import MICADO, changed
from tests.request.files.test_ephemeris import horizons
from tests.setups import target_in_field

START = datetime(2030, 9, 25, 3)
ODL = {
    "ObservingBlocks": [
        {
            "type": "Science", "target": {"name": "Ceres", "rotmode": "pa", "PA": 30}, "pattern": {"name": "Stare"},
            "instconfig": {"instrument": "fors"}, "detconfig": [{"exptime": 600, "nexp": 3}], "align": "Blind",
        }
    ]
}  # fmt: skip


def night(document: Any, files: dict[str, Path], start: datetime | None = START) -> list[plan.Exposure]:
    ephemerides = {name: read_ephemeris(path) for name, path in files.items()}
    visits = load.read(json.dumps(document).encode(), Language.AUTO, 0, ephemerides=ephemerides)
    return list(plan.plan(visits, plan.Options(start=start, steady=True)))


@pytest.fixture
def ceres(tmp_path):
    """Write a table from 2 h to 8 h that moves 30 arcsec an hour to the East and 40 to the South, from RA 0 on."""
    return horizons(tmp_path / "ceres.txt", datetime(2030, 9, 25, 2), -30 / 3600 / math.cos(math.radians(20)), -20.0)


@pytest.mark.parametrize("name", ["", "Ceres"])
def test_each_exposure_of_a_block_points_where_the_target_is(ceres, name):
    exposures = night(ODL, {name: ceres})
    assert len(exposures) == 3
    for exposure in exposures:
        block = exposure.document["elvis"]
        hours = (exposure.start + timedelta(seconds=300) - START) / timedelta(hours=1)
        expected = SkyCoord(
            30 * hours / 3600 / math.cos(math.radians(20)), -20 - 40 * hours / 3600 - 40 / 3600, unit="deg"
        )
        seen = SkyCoord(block["pointing"]["ra"], block["pointing"]["dec"], unit="deg")
        assert seen.separation(expected).arcsec < 0.05
        assert block["motion"] == {"rate": pytest.approx(50, abs=0.01), "tracked": True,
                                   "angle": pytest.approx(90 + math.degrees(math.atan2(40, 30)), abs=0.01)}  # fmt: skip
        assert target_in_field(exposure.document) == pytest.approx([0, 0], abs=1e-4)
        assert block["pointing"]["position_angle"] == 30


def test_a_block_of_p2_needs_no_coordinates_either(ceres, make):
    block = make("HAWKI_img_obs_GenericOffset", {"DET.DIT": 10.0, "SEQ.OFFSET1.LIST": "0 5"})
    block["target"] = {"name": "Ceres"}
    first, second = night(block, {"Ceres": ceres})
    assert first.document["elvis"]["motion"]["rate"] == pytest.approx(50, abs=0.01)
    assert target_in_field(second.document) != target_in_field(first.document)


def test_without_a_start_the_night_lies_in_the_table(ceres):
    exposures = night(ODL, {"": ceres}, None)
    assert datetime(2030, 9, 25, 2) <= exposures[0].start
    assert exposures[-1].start + timedelta(seconds=600) <= datetime(2030, 9, 25, 8)


def test_beyond_the_table_it_is_refused(ceres):
    for start in (datetime(2030, 9, 25, 1), datetime(2030, 9, 25, 7, 45), datetime(2031, 1, 1)):
        with pytest.raises(RequestError, match=r"/ObservingBlocks/0: ceres.txt has no place of the target at"):
            night(ODL, {"": ceres}, start)


def test_an_ephemeris_is_of_one_target(ceres):
    with pytest.raises(UsageError, match="no block has the target 'Vesta': there are Ceres"):
        night(ODL, {"Ceres": ceres, "Vesta": ceres})
    both = {"ObservingBlocks": [ODL["ObservingBlocks"][0], {**ODL["ObservingBlocks"][0], "target": {"name": "Juno"}}]}
    with pytest.raises(UsageError, match="TARGET=FILE is needed"):
        night(both, {"": ceres})


def test_other_rates_contradict_it(ceres):
    for key in ("PMRA", "dra", "ddec"):
        block = {**ODL["ObservingBlocks"][0], "target": {"name": "Ceres", key: 1.0}}
        with pytest.raises(RequestError, match=f"/target/{key}: cannot be combined with an ephemeris"):
            night({"ObservingBlocks": [block]}, {"": ceres})


def test_the_command_line(elvis, ceres):
    result = elvis("ob", "--ephemeris", f"Ceres={ceres}", "--start", "2030-09-25T03:00", stdin=json.dumps(ODL))
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 3
    assert elvis("ob", "--ephemeris", "nowhere.txt", stdin=json.dumps(ODL)).code == 2
    assert elvis("ob", "--ephemeris", str(ceres), "--to", "json", stdin=json.dumps(ODL)).code == 2
    late = elvis("ob", "--ephemeris", str(ceres), "--start", "2031-01-01T03:00", stdin=json.dumps(ODL))
    assert (late.code, late.out) == (65, b"")


# A request


def request(**changes: Any) -> str:
    return json.dumps(changed(MICADO, {"elvis/window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, **changes}))


def pointing(elvis: Any, ceres: Path, *arguments: str, text: str) -> dict[str, Any]:
    """Return the block ``elvis`` of the request that travels in the frame."""
    import io

    from elvis_cli.product.replay import read_request

    result = elvis("--ephemeris", str(ceres), *arguments, stdin=text)
    assert result.code == 0, result.err
    block: dict[str, Any] = json.loads(read_request(io.BytesIO(result.out)))["elvis"]
    return block


def test_a_request_points_where_the_target_is_at_its_date(elvis, ceres):
    text = request(
        **{"elvis/date": "2030-09-25T03:59:00", "timesnr/DET.NDIT": 2, "elvis/pointing": {"ra": 1, "dec": 2}}
    )
    block = pointing(elvis, ceres, "--pa", "20", text=text)
    east = 30 / 3600 / math.cos(math.radians(20))
    assert block["pointing"] == {"ra": pytest.approx(east, abs=2e-6), "dec": pytest.approx(-20 - 80 / 3600, abs=2e-6),
                                 "position_angle": 20}  # fmt: skip
    assert block["motion"]["rate"] == pytest.approx(50, abs=0.01)
    assert block["motion"]["tracked"] is True


def test_a_target_beside_the_centre_stays_there(elvis, ceres):
    block = pointing(elvis, ceres, "--date", "2030-09-25T03:59:30", text=request(**{"elvis/offset": [0.0, 36.0]}))
    assert block["pointing"]["dec"] == pytest.approx(-20 - 80 / 3600 - 0.01, abs=2e-6)


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "message"),
    [
        ((), {}, 65, "/elvis/date: is missing"),
        (("--date", "2030-09-26T00:00"), {}, 65, "has no place of the target at 2030-09-26T00:00:00"),
        (("--date", "2030-09-25T07:59:30"), {}, 65, "at 2030-09-25T08:00:30"),
        (("--date", "2030-09-25T04:00", "--ra", "3"), {}, 2, "cannot be combined with --ra"),
        (("--date", "2030-09-25T04:00"), {"timesnr": {"DET.DIT": 60, "snr": 50}}, 65, "/timesnr/snr"),
    ],
)
def test_a_request_that_cannot_be_pointed(elvis, ceres, arguments, changes, code, message):
    result = elvis("--ephemeris", str(ceres), *arguments, stdin=request(**changes))
    assert (result.code, result.out) == (code, b"")
    assert message in result.err


def test_each_line_of_a_batch_has_its_own_place(elvis, ceres, tmp_path):
    from astropy.io import fits

    lines = "\n".join(request(**{"elvis/date": f"2030-09-25T0{hour}:00:00"}) for hour in (3, 6))
    result = elvis("batch", "--outdir", str(tmp_path), "--ephemeris", str(ceres), stdin=lines)
    assert result.code == 0, result.err
    decs = [fits.getheader(json.loads(line)["file"])["DEC"] for line in result.out.decode().splitlines()]
    assert decs[0] - decs[1] == pytest.approx(3 * 40 / 3600, abs=1e-5)
