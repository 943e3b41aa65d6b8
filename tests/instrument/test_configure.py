"""Seeing, exposure and guide star that a request asks for."""

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.model.request import ImageQuality, Timing


def test_seeing_from_category_value_or_image_quality(camera, asked):
    def seeing(**section):
        return camera.configure(asked(image_quality=ImageQuality(**section))).atmosphere.seeing

    assert seeing() == 0.8
    assert seeing(turbulence_category=10.0) == 0.5
    assert seeing(turbulence_category=10.0, seeing=0.65) == 0.65
    # Kolmogorov: seeing falls as wavelength^-0.2 and grows as airmass^0.6 (1.2 here)
    assert seeing(iq=0.5, iq_wavelength=2.2) == pytest.approx(0.5 * 4.4**0.2 * 1.2**-0.6)
    with pytest.raises(RequestError, match="/seeing/turbulence_category"):
        seeing(turbulence_category=42.0)


def test_exposure_defaults_and_the_solved_count(camera, asked):
    usual = camera.configure(asked()).exposure
    assert (usual.dit, usual.count, usual.count_key) == (60.0, 1, "DET.NDIT")
    solved = camera.configure(asked(timing=Timing(dit=2.0, snr=10.0)))
    assert (solved.exposure.dit, solved.exposure.count, solved.goal.snr) == (2.0, None, 10.0)


def test_guide_star_magnitude_is_the_request_s_or_the_system_s(camera, asked):
    assert camera.configure(asked()).psf.guide_star_mag == 10.0
    assert camera.configure(asked(image_quality=ImageQuality(guide_star_mag=0.0))).psf.guide_star_mag == 0.0
