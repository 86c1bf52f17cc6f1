"""Directions and brightness of illuminations refined together with the object, by variable projection.

Under the linear model the best object for given directions has a closed form, and what it leaves unexplained,

    F(θ) = min_x |M(θ) x − y(θ)|² + α|x|²  =  Σ_u α y* C y,    C = (M M* + α)⁻¹  at each frequency u,

is a function of the directions and gains θ alone. With x = M* C y and the derivatives D = (∂M/∂θ) x − ∂y/∂θ, its
gradient is −2 Re D* (α C y), and 2 Re D* (α C) D is the Hessian of Gauss and Newton, in which α C takes off what
another object could make up for (Golub & Pereyra, SIAM J. Numer. Anal. 10, 413 (1973); Kaufman, BIT 15, 49 (1975)).
All is diagonal in the frequency, so that a part of the frequencies is enough, and no volume is ever kept.

The aperture's edge is as wide as one frequency step here: the spectrum of a frame of finite size has no sharper one,
and F would be discontinuous.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import Geometry
from napari_diner.physics.idt.illumination import Illumination, Source
from napari_diner.physics.idt.transfer import Dispersion, born_amplitude
from napari_diner.solvers.step import Step

Vector = npt.NDArray[np.float64]

# as many frequencies as tell the directions well, and the part of them chosen for their energy in the data
_MOST_FREQUENCIES = 6000
_STRONG_PART = 0.5
_FREQUENCIES_FOR_ALPHA = 800
# complex numbers in a temporary
_BLOCK_ELEMENTS = 2**20
# step of the central differences, in steps of frequency
_DIFFERENCE = 0.1
# the weight α is chosen anew, by predicting each frame from all others, before these iterations
_CHOICES = (1, 4)
# damping of the first step, on the scale of the Hessian's diagonal, and how often a step is tried with ten times more
_DAMPING = 1e-3
_TRIES = 6
# steps smaller than this, as numerical apertures or relative gains, change nothing
_SMALLEST_STEP = 2e-6


@dataclass(frozen=True)
class Refined:
    """Illuminations and gains.

    Parameters
    ----------
    apertures
        (NA_y, NA_x) of each source, (S, 2).
    gains
        Brightness of each frame over what its background says, (N,); their geometric mean is one.
    standard_errors
        Of the apertures, (S, 2), as the curvature has them if all that is left unexplained is noise.
    """

    apertures: Vector
    gains: Vector
    standard_errors: Vector


@dataclass(frozen=True)
class _Evaluation:
    value: float
    gradient: Vector
    hessian: Vector
    count: int


class Refinement:
    """Refine directions and gains.

    Parameters
    ----------
    geometry
        The volume and the objective.
    illumination
        Where to start; within the objective's aperture.
    data
        g = I / I_background − 1, real, (N, Y, X).
    directions, gain
        What to refine.
    together
        Move all directions as one pattern: shifted, turned and scaled.
    range_na
        How far directions may be expected from the start: standard deviation of a weak pull towards it.
    iterations
        At most this many steps.
    dispersion
        As in `BornModel`.
    """

    def __init__(
        self,
        geometry: Geometry,
        illumination: Illumination,
        data: Tensor,
        *,
        directions: bool = True,
        gain: bool = False,
        together: bool = False,
        range_na: float = 0.05,
        iterations: int = 12,
        dispersion: Dispersion = "exact",
    ) -> None:
        self.geometry = geometry
        self.illumination = illumination
        self.iterations = iterations
        self.dispersion = dispersion
        self.range_na = range_na
        self.start = illumination.apertures
        self.apertures = self.start.copy()
        self.log_gains = np.zeros(len(illumination))
        self.basis = _basis(self.start, len(illumination), directions, gain, together)
        """Columns that θ = (directions (S, 2), log gains (N,)) may move along, (2S + N, P)."""
        self._choose_frequencies(data, gain)
        self.alpha = math.nan
        self._last: _Evaluation | None = None

    def _choose_frequencies(self, data: Tensor, with_mean: bool) -> None:
        geometry = self.geometry
        rows, columns = geometry.shape[1:]
        self.step_frequency = 1 / (min(rows, columns) * geometry.pixel_size_um)
        fy = torch.fft.fftfreq(rows, geometry.pixel_size_um, dtype=torch.float64)[:, None].expand(
            rows, columns // 2 + 1
        )
        fx = torch.fft.rfftfreq(columns, geometry.pixel_size_um, dtype=torch.float64)[None, :].expand_as(fy)
        passed = fy**2 + fx**2 <= (2 * geometry.cutoff) ** 2
        if rows % 2 == 0:
            passed[rows // 2] = False
        if columns % 2 == 0:
            passed[:, -1] = False
        passed[0, 0] = with_mean
        spectrum = torch.fft.rfft2(data.cpu().double())
        places = passed.flatten().nonzero().flatten()
        energy = spectrum.flatten(1)[:, places].abs().square().sum(0)
        # strong ones first, all others in an order of chance
        order = torch.argsort(energy, descending=True)
        strong = int(min(_MOST_FREQUENCIES * _STRONG_PART, len(order)))
        rest = order[strong:]
        chance = torch.randperm(len(rest), generator=torch.Generator().manual_seed(0))
        chosen = torch.cat([order[:strong], rest[chance]])[:_MOST_FREQUENCIES]
        # a part of them has strong and weak ones alike
        chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(1))]
        places = places[chosen]
        self.fy, self.fx = fy.flatten()[places], fx.flatten()[places]
        self.data = spectrum.flatten(1)[:, places].T.contiguous()
        """Spectrum of the data at the frequencies chosen, complex, (K, N)."""
        self.mean = torch.where(places == 0, float(rows * columns), 0.0).to(torch.float64)
        """Spectrum of an image of ones, (K,)."""
        column = places % (columns // 2 + 1)
        self.shares = torch.where(column == 0, 1.0, 2.0).to(torch.float64)

    def result(self) -> Refined:
        """Return the directions and gains found so far."""
        errors = np.zeros_like(self.start)
        if self._last is not None:
            noise = self._last.value / self._last.count
            within = self.basis.T @ self._last.hessian @ self.basis
            covariance = self.basis @ np.linalg.pinv(within) @ self.basis.T * noise
            errors = np.sqrt(np.clip(np.diag(covariance)[: self.start.size], 0, None)).reshape(self.start.shape)
        return Refined(self.apertures.copy(), np.exp(self.log_gains), errors)

    def lit(self) -> Illumination:
        """Return the illumination found so far."""
        return moved(self.illumination, self.apertures)

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Iterate; the loss is the root mean square of what the best object leaves unexplained, per pixel."""
        damping = _DAMPING
        for iteration in range(1, self.iterations + 1):
            if iteration in _CHOICES:
                self.alpha = self._choose_alpha()
            here = self._last = self._evaluate(self.apertures, self.log_gains)
            noise = here.value / here.count
            pull = np.zeros(len(self.basis))
            pull[: self.start.size] = noise / self.range_na**2
            away = np.concatenate([(self.apertures - self.start).ravel(), np.zeros(len(self.log_gains))])
            within = self.basis.T @ (here.hessian + np.diag(pull)) @ self.basis
            downhill = -self.basis.T @ (here.gradient + pull * away)
            value = here.value + float(pull @ away**2)
            size = 0.0
            for _ in range(_TRIES):
                damped = within + damping * np.diag(np.diag(within))
                step = self.basis @ np.linalg.lstsq(damped, downhill, rcond=None)[0]
                apertures = _inside(self.apertures + step[: self.start.size].reshape(-1, 2), self.geometry.na)
                gains = self.log_gains + step[self.start.size :]
                there = self._evaluate(apertures, gains, derivatives=False)
                away = np.concatenate([(apertures - self.start).ravel(), np.zeros(len(gains))])
                if there.value + float(pull @ away**2) < value:
                    size = float(np.abs(step).max())
                    self.apertures, self.log_gains = apertures, gains
                    damping = max(damping / 10, 1e-9)
                    break
                damping *= 10
            pixels = self.geometry.shape[1] * self.geometry.shape[2]
            yield Step(iteration, self.iterations, math.sqrt(noise / pixels))
            if size < _SMALLEST_STEP and iteration not in [choice - 1 for choice in _CHOICES]:
                break
        self._last = self._evaluate(self.apertures, self.log_gains)

    def _choose_alpha(self) -> float:
        """Return the α at which each frame is predicted best from all others (Allen's PRESS)."""
        few = slice(0, _FREQUENCIES_FOR_ALPHA)
        matrix = self._frames(self._responses(self.apertures, few))
        products = matrix @ matrix.mH
        data = self._corrected(self.log_gains, few)
        scale = float(products.diagonal(dim1=1, dim2=2).real.mean())
        best, chosen = math.inf, scale
        eye = torch.eye(products.shape[-1], dtype=products.dtype)
        for alpha in np.geomspace(1e-5, 10, 19) * scale:
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(products + alpha * eye))
            wrong = (inverse @ data[..., None])[..., 0] / inverse.diagonal(dim1=1, dim2=2)
            error = float((wrong.abs().square() * self.shares[few, None]).sum())
            if error < best:
                best, chosen = error, float(alpha)
        return chosen

    def _corrected(self, log_gains: Vector, block: slice) -> Tensor:
        """Return y, the data with the gains taken off, (K, N)."""
        gains = torch.from_numpy(np.exp(log_gains))
        mean = self.mean[block, None]
        return (self.data[block] + mean) / gains - mean

    def _evaluate(self, apertures: Vector, log_gains: Vector, derivatives: bool = True) -> _Evaluation:
        frames, sources = len(log_gains), len(apertures)
        size = 2 * sources + frames
        value, gradient, hessian = 0.0, np.zeros(size), np.zeros((size, size))
        frame_of = torch.from_numpy(
            np.concatenate([np.repeat(self.illumination.frame_of_source, 2), np.arange(frames)])
        )
        weights = torch.from_numpy(np.repeat(self.illumination.weights, 2))
        step = _DIFFERENCE * self.step_frequency * self.geometry.wavelength_um
        block_size = max(1, _BLOCK_ELEMENTS // (2 * self.geometry.shape[0] * sources))
        eye = torch.eye(frames, dtype=torch.complex128)
        for first in range(0, len(self.fy), block_size):
            block = slice(first, first + block_size)
            shares = self.shares[block]
            matrix = self._frames(self._responses(apertures, block))
            data = self._corrected(log_gains, block)
            factor = torch.linalg.cholesky(matrix @ matrix.mH + self.alpha * eye)
            solved = torch.cholesky_solve(data[..., None], factor)[..., 0]
            value += self.alpha * float(((data.conj() * solved).real.sum(1) * shares).sum())
            if not derivatives:
                continue
            volume = (matrix.mH @ solved[..., None])[..., 0]
            parts = torch.empty(len(data), size, dtype=torch.complex128)
            for axis in (0, 1):
                offset = np.zeros(2)
                offset[axis] = step
                ahead, behind = (self._responses(apertures + sign * offset, block) for sign in (1, -1))
                parts[:, axis : 2 * sources : 2] = ((ahead - behind) @ volume[..., None])[..., 0] / (2 * step)
            parts[:, : 2 * sources] *= weights
            parts[:, 2 * sources :] = data + self.mean[block, None]
            left = self.alpha * solved
            gradient -= 2 * ((parts.conj() * left[:, frame_of]).real * shares[:, None]).sum(0).numpy()
            within = self.alpha * torch.cholesky_inverse(factor)
            spread = within[:, frame_of][:, :, frame_of]
            weighted = parts * shares[:, None]
            hessian += 2 * torch.einsum("kp,kpq,kq->pq", weighted.conj(), spread, parts).real.numpy()
        return _Evaluation(value, gradient, hessian, int(self.shares.sum()) * frames)

    def _responses(self, apertures: Vector, block: slice) -> Tensor:
        """Return the transfer functions of sources alone, complex, (K, S, 2Z): H_re of all slices, then H_im."""
        geometry, edge = self.geometry, self.step_frequency
        fy, fx = self.fy[block], self.fx[block]
        wider = replace(
            geometry, na=min(geometry.na + edge * geometry.wavelength_um / 2, 0.999 * geometry.medium_index)
        )
        z = torch.from_numpy(geometry.slice_positions_um)
        responses = torch.empty(len(fy), len(apertures), 2, len(z), dtype=torch.complex128)
        for place, source in enumerate(apertures.tolist()):
            sides = []
            for sign in (1, -1):
                a, delta = born_amplitude(sign * fy, sign * fx, source, wider, self.dispersion)
                radius = torch.hypot(
                    sign * fy + source[0] / geometry.wavelength_um, sign * fx + source[1] / geometry.wavelength_um
                )
                a = a * ((geometry.cutoff - radius) / edge + 0.5).clamp(0, 1)
                phase = -2 * math.pi * sign * delta[:, None] * z
                sides.append(1j * sign * torch.polar(torch.ones_like(phase), phase) * a[:, None])
            responses[:, place, 0] = sides[0] + sides[1]
            responses[:, place, 1] = 1j * (sides[0] - sides[1])
        return responses.flatten(2)

    def _frames(self, responses: Tensor) -> Tensor:
        """Return the transfer functions of frames, (K, N, 2Z), of those of their sources, (K, S, 2Z)."""
        frame_of = self.illumination.frame_of_source
        frames = len(self.illumination)
        if len(frame_of) == frames:
            return responses
        gathered = torch.zeros(len(responses), frames, responses.shape[-1], dtype=responses.dtype)
        weighted = responses * torch.from_numpy(self.illumination.weights)[:, None]
        return gathered.index_add_(1, torch.from_numpy(frame_of), weighted)


def moved(illumination: Illumination, apertures: Vector) -> Illumination:
    """Return an illumination with other directions, (S, 2), and the same weights."""
    places = iter(apertures.tolist())
    return Illumination(
        tuple(tuple(Source(*next(places), source.weight) for source in frame) for frame in illumination.frames)
    )


def _basis(apertures: Vector, frames: int, directions: bool, gain: bool, together: bool) -> Vector:
    """Return orthonormal columns that directions and gains may move along."""
    sources = len(apertures)
    columns = []
    if directions and together:
        y, x = (apertures - apertures.mean(0)).T
        one, none = np.ones(sources), np.zeros(sources)
        for along_y, along_x in ((one, none), (none, one), (y, x), (x, -y)):
            columns.append(np.stack([along_y, along_x], 1).ravel())
    elif directions:
        columns += list(np.eye(2 * sources))
    columns = [np.concatenate([column, np.zeros(frames)]) for column in columns]
    if gain and frames > 1:
        # all alike would be a scale of the object
        free = np.linalg.svd(np.eye(frames) - 1 / frames)[0][:, : frames - 1]
        columns += [np.concatenate([np.zeros(2 * sources), column]) for column in free.T]
    if not columns:
        raise ValueError("there is nothing to refine")
    basis, sizes, _ = np.linalg.svd(np.array(columns).T, full_matrices=False)
    kept: Vector = basis[:, sizes > 1e-9 * sizes[0]]
    return kept


def _inside(apertures: Vector, na: float) -> Vector:
    """Return directions brought back to the edge of the objective's aperture where they are beyond it."""
    radius = np.linalg.norm(apertures, axis=1, keepdims=True)
    inside: Vector = apertures * np.minimum(1.0, na / np.maximum(radius, 1e-12))
    return inside
