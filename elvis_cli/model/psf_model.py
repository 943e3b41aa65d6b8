"""Kinds of point-spread functions, with what each needs besides optics and atmosphere."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.model.elvis_block import PsfCube
from elvis_cli.model.telescope import AoSystem


@dataclass(frozen=True, slots=True)
class GaussianPsf:
    """The Gaussian of the ESO ETC's image quality."""


@dataclass(frozen=True, slots=True)
class SeeingPsf:
    """The long exposure through von Karman turbulence."""


@dataclass(frozen=True, slots=True)
class DiffractionPsf:
    """The pupil alone."""

    jitter: float = 0.0
    """Image motion and charge diffusion, arcsec rms per axis."""


@dataclass(frozen=True, slots=True)
class AoPsf:
    """The image behind adaptive optics."""

    system: AoSystem
    guide_star_mag: float
    """Of the natural guide star, the brightest where there are several."""
    guide_stars: tuple[tuple[float, float, float], ...] = ()
    """x, y (arcsec in the field) and magnitude of each natural guide star that the request places."""
    guide: tuple[float, float] = (0.0, 0.0)
    """x, y of the first of them, or where the separation puts it; asterisms stand about it."""
    distance_weight: float = 1.0
    """Factor on the distance from the guide star: below 1 where an ETC loses less by it than the turbulence does."""
    airmass_power: float = 1.0
    """Power of the airmass through which the turbulence is seen: below 1 where an ETC's image depends less on it."""


@dataclass(frozen=True, slots=True)
class CubePsf:
    """The user's own images, the same all over the field or at each of their places."""

    cube: PsfCube
    ao: AoPsf | None = None
    """The adaptive optics of the mode, which the images stand for."""


PsfModel = GaussianPsf | SeeingPsf | DiffractionPsf | AoPsf | CubePsf


def adaptive_optics(psf: PsfModel) -> AoPsf | None:
    """Return the adaptive optics of a mode, None where it has none."""
    match psf:
        case AoPsf():
            return psf
        case CubePsf():
            return psf.ao
        case _:
            return None
