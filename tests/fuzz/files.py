"""Whole files of every kind that `elvis` reads: what is damaged afterwards."""

from __future__ import annotations

import gzip
import io
import json
import warnings
from functools import cache
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from tests.conftest import FORS, MICADO, changed, run

SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CRPIX1": 4.5, "CRPIX2": 4.5,
       "CRVAL1": 150.0, "CRVAL2": 2.0, "CDELT1": -3e-6, "CDELT2": 3e-6}  # fmt: skip
GAUSS = np.exp(-0.5 * np.add.outer(np.arange(-4.0, 4.0) ** 2, np.arange(-4.0, 4.0) ** 2) / 2.0).astype("f4")


def written(*hdus: Any) -> bytes:
    """Return the bytes of a file of these HDUs; the first is a primary one, or gets one before it."""
    first = [] if isinstance(hdus[0], fits.PrimaryHDU) else [fits.PrimaryHDU()]
    out = io.BytesIO()
    fits.HDUList([*first, *hdus]).writeto(out)
    return out.getvalue()


def image(kind: type = fits.PrimaryHDU, data: Any = GAUSS, **cards: Any) -> Any:
    """Return an image HDU."""
    hdu = kind(np.array(data))
    hdu.header.update({key.replace("__", "-"): value for key, value in cards.items()})
    return hdu


@cache
def images() -> tuple[bytes, ...]:
    """Return images: with a WCS, with a matrix, of several extensions, compressed, of PIXSCALE alone."""
    matrix = {key: value for key, value in SKY.items() if "CDELT" not in key}
    matrix |= {"CD1_1": -2e-6, "CD1_2": 2e-6, "CD2_1": 2e-6, "CD2_2": 2e-6}
    packed = fits.CompImageHDU(np.rint(1000 * GAUSS).astype("i4"), compression_type="GZIP_1")
    packed.header.update(SKY)
    scaled = image(data=np.rint(1000 * GAUSS).astype("i2"), **SKY)
    scaled.header.update(BLANK=-5)
    return (
        written(image(**SKY, BUNIT="erg/s/cm2/Angstrom")),
        written(image(fits.ImageHDU, **matrix, EXTNAME="SCI"), image(fits.ImageHDU, EXTNAME="WHT", **matrix)),
        written(image(PIXSCALE=0.012)),
        written(image(CDELT1=0.012, CDELT2=0.012, CUNIT1="arcsec", CUNIT2="arcsec")),
        written(packed),
        written(scaled),
    )


@cache
def cubes() -> tuple[bytes, ...]:
    """Return cubes: wavelength, frequency with a beam, channels of a table of beams, HARMONI's names."""
    data = np.stack([GAUSS] * 5)
    wave = {"CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": 0.4, "CDELT3": 0.1, "CRPIX3": 1.0}
    radio = {"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRVAL3": 5e14, "CDELT3": -2e13, "CRPIX3": 1.0, "BUNIT": "Jy/beam"}
    beams = fits.BinTableHDU(Table({"BMAJ": [0.02] * 5, "BMIN": [0.02] * 5, "CHAN": np.arange(5)}), name="BEAMS")
    beams.columns["BMAJ"].unit = "arcsec"
    hsim = {"CTYPE1": "RA", "CTYPE2": "DEC", "CTYPE3": "WAVELENGTH", "CUNIT1": "mas", "CUNIT2": "mas",
         "CUNIT3": "microns",
            "CDELT1": 10.0, "CDELT2": 10.0, "CRVAL3": 0.4, "CDELT3": 0.1, "CRPIX3": 1}  # fmt: skip
    return (
        written(image(data=data, **SKY, **wave, BUNIT="1e-17 erg/s/cm2/Angstrom/spaxel")),
        written(image(data=data[None], **SKY, **radio, BMAJ=1e-5, BMIN=1e-5)),
        written(image(data=data, **SKY, **radio, CASAMBM=True), beams),
        written(image(data=data, **hsim)),
        written(
            image(data=data, **SKY, CTYPE3="VRAD", CUNIT3="m/s", CRVAL3=-1e8, CDELT3=5e7, CRPIX3=1.0, RESTFRQ=5e14)
        ),
    )


