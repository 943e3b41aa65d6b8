import importlib
import pkgutil

import numpy as np
import pytest

from elvis_cli import detector
from elvis_cli.base import parallel
from elvis_cli.detector import steps
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.model.elvis_block import Model

EFFECTS = tuple(name for name in steps.NAMES if name not in steps.LIGHT)
FIXED = ("flat_field", "hot_pixels", "dead_pixels")


@pytest.fixture(autouse=True)
def _threads():
    yield
    parallel.set_threads(0)


def test_every_stage_module_is_in_the_chain():
    modules = [importlib.import_module(f"elvis_cli.detector.{m.name}") for m in pkgutil.iter_modules(detector.__path__)]
    stages = {m.STAGE.name: m.__name__.rsplit(".", 1)[1] for m in modules if hasattr(m, "STAGE")}
    assert set(stages) == set(steps.NAMES) - steps.PARTS
    assert len(set(steps.NAMES)) == len(steps.NAMES)
    assert all(stage == module for stage, module in stages.items())
    assert all((m.STAGE.rows is None) != (m.STAGE.image is None) for m in modules if hasattr(m, "STAGE"))
    assert {m.STAGE.name for m in modules if hasattr(m, "STAGE") and m.STAGE.own} == steps.OWN


# --- selection -------------------------------------------------------------------------------------------------------


def test_without_stages_the_expected_electrons_pass_unchanged(expose):
    rate = np.random.default_rng(1).uniform(0, 100, (130, 70)).astype(np.float32)
    for elvis_block in ({"stages": ()}, {"skip": EFFECTS}):
        for kind in ("ir", "ccd"):
            frame = expose(rate, kind=kind, dit=7.5, elvis_block=elvis_block)
            assert frame.dtype == np.float32
            np.testing.assert_array_equal(frame, rate * np.float32(7.5))


def test_noiseless_chain_is_linear(expose):
    noiseless = {"skip": ("shot_noise", "cosmic_rays", "read_noise", "nonlinearity", "bias", "adc")}
    rate = np.random.default_rng(1).uniform(0, 100, (130, 70)).astype(np.float32)
    one = expose(rate, dark=0, stages={"flat_field": {"rms": 0.02}}, elvis_block=noiseless)
    three = expose(3 * rate, dark=0, stages={"flat_field": {"rms": 0.02}}, elvis_block=noiseless)
    np.testing.assert_allclose(three, 3 * one, rtol=1e-6)


def test_order_of_the_request_does_not_matter(expose):
    rate = np.full((70, 70), 50.0)
    a = expose(rate, elvis_block={"stages": ("gain", "bias", "shot_noise")})
    np.testing.assert_array_equal(a, expose(rate, elvis_block={"stages": ("shot_noise", "bias", "gain")}))


def test_a_stage_left_out_does_not_change_the_others(expose):
    rate = np.full((70, 70), 50.0)
    with_noise = expose(rate, elvis_block={"stages": ("shot_noise", "read_noise")})
    without = expose(rate, elvis_block={"stages": ("shot_noise",)})
    noise = expose(np.zeros((70, 70)), elvis_block={"stages": ("read_noise",)})
    np.testing.assert_allclose(with_noise - without, noise, atol=1e-4)


@pytest.mark.parametrize(
    ("elvis_block", "pointer", "nearest"),
    [
        ({"stages": ("gain", "readnoise")}, "/elvis/stages/1", "read_noise"),
        ({"skip": ("Cosmic_Ray",)}, "/elvis/skip/0", "cosmic_rays"),
    ],
)
def test_unknown_names(expose, elvis_block, pointer, nearest):
    with pytest.raises(RequestError) as error:
        expose(np.zeros((4, 4)), elvis_block=elvis_block)
    assert error.value.details["pointer"] == pointer
    assert error.value.details["nearest"] == nearest
    assert error.value.details["allowed"] == list(steps.NAMES)


