import numpy as np


def test_level_is_added_after_the_gain(expose):
    frame = expose([[10]], dit=10, gain=2, bias=300, elvis_block={"stages": ("gain", "bias")})
    np.testing.assert_array_equal(frame, [[350]])
