"""The signal-to-noise ratio that the ETC predicts, and the number of exposures that reaches a requested one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elvis_cli.model.detector import Chip
from elvis_cli.model.setup import Setup

if TYPE_CHECKING:
    from elvis_cli.light.budget import PhotonBudget
    from elvis_cli.model.request import Brightness
    from elvis_cli.optics.make_psf import Psf


MAX_COUNT = 1_000_000
"""NDIT or NEXPO beyond this is no observation."""


LIMIT = 5.0
"""Signal-to-noise ratio of a detection."""


@dataclass(frozen=True, slots=True)
class Aperture:
    """A circular aperture as the ETC counts it."""

    diameter: int
    """Pixels."""

    @property
    def pixels(self) -> int:
        """Pixels inside, rounded as the ETC does."""
        return round(math.pi * self.diameter**2 / 4)

    @classmethod
    def around(cls, fwhm: float, setup: Setup) -> Aperture:
        """Return the request's aperture, or the smallest odd number of pixels >= 2 FWHM (arcsec) when automatic."""
        if setup.aperture_pix > 0:
            return cls(setup.aperture_pix)
        wanted = math.ceil(2.0 * fwhm / setup.pixel_scale)
        return cls(wanted + 1 - wanted % 2)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the ETC formula says of one request. Electrons are per integration (DIT) unless said otherwise."""

    snr: float
    """After all ``count`` integrations."""
    snr_single: float
    """Of one integration."""
    count: int
    """NDIT or NEXPO, as asked or as solved for the requested S/N."""
    count_key: str
    solved: bool
    dit: float
    aperture_pix: int
    npix: int
    encircled: float
    target: float
    """Electrons of the target inside the aperture."""
    target_rate: float
    """Electrons/s of the target, all light (per arcsec2 when infinite)."""
    sky: float
    """Electrons/pixel of sky and warm optics."""
    sky_rate: float
    dark: float
    """Electrons/pixel."""
    ron: float
    shot: float
    """Variance of an electron."""
    iq: float
    """FWHM, arcsec."""
    strehl: float | None
    throughput: float
    brightest: float
    """Electrons in the brightest pixel, background included."""
    full_well: float
    sky_model: str
    limit: float | None
    """Magnitude, in the target's band and system, at which a target like this reaches LIMIT sigma."""

    @property
    def saturated(self) -> bool:
        """Whether the brightest pixel exceeds the full well."""
        return self.brightest > self.full_well

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        if not self.saturated:
            return ()
        empty = self.sky + self.dark
        what, most = (
            ("the background alone saturates every pixel", empty)
            if empty > self.full_well
            else ("the brightest pixel saturates", self.brightest)
        )
        return (f"{what}: {most:.3g} e in {self.dit:g} s, full well {self.full_well:g} e",)

    def cards(self) -> list[tuple[str, object, str]]:
        """Return (keyword, value, comment) for the HIERARCH ESO SIM block."""
        cards: list[tuple[str, object, str]] = [
            ("ESO SIM SNR", round(self.snr, 4), f"predicted S/N, all {self.count_key}"),
            ("ESO SIM SNR SINGLE", round(self.snr_single, 4), "predicted S/N of one integration"),
            ("ESO SIM SNR SOLVED", self.solved, f"{self.count_key} solved for the requested S/N"),
            ("ESO SIM SNR COUNT", self.count, f"{self.count_key}"),
            ("ESO SIM APER DIAM", self.aperture_pix, "[pixel] aperture diameter"),
            ("ESO SIM APER NPIX", self.npix, "pixels in the aperture"),
            ("ESO SIM APER ENCIRC", round(self.encircled, 6), "fraction of the light in the aperture"),
            ("ESO SIM TARG ELEC", self.target, "[e] target in the aperture, per integration"),
            ("ESO SIM TARG RATE", self.target_rate, "[e/s] target, all light"),
            ("ESO SIM SKY MODEL", self.sky_model, "where the sky comes from"),
            ("ESO SIM SKY ELEC", self.sky, "[e/pixel] background per integration"),
            ("ESO SIM SKY RATE", self.sky_rate, "[e/s/pixel] sky and warm optics"),
            ("ESO SIM DARK ELEC", self.dark, "[e/pixel] dark current per integration"),
            ("ESO SIM IQ FWHM", round(self.iq, 6), "[arcsec] image quality"),
            ("ESO SIM THRU MEAN", round(self.throughput, 6), "mean throughput, atmosphere to detector"),
            ("ESO SIM PEAK ELEC", self.brightest, "[e] brightest pixel per integration"),
            ("ESO SIM PEAK SATUR", self.saturated, "brightest pixel above the full well"),
        ]
        if self.limit is not None:
            cards.append(("ESO SIM LIMIT MAG", round(self.limit, 4), f"[mag] a like target at S/N = {LIMIT:g}"))
        if self.strehl is not None:
            cards.append(("ESO SIM IQ STREHL", round(self.strehl, 6), "Strehl ratio"))
        return cards


