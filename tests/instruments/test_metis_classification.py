"""Every frame of METIS is one that its pipeline knows: the classification rules of EDPS as a table."""

import io
import itertools
import json

import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.model import calibration
from elvis_cli.request import parse

# DO category: DPR CATG (None: any), TECH, TYPE. AstarVienna/METIS_Pipeline, metis_classification.py.
RULES = {
    "LM_IMAGE_SCI_RAW": ("SCIENCE", "IMAGE,LM", "OBJECT"),
    "LM_IMAGE_SKY_RAW": (None, "IMAGE,LM", "SKY"),
    "LM_IMAGE_STD_RAW": ("CALIB", "IMAGE,LM", "STD"),
    "LM_FLAT_LAMP_RAW": ("CALIB", "IMAGE,LM", "FLAT,LAMP"),
    "LM_FLAT_TWILIGHT_RAW": ("CALIB", "IMAGE,LM", "FLAT,TWILIGHT"),
    "LM_DISTORTION_RAW": ("CALIB", "IMAGE,LM", "DISTORTION"),
    "LM_WCU_OFF_RAW": ("CALIB", "IMAGE,LM", "DARK,WCUOFF"),
    "DARK_2RG_RAW": ("CALIB", "IMAGE,LM", "DARK"),
    "DETLIN_2RG_RAW": ("CALIB", "IMAGE,LM", "DETLIN"),
    "N_IMAGE_SCI_RAW": ("SCIENCE", "IMAGE,N", "OBJECT"),
    "N_IMAGE_SKY_RAW": (None, "IMAGE,N", "SKY"),
    "N_IMAGE_STD_RAW": ("CALIB", "IMAGE,N", "STD"),
    "N_FLAT_LAMP_RAW": ("CALIB", "IMAGE,N", "FLAT,LAMP"),
    "N_FLAT_TWILIGHT_RAW": ("CALIB", "IMAGE,N", "FLAT,TWILIGHT"),
    "N_DISTORTION_RAW": ("CALIB", "IMAGE,N", "DISTORTION"),
    "N_WCU_OFF_RAW": ("CALIB", "IMAGE,N", "DARK,WCUOFF"),
    "DARK_GEO_RAW": ("CALIB", "IMAGE,N", "DARK"),
    "DETLIN_GEO_RAW": ("CALIB", "IMAGE,N", "DETLIN"),
    "LM_LSS_SCI_RAW": ("SCIENCE", "LSS,LM", "OBJECT"),
    "LM_LSS_SKY_RAW": (None, "LSS,LM", "SKY"),
    "LM_LSS_STD_RAW": ("CALIB", "LSS,LM", "STD"),
    "LM_LSS_RSRF_RAW": ("CALIB", "LSS,LM", "FLAT,LAMP"),
    "LM_LSS_RSRF_PINH_RAW": ("CALIB", "LSS,LM", "FLAT,LAMP,PINH"),
    "LM_LSS_WAVE_RAW": ("CALIB", "LSS,LM", "WAVE"),
    "N_LSS_SCI_RAW": ("SCIENCE", "LSS,N", "OBJECT"),
    "N_LSS_SKY_RAW": (None, "LSS,N", "SKY"),
    "N_LSS_STD_RAW": ("CALIB", "LSS,N", "STD"),
    "N_LSS_RSRF_RAW": ("CALIB", "LSS,N", "FLAT,LAMP"),
    "N_LSS_RSRF_PINH_RAW": ("CALIB", "LSS,N", "FLAT,LAMP,PINH"),
    "N_LSS_WAVE_RAW": ("CALIB", "LSS,N", "WAVE"),
    "IFU_SCI_RAW": ("SCIENCE", "IFU", "OBJECT"),
    "IFU_SKY_RAW": ("CALIB", "IFU", "SKY"),
    "IFU_STD_RAW": ("CALIB", "IFU", "STD"),
    "IFU_RSRF_RAW": ("CALIB", "IFU", "RSRF"),
    "IFU_WAVE_RAW": ("CALIB", "IFU", "WAVE"),
    "IFU_DISTORTION_RAW": ("CALIB", "IFU", "DISTORTION"),
    "IFU_WCU_OFF_RAW": ("CALIB", "IFU", "DARK,WCUOFF"),
    "DARK_IFU_RAW": ("CALIB", "IFU", "DARK"),
    "DETLIN_IFU_RAW": ("CALIB", "IFU", "DETLIN"),
}
MODES = [mode.mode for mode in registry.load("metis").modes()]
FRAMES = [None, *calibration.KINDS]


def refused(mode):
    """Return the calibrations that a mode does not take: there are no rules for them."""
    not_there = {"comb", "fabry-perot", "cell", "orders", "format", "bias"}
    return not_there | ({"arc"} if mode.startswith("img") else {"twilight", "pupil"})


def read(mode, frame, **elvis_block):
    document = registry.load("metis").example(mode)
    document["elvis"] = {**elvis_block, **({"calibration": frame} if frame else {})}
    if mode.startswith("lms"):
        document["instrument"]["INS.WLEN.CEN"] = 4.7  # where there are lasers
    return parse.read(json.dumps(document), strict=True)


def classes(header):
    """Return the categories whose rule a frame with these cards fulfils."""
    found = tuple(header[f"ESO DPR {name}"] for name in ("CATG", "TECH", "TYPE"))
    return [
        name
        for name, rule in RULES.items()
        if all(wanted in (None, got) for wanted, got in zip(rule, found, strict=True))
    ]


def test_every_frame_is_of_one_category_and_every_category_is_simulated():
    found = set()
    for mode, frame in itertools.product(MODES, FRAMES):
        if frame in refused(mode):
            with pytest.raises(RequestError, match="/elvis/calibration"):
                pipeline.configure(read(mode, frame))
            continue
        header = {"ESO DPR CATG": "SCIENCE", "ESO DPR TYPE": "OBJECT", **pipeline.configure(read(mode, frame)).header}
        if frame == "pupil":  # METIS's simulator makes them, its pipeline has no rule for them
            arm = "PUP,N" if mode.startswith("img_n") else "PUP,LM"
            assert [header[f"ESO DPR {name}"] for name in ("CATG", "TECH", "TYPE")] == ["TECHNICAL", arm, "PUPIL"]
            continue
        assert len(classes(header)) == 1, (mode, frame)
        found.update(classes(header))
    assert found == set(RULES)


@pytest.mark.parametrize(
    ("mode", "frame", "category", "extensions"),
    [
        ("lss_m_scao", "arc", "LM_LSS_WAVE_RAW", ["DET1.DATA"]),
        ("lss_n_scao", "dark", "DARK_GEO_RAW", ["DET1.DATA"]),
        ("lms_extended_scao", None, "IFU_SCI_RAW", [f"DET{n}.DATA" for n in (1, 2, 3, 4)]),
        ("lms_scao", "flat", "IFU_RSRF_RAW", [f"DET{n}.DATA" for n in (1, 2, 3, 4)]),
    ],
)
def test_the_files_carry_it(mode, frame, category, extensions):
    out = io.BytesIO()
    pipeline.render(read(mode, frame, window={"x0": 1000, "y0": 1000, "nx": 32, "ny": 32}), out)
    out.seek(0)
    with fits.open(out) as hdus:
        header = hdus[0].header
        assert classes(header) == [category]
        assert header["INSTRUME"] == "METIS"
        assert [hdu.name for hdu in hdus[1:] if hdu.is_image] == extensions
