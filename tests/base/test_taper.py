"""The cosine between two parts of a profile."""

import numpy as np

from elvis_cli.base.taper import taper


def test_it_falls_from_half_of_the_radius_to_all_of_it() -> None:
    values = taper(np.linspace(0.0, 24.0, 97), 16.0)
    assert values[:33].min() == 1.0
    assert values[64:].max() == 0.0
    assert values[48] == 0.5
    assert np.all(np.diff(values) <= 0)
