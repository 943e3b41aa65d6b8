"""Rebuild the photometric bands and the template spectra that ELVIS ships (see build.py)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

from elvis_cli.base.arrays import Floats
from elvis_cli.data._build.packages import Provenance, fetch

Spectrum = tuple[Floats, Floats]
"""Wavelength (um, ascending) and f_lambda (any unit) or transmission."""

FINE = 1000
"""Samples per unit of ln(wavelength) for spectra of a resolution near 1000."""
COARSE = 450
"""The same for the galaxies, whose published sampling is no finer."""

SEDPY_BANDS = {
    "gaia_GBP": "gaia_bp",
    "gaia_G": "gaia_g",
    "gaia_GRP": "gaia_rp",
    **{f"sdss_{b}": f"sdss_{b}0" for b in "ugriz"},
    **{f"DECam_{b}": f"decam_{b}" for b in "griz"},
    **{f"lsst_{b}": f"lsst_baseline_{b}" for b in "ugrizy"},
    **{f"VISTA_{b}": f"vista_vircam_{b}" for b in ("Y", "Z", "J", "H", "Ks")},
    **{f"bessell_{b}": f"bessell_{b}" for b in "BVRI"},
}
BAND_PAPERS = (
    "Gaia: Riello et al. 2021 (EDR3); SDSS: Doi et al. 2010; DECam: Flaugher et al. 2015; "
    "LSST: Rubin baseline throughputs; VISTA: VIRCAM consortium, filter x detector x atmosphere; Bessell 1990"
)
COOL_TEFFS = tuple(range(2300, 3501, 100))
COOL_GRAVITIES = (3.5, 4.5, 5.5)


def build(out: Path) -> list[Provenance]:
    """Write bands.npy and spectra.npy, with their indices, into ``out`` and return where their parts come from."""
    with tempfile.TemporaryDirectory() as name:
        return [*_bands(Path(name), out), *_spectra(Path(name), out)]


def _bands(folder: Path, out: Path) -> list[Provenance]:
    sedpy = fetch("astro-sedpy", "0.4.1", [f"*/filters/{f}.par" for f in SEDPY_BANDS.values()], folder)
    eso = fetch("scopesim", "0.12.0", ["*/eso_etc_filter_*.dat"], folder)
    bands = {band: _par(_named(sedpy, f"/{file}.par")) for band, file in SEDPY_BANDS.items()}
    for band in "UBVRIJHKLMN":
        bands[band] = _eso_filter(_named(eso, f"_{band}.dat"))
    names, parts = sorted(bands), [np.array(_trim(*bands[name]), dtype=np.float32) for name in sorted(bands)]
    lengths = [part.shape[1] for part in parts]
    rows = list(zip(names, np.cumsum([0, *lengths[:-1]]).tolist(), lengths, strict=True))
    np.save(out / "bands_index.npy", np.array(rows, dtype=[("name", "U24"), ("offset", "i4"), ("length", "i4")]))
    np.save(out / "bands.npy", np.concatenate(parts, axis=1))
    return [
        Provenance(
            "astro-sedpy",
            "0.4.1",
            "MIT",
            "sedpy/data/filters/*.par",
            "bands.npy, bands_index.npy",
            BAND_PAPERS,
            "photon response against um, peak 1; wings below 1e-3 and leaks cut; samples closer than 1 nm averaged",
        ),
        Provenance(
            "scopesim",
            "0.12.0",
            "GPL-3.0-or-later; the curves are ESO's",
            "scopesim/tests/mocks/photometry/eso_etc_filter_*.dat",
            "bands.npy, bands_index.npy",
            "ESO exposure time calculators, filter curves of the bands U B V R I J H K L M N",
            "as above; the wavelengths of N, rounded to 0.1 um in the file, are spread evenly again",
        ),
    ]


def _spectra(folder: Path, out: Path) -> list[Provenance]:
    vega = fetch("astro-sedpy", "0.4.1", ["*/alpha_lyr_stis_011.fits"], folder)
    pickles = fetch("EXOSIMS", "3.6.6", ["EXOSIMS/TargetList/dat_uvk/*.fits"], folder)
    cool = fetch("grizli", "1.14.3", ["*/bt-settl_t400-3500_z0.0.fits"], folder)
    cosmos = fetch("pz-rail-base", "2.0.11", ["*/SED/*_A_[0-9].sed"], folder)
    synphot = fetch("syotools", "1.3.5", ["*/grid/kc96/*.fits", "*/grid/agn/*.fits", "*/grid/galactic/*.fits"], folder)

    table: dict[str, tuple[Spectrum, int]] = {}
    wave, flux = _fits(_named(vega, "011.fits"))
    table["Vega"] = (_cut(wave, flux, 0.09, 40.0), FINE)
    for row in fits.getdata(_named(pickles, "pickles_uk.fits")):
        paths = [path for name, path in pickles.items() if name.endswith(f"/{row['FILENAME'].strip()}.fits")]
        if paths:
            # The last samples of most spectra are zero or half of their neighbours: an artefact of the table.
            table[f"Pickles/{row['SPTYPE'].strip()}"] = (_cut(*_fits(paths[0]), 0.115, 2.496), FINE)
    for key, spectrum in _bt_settl(next(iter(cool.values()))).items():
        table[f"BT-Settl/{key}"] = (spectrum, FINE)
    for name, path in cosmos.items():
        a = np.loadtxt(path)
        table[f"COSMOS/{Path(name).stem}"] = (_cut(a[:, 0] * 1e-4, a[:, 1], 0.09, 20.0), COARSE)
    # The Kinney-Calzetti spectra end in the red; the galaxy of the other atlas that is nearest in type goes on.
    for key, stem, red in (
        ("elliptical", "elliptical_template", "Ell7_A_0"),
        ("sc", "sc_template", "Sc_A_0"),
        ("starburst1", "starb1_template", "Sdm_A_0"),
        ("starburst6", "starb6_template", "Sdm_A_0"),
    ):
        table[f"Kinney/{key}"] = (_join(_fits(_named(synphot, f"{stem}.fits")), table[f"COSMOS/{red}"][0]), FINE)
    seyfert = _fits(_named(synphot, "ngc1068_template.fits"))
    table["Various/ngc1068"] = (_join(seyfert, table["COSMOS/Sb_A_0"][0]), FINE)
    table["Various/orion"] = (_join(_fits(_named(synphot, "orion_template.fits")), _free_free()), FINE)
    table["Various/qso"] = (_join(_fits(_named(synphot, "qso_template.fits")), _quasar_continuum()), FINE)

    rows: list[tuple[str, int, int, int, int]] = []
    parts: list[Floats] = []
    for name, (spectrum, density) in sorted(table.items()):
        first, values = _log_grid(*spectrum, density)
        rows.append((name, first, density, sum(map(len, parts)), len(values)))
        parts.append(values if name == "Vega" else values / values.mean())
    columns = [("name", "U24"), *((c, "i4") for c in ("first", "density", "offset", "length"))]
    np.save(out / "spectra_index.npy", np.array(rows, dtype=columns))
    np.save(out / "spectra.npy", np.concatenate(parts).astype(np.float32))

    grid = "f_lambda averaged over bins even in ln(wavelength); mean 1"
    joined = f"{grid}; continued beyond the red end to 20 um by"
    file = "spectra.npy, spectra_index.npy"
    kc96 = "syotools/reference_data/pysynphot_data/grid"
    return [
        Provenance(
            "astro-sedpy",
            "0.4.1",
            "MIT",
            "sedpy/data/alpha_lyr_stis_011.fits",
            file,
            "Bohlin 2014 (CALSPEC)",
            "f_lambda in W/m2/um, averaged over bins even in ln(wavelength), 0.09-40 um",
        ),
        Provenance(
            "EXOSIMS",
            "3.6.6",
            "BSD-3-Clause",
            "EXOSIMS/TargetList/dat_uvk/*",
            file,
            "Pickles 1998, PASP 110, 863",
            grid,
        ),
        Provenance(
            "grizli",
            "1.14.3",
            "MIT",
            "grizli/data/templates/stars/bt-settl_t400-3500_z0.0.fits",
            file,
            "Allard, Homeier & Freytag 2012 (BT-Settl), solar abundance",
            f"{grid}; 2300-3500 K, log g 3.5, 4.5, 5.5, beyond 0.3 um",
        ),
        Provenance(
            "pz-rail-base",
            "2.0.11",
            "MIT",
            "rail/examples_data/estimation_data/data/SED/*_A_?.sed",
            file,
            "Polletta et al. 2007 (SWIRE); Ilbert et al. 2009 (COSMOS), starbursts from Bruzual & Charlot 2003",
            f"{grid}, 0.09-20 um",
        ),
        Provenance(
            "syotools",
            "1.3.5",
            "BSD-3-Clause",
            f"{kc96}/kc96/*",
            file,
            "Kinney et al. 1996; Calzetti, Kinney & Storchi-Bergmann 1994",
            f"{joined} the COSMOS spectra Ell7, Sc and (starbursts) Sdm",
        ),
        Provenance(
            "syotools",
            "1.3.5",
            "BSD-3-Clause",
            f"{kc96}/agn/ngc1068_template.fits",
            file,
            "J. R. Walsh 1996 (composite)",
            f"{joined} COSMOS Sb",
        ),
        Provenance(
            "syotools",
            "1.3.5",
            "BSD-3-Clause",
            f"{kc96}/galactic/orion_template.fits",
            file,
            "J. R. Walsh 1996 (composite)",
            f"{joined} f_lambda ~ lambda^-2 (free-free)",
        ),
        Provenance(
            "syotools",
            "1.3.5",
            "BSD-3-Clause",
            f"{kc96}/agn/qso_template.fits",
            file,
            "Francis et al. 1991 (LBQS composite)",
            f"{joined} the power laws of Glikman, Helfand & White 2006 (f_nu ~ nu^-0.78, beyond 1.085 um nu^-1.81)",
        ),
    ]


def _named(files: dict[str, Path], end: str) -> Path:
    (path,) = (p for name, p in files.items() if name.endswith(end))
    return path


def _par(path: Path) -> Spectrum:
    """Read a kcorrect filter: two columns, or rows ``KFILTER lambda T``; Angstrom."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.replace("KFILTER", "").split("#")[0].split()
        if len(words) >= 2 and words[0][0].isdigit():
            rows.append([float(w) for w in words[:2]])
    a = np.array(rows)
    return a[:, 0] * 1e-4, a[:, 1]