@cache
def psfs() -> tuple[bytes, ...]:
    """Return PSFs: one, a cube, STPSF's extensions, a map and a table of PSFs over the field, TIPTOP's."""
    cube = np.stack([GAUSS, GAUSS**2])
    waves = {"WAVELN00": 1.2e-6, "WAVELN01": 2.2e-6}
    field = [fits.PrimaryHDU(), image(fits.ImageHDU, data=np.arange(4.0).reshape(2, 2) % 2, CDELT1=5.0,
         CDELT2=5.0, CUNIT1="arcsec",
             CUNIT2="arcsec", CATTYPE="image"), *(image(fits.ImageHDU, data=cube, WAVE0=w, CDELT1=0.004,
             CDELT2=0.004, CUNIT1="arcsec")
             for w in (1.2, 2.2))]  # fmt: skip
    field[0].header.update(ECAT=1, EDATA=2)
    table = fits.BinTableHDU(Table({"x": [0.0, 5.0], "y": [0.0, 5.0], "layer": [0, 1]}))
    places = [
        fits.PrimaryHDU(),
        table,
        image(fits.ImageHDU, data=cube, WAVE0=2.2, CDELT1=0.004, CDELT2=0.004, CUNIT1="arcsec"),
    ]
    places[0].header.update(ECAT=1, EDATA=2)
    return (
        written(image(PIXSCALE=0.004, WAVELENG=2.2)),
        written(image(data=cube, PIXELSCL=0.004, **waves)),
        written(
            image(fits.PrimaryHDU, PIXELSCL=0.004, EXTNAME="OVERSAMP"),
            image(fits.ImageHDU, PIXELSCL=0.004, EXTNAME="DET_SAMP"),
        ),
        written(*field),
        written(*places),
        written(image(data=cube, PIX_MAS=4.0, WL_NM=2200.0, CCX0000=0.0, CCY0000=0.0, CCX0001=5.0, CCY0001=5.0)),
    )


@cache
def models() -> tuple[bytes, ...]:
    """Return models of stages of the detector."""
    return (
        written(image(data=np.ones((2048, 4096), "i2"))),
        written(*(image(fits.ImageHDU, data=np.ones((32, 32), "f4"), EXTVER=n) for n in (1, 2))),
        written(fits.CompImageHDU(np.ones((32, 32), "f4"))),
    )


@cache
def frames() -> tuple[bytes, ...]:
    """Return frames that `elvis` wrote: CCDs, an infrared detector, a table of curves."""

    window = "--window=480,480,24,24"
    both = run(window, "--chips=all", "--truth", stdin=json.dumps(FORS))
    one = run(window, "--chips=1", stdin=json.dumps(changed(FORS, {"elvis/mosaic": [1, 2]})))
    infrared = run(window, stdin=json.dumps(MICADO))
    assert (both.code, one.code, infrared.code) == (0, 0, 0), both.err + one.err + infrared.err
    return both.out, one.out, infrared.out


STARS = (
    "# stars\nra,dec,mag,id,temperature\n"
    + "\n".join(f"{150 + n * 1e-4:.6f},{2 + n * 1e-4:.6f},{15 + n},{n},{5000 + n}" for n in range(5))
    + "\n"
)


def _fits_table(**columns: Any) -> bytes:
    return written(fits.BinTableHDU(Table(columns)))


def _in_format(table: Table, form: str) -> bytes:
    if form == "votable":
        out = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units that VOTable would spell otherwise
            table.write(out, format="votable")
        return out.getvalue()
    text = io.StringIO()
    table.write(text, format=form)
    return text.getvalue().encode()


@cache
def tables() -> dict[str, tuple[bytes, ...]]:
    """Return catalogues by format."""
    table = Table.read(STARS.splitlines(), format="ascii.csv", comment="#")
    table["ra"].unit = table["dec"].unit = "deg"
    galaxies = Table(
        {
            "x": [0.0, 1.0],
            "y": [0.0, 1.0],
            "mag": [18.0, 19.0],
            "radius": [0.5, 0.0],
            "index": [4.0, 1.0],
            "sed": ["Pickles:A0V", ""],
        }
    )
    texts = [STARS, "x y Kmag\n# arcsec\n0.0 0.0 15\n1 1 16\n",
         "_RAJ2000;_DEJ2000;Ksmag\ndeg;deg;mag\n---;---;---\n10 00 00.1;+02 00 01;14\n",
             "name\tRA\tDec\tVmag\na b\t10:00:00\t+02:00:00\t15.0\nc\t10:00:01\t+02:00:01\t16\n",
             "#   1 NUMBER          Running object number\n#   2 ALPHA_J2000     RA  [deg]\n"
             "#   3 DELTA_J2000     Dec  [deg]\n#   4 MAG_AUTO        mag  [mag]\n"
             "1 150.0 2.0 15.0\n2 150.1 2.1 16.0\n"]  # fmt: skip
    fits_tables = (
        written(fits.BinTableHDU(table)),
        _fits_table(x=[0.0, 1.0], y=[0.0, 1.0], mag=[18.0, 19.0], name=["a", "b"]),
        written(
            fits.TableHDU.from_columns([fits.Column(n, "F10.4", array=np.array([1.0, 2.0])) for n in ("x", "y", "mag")])
        ),
    )
    return {
        "csv": tuple(text.encode() for text in texts),
        "ecsv": tuple(_in_format(t, "ascii.ecsv") for t in (table, galaxies)),
        "votable": tuple(_in_format(t, "votable") for t in (table, galaxies)),
        "fits": fits_tables,
        "other": (gzip.compress(STARS.encode(), mtime=0), _in_format(table, "ascii.ipac"), STARS.encode()),
    }


