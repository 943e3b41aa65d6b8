"""Whether a file is whole, and whose it is."""

import hashlib
import json

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import __version__, pipeline
from elvis_cli.errors import OutputError
from elvis_cli.product import replay
from elvis_cli.product.fits import request_json
from elvis_cli.product.integrity import IntactFile, examine
from elvis_cli.request import parse


@pytest.fixture
def request_(micado):
    return parse.read(json.dumps(micado({"elvis/window": {"x0": 0, "y0": 0, "nx": 32, "ny": 16}})))


@pytest.fixture
def made(request_, tmp_path):
    path = tmp_path / "out.fits"
    with path.open("wb") as out:
        pipeline.render(request_, out)
    return path


def test_a_whole_file_tells_its_request(made, request_, micado):
    found = examine(made)
    data = made.read_bytes()
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert found.version == __version__
    assert json.loads(found.request) == json.loads(replay.read_request(made))
    assert found.is_of(request_json(request_))
    assert not found.is_of(request_json(parse.read(json.dumps(micado({"elvis/seed": 1})))))
    assert not IntactFile(found.sha256, found.size, "0.0", found.request).is_of(request_)


def test_a_long_request_is_told_whole(micado, tmp_path):
    stars = {key: [20.0] * 900 for key in ("x", "y", "mag")}
    request = parse.read(
        json.dumps(micado({"elvis/window": {"x0": 0, "y0": 0, "nx": 8, "ny": 8}, "elvis/catalogue": stars}))
    )
    with (tmp_path / "out.fits").open("wb") as out:
        pipeline.render(request, out)
    assert len(request_json(request)) > 8000
    assert examine(tmp_path / "out.fits").is_of(request_json(request))


def test_no_file(tmp_path):
    assert examine(tmp_path / "none.fits") is None


def test_a_file_that_ends_too_early_is_not_whole_wherever_that_is(made):
    data = made.read_bytes()
    with made.open("rb") as file:
        ends = [start for _, start, _ in replay.hdus(file)]
    for size in {0, 1, 2879, 2880, len(data) - 1, len(data) - 2880, *ends, *(end + 2880 for end in ends)}:
        made.write_bytes(data[:size])
        assert examine(made) is None, size


def test_one_wrong_bit_is_found_wherever_it_is(made):
    data = made.read_bytes()
    rng = np.random.default_rng(1)
    for at in (0, *rng.integers(2880, len(data), 20)):
        wrong = bytearray(data)
        wrong[at] ^= 1 << int(rng.integers(8))
        made.write_bytes(wrong)
        assert examine(made) is None, at


def test_zeros_are_not_whole(made):
    made.write_bytes(bytes(made.stat().st_size))
    assert examine(made) is None


def test_the_file_of_another_program_is_not_ours_to_replace(tmp_path):
    path = tmp_path / "real.fits"
    fits.PrimaryHDU(np.zeros((4, 4), np.float32)).writeto(path)
    with pytest.raises(OutputError, match="elvis did not make it"):
        examine(path)


def test_a_folder_of_that_name(tmp_path):
    with pytest.raises(OutputError, match="cannot read"):
        examine(tmp_path)
