"""The point-spread function of a mode, from the model that its Setup names."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.base.recent import Recent
from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.psf_model import AoPsf, CubePsf, DiffractionPsf, GaussianPsf, PsfModel, SeeingPsf
from elvis_cli.model.setup import Optics
from elvis_cli.optics import gaussian_psf, occulted_star, otf, pupil
from elvis_cli.optics.ao.corrected import Corrected
from elvis_cli.optics.ao.wavefront import seeing_limited, uniform_motion
from elvis_cli.optics.psf_types import Psf
from elvis_cli.sky.turbulence import NO_AIR, air

MAX_KEPT_BYTES = 48 << 20
"""PSFs that a process keeps: about six of a large frame."""


def build(
    psf: PsfModel, optics: Optics, atmosphere: Atmosphere, extent: int, wave: Floats, weight: Floats, positions: Floats
) -> Psf:
    """Return the PSF at ``positions`` (n, 2), arcsec in the field.

    ``wave`` (um) and ``weight`` (sum 1) stand for the passband, ``extent`` (pixels) is the longer side of a chip. The
    OTF is that of the pupil times exp(-(2 pi / wave)^2 D / 2) with the wavefront's structure function D (Roddier 1981),
    times those of image motion and of the square pixel. Lasers stand about the field centre, several natural guide
    stars about the model's ``guide``.

    Raises
    ------
    ElvisError
        The model names a kind of adaptive optics that does not exist.
    """
    match psf:
        case GaussianPsf():
            return gaussian_psf.build(optics, atmosphere, len(positions))
        case CubePsf():
            from elvis_cli.optics import user_psf

            return user_psf.build(psf.cube, optics, extent, wave, weight, positions)
        case SeeingPsf() | AoPsf() | DiffractionPsf():
            key = digest(psf, optics, atmosphere, extent, wave, weight, positions)
            if (result := RECENT.find(key)) is None:
                result = _from_otf(psf, optics, atmosphere, extent, wave, weight, positions)
                RECENT.add(key, result)
            return result


def digest(
    psf: PsfModel, optics: Optics, atmosphere: Atmosphere, extent: int, wave: Floats, weight: Floats, positions: Floats
) -> bytes:
    """Return a hash of all that the PSFs of `build` depend on; that of a user's PSF is not among them."""
    parts = psf, optics.telescope, optics.pupil_mask, optics.coronagraph, optics.pixel_scale, atmosphere
    return hashlib.sha256(pickle.dumps((parts, extent, wave, weight, positions))).digest()


RECENT: Recent[Psf] = Recent(MAX_KEPT_BYTES, lambda psf: (psf.fine, psf.coarse))
"""Shared by all threads."""


def _from_otf(
    psf: SeeingPsf | AoPsf | DiffractionPsf,
    optics: Optics,
    atmosphere: Atmosphere,
    extent: int,
    wave: Floats,
    weight: Floats,
    positions: Floats,
) -> Psf:
    """Return the PSF of a wavefront behind the pupil, as `build` does."""
    if optics.coronagraph is None:
        aperture = pupil.transfer(optics.telescope, optics.pupil_mask)
    else:
        aperture = occulted_star.aperture(optics.telescope, optics.coronagraph)
    seeing = None
    match psf:
        case SeeingPsf():
            turbulence, seeing = air(atmosphere), atmosphere.seeing
            wavefronts = [seeing_limited(turbulence, 1.5 * aperture.diameter)]
        case AoPsf():
            budget = Corrected(psf, optics.telescope, atmosphere, aperture.diameter)
            turbulence = budget.air
            wavefronts = parallel.gather(budget.towards, list(np.asarray(positions, float)))
        case DiffractionPsf():
            turbulence = NO_AIR
            wavefronts = [uniform_motion(2.0 * aperture.diameter, psf.jitter)]
    grid = otf.grid(optics, extent, float(np.min(wave)), len(wavefronts), seeing)
    return otf.build(grid, aperture, np.asarray(wave, float), weight, turbulence, wavefronts, len(positions))