def _eso_filter(path: Path) -> Spectrum:
    unit = path.read_text(encoding="utf-8").split("\n", 1)[0].split()[-1]
    a = np.loadtxt(path, skiprows=2)
    wave = a[:, 0] * {"nm": 1e-3, "um": 1.0}[unit]
    if not (np.diff(wave) > 0).all():
        wave = np.linspace(wave[0], wave[-1], len(wave))
    return wave, a[:, 1]


def _trim(wave: Floats, value: Floats) -> Spectrum:
    """Cut wings and leaks of a band, keeping a zero at both ends, and average what is sampled finer than 1 nm."""
    step = max(1, round(0.001 / float(np.median(np.diff(wave)))))
    n = len(wave) // step * step
    wave, value = wave[:n].reshape(-1, step).mean(axis=1), value[:n].reshape(-1, step).mean(axis=1)
    value = np.where(value < 1e-3 * value.max(), 0.0, value / value.max())
    inside = np.flatnonzero(value)
    # What lies beyond a gap wider than any telluric line is a leak, not the band.
    pieces = np.split(inside, np.flatnonzero(np.diff(wave[inside]) > 0.04 * wave[inside[:-1]]) + 1)
    (band,) = (p for p in pieces if value[p].max() == 1.0)
    lo, hi = max(band[0] - 1, 0), min(band[-1] + 2, len(wave))
    value[[lo, hi - 1]] = 0.0
    return wave[lo:hi], value[lo:hi]


