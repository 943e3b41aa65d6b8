"""Arms: one exposure, several detectors, a file each."""

import io
import json
from concurrent.futures import Future

import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.batch.naming import Template
from elvis_cli.batch.run import run
from elvis_cli.batch.work import Job, Outcome, Settings, named
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.instrument.toml_plugin import TomlInstrument
from elvis_cli.observing import plan
from elvis_cli.observing.visit import ExposureStep, TemplateRun, Visit
from elvis_cli.request import parse

ARMS = """
[arms.long]
timing = { dit_key = "DET2.WIN1.UIT1", count_key = "SEQ.NEXPORED" }
spectrograph.traces = ["traces/K2217.json"]
[arms.short]
timing = { dit_key = "DET1.WIN1.UIT1", count_key = "SEQ.NEXPOBLUE" }
spectrograph.traces = ["traces/H1559.json"]
"""
"""Two arms for CRIRES2 as a CCD would be read, in place of its settings."""


@pytest.fixture
def two_arms(tmp_path, monkeypatch):
    """Return an instrument with two arms, which all of ELVIS then finds."""
    crires2 = registry.load("crires2")
    for file in crires2.folder.iterdir():
        if file.name not in ("instrument.toml", "settings.toml", "detector.toml"):
            (tmp_path / file.name).symlink_to(file)
    text = (crires2.folder / "instrument.toml").read_text().replace('"settings.toml", ', "")
    text = text.replace('instrument."INS.WLEN.CWLEN" = 2147.646\n', "").replace('timesnr."DET1.DIT" = 30\n', "")
    text = text.replace("[modes.spec_ngs]", '[modes.spec_ngs]\nuse_arms = ["long"]')
    (tmp_path / "instrument.toml").write_text(text + ARMS)
    detector = (crires2.folder / "detector.toml").read_text()
    detector = detector.replace('kind = "ir"', 'kind = "ccd"').replace(
        "[detectors.mosaic.stages.reference_pixels]\nborder", "#"
    )
    (tmp_path / "detector.toml").write_text(detector.replace('family = "hxrg"', ""))
    plugin = TomlInstrument(tmp_path)
    monkeypatch.setattr(registry, "load", lambda name: plugin)
    return plugin


def document(plugin, mode="spec_noao", timesnr=None, target=None, **block):
    request = plugin.example(mode)
    request["timesnr"] |= timesnr or {}
    request["target"] |= target or {}
    return request | {"elvis": {"window": {"x0": 0, "y0": 900, "nx": 64, "ny": 200}, "chips": [1], **block}}


def setup(plugin, *args, **keys):
    return pipeline.configure(parse.read(json.dumps(document(plugin, *args, **keys))))


def line(wavelength):
    return {"sed": {"sedtype": "emissionline", "emissionline": {"params": {"lambda": wavelength, "fwhm": 0.1}}},
            "brightness": {"brightnesstype": "flux", "flux": 1e-18}}  # fmt: skip


def test_the_example_has_the_times_of_all_arms_the_default_first(two_arms):
    assert list(two_arms.example()["timesnr"]) == [
        "DET2.WIN1.UIT1", "SEQ.NEXPORED", "DET1.WIN1.UIT1", "SEQ.NEXPOBLUE"
    ]  # fmt: skip
    assert list(two_arms.example("spec_ngs")["timesnr"]) == ["DET2.WIN1.UIT1", "SEQ.NEXPORED"]


def test_each_arm_has_its_own_time_and_count(two_arms):
    times = {"DET2.WIN1.UIT1": 30, "SEQ.NEXPORED": 2, "DET1.WIN1.UIT1": 60, "SEQ.NEXPOBLUE": 3}
    for arm, expected in (("long", (30, 2)), ("short", (60, 3))):
        exposure = setup(two_arms, timesnr=times, arm=arm).exposure
        assert (exposure.dit, exposure.count) == expected


@pytest.mark.parametrize(
    ("changes", "arm"),
    [
        ({}, "long"),
        ({"timesnr": {"short_snr": 20}}, "short"),
        ({"timesnr": {"snr": 20, "wavelengthmin": 1500, "wavelengthmax": 1600}}, "short"),
        ({"timesnr": {"long_snr": 9, "short_snr": 20}}, "long"),
        ({"target": line(1560)}, "short"),
        ({"target": line(2220)}, "long"),
        ({"target": line(1000)}, "long"),
    ],
)
def test_the_arm_is_the_one_that_the_request_is_about(two_arms, changes, arm):
    chosen = setup(two_arms, **changes)
    assert chosen.arm == arm
    other = {"long": "short", "short": "long"}[arm]
    assert any(arm in note and f"has {other} (--arm)" in note for note in chosen.notes)