def test_stage_that_the_instrument_does_not_describe(expose):
    assert expose(np.zeros((4, 4)), stages={}).shape == (4, 4)
    with pytest.raises(RequestError, match="no parameters") as error:
        expose(np.zeros((4, 4)), stages={}, elvis_block={"stages": ("gain", "flat_field")})
    assert error.value.details["pointer"] == "/elvis/stages/1"
    assert "flat_field" not in error.value.details["allowed"]


def test_wrong_instrument_parameters_are_named(expose):
    with pytest.raises(ResourceError, match=r"test: H4RG: stages\.flat_field\.rms is 3"):
        expose(np.zeros((4, 4)), stages={"flat_field": {"rms": 3}})
    with pytest.raises(ResourceError, match=r"stages\.gain\.factor"):
        expose(np.zeros((4, 4)), gain=0.0)


def test_rates_are_not_changed(expose):
    rate = np.full((70, 70), 50.0, np.float32)
    expose(rate)
    assert np.all(rate == 50)


# --- determinism -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ir", "ccd"])
def test_threads_do_not_matter(expose, kind):
    rate = np.full((500, 300), 90.0)
    parallel.set_threads(1)
    one = expose(rate, kind=kind, dit=60)
    for threads in (2, 5):
        parallel.set_threads(threads)
        assert expose(rate, kind=kind, dit=60).tobytes() == one.tobytes()


def test_chips_do_not_depend_on_one_another(expose):
    rate = np.full((200, 100), 90.0)
    together = [expose(rate, chip=n) for n in (1, 2, 3)]
    np.testing.assert_array_equal(expose(rate, chip=2), together[1])


@pytest.mark.parametrize(
    "other", [{"chip": 2}, {"elvis_block": {"seed": 1}}, {"elvis_block": {"exposure": 2}}], ids=str
)
def test_chips_seeds_and_exposures_are_independent(expose, other):
    rate, stages = np.full((400, 400), 50.0), {}
    a = expose(rate, stages=stages).astype(float)
    b = expose(rate, stages=stages, **other).astype(float)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / 400


def test_noise_of_different_blocks_and_stages_is_independent(expose):
    shot = expose(np.full((512, 400), 50.0), elvis_block={"stages": ("shot_noise",)}).astype(float)
    read = expose(np.zeros((512, 400)), elvis_block={"stages": ("read_noise",)}).astype(float)
    assert abs(np.corrcoef(shot.ravel(), read.ravel())[0, 1]) < 0.01
    rows = parallel.ROWS
    assert abs(np.corrcoef(shot[:rows].ravel(), shot[rows : 2 * rows].ravel())[0, 1]) < 0.03


def test_fixed_patterns_of_a_window_are_the_cut_of_the_full_frame(expose):
    full = expose(np.full((500, 400), 20.0), elvis_block={"stages": FIXED})
    cut = expose(np.full((210, 130), 20.0), x0=77, y0=101, elvis_block={"stages": FIXED})
    np.testing.assert_array_equal(cut, full[101:311, 77:207])


# --- noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "gain", "ron"), [("ir", 2.0, 12.0), ("ccd", 1.25, 3.8)])
def test_photon_transfer_curve_gives_gain_and_read_noise(expose, kind, gain, ron):
    """Pairs of flats: the variance of the difference removes the fixed pattern."""

    def flat(level, exposure):
        rate = np.full((700, 700), level)
        stages = {"flat_field": {"rms": 0.01}}
        elvis_block = {"exposure": exposure}
        return expose(
            rate, kind=kind, dit=10, gain=gain, ron=ron, dark=0, stages=stages, elvis_block=elvis_block
        ).astype(float)

    signal, variance = [], []
    for level in (0.0, 500.0, 1500.0, 3000.0, 5000.0):
        a, b = flat(level, 1), flat(level, 2)
        signal.append((a.mean() + b.mean()) / 2 - 1000)
        variance.append((a - b).var() / 2)
    slope, _ = np.polyfit(signal, variance, 1)
    assert 1 / slope == pytest.approx(gain, rel=0.01)
    assert (variance[0] - 1 / 12) ** 0.5 * gain == pytest.approx(ron, rel=0.02)


