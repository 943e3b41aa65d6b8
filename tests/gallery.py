"""Pictures of all there is, to be looked at: every mode, every scene, every kind of `elvis preview`.

`make gallery` leaves gallery/index.html and a PNG for each; `python tests/gallery.py NAME...` makes those whose names
hold one of the words. Everything goes through the command line, as the README tells it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ELVIS = (sys.executable, "-m", "elvis_cli.cli")
FOLDER = Path("gallery")
FLAGS = {
    "throughput": ("atmosphere", "telescope", "instrument", "detector", "totalinclsky"),
    "sed": ("target", "sky"),
    "signals": ("obstarget", "obssky", "obstotal"),
    "psf": ("psf",),
    "snr": ("snr",),
}
SERIES = [f"--set=/output/{group}/{flag}=true" for group, flags in FLAGS.items() for flag in flags]
TABLES = [f"--ext={name}" for name in ("THROUGHPUT", "SED", "SIGNALS", "PSF_ENCIRCLED", "SNR_MAP")]

STYLE = """
body { background: #14161c; color: #e2e4e9; font: 14px sans-serif }
figure { display: inline-block; width: 30% }
img { width: 100% }
"""

FIGURE = '<figure><a href="{0}.png"><img src="{0}.png"></a><figcaption>{0}</figcaption></figure>'

WHOLE = ["--window", "full", "--chips", "all"]
SETTINGS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("uves", "red_slit_std"): [{}, {"INS.REDEXP.MODE": "860"}],
    ("uves", "blue_slit_std"): [{}],
    ("metis", "lss_l_scao"): [{}],
    ("metis", "lss_m_scao"): [{}],
    ("metis", "lss_n_scao"): [{}],
    ("metis", "lms_scao"): [{}, {"INS.WLEN.CEN": 4.7}],
    ("metis", "lms_extended_scao"): [{}],
    ("micado", "lss_4mas_scao"): [{}, {"INS.SLIT.NAME": "15000x20"}],
    ("micado", "lss_4mas_mcao"): [{"INS.FILT1.NAME": "Spec_IJ", "INS.SLIT.NAME": "3000x16"}],
    ("harmoni", "ifs_scao"): [{}],
    ("harmoni", "ifs_ltao"): [
        {"INS.GRAT.NAME": "H+K", "INS.SCALE.NAME": "20x20"},
        {"INS.GRAT.NAME": "J-short", "INS.SCALE.NAME": "4x4"},
    ],
    ("harmoni", "ifs_noao"): [{"INS.GRAT.NAME": "V+R", "INS.SCALE.NAME": "60x30"}],
    ("eris", "ifs_lgs"): [{}, {"INS.BAND.NAME": "K_long"}],
    ("eris", "ifs_ngs"): [{"INS.BAND.NAME": "H_middle", "INS.SPXW.NAME": "100mas"}],
    ("eris", "ifs_noao"): [{"INS.BAND.NAME": "J_long", "INS.SPXW.NAME": "250mas"}],
    ("eris", "lss_lgs"): [{}],
    ("crires2", "spec_noao"): [
        *({"INS.WLEN.CWLEN": nm} for nm in (1027.632, 1228.488, 1567.099, 2147.646, 3340.492, 4368.182)),
        {"INS.WLEN.CWLEN": 2216.704, "INS.SLIT1.NAME": "w_0.4"},
    ],
    ("crires2", "spec_ngs"): [{}],
    ("fors", "mos_nopol"): [{"INS.GRIS1.NAME": "GRIS_600RI+19"}],
    ("fors", "mxu"): [{}],
    ("xshooter", "slit"): [{}],
    ("fors", "lss"): [{}, {"INS.GRIS1.NAME": "GRIS_1400V+18", "SEQ.CCD": "B"}, {"INS.COLL.NAID": "COLL_HR+7"}],
}
"""Of spectrographs: for each mode, keys of the instrument section."""
CALIBRATIONS = ("arc", "flat", "pinhole", "twilight", "off", "dark", "sky", "std", "detlin")
CALIBRATED = {
    ("metis", "lss_l_scao"): [],
    ("metis", "lms_scao"): [],
    ("micado", "lss_4mas_scao"): ["--chips", "1,2,5,6"],
    ("harmoni", "ifs_scao"): ["--chips", "3,4"],
    ("eris", "ifs_lgs"): [],
    ("eris", "lss_lgs"): [],
    ("crires2", "spec_noao"): [],
    ("fors", "lss"): [],
}


H_BAND = ["--set", "/instrument/INS.GRAT.NAME=H"]
COMPANION = 'companions=[{"separation": 2, "position_angle": 0, "contrast": 3}]'


def disc(line: float) -> list[str]:
    """Return the parameters of a disc with an emission line at ``line`` nm."""
    lines = [{"wavelength": line, "flux": 1e-15, "width": 10}]
    return ["--set", f"lines={json.dumps(lines)}", "--set", "contrast=2"]


def bright(mag: float) -> list[str]:
    """Return the parameter that sets the magnitude of all of a scene."""
    return ["--set", f"/target/brightness/mag={mag:g}"]


SPECTRAL = {
    "metis-disc": ["protoplanetary-disc", "metis", "lms_scao", *disc(3805), *bright(4)],
    "metis-slit-disc": ["protoplanetary-disc", "metis", "lss_m_scao", *disc(4650), *bright(4)],
    "eris-disc": ["protoplanetary-disc", "eris", "ifs_lgs", *disc(2166)],
    "micado-cluster": ["globular-cluster", "micado", "lss_4mas_scao", "--set", "core_radius=0.3", *bright(9)],
    "harmoni-cluster": ["globular-cluster", "harmoni", "ifs_scao", "--set", "core_radius=0.2", *bright(10), *H_BAND],
    "harmoni-galaxy": ["clumpy-galaxy", "harmoni", "ifs_ltao", *bright(15), *H_BAND],
    "eris-grid": ["star-grid", "eris", "ifs_ngs", "--set", "spacing=0.15", *bright(13)],
    "crires2-companions": ["companions", "crires2", "spec_noao", "--set", COMPANION, *bright(7)],
    "metis-moving": ["moving-target", "metis", "lms_scao", *bright(6)],
}
"""Scenes seen by spectrographs: name, instrument, mode, and parameters."""
CORONAGRAPHS = {
    "metis-ravc": ("metis", "img_lm_ravc", 5, (0.12, 0.35), (7, 9), (912, 912, 272, 272)),
    "micado-clc": ("micado", "clc_1.5mas_scao", 9, (0.08, 0.16), (6, 8), (1912, 1912, 272, 272)),
    "eris-fpc": ("eris", "fpc_ngs", 4, (0.35, 0.9), (5, 7), (912, 912, 224, 224)),
}
"""A star on the mask and two companions: instrument, mode, magnitude, separations (arcsec), contrasts (mag), window."""
ORDERS = ("throughput", "sed", "signals", "maxsignals", "snr", "noise_components", "dispersion", "psf")
ORDER_FLAGS = {
    "throughput": ("atmosphere", "telescope", "instrument", "detector", "blaze", "enslittedenergy", "totalinclsky"),
    "sed": ("target", "sky"),
    "signals": ("obstarget", "obssky", "obstotal"),
    "maxsignals": ("maxpixeltarget", "maxpixelsky", "maxpixeltotal"),
    "snr": ("snr", "noise_components"),
    "dispersion": ("dispersion",),
    "psf": ("psf",),
}

Row = tuple[str, Callable[[], bytes], list[str], list[list[str]]]
"""Name, what makes the request, options of the rendering, options of each picture."""


class Refused(RuntimeError):
    """The request is for what there is not, such as an arc lamp without lines."""


def elvis(*argv: str, stdin: bytes = b"") -> bytes:
    """Return what a command writes; raises with its last line if it fails, Refused if there is no such frame."""
    done = subprocess.run([*ELVIS, *argv], input=stdin, capture_output=True, check=False)
    if done.returncode:
        failed = Refused if done.returncode == os.EX_DATAERR else RuntimeError
        raise failed(f"elvis {' '.join(argv)}: {done.stderr.decode().splitlines()[-1:]}")
    return done.stdout


def command(*argv: str) -> Callable[[], bytes]:
    """Return what prints a request."""
    return partial(elvis, *argv)


def example(instrument: str, mode: str, keys: dict[str, Any], output: Mapping[str, Sequence[str]]) -> bytes:
    """Return the example of a mode with other keys, and flags of the output."""
    document = json.loads(elvis("example", instrument, "--mode", mode))
    document["instrument"] |= keys
    document["output"] = {group: dict.fromkeys(flags, True) for group, flags in output.items()}
    return json.dumps(document).encode()


def rows() -> Iterator[Row]:
    """Yield all that the gallery shows."""
    for mode in json.loads(elvis("instruments", "--json")):
        where = mode["instrument"], mode["mode"]
        if where not in SETTINGS:
            yield "-".join(where), command("example", where[0], "--mode", where[1]), [], [[]]
    for scene in dict.fromkeys(row["scene"] for row in json.loads(elvis("scene", "--json"))):
        yield f"scene-{scene}", command("scene", scene, "--instrument", "micado"), [], [[]]
    cluster = command("scene", "globular-cluster", "--instrument", "micado")
    yield "mosaic-micado", cluster, WHOLE, [[], ["--ext=DET5.IMG"]]
    yield "mosaic-hawki", command("scene", "globular-cluster", "--instrument", "hawki"), WHOLE, [[]]
    turned = ["--ra=10", "--dec=-30", "--pa=30"]
    yield "stretch", cluster, turned, [[], ["--stretch=linear"], ["--stretch=sqrt"], ["--limits=zscale"]]
    target = command("scene", "companions", "--instrument", "micado", *SERIES)
    yield "output", target, [], [*([table] for table in TABLES), ["--ext=PSF", "--stretch=log"]]
    yield from coronagraphs()
    yield from spectra()


def coronagraphs() -> Iterator[Row]:
    """Yield stars behind masks, with companions to the East and to the South-West."""
    for name, (instrument, mode, mag, separations, contrasts, window) in CORONAGRAPHS.items():
        places = zip(separations, (90, 225), contrasts, strict=True)
        companions = [{"separation": s, "position_angle": angle, "contrast": c} for s, angle, c in places]
        parameters = ["--set", f"companions={json.dumps(companions)}", *bright(mag)]
        scene = command("scene", "companions", "--instrument", instrument, "--mode", mode, *parameters)
        yield f"coronagraph-{name}", scene, ["--window", ",".join(map(str, window))], [[]]
    document = {"INS.WLEN.CWLEN": 2147.646, "INS.POL.TYPE": "V", "INS.OPTI8.ID": "Decker2"}
    yield "polarimeter-crires2", partial(example, "crires2", "spec_ngs", document, {}), ["--chips", "2"], [[]]


def spectra() -> Iterator[Row]:
    """Yield what spectrographs make."""
    for where, settings in SETTINGS.items():
        for keys in settings:
            name = "-".join((*where, *(str(value).replace(".", "_") for value in keys.values())))
            yield f"spec-{name}", partial(example, *where, keys, {}), WHOLE, [[]]
    for arm in ("uvb", "vis", "nir"):
        yield f"spec-xshooter-{arm}", command("example", "xshooter"), ["--arm", arm, *WHOLE], [[]]
    for where, options in CALIBRATED.items():
        for kind in CALIBRATIONS:
            request = partial(example, *where, {}, {})
            yield f"calib-{'-'.join(where)}-{kind}", request, ["--calibration", kind, *options], [[]]
    for name, (scene, instrument, mode, *sets) in SPECTRAL.items():
        argv = ["scene", scene, "--instrument", instrument, "--mode", mode, *sets]
        yield f"scene-{name}", command(*argv), [], [[]]
    for instrument, mode in (("crires2", "spec_noao"), ("micado", "lss_4mas_scao"), ("eris", "ifs_lgs")):
        tables = [[f"--ext={name.upper()}"] for name in ORDERS]
        yield f"orders-{instrument}", partial(example, instrument, mode, {}, ORDER_FLAGS), [], tables
        maps = [[], *([f"--ext={name}"] for name in ("WAVE", "ORDER", "APERTURE"))]
        yield f"map-{instrument}", partial(example, instrument, mode, {}, {}), ["--product", "expected"], maps


def make(row: Row) -> Iterator[str]:
    """Render one row; yield the names of its pictures."""
    name, request, options, pictures = row
    with tempfile.NamedTemporaryFile(suffix=".fits") as file:
        elvis(*options, "--output", file.name, stdin=request())
        for chosen in pictures:
            suffix = "".join("-" + option.partition("=")[2].replace(".", "") for option in chosen)
            picture = f"{name}{suffix}.png"
            elvis("preview", file.name, *chosen, "--output", str(FOLDER / picture))
            yield picture


def main() -> int:
    """Make what the arguments choose; return how many failed."""
    FOLDER.mkdir(exist_ok=True)
    failed = 0
    for row in rows():
        if len(sys.argv) > 1 and not any(word in row[0] for word in sys.argv[1:]):
            continue
        start = time.perf_counter()
        try:
            told = ", ".join(make(row))
        except Refused as error:
            told = f"refused: {error}"
        except RuntimeError as error:
            told, failed = f"FAILED: {error}", failed + 1
        print(f"{time.perf_counter() - start:6.1f} s  {row[0]}: {told}", flush=True)
    names = sorted(path.stem for path in FOLDER.glob("*.png"))
    figures = "\n".join(FIGURE.format(name) for name in names)
    page = f"<!doctype html><meta charset=utf-8><title>ELVIS</title><style>{STYLE}</style>\n{figures}"
    (FOLDER / "index.html").write_text(page)
    return failed


if __name__ == "__main__":
    sys.exit(main())
