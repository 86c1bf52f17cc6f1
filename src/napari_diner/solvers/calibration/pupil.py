"""Aberrations of the objective from the frames, with the object integrated out.

As in `calibration.idt`, the data y of all frames at one frequency have the covariance τ² C, C = M M* + α. The matrix M
depends on the coefficients a_j of the pupil and on the directions. Both have the score and the information (S. M. Kay,
Fundamentals of Statistical Signal Processing: Estimation Theory, 1993, Sec. 15.7), for each parameter p,

    s_p = Σ_u y* C⁻¹ C_p C⁻¹ y / τ² − tr(C⁻¹ C_p),     F_pq = Σ_u tr(C⁻¹ C_p C⁻¹ C_q),     C_p = ∂M/∂p M* + h.c.

A coefficient turns the phase of each sideband of a source, ``∂A(u)/∂a_j = i ΔZ_j A(u)``. The covariance of the
coefficients is their part of F⁻¹, which includes what the directions leave open, except at the edges of the aperture.

Modes that depend on the radius alone, such as spherical aberration, are also told from the object by its statistics,
about which little is known. The standard errors therefore include the step that the coefficients would take for
another object, one that absorbs little. Defocus is not solved for: the object and its slices follow it along z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.zernike import FIRST_MODE, degrees, zernike
from napari_diner.solvers.calibration.frame_spectra import COMPLEX, FrameSpectra, by_source
from napari_diner.solvers.solver import Resumable

Vector = npt.NDArray[np.float64]

PRIOR_RAD = 1.0
"""Standard deviation assumed for each coefficient before the frames are seen."""
# the last mode that is solved for, unless others are given
_LAST_MODE = 11
# step of the derivatives by direction, as a numerical aperture
_STEP_NA = 1e-4
# allowance for the unknown statistics of the object in modes of the radius alone, chosen after trials; and in all
# others for multiple scattering
_RADIAL_RAD, _MODEL_RAD = 0.1, 0.001
# bounds of the length of a step, in Newton steps
_SHORTEST, _LONGEST = 0.5, 4.0


@dataclass(frozen=True)
class PupilEquations:
    """Score and information of coefficients and directions, with the priors."""

    score: Vector
    """s of the coefficients, (J,), without their prior."""
    information: Vector
    """F, (J + Q, J + Q): the coefficients in rad, then the directions in units of the widths of their priors."""

    @property
    def covariance(self) -> Vector:
        """Covariance of the coefficients, (J, J), if the directions are unknown, too."""
        count = len(self.score)
        covariance: Vector = np.asarray(np.linalg.inv(self.information), np.float64)[:count, :count]
        return covariance

    def slope(self, away: Vector) -> Vector:
        """Return the gradient of the log-likelihood at coefficients `away` from the centre of their prior, (J,)."""
        return self.score - away / PRIOR_RAD**2

    def step(self, away: Vector) -> Vector:
        """Return the Newton step of the coefficients with fixed directions, (J,)."""
        count = len(self.score)
        step: Vector = np.asarray(np.linalg.solve(self.information[:count, :count], self.slope(away)), np.float64)
        return step


@torch.no_grad()
def pupil_equations(
    spectra: FrameSpectra,
    geometry: VolumeGeometry,
    illumination: Illumination,
    data: Tensor,
    variances: tuple[Tensor, Tensor],
    modes: Sequence[int],
    moves: Vector | None = None,
    absorption: float = 1.0,
) -> PupilEquations:
    """Return the equations at the present coefficients and directions.

    Parameters
    ----------
    spectra, geometry, illumination
        Frames, objective and directions.
    data
        y, complex, (K, N).
    variances
        α and τ² of each frequency, (K,).
    modes
        J modes whose coefficients are solved for.
    moves
        Changes of (NA_y, NA_x) of all sources, of a likely size, by each parameter of the directions, (2S, Q); None if
        the directions are known.
    absorption
        See `FrameSpectra.matrix`.
    """
    matrix = spectra.matrix(geometry, illumination, absorption)
    rows = _Rows(spectra, geometry, illumination, matrix, modes, absorption)
    by_direction = None if moves is None else rows.by_direction()
    count, others = len(modes), 0 if moves is None else moves.shape[1]
    score, information = np.zeros(count), np.zeros((count + others, count + others))
    alphas, powers = variances
    for band in spectra.bands:
        weights, power = (spectra.shares[band] / 2).float(), powers[band].float()
        wide = matrix[band].to(torch.complex128)
        covariance = wide @ wide.mH + alphas[band, None, None] * torch.eye(data.shape[1], dtype=wide.dtype)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance)).to(COMPLEX)
        solved = (inverse @ data[band].to(COMPLEX)[..., None])[..., 0]
        own = rows.by_coefficient(band)
        product = inverse @ (own + own.mH)
        quadratic = 2 * torch.einsum("kn,jknm,km->jk", solved.conj(), own, solved).real / power
        trace = product.diagonal(dim1=-2, dim2=-1).sum(-1).real
        score += _double((quadratic - trace) @ weights)
        weighted = weights.to(COMPLEX)
        information[:count, :count] += _double(torch.einsum("k,iknm,jkmn->ij", weighted, product, product))
        if by_direction is not None and moves is not None:
            # C_p = e v + v* eᵀ of a row v of one frame is of rank two
            v, frames = by_direction[:, band], rows.frame_of_source.repeat_interleave(2)
            W = torch.einsum("pkn,knm->pkm", v, inverse)
            first = torch.einsum("k,pkq,qkp->pq", weighted, W[:, :, frames], W[:, :, frames])
            between = torch.einsum("qkn,pkn->kpq", W, v.conj())
            second = (weighted[:, None, None] * inverse[:, frames][:, :, frames] * between).sum(0)
            cross = torch.einsum("k,pkn,jknp->jp", weighted, v, (product @ inverse)[..., frames])
            information[:count, count:] += 2 * _double(cross) @ moves
            information[count:, count:] += 2 * moves.T @ _double(first + second) @ moves
    information[count:, :count] = information[:count, count:].T
    priors = np.concatenate([np.full(count, PRIOR_RAD**-2), np.ones(others)])
    return PupilEquations(score, information + np.diag(priors))


@dataclass(frozen=True)
class RefinedPupil:
    """Phase of the objective's pupil."""

    zernike_rad: tuple[float, ...]
    """Coefficients of the modes from `FIRST_MODE` on; see `physics.zernike`."""
    zernike_rad_se: tuple[float, ...]
    """Their standard errors; zero for those that were not solved for."""