def test_mean_of_100_integrations(expose):
    quiet = expose(np.zeros((400, 400)), count=100, dark=0, gain=1, stages={})
    assert quiet.std(dtype=float) == pytest.approx(12 / 10, rel=0.01)
    assert quiet.mean(dtype=float) == pytest.approx(1000, abs=0.02)
    flat = expose(np.full((400, 400), 30.0), dit=10, count=100, dark=0, gain=1, stages={})
    assert flat.var(dtype=float) == pytest.approx((300 + 144) / 100, rel=0.02)


def test_ccd_never_wraps_round(expose):
    frame = expose(np.zeros((200, 200)), kind="ccd", bias=0, ron=30, stages={})
    assert frame.max() < 200
    assert expose(np.full((50, 50), 1e9), kind="ccd", full_well=1e12, stages={}).min() == 65535


def mean_of_integrations(expose, level, n=25):
    """The aggregate, and the same as an honest loop over single integrations."""
    rate, stages = np.full((160, 160), level), {"nonlinearity": {"beta": 6e-7}}
    loop = [expose(rate, dit=1, stages=stages, elvis_block={"exposure": k}).astype(float) for k in range(n)]
    return expose(rate, dit=1, count=n, stages=stages).astype(float), np.mean(loop, axis=0)


@pytest.mark.parametrize("level", [10.0, 5e3, 6e4, 1.17e5])
def test_mean_made_at_once_equals_the_loop_over_integrations(expose, level):
    at_once, loop = mean_of_integrations(expose, level)
    assert at_once.mean() == pytest.approx(loop.mean(), abs=4.5 * loop.std() * (2 / loop.size) ** 0.5)
    assert at_once.std() == pytest.approx(loop.std(), rel=0.03)


@pytest.mark.parametrize("sigmas", [-2, -1, 0, 1, 2])
def test_near_the_full_well_the_mean_is_right_to_half_a_sigma(expose, sigmas):
    sigma = 1.2e5**0.5
    at_once, loop = mean_of_integrations(expose, 1.2e5 + sigmas * sigma)
    assert at_once.mean() == pytest.approx(loop.mean(), abs=0.5 * sigma / 2)  # gain 2


# --- order, light, kept images, models -------------------------------------------------------------------------------

ORDERS = {
    "one": ("stars", "galaxies", "thermal", "background", "dark", "flat_field", "shot_noise", "gain", "bias", "adc"),
    "two": ("stars", "dark", "galaxies", "thermal", "flat_field", "background", "shot_noise", "gain", "bias", "adc"),
}


LEVELS = {"stars": 40.0, "galaxies": 8.0, "thermal": 1.0, "background": 16.0}


@pytest.fixture
def developed(develop):
    """Develop even light, of which each part has its level."""

    def run(**changes):
        return develop(lambda parts: np.full((70, 60), sum(map(LEVELS.get, parts)), np.float32), (70, 60), **changes)

    return run


def test_detector_names_the_order(developed):
    one = developed(orders=ORDERS, dit=1, elvis_block={"keep": ("all",)})
    two = developed(orders=ORDERS, dit=1, elvis_block={"keep": ("all",), "order": "two"})
    assert [name for name in one if name] == list(ORDERS["one"])
    assert [name for name in two if name] == list(ORDERS["two"])
    assert two["dark"].mean() < one["dark"].mean()
    with pytest.raises(RequestError) as error:
        developed(orders=ORDERS, elvis_block={"order": "tow"})
    assert error.value.details["pointer"] == "/elvis/order"
    assert error.value.details["nearest"] == "two"