def _fits(path: Path) -> Spectrum:
    """Read a CALSPEC-like table (Angstrom, erg/s/cm2/A): f_lambda in W/m2/um."""
    data = fits.getdata(path, 1)
    wave, flux = data["WAVELENGTH"].astype(float) * 1e-4, data["FLUX"].astype(float) * 10.0
    keep = np.concatenate([[True], np.diff(wave) > 0])
    return wave[keep], flux[keep]


def _bt_settl(path: Path) -> dict[str, Spectrum]:
    with fits.open(path) as hdus:
        data, header = hdus[1].data, hdus[1].header
        wave = data["wave"].astype(float) * 1e-4
        models = {(header[f"TEFF{k:03d}"], header[f"LOGG{k:03d}"]): k for k in range(data["flux"].shape[1])}
        return {
            f"{t}:{g}": _cut(wave, data["flux"][:, models[t, g]].astype(float), 0.3, 5.1)
            for t in COOL_TEFFS
            for g in COOL_GRAVITIES
        }


def _cut(wave: Floats, flux: Floats, lo: float, hi: float) -> Spectrum:
    """Keep lo..hi (um) without the zeros at either end, in ascending order without repetitions."""
    wave, index = np.unique(wave, return_index=True)
    flux = flux[index]
    inside = (wave >= lo) & (wave <= hi)
    wave, flux = wave[inside], flux[inside]
    lit = np.flatnonzero(flux > 0)
    return wave[lit[0] : lit[-1] + 1], flux[lit[0] : lit[-1] + 1]