def test_an_arm_that_is_named_needs_no_note(two_arms):
    chosen = setup(two_arms, arm="short", timesnr={"long_snr": 20})
    assert chosen.arm == "short"
    assert chosen.goal.snr is None
    assert not any("--arm" in note for note in chosen.notes)


def test_a_mode_may_have_one_arm_only(two_arms):
    assert setup(two_arms, "spec_ngs").arms == ("long",)
    with pytest.raises(RequestError, match=r"/elvis/arm.*'short'.*allowed: long"):
        setup(two_arms, "spec_ngs", arm="short")


def test_an_unknown_arm_is_refused_with_the_nearest(two_arms):
    with pytest.raises(RequestError) as caught:
        setup(two_arms, arm="shrt")
    assert caught.value.details["nearest"] == "short"


def test_an_instrument_without_arms_refuses_one():
    text = json.dumps({**registry.load("hawki").example(), "elvis": {"arm": "red"}})
    with pytest.raises(RequestError, match="/elvis/arm: this mode of hawki has no arms"):
        pipeline.configure(parse.read(text))


def frame(plugin, arm):
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document(plugin, arm=arm))), out)
    out.seek(0)
    return fits.open(out)


def test_arms_have_noise_and_names_of_their_own(two_arms):
    with frame(two_arms, "long") as long, frame(two_arms, "short") as short:
        assert [hdus[0].header["ESO SIM ARM"] for hdus in (long, short)] == ["long", "short"]
        assert long[0].header["ARCFILE"] != short[0].header["ARCFILE"]
        noise = [hdus[1].data[:100].astype(float).ravel() for hdus in (long, short)]
        assert abs(sum((noise[0] - noise[0].mean()) * (noise[1] - noise[1].mean()))) < 4 * len(noise[0]) ** 0.5 * (
            noise[0].std() * noise[1].std()
        )


def test_a_batch_writes_every_arm_unless_one_is_named(two_arms):
    settings = Settings("")
    both = named(settings, Job(1, json.dumps(document(two_arms)).encode()))
    assert [job.arm for job in both] == ["long", "short"]
    assert len({job.name for job in both}) == 2
    text = json.dumps(document(two_arms, arm="short", date="2026-11-20T05:00:00")).encode()
    assert [job.arm for job in named(settings, Job(2, text))] == [None]


def test_a_batch_refuses_the_same_name_for_two_arms(two_arms):
    class Pool:
        limit = 2

        def submit(self, job):
            future = Future()
            future.set_result(Outcome(job.line, job.id, "made", job.name) if job.name else named(settings, job))
            return future

    settings = Settings("", template=Template("{line}.fits"))
    first, second = run([json.dumps(document(two_arms)).encode()], Pool())
    assert (first.status, first.file) == ("made", "1.fits")
    assert "{SIM ARM}" in second.message


def test_arms_of_a_block_expose_side_by_side(two_arms):
    times = {"DET2.WIN1.UIT1": 100, "SEQ.NEXPORED": 3, "DET1.WIN1.UIT1": 400, "SEQ.NEXPOBLUE": 1}
    run = TemplateRun("CRIRES_spec_obs", "", 1, "", "spec_noao", {}, times, (ExposureStep(), ExposureStep()))
    visit = Visit("", 1, "OB", "P", None, "two_arms", (run,), slews=False, acquires=False)
    exposures = list(plan.plan([visit], plan.Options()))
    readout = exposures[0].readout
    first = [(e.document["elvis"]["arm"], (e.start - exposures[0].start).total_seconds()) for e in exposures[:4]]
    assert first == [("long", 0), ("short", 0), ("long", 100 + readout), ("long", 2 * (100 + readout))]
    assert [e.document["elvis"]["template"]["expno"] for e in exposures] == [1, 1, 2, 3, 4, 2, 5, 6]
    assert {e.document["elvis"]["template"]["nexp"] for e in exposures} == {2, 6}
    last = max(3 * (100 + readout), 400 + readout)
    assert sum(e.wall for e in exposures) == pytest.approx(2 * last)
    assert all(e.document["timesnr"]["SEQ.NEXPORED"] == 1 for e in exposures if e.document["elvis"]["arm"] == "long")
