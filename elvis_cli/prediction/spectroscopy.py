"""The prediction for a spectrograph: signal-to-noise ratio of every order, and NDIT or NEXPO for a requested one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.samples import MIN_REACH
from elvis_cli.instrument import configure
from elvis_cli.light.budget import PhotonBudget
from elvis_cli.model.exposure import Exposure
from elvis_cli.model.request import Sed, Target
from elvis_cli.model.setup import Goal
from elvis_cli.model.spectrograph import Spectrograph
from elvis_cli.prediction import extraction, imaging, noise
from elvis_cli.prediction.extraction import Spectrum
from elvis_cli.scene.spectrum import gaussian, lines_of

if TYPE_CHECKING:
    from elvis_cli.focalplane.spectrometer import Spectrometer

LOST = 1e-3
"""Part of the light in the aperture below which the user is told."""
PRECISION = 1e-10
"""dex of the brightness at the limit of detection."""


@dataclass(frozen=True, slots=True, eq=False)
class SpectroscopyPrediction:
    """What the ETC says of one request of a spectrograph. Electrons are per integration unless said otherwise.

    Scalars are medians over ``inside``, the spectral pixels that were asked for.
    """

    orders: tuple[Spectrum, ...]
    """Their spectra, ascending."""
    listed: tuple[Spectrum, ...]
    """Those of which tables are written."""
    inside: Spectrum
    """All orders' pixels in the range of wavelengths that was asked for, or all; without profiles."""
    count: int
    """NDIT or NEXPO, as asked or as solved for the requested S/N; 0 where nothing reaches it."""
    count_key: str
    solved: bool
    dit: float
    aperture_pix: int
    iq: float
    """FWHM, arcsec."""
    target_rate: float
    """Electrons/s of the target on the chips, within the rows about it."""
    brightest: float
    """Electrons in the brightest pixel of all traces, background included."""
    full_well: float
    resolution: float
    limit: float | None
    """Magnitude, in the target's band and system, at which such a target has a median S/N of DETECTION_SNR."""
    sky_model: str
    lines: tuple[str, str] = ("", "")
    """Resolutions that the lines of the sky and of the target have."""
    endless: bool = False
    """The target has no end: its fractions are areas, arcsec2."""
    remarks: tuple[str, ...] = ()

    @property
    def snr_single(self) -> float:
        """S/N of one integration."""
        return float(np.median(self.inside.single))

    @property
    def snr(self) -> float:
        """After all ``count`` integrations."""
        return self.snr_single * math.sqrt(self.count)

    @property
    def optimal(self) -> float:
        """S/N of optimal extraction after all integrations."""
        return float(np.median(np.sqrt(self.inside.ideal))) * math.sqrt(self.count)

    @property
    def saturated(self) -> bool:
        """Whether the brightest pixel exceeds the full well."""
        return self.brightest > self.full_well

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        if not self.saturated:
            return self.remarks
        over = np.concatenate([spectrum.peak for spectrum in self.orders]) > self.full_well
        what = f"the brightest pixel saturates: {self.brightest:.3g} e in {self.dit:g} s"
        return *self.remarks, f"{what}, full well {self.full_well:g} e; {over.mean():.2%} of the spectral pixels do"

    def best(self) -> tuple[int, float]:
        """Return the order with the greatest median S/N after all integrations, and that."""
        ratios = {s.order: float(np.median(s.single)) for s in self.orders}
        order = max(ratios, key=lambda number: (ratios[number], -number))
        return order, ratios[order] * math.sqrt(self.count)

    def cards(self) -> list[tuple[str, object, str]]:
        """Return (keyword, value, comment) for the HIERARCH ESO SIM block."""
        inside, (order, ratio) = self.inside, self.best()
        npix = np.median(inside.npix)
        middle = {name: float(np.median(getattr(inside, name))) for name in ("target", "sky", "dark")}
        pixel = {name: electrons / npix if npix > 0 else 0.0 for name, electrons in middle.items()}
        part = "[arcsec2] of the sky" if self.endless else "fraction of the light"
        cards: list[tuple[str, object, str]] = [
            ("ESO SIM SNR", round(self.snr, 4), f"median S/N per spectral pixel, all {self.count_key}"),
            ("ESO SIM SNR SINGLE", round(self.snr_single, 4), "the same of one integration"),
            ("ESO SIM SNR OPT", round(self.optimal, 4), "by optimal extraction, all of them"),
            ("ESO SIM SNR WMIN", round(1e3 * float(inside.wave.min()), 4), "[nm] from here"),
            ("ESO SIM SNR WMAX", round(1e3 * float(inside.wave.max()), 4), "[nm] to here"),
            ("ESO SIM SNR SOLVED", self.solved, f"{self.count_key} solved for the requested S/N"),
            ("ESO SIM SNR COUNT", self.count, f"{self.count_key}"),
            ("ESO SIM BEST ORDER", order, "order with the greatest median S/N"),
            ("ESO SIM BEST SNR", round(ratio, 4), "median S/N of that order, all integrations"),
            ("ESO SIM APER DIAM", self.aperture_pix, "[pixel] aperture's length or diameter"),
            ("ESO SIM APER NPIX", round(float(npix), 2), "pixels in the aperture"),
            ("ESO SIM APER ENSLIT", round(float(np.median(inside.enslitted)), 6), f"{part} in the slit"),
            ("ESO SIM APER ENCIRC", round(float(np.median(inside.encircled)), 6), f"{part} in the aperture"),
            ("ESO SIM TARG ELEC", middle["target"], "[e] target, per integration"),
            ("ESO SIM TARG RATE", self.target_rate, "[e/s] target, on the chips"),
            ("ESO SIM SKY MODEL", self.sky_model, "where the sky comes from"),
            ("ESO SIM SKY LINES", self.lines[0], "resolution of the sky"),
            ("ESO SIM TARG LINES", self.lines[1], "resolution of the target"),
            ("ESO SIM SKY ELEC", pixel["sky"], "[e/pixel] background"),
            ("ESO SIM SKY RATE", pixel["sky"] / self.dit, "[e/s/pixel] sky and warm optics"),
            ("ESO SIM DARK ELEC", pixel["dark"], "[e/pixel] dark current per integration"),
            ("ESO SIM SPEC DISP", 1e3 * float(np.median(inside.dispersion)), "[nm/pixel] dispersion"),
            ("ESO SIM SPEC R", round(self.resolution, 1), "resolving power"),
            ("ESO SIM IQ FWHM", round(self.iq, 6), "[arcsec] image quality"),
            ("ESO SIM THRU MEAN", round(float(np.mean(inside.total)), 6), "atmosphere to detector"),
            ("ESO SIM PEAK ELEC", self.brightest, "[e] brightest pixel per integration"),
            ("ESO SIM PEAK SATUR", self.saturated, "brightest pixel above the full well"),
        ]
        if self.limit is not None:
            cards.append(
                ("ESO SIM LIMIT MAG", round(self.limit, 4), f"[mag] a like target at S/N = {noise.DETECTION_SNR:g}")
            )
        return cards


