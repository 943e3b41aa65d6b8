"""FORS2 against the answers of ESO's ETC v118 (100 s, 1x1, standard resolution, V = 20 Vega, flat f_lambda)."""

import pytest

ANSWERS = {  # filter: target e, sky e/pixel, npix, encircled, S/N
    "v_HIGH+114": (152440.4, 286.45, 95, 0.9471, 358.7),
    "g_HIGH+115": (135785.7, 168.64, 133, 0.9768, 340.0),
}
SKY = [  # airmass, FLI, moon distance, e/s/pixel in v_HIGH
    (1.0, 0.0, 180.0, 2.8645),
    (1.5, 0.0, 180.0, 3.3700),
    (2.0, 0.0, 180.0, 3.7744),
    (1.0, 1.0, 30.0, 206.63),
]


@pytest.mark.parametrize("name", ANSWERS)
def test_etc_answer(name, fors, predict):
    target, sky, npix, encircled, snr = ANSWERS[name]
    answer = predict(fors({"instrument/INS.FILT1.NAME": name}))
    assert answer.npix == npix
    assert answer.encircled == pytest.approx(encircled, abs=0.002)
    assert answer.target == pytest.approx(target, rel=0.05)
    assert answer.sky == pytest.approx(sky, rel=0.15)
    assert answer.snr == pytest.approx(snr, rel=0.05)


@pytest.mark.parametrize(("airmass", "fli", "distance", "sky"), SKY)
def test_sky_trend(airmass, fli, distance, sky, fors, predict):
    answer = predict(fors({"sky/airmass": airmass, "sky/fli": fli, "sky/moonDistance": distance}))
    assert answer.sky_rate == pytest.approx(sky, rel=0.15)


def test_extinction_trend(fors, predict):
    """The ETC's V extinction is 0.139 mag/airmass."""
    one, two = (predict(fors({"sky/airmass": x})).target_rate for x in (1.0, 2.0))
    assert two / one == pytest.approx(10 ** (-0.4 * 0.139), rel=0.02)


def test_five_magnitudes_are_a_factor_of_a_hundred(fors, predict):
    bright, faint = (predict(fors({"target/brightness/mag": m})).target_rate for m in (18, 23))
    assert bright / faint == pytest.approx(100.0, rel=1e-9)


def test_solved_exposures_reach_the_goal(fors, predict):
    document = fors({"timesnr": {"DET.WIN1.UIT1": 100, "snr": 1000}})
    answer = predict(document)
    assert answer.solved
    assert answer.snr >= 1000 > answer.snr_single * (answer.count - 1) ** 0.5
