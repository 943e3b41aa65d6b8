import numpy as np
import pytest

from elvis_cli.errors import ResourceError
from elvis_cli.model.elvis_block import Model

LIST = {"chip": [1, 1, 2], "x": [5, 70, 6], "y": [7, 80, 8], "value": [43512, 0, 247617]}


def test_listed_pixels_are_exact_and_no_others_change(expose):
    rate = np.full((100, 90), 3.0)
    change = {"dit": 1, "stages": {"cosmetics": LIST}, "elvis_block": {"stages": ("cosmetics",)}}
    frame = expose(rate, **change)
    assert (frame[7, 5], frame[80, 70]) == (43512, 0)
    assert (frame != 3).sum() == 2
    cut = expose(rate[:50, :50], x0=4, y0=5, **change)
    assert cut[2, 1] == 43512
    assert (cut != 3).sum() == 1
    assert expose(rate, chip=2, **change)[8, 6] == 247617


def test_map_of_the_user(expose):
    flags = np.full((30, 20), np.nan, "<f4")
    flags[3, 4], flags[10, 11] = 9e4, 0
    models = {"cosmetics": Model({}, {1: (flags.tobytes(), (30, 20))})}
    frame = expose(np.full((30, 20), 3.0), dit=1, nx=20, ny=30, stages={},
                   elvis_block={"stages": ("cosmetics",), "models": models})  # fmt: skip
    assert (frame[3, 4], frame[10, 11], (frame != 3).sum()) == (9e4, 0, 2)


def test_columns_must_agree(expose):
    with pytest.raises(ResourceError, match="equally long"):
        expose(np.zeros((4, 4)), stages={"cosmetics": {"chip": [1], "x": [2, 3], "y": [1], "value": [0]}})
