"""elvis as others meet it: in pipes, on terminals, interrupted, on full disks."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import elvis_schemas
import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import __version__, cli
from elvis_cli.base import parallel
from elvis_cli.instrument import registry
from elvis_cli.optics import make_psf
from tests.conftest import Result, closure_only

CORPUS = Path(__file__).parent / "data" / "etc"
COMMAND = [sys.executable, "-m", "elvis_cli.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
SMALL = "--window=480,480,64,64"
DEAR = ("andes", "harmoni", "mosaic", "uves")
"""Instruments whose predictions take seconds."""


def example(name: str = "fors", **elvis_block: Any) -> str:
    document = registry.load(name).example()
    return json.dumps({**document, **({"elvis": elvis_block} if elvis_block else {})})


def process(*argv: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *argv], env=ENVIRONMENT, check=False, timeout=60, **options)


def heavy_imports(*argv: str, **options: Any) -> tuple[int, set[str]]:
    """Return the exit code of a command, and the large packages that it has imported."""
    script = "import sys; from elvis_cli.cli import run; print(run(sys.argv[1:]), *sys.modules)"
    command = [sys.executable, "-c", script, *argv]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True, **options)
    code, *modules = done.stdout.decode().splitlines()[-1].split()
    return int(code), {"numpy", "numba", "astropy", "scipy", "rich"} & set(modules)


def pixels(data: bytes) -> list[Any]:
    with fits.open(BytesIO(data), checksum=True) as hdus:
        return [hdu.data.copy() for hdu in hdus if hdu.is_image and hdu.data is not None and hdu.name != "SNR_MAP"]


REFUSED = {  # a line of 1000 nm that is to have a V magnitude
    "proto_hawki_emission_line": "/target/brightness",
    "crires2_v117_K2166_upload_K9.01_exocrires": "/target/sed/spectrum",  # the spectrum is not in the request
    "crires_P108b_upload_petitradtrans": "/target/sed/spectrum",
    "crires_old_Y12_upload_ndit": "/target/sed/spectrum",
    "malformed_crires_old_J1228_powerlaw_snr_echo": "/timesnr/dit",
    "malformed_crires_old_J1228_powerlaw_snr_echo_2": "/timesnr/dit",
}
KNOWN = re.compile(r"(proto_|repaired_|schema_)?(fors|hawki|eris|crires|harps|fourmost|uves)")


def kind(path: Path) -> tuple[Any, ...]:
    """Return the instrument, the kinds of its target and all keys of a request: those alike take the same way.

    Their keys count in `make closure` alone: they are read alike, and so are drawn alike.
    """
    document = json.loads(path.read_text())
    target, keys = document["target"], [sorted(document.get(name) or ()) for name in ("instrument", "timesnr")]
    spectrum = (target["sed"].get("spectrum") or {}).get("spectrumtype")
    kinds = target["morphology"]["morphologytype"], target["sed"]["sedtype"], spectrum
    if not os.environ.get("ELVIS_CLOSURE"):
        return KNOWN.match(path.stem)[2], kinds  # type: ignore[index]
    return document.get("instrumentName"), sorted(document), keys, kinds


def first_of_each_kind(paths: list[Path]) -> set[Path]:
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(repr(kind(path)), path)
    return set(found.values())


REQUESTS = sorted(CORPUS.glob("*.json"))
RENDERED = first_of_each_kind([path for path in REQUESTS if KNOWN.match(path.stem) and path.stem not in REFUSED])
"""Of all requests of the corpus for installed instruments, those of which a frame is rendered."""


class TestFilter:
    def test_request_in_fits_out(self, elvis: Any) -> None:
        result = elvis(SMALL, stdin=example())
        assert result.code == 0
        assert result.out.startswith(b"SIMPLE  =                    T")
        assert len(result.out) % 2880 == 0
        assert result.lines == []
        assert pixels(result.out)[0].shape == (64, 64)

    def test_as_a_process(self) -> None:
        done = process(SMALL, input=example().encode(), capture_output=True)
        assert done.returncode == 0
        assert pixels(done.stdout)[0].shape == (64, 64)
        assert all(line.startswith(b"elvis: note: ") for line in done.stderr.splitlines())

    def test_same_request_same_bytes_other_seed_other_noise(self, elvis: Any) -> None:
        first, again, other = (elvis(SMALL, f"--seed={seed}", stdin=example()).out for seed in (1, 1, 2))
        assert first == again
        assert not np.array_equal(pixels(first)[0], pixels(other)[0])

    def test_options_say_what_the_block_says_and_win(self, elvis: Any) -> None:
        window = {"x0": 480, "y0": 480, "nx": 64, "ny": 64}
        block = example(seed=5, window=window, exposure=2, pointing={"ra": 10.0, "dec": -30.0, "position_angle": 45.0})
        options = ["--seed=5", SMALL, "--exposure=2", "--ra=10", "--dec=-30", "--pa=45"]
        assert np.array_equal(pixels(elvis(stdin=block).out)[0], pixels(elvis(*options, stdin=example()).out)[0])
        assert (
            elvis(stdin=block).out == elvis("--seed=5", stdin=example(**{**json.loads(block)["elvis"], "seed": 9})).out
        )

    def test_threads_change_no_byte(self, elvis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        window = "--window=0,0,200,200"
        one = elvis(window, "--threads=1", stdin=example())
        make_psf.RECENT.clear()
        assert elvis(window, "--threads=2", stdin=example()).out == one.out
        monkeypatch.setenv("ELVIS_THREADS", "3")
        assert elvis(window, stdin=example()).out == one.out
        assert parallel.threads() == 3
        monkeypatch.setenv("ELVIS_THREADS", "many")
        assert elvis(window, stdin=example()).code == 2

    def test_expected(self, elvis: Any) -> None:
        (frame, *_) = pixels(elvis(SMALL, "--product=expected", stdin=example()).out)
        assert frame.dtype.kind == "f"
        assert frame.min() > 0

    def test_chips(self, elvis: Any) -> None:
        one, two, everyone = (pixels(elvis(SMALL, f"--chips={c}", stdin=example()).out) for c in ("1", "2", "all"))
        assert (len(one), len(two), len(everyone)) == (1, 1, 2)
        assert np.array_equal(everyone[0], one[0])
        assert np.array_equal(everyone[1], two[0])

    def test_stages(self, elvis: Any) -> None:
        some = elvis(SMALL, "--stages=gain,bias", stdin=example())
        assert some.code == 0
        wrong = elvis(SMALL, "--skip=bais", stdin=example())
        assert wrong.code == 65
        assert "'bias'" in wrong.lines[0]

    def test_what_is_valid_renders_and_what_is_not_does_not(self, elvis: Any) -> None:
        missing = elvis(SMALL, "--stages=nonlinearity", stdin=example("fors"))
        assert (missing.code, missing.out) == (65, b"")
        assert elvis("validate", "--stages=nonlinearity", stdin=example("fors")).err == missing.err

    def test_uploaded_spectrum(self, elvis: Any, tmp_path: Path) -> None:
        (tmp_path / "metres.txt").write_text("# wavelength flux\n2e-7 1\n\n1e-6 1 # end\n3e-6, 1\n")
        (tmp_path / "nm.txt").write_text("200 5\n1000 5\n3000 5\n")
        flat = json.loads(example())
        flat["target"]["sed"]["spectrum"] = {"spectrumtype": "powerlaw", "params": {"exponent": 0}}
        metres = elvis(SMALL, f"--sed={tmp_path}/metres.txt", "--product=expected", stdin=example())
        nanometres = elvis(SMALL, f"--sed={tmp_path}/nm.txt", "--sed-unit=nm", "--product=expected", stdin=example())
        law = elvis(SMALL, "--product=expected", stdin=json.dumps(flat))
        for result in (metres, nanometres):
            assert result.code == 0, result.err
            np.testing.assert_allclose(pixels(result.out)[0], pixels(law.out)[0], rtol=1e-3)

    @pytest.mark.parametrize(
        "text", ["1 2\nx y\n", "1\n", "", "1 nan\n", "500 1\n600 1\n", "2e-7 1\n2e-7 1\n3e-6 1\n", "2e-7 1\n3e-6 -1\n"]
    )
    def test_wrong_spectrum(self, elvis: Any, tmp_path: Path, text: str) -> None:
        (tmp_path / "bad.txt").write_text(text)
        result = elvis(f"--sed={tmp_path}/bad.txt", stdin=example())
        assert (result.code, result.out, len(result.lines)) == (65, b"", 1)
        assert "/elvis/sed" in result.lines[0]

    def test_uploading_needs_a_spectrum(self, elvis: Any) -> None:
        document = json.loads(example())
        document["target"]["sed"]["spectrum"] = {"spectrumtype": "upload"}
        result = elvis(SMALL, stdin=json.dumps(document))
        assert result.code == 65
        assert "--sed" in result.lines[0]

    def test_unknown_keys(self, elvis: Any) -> None:
        document = json.loads(example())
        document["sky"]["airmas"] = document["instrument"]["INS.FILT9.NAME"] = 1
        result = elvis(SMALL, stdin=json.dumps(document))
        assert result.code == 0
        assert "/sky/airmas: unknown key" in result.err
        assert "/instrument/INS.FILT9.NAME: unknown key" in result.err
        strict = elvis(SMALL, "--strict", stdin=json.dumps(document))
        assert (strict.code, strict.out) == (65, b"")
        del document["sky"]["airmas"]
        assert "/instrument/INS.FILT9.NAME" in elvis(SMALL, "--strict", stdin=json.dumps(document)).lines[0]
        del document["instrument"]["INS.FILT9.NAME"]
        document["instrument"]["a/b"] = 1
        assert "/instrument/a~1b" in elvis(SMALL, "--strict", stdin=json.dumps(document)).lines[0]

    @pytest.mark.parametrize("path", REQUESTS, ids=lambda p: p.stem)
    def test_the_corpus_renders_or_is_refused_for_a_reason(self, elvis: Any, path: Path) -> None:
        known = KNOWN.match(path.stem)
        alike = known and path.stem not in REFUSED and path not in RENDERED
        result = elvis(*(["explain"] if alike else [SMALL]), stdin=path.read_bytes())
        if path.stem in REFUSED:
            assert (result.code, result.out) == (65, b"")
            assert REFUSED[path.stem] in result.lines[0]
        elif known:
            assert result.code == 0
            assert result.lines == []
        else:
            assert (result.code, result.out) == (69, b"")
            assert f"installed: {', '.join(registry.names())}" in result.lines[0]


class TestErrors:
    @pytest.mark.parametrize(
        ("argv", "stdin", "code"),
        [
            (["--nosuch"], "", 2),
            (["nosuch"], "", 2),
            (["--seed", "x"], "", 2),
            (["--window", "1,2,3"], "{}", 2),
            (["--chips", "a"], "{}", 2),
            (["--product", "cooked"], "", 2),
            (["--sed", "MISSING/sed.txt"], "", 2),
            (["--seed", "1", "explain"], "", 2),
            ([], "", 65),
            ([], "{", 65),
            ([], '{"instrumentName": "fors", "sky": {"airmass": 0}}', 65),
            (["validate"], '{"instrumentName": "fors", "instrument": {"SEQ.CCD": "G"}}', 65),
            (["explain"], "{}", 65),
            ([], '{"instrumentName": "micdo"}', 69),
            (["example", "nosuch"], "", 69),
            (["replay", "MISSING/x.fits"], "", 69),
            (["replay"], "not FITS", 65),
            (["preview"], "not FITS", 65),
            (["-o", "MISSING/x.fits"], "EXAMPLE", 74),
            (["help", "nosuch"], "", 2),
        ],
    )
    def test_exit_codes(self, elvis: Any, tmp_path: Path, argv: list[str], stdin: str, code: int) -> None:
        argv = [text.replace("MISSING", str(tmp_path / "missing")) for text in argv]
        stdin = example(window={"x0": 0, "y0": 0, "nx": 8, "ny": 8}) if stdin == "EXAMPLE" else stdin
        result = elvis(*argv, stdin=stdin)
        assert (result.code, result.out, len(result.lines)) == (code, b"", 1), result.err
        assert result.lines[0].startswith("elvis: ")
        as_json = elvis("--errors=json", *argv, stdin=stdin)
        (line,) = as_json.err.splitlines()
        assert json.loads(line)["exit_code"] == as_json.code == code
        assert json.loads(line)["message"] == result.lines[0].removeprefix("elvis: ")

    def test_the_object_says_where_what_and_the_nearest(self, elvis: Any) -> None:
        result = elvis("validate", "--errors", "json", stdin='{"instrumentName": "x", "sky": {"moonDistance": "far"}}')
        error = json.loads(result.err)
        assert error["pointer"] == "/sky/moonDistance"
        assert (error["found"], error["allowed"]) == ("far", "a number")
        missing = json.loads(elvis("--errors", "json", stdin='{"instrumentName": "micdo"}').err)
        assert (missing["nearest"], missing["allowed"]) == ("micado", list(registry.names()))

    def test_notes_are_json_too(self, elvis: Any) -> None:
        document = json.loads(example())
        document["junk"] = 1
        result = elvis(SMALL, "--errors=json", stdin=json.dumps(document))
        assert result.code == 0
        assert any("/junk" in note for note in json.loads(result.err)["notes"])

    def test_a_fault_is_one_line_and_a_traceback_for_those_who_ask(
        self, elvis: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fault(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("first\nsecond")

        monkeypatch.setattr("elvis_cli.request.parse.read", fault)
        result = elvis(stdin="{}")
        assert (result.code, result.out, len(result.err.splitlines())) == (70, b"", 1)
        assert "ZeroDivisionError" in result.err
        monkeypatch.setenv("ELVIS_DEBUG", "1")
        with pytest.raises(ZeroDivisionError):
            elvis(stdin="{}")

    def test_a_wrong_request_is_refused_before_the_heavy_imports(self) -> None:
        assert heavy_imports(input=b"{") == (65, set())

    @pytest.mark.parametrize(
        ("argv", "code"), [(["--version"], 0), (["--help"], 0), (["help", "exit-codes"], 0), (["--nosuch"], 2)]
    )
    def test_neither_version_nor_help_needs_the_heavy_imports(self, argv: list[str], code: int) -> None:
        assert heavy_imports(*argv) == (code, set())


class TestCommands:
    def test_instruments(self, elvis: Any) -> None:
        modes = json.loads(elvis("instruments", "--json").out)
        assert {mode["instrument"] for mode in modes} >= {"fors", "micado"}
        table = [line.split("\t") for line in elvis("instruments").out.decode().splitlines()]
        assert len(table) == len(modes) + 1
        assert [row[:2] for row in table[1:]] == [[m["instrument"], m["mode"]] for m in modes]

    @pytest.mark.parametrize(
        "name", [pytest.param(name, marks=closure_only) if name in DEAR else name for name in registry.names()]
    )
    def test_example_validate_and_explain_go_together(self, elvis: Any, name: str) -> None:
        validated = set()
        for mode in registry.load(name).modes():
            request = elvis("example", name, "--mode", mode.mode)
            assert request.code == 0
            family = mode.mode.partition("_")[0]  # whose modes differ in the adaptive optics or the band
            if family not in validated and len(validated) < 2:
                validated.add(family)
                valid = elvis("validate", "--strict", stdin=request.out)
                assert (valid.code, valid.out) == (0, b""), valid.err
                assert f"valid: {name} {mode.mode}" in valid.err
                values = json.loads(elvis("explain", "--json", stdin=request.out).out)
                assert all(value["source"] for value in values)
                assert len(elvis("explain", stdin=request.out).out.splitlines()) == len(values) + 1

    def test_schema(self, elvis: Any) -> None:
        assert json.loads(elvis("schema").out) == elvis_schemas.load()

    def test_stages(self, elvis: Any) -> None:
        names = [stage["name"] for stage in json.loads(elvis("stages", "--json").out)]
        assert names.index("shot_noise") < names.index("read_noise") < names.index("gain")
        assert [line.split("\t")[0] for line in elvis("stages").out.decode().splitlines()[1:]] == names

    def test_replay(self, elvis: Any, tmp_path: Path) -> None:
        frame = elvis(SMALL, "--seed=7", "--date=2026-11-20T03:00:00", stdin=example()).out
        assert elvis("replay", stdin=frame).out == frame
        (tmp_path / "frame.fits").write_bytes(frame)
        assert elvis("replay", str(tmp_path / "frame.fits")).out == frame
        other = elvis("replay", "--seed=8", stdin=frame).out
        assert not np.array_equal(pixels(other)[0], pixels(frame)[0])

    def test_preview(self, elvis: Any, tmp_path: Path) -> None:
        frame = elvis(SMALL, stdin=example()).out
        piped = elvis("preview", stdin=frame)
        assert piped.out.startswith(b"\x89PNG\r\n")
        (tmp_path / "frame.fits").write_bytes(frame)
        written = elvis("preview", str(tmp_path / "frame.fits"), "-o", str(tmp_path / "frame.png"))
        assert (written.code, written.out) == (0, b"")
        assert (tmp_path / "frame.png").read_bytes() == piped.out

    def test_version_and_help(self, elvis: Any) -> None:
        assert elvis("--version").out.decode() == f"elvis {__version__}\n"
        shown = elvis("--help").out.decode()
        for command in ("replay", "preview", "validate", "explain", "instruments", "example", "schema", "stages"):
            assert f"\n  {command} " in shown
            assert elvis(command, "--help").code == 0
        assert "warm" not in shown


class TestOutput:
    def test_a_file_appears_whole(self, elvis: Any, tmp_path: Path) -> None:
        path = tmp_path / "frame.fits"
        result = elvis(SMALL, "-o", str(path), stdin=example())
        assert (result.code, result.out) == (0, b"")
        assert path.read_bytes() == elvis(SMALL, stdin=example()).out
        before = path.read_bytes()
        assert elvis("-o", str(path), stdin=example(window={"x0": 9999, "y0": 0, "nx": 9, "ny": 9})).code == 65
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["frame.fits"]

    def test_full_disk(self, elvis: Any) -> None:
        results = [elvis("-o", "/dev/full", SMALL, stdin=example())]
        for argv in ([SMALL], ["schema"]):
            with open("/dev/full", "wb") as full:
                done = process(*argv, input=example().encode(), stdout=full, stderr=subprocess.PIPE)
            results.append(Result(done.returncode, b"", done.stderr.decode()))
        for result in results:
            assert result.code == 74, result.err
            (line,) = result.lines
            assert "No space left" in line

    def test_a_reader_that_goes_away(self) -> None:
        command = f"{' '.join(COMMAND)} --window=0,0,512,512 | head -c 100; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", command], env=ENVIRONMENT, input=example().encode(), capture_output=True, check=False
        )
        assert done.returncode == 128 + signal.SIGPIPE
        assert done.stdout.startswith(b"SIMPLE  =")
        assert all(line.startswith(b"elvis: note: ") for line in done.stderr.splitlines())

    def test_closed_streams(self) -> None:
        for redirection, code in (("<&-", 2), (">&-", 74), ("2>&-", 0)):
            command = f"{' '.join(COMMAND)} {SMALL} {redirection}"
            done = subprocess.run(
                ["bash", "-c", command], env=ENVIRONMENT, input=example().encode(), capture_output=True, check=False
            )
            assert done.returncode == code, (redirection, done.stderr)
            assert (code == 0) == done.stdout.startswith(b"SIMPLE  =")

    @pytest.mark.parametrize(
        ("number", "to_file"),
        [
            (signal.SIGINT, True),
            (signal.SIGTERM, False),
            pytest.param(signal.SIGHUP, True, marks=closure_only),
        ],
    )
    def test_interrupted(self, tmp_path: Path, number: signal.Signals, to_file: bool) -> None:
        (tmp_path / "etc.json").write_text(example("micado", window="full", chips="all"))
        directory = tmp_path / "out"
        directory.mkdir()
        argv = ["-o", str(directory / "x.fits")] if to_file else []
        with open(tmp_path / "etc.json", "rb") as request, open(tmp_path / "stdout", "wb") as out:
            running = subprocess.Popen(
                [*COMMAND, *argv],
                env={**ENVIRONMENT, "TMPDIR": str(directory)},
                stdin=request,
                stdout=out,
                stderr=subprocess.PIPE,
            )
        time.sleep(1.2)
        assert running.poll() is None, "it finished before it could be interrupted"
        running.send_signal(number)
        _, complaint = running.communicate(timeout=30)
        assert running.returncode == 128 + number
        assert all(line.startswith(b"elvis: note: ") for line in complaint.splitlines()), complaint
        assert os.listdir(directory) == []
        assert (tmp_path / "stdout").read_bytes() == b""

    def test_what_fails_after_a_signal_is_no_fault(self, elvis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A library may turn the exception of the signal into one of its own."""

        def interrupted() -> None:
            with suppress(BaseException):
                cli._terminate(signal.SIGTERM, None)
            raise KeyError("half of an import")

        monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
        monkeypatch.setattr(cli, "_received", [])
        monkeypatch.setattr(cli.filter, "bare", interrupted)
        done = elvis(stdin=example())
        assert (done.code, done.out, done.err) == (143, b"", "")

    def test_nohup_is_respected(self) -> None:
        running = subprocess.Popen(
            ["nohup", *COMMAND], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        time.sleep(1.0)
        running.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert running.poll() is None
        _, complaint = running.communicate(b"{", timeout=30)
        assert running.returncode == 65, complaint


@pytest.mark.parametrize("argv", [
    ("--image=a\0b",), ("--psf", "\0"), ("--catalogue", "x\0"), ("--sed=\0",), ("-o", "out\0.fits"), ("replay", "\0"),
    ("preview", "a\0.fits"), ("catalog", "\0"), ("batch", "--outdir", "\0"), ("ob", "--request", "\0"),
    ("detect", "\0"),
])  # fmt: skip
def test_a_nul_in_a_path_is_a_wrong_command_line(elvis, fors, argv):
    done = elvis(*argv, stdin=json.dumps(fors()))
    assert (done.code, done.out) == (2, b"")
    assert "holds a NUL character" in done.err


def test_bare_has_the_frames_alone(elvis, fors):
    done = elvis("--bare", "--window=0,0,32,32", "--calibration", "bias", stdin=json.dumps(fors()))
    with fits.open(io.BytesIO(done.out)) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "CHIP1", "CHIP2"]
