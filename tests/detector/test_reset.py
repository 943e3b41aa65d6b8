import numpy as np
import pytest

from elvis_cli.model.sampling import Sampling


def frame(expose, sampling, **more):
    stages = {"reset": {"level": 5000, "ktc": 29}}
    elvis_block = {"stages": ("reset",)}
    return expose(
        np.zeros((300, 300)), dark=0, sampling=Sampling(sampling), stages=stages, elvis_block=elvis_block, **more
    )


def test_single_reads_show_level_and_noise_of_the_reset(expose):
    image = frame(expose, 1)
    assert image.mean(dtype=float) == pytest.approx(5000, abs=0.5)
    assert image.std(dtype=float) == pytest.approx(29, rel=0.01)
    assert frame(expose, 1, count=25).std(dtype=float) == pytest.approx(29 / 5, rel=0.01)


@pytest.mark.parametrize("sampling", [2, 8])
def test_differences_do_not(expose, sampling):
    assert not frame(expose, sampling).any()