@dataclass(frozen=True, slots=True)
class Exposed:
    """What stands in the prediction's place for a frame without a target."""

    count: int
    """NDIT or NEXPO."""
    remarks: tuple[tuple[str, object, str], ...]
    """Cards of the HIERARCH ESO SIM block."""
    notes: tuple[str, ...] = ()

    def cards(self) -> list[tuple[str, object, str]]:
        """Return (keyword, value, comment) for the HIERARCH ESO SIM block."""
        return list(self.remarks)


def ratio(target: float, npix: int, sky: float, dark: float, ron: float, shot: float = 1.0) -> float:
    """Return S / sqrt(S + npix (sky + dark + RON^2)), all in electrons of one integration (ESO ETC).

    ``shot`` is the variance of an electron, which the fit of a slope makes more than 1 (`elvis_cli.model.sampling`).
    """
    return target / math.sqrt(shot * (target + npix * (sky + dark)) + npix * ron**2) if target > 0 else 0.0


def limiting_flux(npix: int, sky: float, dark: float, ron: float, count: int, shot: float = 1.0) -> float:
    """Return the electrons of one integration in the aperture that give LIMIT sigma after ``count`` integrations."""
    noise, own = npix * (shot * (sky + dark) + ron**2), shot * LIMIT**2
    return (own + math.sqrt(own**2 + 4 * count * LIMIT**2 * noise)) / (2 * count)


def solve_count(single: float, goal: float) -> int:
    """Return the least number of integrations whose S/N reaches ``goal``; 0 when MAX_COUNT are not enough."""
    if single * math.sqrt(MAX_COUNT) < goal:
        return 0
    count = max(1, math.ceil((goal / single) ** 2))
    while count > 1 and single * math.sqrt(count - 1) >= goal:  # rounding of the square
        count -= 1
    return count


def predict(
    setup: Setup,
    chip: Chip,
    light: PhotonBudget,
    psf: Psf,
    encircled: float,
    brightest: float,
    aperture: Aperture,
    brightness: Brightness,
) -> Prediction:
    """Return the ETC's prediction.

    ``encircled`` is the fraction of ``light.target_rate`` in the aperture, ``brightest`` the electrons/s of the scene's
    brightest source in one pixel.
    """
    dit = setup.dit
    target = light.target_rate * encircled * dit
    sky = light.background_rate * dit
    shot = setup.detector.sampling.shot
    single = ratio(target, aperture.pixels, sky, chip.dark * dit, chip.ron, shot)
    count = setup.count
    if count is None:
        count = solve_count(single, setup.snr_goal or 0.0)
    limit = None
    if target > 0 and count > 0 and brightness.kind == "mag":
        least = limiting_flux(aperture.pixels, sky, chip.dark * dit, chip.ron, count, shot)
        limit = brightness.mag - 2.5 * math.log10(least / target)
    return Prediction(
        snr=single * math.sqrt(count),
        snr_single=single,
        count=count,
        count_key=setup.count_key,
        solved=setup.count is None,
        dit=dit,
        aperture_pix=aperture.diameter,
        npix=aperture.pixels,
        encircled=encircled,
        target=target,
        target_rate=light.target_rate,
        sky=sky,
        sky_rate=light.background_rate,
        dark=chip.dark * dit,
        ron=chip.ron,
        shot=shot,
        iq=psf.fwhm,
        strehl=psf.strehl if setup.psf in ("ao", "cube") else None,
        throughput=light.mean_throughput,
        brightest=brightest * dit + sky + chip.dark * dit,
        full_well=setup.detector.full_well,
        limit=limit,
        sky_model=light.sky_model,
    )