def test_orders_agree_where_their_stages_commute(developed):
    """Additions among themselves, and factors among themselves."""
    elvis_block = {"only": ("stars", "galaxies", "thermal", "background", "dark", "gain", "bias")}
    one = developed(orders=ORDERS, dit=1, elvis_block=elvis_block | {"order": "one"})
    two = developed(orders=ORDERS, dit=1, elvis_block=elvis_block | {"order": "two"})
    np.testing.assert_allclose(one[None], two[None], rtol=1e-6)


def test_kept_images_differ_by_their_stage_and_end_in_the_frame(developed):
    change = {"kind": "ccd", "dit": 10, "stages": {"flat_field": {"rms": 0.02}}}
    kept = developed(**change, elvis_block={"keep": ("all",)})
    plain = developed(**change)[None]
    np.testing.assert_array_equal(kept[None], plain)  # keeping changes nothing
    np.testing.assert_array_equal(kept["adc"], plain)
    assert kept["stars"].mean() == 400
    np.testing.assert_allclose(kept["galaxies"] - kept["stars"], 80)
    np.testing.assert_allclose(kept["background"] - kept["thermal"], 160)
    np.testing.assert_allclose(kept["dark"] - kept["flat_field"], 1, atol=1e-3)
    np.testing.assert_allclose(kept["bias"] - kept["gain"], 1000, rtol=1e-5)
    assert list(kept)[-1] is None


def test_keep_of_a_stage_that_does_not_run_is_the_image_at_its_place(developed):
    kept = developed(dit=1, stages={}, elvis_block={"keep": ("dark", "flat_field", "background"), "skip": ("dark",)})
    np.testing.assert_array_equal(kept["dark"], kept["background"])
    np.testing.assert_array_equal(kept["flat_field"], kept["background"])


def test_parts_of_the_light_are_switched(developed):
    change = {"dit": 1, "stages": {}}
    assert developed(**change, elvis_block={"stages": ()})[None].mean() == 65
    assert developed(**change, elvis_block={"stages": (), "skip": ("stars", "background")})[None].mean() == 9
    assert developed(**change, elvis_block={"only": ("galaxies",)})[None].mean() == 8
    assert developed(**change, elvis_block={"only": ("galaxies", "stars")})[None].mean() == 48
    assert not developed(**change, elvis_block={"only": ()})[None].any()


@pytest.mark.parametrize("key", ["skip", "only", "also", "keep"])
def test_unknown_names_in_every_list(developed, key):
    with pytest.raises(RequestError) as error:
        developed(elvis_block={key: ("dark", "darc")})
    assert error.value.details["pointer"] == f"/elvis/{key}/1"
    assert error.value.details["nearest"] == "dark"


def test_stages_of_calibrations_wait_to_be_asked(developed):
    change = {"dit": 1, "stages": {"charge_injection": {"level": 9e4, "first": 0, "on": 2}}}
    change["optional"] = ("charge_injection",)
    for elvis_block, there in (({}, 0), ({"also": ("charge_injection",)}, 1), ({"only": ("charge_injection",)}, 1)):
        made = developed(
            **change, elvis_block=elvis_block | {"skip": ("full_well", "gain", "bias", "adc", "read_noise")}
        )[None]
        assert (made[0].mean() == 9e4) == there


def test_models_replace_parameters_and_images(developed):
    flat = np.random.default_rng(1).uniform(0.9, 1.1, (70, 60)).astype("<f4")
    models = {
        "flat_field": Model({}, {1: (flat.tobytes(), (70, 60))}),
        "dark": Model({"rate": 5.0}, {}),
        "gain": Model({"factor": 4.0}, {}),
    }
    change = {"dit": 2, "nx": 60, "ny": 70, "stages": {}}
    only = ("stars", "flat_field", "dark", "gain")
    made = developed(**change, elvis_block={"only": only, "models": models})[None]
    np.testing.assert_allclose(made, (80 * flat + 10) / 4, rtol=1e-6)


