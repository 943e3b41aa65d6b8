import numpy as np

LINES = {"level": 3e4, "first": 30, "on": 10, "off": 100}
TRAPS = {"model": "arctic", "beta": 0.58, "parallel_density": [0.05, 0.08], "parallel_tau": [1.25, 8.0]}
STAGES = {"charge_injection": LINES, "cti": TRAPS, "cti_charge_injection": {}}


def test_trail_behind_the_lines_is_the_sum_of_the_exponentials(expose, ccd):
    """All rows make the full number of transfers; the first line shields the next ones."""
    change = ccd(ny=100) | {"stages": STAGES, "dit": 1}
    names = ("charge_injection", "cti_charge_injection")
    frame = expose(np.zeros((200, 64)), **change, elvis_block={"stages": names}).astype(float)
    volume, k = (3e4 / 2e5) ** 0.58, np.arange(1, 21)
    trail = sum(100 * rho * volume * (1 - np.exp(-1 / tau)) * np.exp(-(k - 1) / tau)
                for rho, tau in zip(TRAPS["parallel_density"], TRAPS["parallel_tau"], strict=True))  # fmt: skip
    np.testing.assert_allclose(frame[40:60, 3], trail, rtol=0.01)
    np.testing.assert_allclose(3e4 - frame[30, 3], 100 * 0.13 * volume, rtol=0.01)
    assert 3e4 - frame[31, 3] < 0.6 * (3e4 - frame[30, 3])
    assert not frame[:30, 3].any()


def test_light_beside_the_lines_is_left_alone(expose, ccd):
    change = ccd(ny=100) | {"stages": STAGES, "dit": 1}
    rate = np.random.default_rng(1).uniform(0, 9, (200, 64)).astype(np.float32)
    frame = expose(rate, **change, elvis_block={"stages": ("charge_injection", "cti_charge_injection")})
    np.testing.assert_array_equal(frame[:30], rate[:30])
    assert np.all(frame[40:60] > rate[40:60])
