"""Response of the frames to the geometry with the object eliminated: the Schur complement of the object.

The frames depend on the object δ (log-amplitude and phase, see `solvers.gauss_newton`) and on the geometry q. To first
order the residual becomes ``r + J δ + K q``. For any q, the object follows: ``δ = −X q`` with ``X = J⁺K``. The
remainder, ``K̃ = K − J X``, determines the geometry: ``q = −(K̃ᵀK̃)⁻¹ K̃ᵀ r``, and ``K̃ᵀK̃`` is the Schur
complement of the object in the joint normal matrix (variable projection; Golub and Pereyra, Inverse Problems 19, R1
(2003)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from napari_diner.physics.lensless.contrast_transfer import contrast_power
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.propagation import frequencies
from napari_diner.solvers.calibration.frame_geometry import COLUMNS, GAIN, SOURCE, Derivatives, Vector
from napari_diner.solvers.conjugate_gradients import ConjugateGradients, Operator
from napari_diner.solvers.lensless.linearised import by_frequency
from napari_diner.solvers.lensless.problem import PhaseProblem, sum_of_squares

# the damping of the eliminated object, and what its preconditioner adds, relative to the strongest response
_DAMPING = 1e-4
_FLOOR = 1e-2
# number of rings into which frequencies up to the Nyquist frequency are divided
_RINGS = 48
# size of blocks, in pixels, within which errors may be correlated, by interpolation or errors of the model; there
# must be enough blocks to estimate their scatter
_BLOCK_PX, _BLOCKS_ACROSS = 16, 12


@dataclass(frozen=True)
class Normal:
    """The normal equations of the geometry with the object eliminated."""

    matrix: Vector
    """``K̃ᵀK̃``, (K, K)."""
    right: Vector
    """``K̃ᵀr``, (K,)."""
    spread: Vector
    """``Σ s sᵀ`` over blocks of the field, (K, K), with s the sum of ``r k̃`` over the pixels of a block and all
    frames: the scatter of `right`, also for noise that is uneven, or correlated within some pixels."""
    square: float
    """Sum of squares of the residual."""


class Elimination:
    """The frames linearised about an object and a geometry.

    Parameters
    ----------
    problem, model
        The problem with the current geometry, and its model.
    field
        The object O, (Y, X).
    derivatives
        Derivatives of fields by distances and shifts.
    moves
        Moves of the geometry, (N, 5, K), as from `directions`.
    answers
        X of an earlier linearisation, (K, Y, X), to start from; None for zero.
    variance
        Variance of the noise of the recorded amplitudes.
    """

    def __init__(
        self,
        problem: PhaseProblem,
        model: MultiHeight,
        field: Tensor,
        derivatives: Derivatives,
        moves: Vector,
        answers: Tensor | None,
        variance: float,
    ) -> None:
        self.problem, self._model = problem, model
        self.moves = moves
        self.answers = (
            answers if answers is not None else torch.zeros(moves.shape[2], *field.shape, dtype=field.dtype)
        ).to(field.device)
        """X: response of the object to each move, (K, Y, X), as a change of its logarithm."""
        self._field = field
        self._derivatives = derivatives
        self._spectrum = self._model.spectrum(field)
        self._trusted = trusted_part(self._spectrum, self._model, variance) * self._spectrum
        # only columns used by some move
        self._columns = [column for column in range(COLUMNS) if moves[:, column].any()]
        fields = [self._model.field(self._spectrum, n) for n in range(self._model.frames)]
        self._modulus = torch.stack([self._model.whole(n).modulus(U) for n, U in enumerate(fields)])
        """√I predicted by the model, (N, Y, X)."""
        self._answering = problem.answering(self._modulus)
        factors = self._modulus.clamp_min(1e-20).reciprocal()
        self._responses = [self._model.whole(n).response(U, self._felt(factors[n], n)) for n, U in enumerate(fields)]
        self._own = [self._own_columns(n) for n in range(self._model.frames)]

    def improve(self, number: int, steps: int) -> None:
        """Refine the object's response to one move by steps of conjugate gradients."""
        scale = self._field.abs().clamp_min(1e-6).rsqrt()
        answer = self.answers[number]
        right = self._backwards(
            [self._by_geometry(n, number) - self._by_object(answer, n) for n in range(self._model.frames)]
        )
        precondition, damping = self._preconditioner()
        solve = ConjugateGradients(
            lambda step: scale * self._normal(scale * step), scale * right, precondition, damping
        )
        for _ in range(steps):
            solve.step()
        self.answers[number] = answer + scale * solve.solution

    def normal(self) -> Normal:
        """Return the normal equations with the current responses of the object.

        Frames are processed one after the other, so that only the K images of one frame are in memory.
        """
        count = len(self.answers)
        matrix, right = np.zeros((count, count)), np.zeros(count)
        block = max(1, min(_BLOCK_PX, min(self.problem.model.shape) // _BLOCKS_ACROSS))
        scores: Vector | float = 0.0
        square = 0.0
        spectra = [self._model.spectrum(self._field * answer) for answer in self.answers]
        for n in range(self._model.frames):
            left = torch.stack(
                [self._by_geometry(n, k) - self._of_field(spectrum, n) for k, spectrum in enumerate(spectra)]
            ).flatten(1)
            residual = self._residual(n).flatten()
            square += sum_of_squares(residual)
            # units differ widely; scaled to keep single precision
            size = torch.linalg.vector_norm(left, dim=1, keepdim=True).clamp_min(1e-30)
            left = left / size
            sizes = _double(size.flatten())
            matrix += _double(left @ left.T) * np.outer(sizes, sizes)
            weighted = (left * residual).reshape(count, *self.problem.model.shape)
            sums = _double(avg_pool2d(weighted, block, ceil_mode=True, divisor_override=1)).reshape(count, -1)
            scores = scores + sums * sizes[:, None]
            right += sums.sum(1) * sizes
        scores = np.asarray(scores)
        return Normal(matrix, right, scores @ scores.T, square)

    def answer(self, step: Vector) -> Tensor:
        """Return the response of the object to a move q, (K,), of the geometry: ``−X q``, complex, (Y, X)."""
        weights = torch.from_numpy(step).to(self.answers.device, self.answers.real.dtype)
        return -torch.einsum("kyx,k->yx", self.answers, weights.to(self.answers.dtype))

    def _residual(self, frame: int) -> Tensor:
        return self._felt(self._modulus[frame] - self.problem.amplitudes[frame], frame)

    def _felt(self, image: Tensor, frame: int) -> Tensor:
        """Return an image with zeros at pixels to which the misfit does not respond."""
        return image if self._answering is None else image.where(self._answering[frame], 0)

    def _along(self, field: Tensor, frame: int) -> Tensor:
        """Return the change of the modulus for a change of a frame's field, real, (Y, X)."""
        return self._responses[frame].change(field)

    def _by_geometry(self, frame: int, number: int) -> Tensor:
        """Return the change of the modulus of a frame by a move of the geometry, (Y, X)."""
        weights = torch.from_numpy(self.moves[frame, self._columns, number])
        own = self._own[frame]
        return torch.einsum("cyx,c->yx", own, weights.to(own.device, own.dtype))

    def _own_columns(self, frame: int) -> Tensor:
        """Return the change of the modulus of a frame by each of its own numbers, (columns, Y, X)."""
        images = []
        for column in self._columns:
            if column == GAIN:
                images.append(0.5 * self._felt(self._modulus[frame], frame))
            elif column == SOURCE:
                U = self._model.field(self._trusted, frame)
                change = self._model.by_source(frame).mean(U.real**2 + U.imag**2)
                images.append(0.5 * self._felt(change / self._modulus[frame].clamp_min(1e-20), frame))
            else:
                factor = self._derivatives.of(column)
                images.append(self._along(self._model.field(factor * self._trusted, frame), frame))
        return torch.stack(images)

    def _by_object(self, step: Tensor, frame: int) -> Tensor:
        return self._of_field(self._model.spectrum(self._field * step), frame)

    def _of_field(self, spectrum: Tensor, frame: int) -> Tensor:
        return self._along(self._model.field(spectrum, frame), frame)

    def _backwards(self, images: list[Tensor]) -> Tensor:
        """Apply Jᵀ to real images of all frames."""
        model = self._model
        back = torch.zeros_like(self._spectrum)
        for frame, image in enumerate(images):
            model.add_field_adjoint(back, self._responses[frame].adjoint(image), frame)
        return self._field.conj() * model.spectrum_adjoint(back)

    def _normal(self, step: Tensor) -> Tensor:
        spectrum = self._model.spectrum(self._field * step)
        return self._backwards([self._of_field(spectrum, n) for n in range(self._model.frames)])

    def _preconditioner(self) -> tuple[Operator, float]:
        """Return the inverse Hessian of a weak object, see `GaussNewton`, and its damping."""
        padding = self._model.padding
        power = contrast_power(self._model)
        strongest = float(torch.maximum(power.amplitude, power.phase).max())
        brightness = float(self._field.abs().mean())
        half = padding.padded_shape[1] // 2 + 1
        floor = (_DAMPING + _FLOOR) * strongest
        gains = [1 / (brightness * (part[:, :half] + floor)) for part in power]
        return by_frequency(padding, gains), _DAMPING * strongest * brightness


def trusted_part(spectrum: Tensor, model: MultiHeight, variance: float) -> Tensor:
    """Return the fraction of each frequency of an object that is not noise, 0 to 1, (Y', X'): Wiener's filter.

    The object also contains noise, and derivatives by distance and shift grow with the frequency: without the filter
    they would be mostly noise, which would be treated as information. With N frames of noise σ², each real unknown of
    the object has the variance 2σ²/N, divided by the power of the transfer functions, at well transferred frequencies.
    The power of the object is averaged over rings.

    Parameters
    ----------
    spectrum
        Of the lit and continued object, (Y', X').
    model
        The forward model.
    variance
        Variance σ² of the noise of the recorded amplitudes.
    """
    fy, fx = frequencies(model.padding.padded_shape, 1.0)
    rings = ((fy**2 + fx**2).sqrt() * (2 * _RINGS)).long().to(spectrum.device)
    count = int(rings.max()) + 1
    power = torch.zeros(count, device=spectrum.device).index_add_(
        0, rings.flatten(), spectrum.abs().square().float().flatten()
    )
    power = power / torch.bincount(rings.flatten(), minlength=count).clamp_min(1)
    noise = torch.zeros_like(power[rings])
    for reach in contrast_power(model):
        noise += variance * spectrum.numel() / reach.clamp_min(1e-3 * float(reach.max()))
    return (1 - noise / power[rings].clamp_min(1e-30)).clamp(0, 1) * _seen(model)


def seen_part(model: MultiHeight) -> float:
    """Return the object's frequencies that reach any frame."""
    return float(_seen(model).float().mean())


def _seen(model: MultiHeight) -> Tensor:
    seen: Tensor = (model.transfers.abs() > 0).unflatten(0, (-1, 1)).flatten(0, -3).any(0)
    return seen


def _double(values: Tensor) -> Vector:
    converted: Vector = values.cpu().double().numpy()
    return converted