def _join(blue: Spectrum, red: Spectrum) -> Spectrum:
    """Continue ``blue`` beyond its end by ``red``, scaled to the mean of the last tenth of the wavelength."""
    end = blue[0][-1]
    tail = blue[0] > 0.9 * end
    scale = np.median(blue[1][tail] / np.interp(blue[0][tail], *red))
    beyond = red[0] > end
    return np.concatenate([blue[0], red[0][beyond]]), np.concatenate([blue[1], scale * red[1][beyond]])


def _free_free() -> Spectrum:
    wave = np.geomspace(0.5, 20.0, 2000)
    return wave, wave**-2.0


def _quasar_continuum() -> Spectrum:
    wave = np.geomspace(0.5, 20.0, 2000)
    x = wave / 1.085
    return wave, np.where(x < 1, x**-1.22, x**-0.19)


def _log_grid(wave: Floats, flux: Floats, density: int) -> tuple[int, Floats]:
    """Average onto exp(i / density) um; return the first i and the values."""
    i = np.arange(np.ceil(np.log(wave[0]) * density + 0.5), np.floor(np.log(wave[-1]) * density - 0.5) + 1)
    edges = np.exp((np.append(i, i[-1] + 1) - 0.5) / density)
    steps = np.diff(wave) * (flux[1:] + flux[:-1]) / 2
    total = np.concatenate([[0.0], np.cumsum(steps)])
    # The primitive of a piecewise linear function: quadratic inside each interval.
    k = np.clip(np.searchsorted(wave, edges, side="right") - 1, 0, len(wave) - 2)
    dx = edges - wave[k]
    slope = (flux[k + 1] - flux[k]) / (wave[k + 1] - wave[k])
    primitive = total[k] + flux[k] * dx + 0.5 * slope * dx**2
    mean = np.diff(primitive) / np.diff(edges)
    return int(i[0]), np.maximum(mean, 0.0)