def predict(spectrometer: Spectrometer, target: Target, line: Sed | None = None) -> SpectroscopyPrediction:
    """Return the ETC's prediction for a spectrograph, NDIT or NEXPO solved if need be: 0 where nothing reaches it.

    Pixels that the optics leave dark, outside a filter or beyond a dichroic, do not count. ``line`` is the emission
    line within which the S/N is meant unless the request says where.

    Raises
    ------
    RequestError
        No order falls on a chip.
    """
    setup, budget = spectrometer.light.setup, spectrometer.light.budget
    spectrograph, detector, exposure, goal = spectrometer.spectrograph, setup.detector, setup.exposure, setup.goal
    offset = spectrometer.scene.centre
    fwhm = spectrometer.psf.fwhm
    diameter = imaging.Aperture.around(fwhm, setup).diameter
    reach = max(MIN_REACH, diameter // 2 + 1)
    along = _Pixels(budget, spectrometer.light.target.density)

    def follow(number: int) -> tuple[Spectrum, float]:
        """Return the spectrum in a trace, and all electrons/s of the target there."""
        trace, samples = spectrograph.traces[number], spectrometer.samples(number, reach)
        aperture, s = spectrograph.apertures[trace.aperture], samples.s - samples.centre
        pixel = float(np.ptp(s)) / (s.size - 1) if s.size > 1 else setup.optics.pixel_scale
        place = aperture.within(*offset)
        weight = extraction.weights(aperture, s, place, pixel, diameter * pixel / 2, ifu=spectrograph.sliced)
        efficiency = trace.efficiency.at(samples.wave)
        density, throughput = along.at(samples.wave)
        everything = density * efficiency * samples.dispersion
        spectrum = extraction.extract(trace.order, samples, weight, efficiency, everything, detector, exposure.dit)
        rate = np.where(samples.chip > 0, np.sum(samples.target, axis=1, dtype=np.float64), 0.0).sum()
        lit = throughput * efficiency >= along.dark
        return spectrum.where((spectrum.chip > 0) & lit), float(rate)

    numbers = spectrograph.near(offset, setup.optics.pixel_scale * reach)
    shared = spectrograph.sliced or any(aperture.fibre for aperture in spectrograph.apertures)
    lights = _follow_orders(spectrograph, numbers, follow, shared)
    rates = {number: rate for light in lights for number, rate in light.rates.items()}
    orders = tuple(light.spectrum for light in lights if light.spectrum is not None)
    if shared:
        wave, more = spectrometer.beyond({spectrograph.traces[number].aperture for number in numbers})
        orders = tuple(replace(one, enslitted=one.enslitted + np.interp(one.wave, wave, more)) for one in orders)
    if not orders:
        raise RequestError("/instrument", "no order falls on a chip")
    at = np.array([gaussian(line)[0] if line is not None else sum(orders[0].wave[[0, -1]]) / 2])
    width = float(spectrograph.line_widths(spectrograph.apertures[0], at)[0])
    endless = target.morphology.kind == "infinite"
    inside, notes = chosen(orders, goal.wave, line, width)
    if not endless and (most := max(float(one.enslitted.max()) for one in orders)) < LOST:
        notes += (f"at most {most:.1g} of the target's light falls into the aperture",)
    tabled, missing = listed(orders, goal.orders)
    single = float(np.median(inside.single))
    count, counted = _count(inside, single, exposure, goal)
    brightness, limit = target.brightness, None
    if single > 0 and count > 0 and brightness.kind == "mag":
        limit = brightness.mag - 2.5 * math.log10(limiting_factor(inside, count))
    return SpectroscopyPrediction(
        orders=orders,
        listed=tabled,
        inside=inside,
        count=count,
        count_key=exposure.count_key,
        solved=exposure.count is None,
        dit=exposure.dit,
        aperture_pix=diameter,
        iq=fwhm,
        target_rate=sum(rates[number] for number in numbers),
        brightest=max(light.brightest for light in lights),
        full_well=detector.full_well,
        resolution=float(np.median(inside.wave / inside.dispersion)) / width,
        limit=limit,
        sky_model=budget.sky_model,
        lines=_lines(budget, target.sed),
        endless=endless,
        remarks=(*notes, *counted, *missing),
    )


def _lines(budget: PhotonBudget, sed: Sed) -> tuple[str, str]:
    """Return which resolutions the lines of the sky and of the target have, for the header."""
    if budget.resolved is None:
        return "R = 6000", "as its spectrum is sampled"
    star = lines_of(sed)
    return "air R 300000, airglow lines, Sun R 150000", star or "as its spectrum is sampled"


class _Pixels:
    """The target's light and the throughput at the pixels along traces, which the fibres of an order share."""

    def __init__(self, budget: PhotonBudget, density: Floats) -> None:
        self.wave, self.density = budget.wave, density
        self.passed = np.prod(list(budget.groups.values()), axis=0)
        self.dark = configure.FAINT * float(self.passed.max())
        """Throughput below which a pixel is dark."""
        self._known: dict[int, tuple[Floats, Floats, Floats]] = {}

    def at(self, wave: Floats) -> tuple[Floats, Floats]:
        """Return electrons/s/um of the target and the throughput at ``wave`` (n,)."""
        if id(wave) not in self._known:
            density, throughput = (np.interp(wave, self.wave, one) for one in (self.density, self.passed))
            self._known[id(wave)] = wave, density, throughput  # the array is kept, so that no other has its id
        return self._known[id(wave)][1:]


@dataclass(frozen=True, slots=True, eq=False)
class _OrderLight:
    """The target's light in the traces of one order."""

    spectrum: Spectrum | None
    """None where none of it falls on a chip."""
    rates: dict[int, float]
    """Electrons/s of the target by the number of the trace."""
    brightest: float
    """Electrons in the brightest pixel."""


def _follow_orders(
    spectrograph: Spectrograph, numbers: Sequence[int], follow: Callable[[int], tuple[Spectrum, float]], shared: bool
) -> list[_OrderLight]:
    """Return the light of each order, ascending; what ``follow`` returns of a trace is not kept longer than its order.

    Slices and fibres share the target (``shared``), of several slits it is in one.
    """
    members: dict[int, list[int]] = {}
    for number in numbers:
        members.setdefault(spectrograph.traces[number].order, []).append(number)

    def of_order(order: int) -> _OrderLight:
        first, *others = members[order]
        # one alone first: it makes what they share
        followed = [follow(first), *parallel.gather(follow, others)]
        parts: dict[int, list[Spectrum]] = {}
        for number, (spectrum, _) in zip(members[order], followed, strict=True):
            if spectrum.wave.size:
                parts.setdefault(spectrograph.traces[number].aperture, []).append(spectrum)
        several = [extraction.join(some) for some in parts.values()]
        combine = extraction.add if shared else partial(max, key=extraction.light)
        return _OrderLight(
            combine(several) if several else None,
            dict(zip(members[order], (rate for _, rate in followed), strict=True)),
            max(float(spectrum.peak.max(initial=0.0)) for spectrum, _ in followed),
        )

    first, *others = sorted(members)
    return [of_order(first), *parallel.gather(of_order, others)]


def chosen(
    orders: Sequence[Spectrum], requested: tuple[float, float] | None, line: Sed | None, width: float
) -> tuple[Spectrum, tuple[str, ...]]:
    """Return the spectral pixels, of all orders, where the signal-to-noise ratio is meant, and notes.

    An emission line's, unless the request says where, is meant within its FWHM on the detector, where a narrow one is
    ``width`` pixels wide. Real requests ask for it where their setting does not see; the ETC takes them, and so do we,
    loudly.
    """
    everything = extraction.join(orders)
    wave, half = everything.wave, everything.dispersion / 2
    if requested is not None:
        low, high = requested
    elif line is not None:
        centre, sigma = gaussian(line)
        broad = math.hypot(sigma * math.sqrt(2 * math.log(2)), width * half[np.abs(wave - centre).argmin()])
        low, high = centre - broad, centre + broad
    else:
        return everything, ()
    for beyond in (0.0, half):  # between the middles of two pixels there is none
        inside = (wave + beyond >= low) & (wave - beyond <= high)
        if inside.any():
            return everything.where(inside), ()
    if requested is None:  # which the scene has told
        return everything, ()
    range_text = f"{1e3 * wave.min():.6g} to {1e3 * wave.max():.6g} nm"
    text = f"timesnr: no order sees {1e3 * low:g} to {1e3 * high:g} nm, what is seen lies within {range_text}"
    return everything, (f"{text}: the S/N is the median over all of that",)


def listed(orders: tuple[Spectrum, ...], names: tuple[str, ...]) -> tuple[tuple[Spectrum, ...], tuple[str, ...]]:
    """Return the orders with these ``names``, all without names, and notes on those that are not there."""
    present = tuple(spectrum for spectrum in orders if str(spectrum.order) in names)
    missing = [name for name in names if name not in {str(spectrum.order) for spectrum in present}]
    note = (f"orders {', '.join(missing)[:80]} do not fall on the chips: no tables of them",) if missing else ()
    return present if names else orders, note


def _count(inside: Spectrum, single: float, exposure: Exposure, goal: Goal) -> tuple[int, tuple[str, ...]]:
    """Return the number of integrations, solved for the requested S/N unless the request has it, and notes."""
    if exposure.count is not None:
        return exposure.count, ()
    count = noise.solve_count(single, goal.snr or 0.0)
    if count == 0 or not goal.read_noise_once:
        return count, ()
    count = solve_once(inside, goal.snr or 0.0, count)
    text = f"timesnr: {exposure.count_key} {count} as by the first generation's ETC, which counts the read noise once"
    return count, (f"{text}; with that of every integration the S/N is {single * math.sqrt(count):.4g}",)


def solve_once(inside: Spectrum, goal: float, highest: int) -> int:
    """Return the least number of integrations, up to ``highest``, whose median S/N reaches ``goal`` by the ETC of 2020.

    It counts the read noise once in a sequence: its answers 107 and 16 come out as 107 and 15, else as 214 and 17.
    """
    low, high = 0, highest
    while high - low > 1:
        middle = (low + high) // 2
        reached = float(np.median(inside.once(middle))) >= goal
        low, high = (low, middle) if reached else (middle, high)
    return high


def limiting_factor(inside: Spectrum, count: int) -> float:
    """Return how much brighter the target must be for a median of noise.DETECTION_SNR after ``count`` integrations.

    It lies between the factors at which the two pixels in the middle reach this ratio, which are known at once.
    """
    least = noise.limiting_flux(inside.sky + inside.dark, inside.ron2, count, inside.shot)
    factors = np.divide(least, inside.target, out=np.full(least.size, np.inf), where=inside.target > 0)
    middles = (factors.size - 1) // 2, factors.size // 2
    ends = np.clip(np.log10(np.partition(factors, middles)[list(middles)]), -40.0, 40.0)
    low, high = float(ends[0]) - PRECISION, float(ends[1]) + PRECISION
    while high - low > PRECISION:
        middle = (low + high) / 2
        reached = float(np.median(inside.scaled(10.0**middle))) * math.sqrt(count) >= noise.DETECTION_SNR
        low, high = (low, middle) if reached else (middle, high)
    return float(10.0**high)
