"""The prediction for an image: signal-to-noise ratio in an aperture, and NDIT or NEXPO for a requested one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from elvis_cli.focalplane.geometry import nearest_chip
from elvis_cli.focalplane.imager import Imager
from elvis_cli.model.psf_model import AoPsf, CubePsf
from elvis_cli.model.request import Brightness
from elvis_cli.model.setup import Setup
from elvis_cli.prediction import noise


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
        """Return the request's aperture, or when automatic the smallest odd number of pixels >= 2 FWHM (arcsec).

        With ``aperture_inside`` it is the largest odd number <= 2 FWHM.
        """
        goal, across = setup.goal, 2.0 * fwhm / setup.optics.pixel_scale
        if goal.aperture_pix > 0:
            return cls(goal.aperture_pix)
        if goal.aperture_inside:
            return cls(max(math.floor((across + 1.0) / 2.0) * 2 - 1, 1))
        diameter = math.ceil(across)
        return cls(diameter + 1 - diameter % 2)


@dataclass(frozen=True, slots=True)
class ImagingPrediction:
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
    """Magnitude, in the target's band and system, at which a target like this is detected (noise.DETECTION_SNR)."""

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
            cards.append(
                ("ESO SIM LIMIT MAG", round(self.limit, 4), f"[mag] a like target at S/N = {noise.DETECTION_SNR:g}")
            )
        if self.strehl is not None:
            cards.append(("ESO SIM IQ STREHL", round(self.strehl, 6), "Strehl ratio"))
        return cards


def predict(renderer: Imager, brightness: Brightness) -> ImagingPrediction:
    """Return the ETC's prediction for the target of an image; ``brightness`` is the target's."""
    light, psf = renderer.light, renderer.psf
    setup, budget = light.setup, light.budget
    aperture = Aperture.around(psf.fwhm, setup)
    chip = nearest_chip(setup, *renderer.scene.centre)
    exposure, dit, shot = setup.exposure, setup.exposure.dit, setup.detector.sampling.shot
    encircled = renderer.concentration(aperture.diameter)
    target = light.target.rate * encircled * dit
    sky, dark = budget.background_rate * dit, chip.dark * dit
    background, ron2 = aperture.pixels * (sky + dark), aperture.pixels * chip.ron**2
    single = noise.ratio(target, background, ron2, shot)
    count = exposure.count
    if count is None:
        count = noise.solve_count(single, setup.goal.snr or 0.0)
    limit = None
    if target > 0 and count > 0 and brightness.kind == "mag":
        least = noise.limiting_flux(background, ron2, count, shot)
        limit = brightness.mag - 2.5 * math.log10(least / target)
    return ImagingPrediction(
        snr=single * math.sqrt(count),
        snr_single=single,
        count=count,
        count_key=exposure.count_key,
        solved=exposure.count is None,
        dit=dit,
        aperture_pix=aperture.diameter,
        npix=aperture.pixels,
        encircled=encircled,
        target=target,
        target_rate=light.target.rate,
        sky=sky,
        sky_rate=budget.background_rate,
        dark=dark,
        ron=chip.ron,
        shot=shot,
        iq=psf.fwhm,
        strehl=psf.strehl if isinstance(setup.psf, AoPsf | CubePsf) else None,
        throughput=budget.mean_throughput,
        brightest=renderer.brightest() * dit + sky + dark,
        full_well=setup.detector.full_well,
        limit=limit,
        sky_model=budget.sky_model,
    )
