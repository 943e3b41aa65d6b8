"""Lines of an arc, of a window that has hardly any."""

import numpy as np
import pytest

from elvis_cli.reduction import wavelength


def test_a_dip_is_no_line():
    """X-shooter's window without lines was moved by 12 pixels, as far as lines are looked for."""
    x = np.arange(200.0)
    line = np.exp(-0.5 * np.square((x - 60.3) / 1.5))
    place, _ = wavelength._centroids(10.0 + line - np.roll(line, 60), np.array([60.0, 120.0]), 3.5)
    assert place[0] == pytest.approx(60.3, abs=0.01)
    assert np.isnan(place[1])