@pytest.mark.parametrize(
    ("models", "pointer"),
    [
        ({"gian": Model({"factor": 1}, {})}, "/elvis/models/gian"),
        ({"gain": Model({"factor": -1}, {})}, "/elvis/models/gain/parameters"),
        ({"gain": Model({}, {0: (b"", (0, 0))})}, "/elvis/models/gain/arrays"),
        ({"flat_field": Model({}, {0: (bytes(4 * 12), (4, 3))})}, "/elvis/models/flat_field/arrays/0/shape"),
    ],
)
def test_wrong_models_are_refused(developed, models, pointer):
    with pytest.raises(RequestError) as error:
        developed(elvis_block={"models": models})
    assert error.value.details["pointer"] == pointer


def test_amplifiers_have_their_own_figures(ccd, expose):
    own = tuple({"gain": g, "bias": b, "ron": r} for g, b, r in ((1, 500, 3), (2, 600, 6), (3, 700, 9), (4, 800, 12)))
    change = ccd(nx=200, ny=200, own=own)
    frame = expose(np.zeros((400, 400)), **change, elvis_block={"stages": ("read_noise", "gain", "bias")}).astype(float)
    quarters = frame[:200, :200], frame[:200, 200:], frame[200:, 200:], frame[200:, :200]
    for quarter, figures in zip(quarters, own, strict=True):
        assert quarter.mean() == pytest.approx(figures["bias"], abs=0.1)
        assert quarter.std() * figures["gain"] == pytest.approx(figures["ron"], rel=0.02)


def test_raw_frames_of_a_ccd_give_its_parameters_back(ccd, expose):
    """Photon transfer, linearity, dark current and overscans, quadrant by quadrant, within 1 to 2 %."""
    own = tuple(
        {"gain": g, "bias": b, "ron": r} for g, b, r in ((3.1, 500, 4.4), (3.5, 600, 4), (3.3, 700, 5), (3, 800, 4))
    )
    change = ccd(nx=300, ny=300, prescan=51, overscan=29, rows=20, own=own) | {"stages": {"flat_field": {"rms": 0.01}}}
    slices = {"E": (slice(0, 300), slice(51, 351)), "G": (slice(340, 640), slice(409, 709))}
    scans = {"E": (slice(0, 300), slice(355, 380)), "G": (slice(340, 640), slice(384, 405))}

    def flat(level, exposure, dit=100.0, dark=0.0):
        made = expose(np.full((600, 600), level), **change, dit=dit, dark=dark, elvis_block={"exposure": exposure})
        assert made.shape == (640, 760)
        return made.astype(float)

    levels = (0.0, 50.0, 150.0, 400.0, 900.0)
    pairs = [(flat(level, 1), flat(level, 2)) for level in levels]
    for name, figures in (("E", own[0]), ("G", own[2])):
        bias = np.mean([pair[0][scans[name]].mean() for pair in pairs])
        assert bias == pytest.approx(figures["bias"], abs=0.1)
        noise = np.mean([((a - b)[scans[name]].var() / 2 - 1 / 12) ** 0.5 for a, b in pairs])
        assert noise * figures["gain"] == pytest.approx(figures["ron"], rel=0.02)
        signal = np.array([(a + b)[slices[name]].mean() / 2 - bias for a, b in pairs])
        variance = [(a - b)[slices[name]].var() / 2 for a, b in pairs]
        assert 1 / np.polyfit(signal, variance, 1)[0] == pytest.approx(figures["gain"], rel=0.015)
        np.testing.assert_allclose(signal[1:] * figures["gain"] / np.array(levels[1:]) / 100, 1, rtol=0.002)
        dark = flat(0.0, 1, dit=1000, dark=0.5)[slices[name]].mean() - bias
        assert dark * figures["gain"] == pytest.approx(500, rel=0.01)
