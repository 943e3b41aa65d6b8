import numpy as np


def test_electrons_become_adu(expose):
    frame = expose([[10, 25]], dit=10, gain=2.5, elvis_block={"stages": ("gain",)})
    np.testing.assert_allclose(frame, [[40, 100]])
