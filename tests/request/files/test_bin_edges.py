"""Spectra whose rows are bins with two edges."""

import numpy as np
import pytest
from astropy import units
from astropy.table import Table

from elvis_cli.request.files.spectrum import read_spectrum
from tests.request.files.test_catalogue import text_file

EDGES = np.linspace(1000.0, 2600.0, 81)
LOW, HIGH = EDGES[:-1], EDGES[1:]
MIDDLE = (LOW + HIGH) / 2
FLUX = (MIDDLE / 1000) ** 3


def text(*columns, head=""):
    return head + "\n".join(" ".join(f"{value:.9g}" for value in row) for row in zip(*columns, strict=True)) + "\n"


@pytest.mark.parametrize(
    ("head", "columns"),
    [
        ("", (LOW, HIGH, FLUX)),
        ("", (HIGH, LOW, FLUX)),
        ("", (LOW[::-1], HIGH[::-1], FLUX[::-1], FLUX[::-1] / 9)),
        ("wave_lo wave_hi flux\n", (LOW, HIGH, FLUX)),
        ("flux bin_start bin_end\n", (FLUX, LOW, HIGH)),
        ("wl_min_nm wl_max_nm flux err\n", (LOW, HIGH, FLUX, FLUX / 9)),
        ("lambda_lower[nm] lambda_upper[nm] flux\n", (LOW, HIGH, FLUX)),
    ],
)
def test_their_middles_are_the_wavelengths(tmp_path, head, columns):
    block, notes = read_spectrum(text_file(tmp_path, text(*columns, head=head), "bins.txt"), "nm")
    assert block["wavelength_um"] == pytest.approx((MIDDLE / 1000).tolist())
    assert np.divide(block["flux"], FLUX) == pytest.approx(block["flux"][0] / FLUX[0])
    assert any("edges of bins" in note for note in notes)


def test_bins_of_frequency(tmp_path):
    edges = 2.99792458e5 / EDGES  # THz
    table = Table(
        {"freq_min": edges[1:] * units.THz, "freq_max": edges[:-1] * units.THz, "fnu": np.ones(80) * units.Jy}
    )
    table.write(tmp_path / "bins.ecsv")
    wave = np.sort(2.99792458e5 / ((edges[1:] + edges[:-1]) / 2)) / 1000
    assert read_spectrum(tmp_path / "bins.ecsv")[0]["wavelength_um"] == pytest.approx(wave.tolist())


@pytest.mark.parametrize("head", ["", "wave flux flux_max\n", "wave flux_lo flux_hi\n"])
def test_limits_of_a_flux_are_no_edges(tmp_path, head):
    path = text_file(tmp_path, text(MIDDLE, FLUX, FLUX * 1.1, head=head), "limits.txt")
    block, notes = read_spectrum(path, "nm")
    assert block["wavelength_um"] == pytest.approx((MIDDLE / 1000).tolist())
    assert not any("edges of bins" in note for note in notes)
