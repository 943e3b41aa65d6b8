import numpy as np


def test_dark_current_grows_with_time(expose):
    frame = expose(np.full((4, 4), 2), dit=50, dark=0.25, elvis_block={"stages": ("dark",)})
    np.testing.assert_array_equal(frame, 2 * 50 + 0.25 * 50)