@cache
def spectra() -> dict[str, tuple[bytes, ...]]:
    """Return spectra by format."""
    wave = np.linspace(0.3, 2.6, 12)
    flux = 1e-15 * (1 + wave)
    pairs = list(zip(wave, flux, strict=True))
    table = Table({"wavelength": wave * 1e4, "flux": flux})
    table["wavelength"].unit, table["flux"].unit = "Angstrom", "erg/(s cm2 Angstrom)"
    linear = image(
        data=flux.astype("f4"), CTYPE1="WAVE", CUNIT1="um", CRVAL1=0.3, CDELT1=0.2, CRPIX1=1.0, BUNIT="erg/s/cm2/A"
    )
    log = image(data=flux.astype("f4"), CTYPE1="WAVE-LOG", CUNIT1="Angstrom", CRVAL1=3000.0, CDELT1=500.0, CRPIX1=1.0)
    return {
        "text": (
            "".join(f"{w * 1000:.3f} {f:.6e}\n" for w, f in pairs).encode(),
            ("wavelength;flux\n" + "".join(f"{w * 1000:.3f};{f:.6e}\n" for w, f in reversed(pairs))).encode(),
            ("# wave [Angstrom] flux [erg/s/cm2/A]\n" + "".join(f"{w * 1e4:.3f} {f:.6e}\n" for w, f in pairs)).encode(),
        ),
        "ecsv": (_in_format(table, "ascii.ecsv"), _in_format(table, "votable")),
        "fits": (written(fits.BinTableHDU(table)), written(linear), written(log)),
    }


HORIZONS = """*******
Target body name: 1 Ceres
Center-site name: Paranal
*******
 Date__(UT)__HR:MN     R.A._____(ICRF)_____DEC  dRA*cosD d(DEC)/dt
*******
$$SOE
 2030-Mar-01 04:00     10 00 00.00 -20 00 00.0   36.0000   -3.6000
 2030-Mar-01 05:00 *m  10 00 02.55 -20 00 03.6   36.0000   -3.6000
$$EOE
"""


@cache
def ephemerides() -> dict[str, tuple[bytes, ...]]:
    """Return ephemerides by format."""

    commas = HORIZONS.replace(" Date__(UT)__HR:MN     R.A._____(ICRF)_____DEC  dRA*cosD d(DEC)/dt",
                              " Date__(UT)__HR:MN, , ,R.A.___(ICRF), DEC____(ICRF),dRA*cosD,d(DEC)/dt,").replace(
        "04:00     10 00 00.00 -20 00 00.0   36.0000   -3.6000", "04:00, , ,150.0,-20.0,36.0,-3.6,").replace(
        "05:00 *m  10 00 02.55 -20 00 03.6   36.0000   -3.6000", "05:00,*,m,150.01064,-20.001,36.0,-3.6,")  # fmt: skip
    table = Table(
        {"datetime": ["2030-03-01T04:00:00", "2030-03-01T05:00:00"], "RA": [359.999, 0.009], "DEC": [-20.0, -20.001]}
    )
    table["RA"].unit = table["DEC"].unit = "deg"
    return {
        "horizons": (HORIZONS.encode(), commas.encode(), json.dumps({"signature": {}, "result": HORIZONS}).encode()),
        "table": (_in_format(table, "ascii.ecsv"), _in_format(table, "ascii.csv")),
        "fits": (written(fits.BinTableHDU(table)),),
    }


STARLISTS = (
    b"fast star       04 15 20.000 -07 39 30.00 2000.0 vmag=9.50 pmra=-0.1500 pmdec=-3.4000 # 9880\n"
    b"field 1 TT      10 00 12.10 +02 12 44.5 2000.0 rmag=15.2 b-v=0.66 sep=20.1 lgs=1\n"
    b"comet 5hr       17 30 06.62 -04 41 58.4 APP dra=0.35 ddec=7.3\n",
    b"a\t01:02:03.4\t-05:06:07\t1950.0\trotmode=pa rotdest=-30 raoffset=5 wrap=south epoch=1975\n",
)