class PupilSearch(Resumable):
    """Newton's method for the coefficients of a pupil, from equations that others set up.

    The equations overestimate the curvature as long as other errors are among the noise. Steps are therefore lengthened
    by the ratio of the expected to the observed change of the slope along the last step (J. Barzilai, J. M. Borwein,
    IMA J. Numer. Anal. 8, 141 (1988)).

    Parameters
    ----------
    given_rad
        Given coefficients of the modes from `FIRST_MODE` on, the centre of their prior.
    """

    kept = ("zernike_rad", "zernike_rad_se", "_step", "_slope", "_length")
    answer = ("zernike_rad", "zernike_rad_se")

    def __init__(self, given_rad: Sequence[float]) -> None:
        count = max(_LAST_MODE - FIRST_MODE + 1, len(given_rad))
        self._given = np.pad(np.array(given_rad, float), (0, count - len(given_rad)))
        self.zernike_rad = self._given.copy()
        """Coefficients of the modes from `FIRST_MODE` on."""
        self.zernike_rad_se = np.zeros(count)
        """Their standard errors."""
        self._step = self._slope = np.zeros(count - 1)
        self._length = 1.0

    @property
    def modes(self) -> range:
        """The modes that are solved for: without defocus."""
        return range(FIRST_MODE + 1, FIRST_MODE + len(self.zernike_rad))

    @property
    def _away(self) -> Vector:
        away: Vector = (self.zernike_rad - self._given)[1:]
        return away

    def of(self, geometry: VolumeGeometry) -> VolumeGeometry:
        """Return a geometry with the present coefficients."""
        return replace(geometry, zernike_rad=tuple(self.zernike_rad.tolist()))

    def result(self) -> RefinedPupil:
        """Return the present coefficients."""
        return RefinedPupil(tuple(self.zernike_rad.tolist()), tuple(self.zernike_rad_se.tolist()))

    def advance(self, equations: PupilEquations) -> float:
        """Take a step by the equations at the present coefficients; return the largest change, in rad."""
        slope, step = equations.slope(self._away), equations.step(self._away)
        count = len(step)
        expected = float(self._step @ equations.information[:count, :count] @ self._step)
        observed = float(self._step @ (self._slope - slope))
        if expected:
            self._length = float(np.clip(expected / observed, _SHORTEST, _LONGEST)) if observed > 0 else 2.0
        step = np.clip(self._length * step, -PRIOR_RAD, PRIOR_RAD)
        self._step, self._slope = step, slope
        self.zernike_rad = np.concatenate([self.zernike_rad[:1], self.zernike_rad[1:] + step])
        self._judge(equations.covariance)
        return float(np.abs(step).max())

    def finish(self, equations: PupilEquations, others: PupilEquations) -> None:
        """Determine the standard errors by the equations at the end, and by those for an object of another kind."""
        self._judge(equations.covariance, self._length * others.step(self._away))

    def _judge(self, covariance: Vector, *steps: Vector) -> None:
        model = [_RADIAL_RAD if degrees(mode)[1] == 0 else _MODEL_RAD for mode in self.modes]
        errors = np.stack([np.sqrt(np.diag(covariance)), model, self._step, *steps])
        self.zernike_rad_se = np.concatenate([[0.0], np.linalg.norm(errors, axis=0)])


