"""Lengths on the sky at high redshift, against astropy's Planck 2018."""

import pytest
from astropy.cosmology import Planck18

from elvis_cli.scene.cosmology import kpc_per_arcsec
from tests.each import each


@each("redshift", [0.05, 0.5, 1.6, 4.0, 10.0])
def test_lengths_agree_with_astropy(redshift):
    assert kpc_per_arcsec(redshift) == pytest.approx(Planck18.kpc_proper_per_arcmin(redshift).value / 60, rel=1e-4)


def test_the_scale_at_redshift_four():
    assert kpc_per_arcsec(4.0) == pytest.approx(7.11, rel=1e-3)