class _Rows:
    """Rows of ∂M/∂p M*, source by source.

    Parameters
    ----------
    spectra, geometry, illumination, modes, absorption
        As in `pupil_equations`.
    matrix
        M, complex, (K, N, 2Z).
    """

    def __init__(
        self,
        spectra: FrameSpectra,
        geometry: VolumeGeometry,
        illumination: Illumination,
        matrix: Tensor,
        modes: Sequence[int],
        absorption: float,
    ) -> None:
        self._spectra, self._geometry, self._sources = spectra, geometry, by_source(illumination)
        real, imaginary = matrix.mH.unflatten(1, (2, -1)).unbind(1)
        self._adjoints = {sign: real + 1j * sign * absorption * imaginary for sign in (1, -1)}
        self.frame_of_source = torch.from_numpy(illumination.frame_of_source)
        self._sides: list[Tensor] = []
        """A M* of each sideband of each source, (K, N)."""
        self._turns: list[Tensor] = []
        """±ΔZ_j of each, (J, K)."""
        for aperture, _, weight in self._sources:
            for sign in (1, -1):
                self._sides.append(self._carried(self._side(aperture, sign)[0], sign, weight))
                self._turns.append(sign * _differences(spectra, geometry, aperture, sign, modes))

    def by_coefficient(self, band: slice) -> Tensor:
        """Return ∂M/∂a_j M* of a band, (J, K, N, N)."""
        turns, sides = torch.stack(self._turns, 1)[..., band], torch.stack(self._sides)[:, band]
        both = 1j * (turns.float()[..., None] * sides).unflatten(1, (-1, 2)).sum(2).transpose(1, 2)
        modes, count, _, frames = both.shape
        rows = torch.zeros(modes, count, frames, frames, dtype=COMPLEX)
        return rows.index_add_(2, self.frame_of_source, both)

    def by_direction(self) -> Tensor:
        """Return the derivatives by NA_y and NA_x of each source, (2S, K, N)."""
        derivatives = []
        for (y, x), _, weight in self._sources:
            for dy, dx in ((_STEP_NA, 0.0), (0.0, _STEP_NA)):
                total = torch.zeros_like(self._sides[0])
                for sign in (1, -1):
                    (ahead, first), (behind, second) = (self._side((y + s * dy, x + s * dx), sign) for s in (1, -1))
                    change = torch.where((first & second)[:, None], (ahead - behind) / (2 * _STEP_NA), 0)
                    total += self._carried(change, sign, weight)
                derivatives.append(total)
        return torch.stack(derivatives)

    def _side(self, aperture: tuple[float, float], sign: int) -> tuple[Tensor, Tensor]:
        """Return A of all slices at u, or A* at −u, (K, Z), and where it passes, (K,)."""
        a, phases, passes = self._spectra.side(self._geometry, aperture, sign)
        side = torch.zeros(len(passes), phases.shape[1], dtype=COMPLEX)
        side[passes] = a[:, None] * phases
        return side, passes

    def _carried(self, side: Tensor, sign: int, weight: float) -> Tensor:
        """Return the product of a sideband with M*, (K, N)."""
        carried: Tensor = weight * (side[:, None] @ self._adjoints[sign])[:, 0]
        return carried


def _differences(
    spectra: FrameSpectra, geometry: VolumeGeometry, aperture: tuple[float, float], sign: int, modes: Sequence[int]
) -> Tensor:
    """Return ``ΔZ_j = Z_j(±u + u_i) − Z_j(u_i)``, (J, K)."""
    fy, fx = (sign * f / geometry.cutoff for f in (spectra.fy, spectra.fx))
    y, x = (torch.tensor(value / geometry.na, dtype=fy.dtype) for value in aperture)
    return torch.stack([zernike(mode, fy + y, fx + x) - zernike(mode, y, x) for mode in modes])


def _double(values: Tensor) -> Vector:
    converted: Vector = values.real.double().numpy()
    return converted
