"""The inverse problem of lensless imaging: a field that explains the recorded amplitudes."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, Literal, Self

import torch
from torch import Tensor

from napari_diner.physics.elementwise import intensity, multiply_, pull_
from napari_diner.physics.lensless.multiheight import LenslessModel, Pixels
from napari_diner.representations.unknown import Unknown
from napari_diner.solvers.conjugate_gradients import Operator
from napari_diner.solvers.lensless.linearised import Linearised
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.problem import Batch, Evaluation

Kind = Literal["amplitude", "intensity"]
Part = tuple[int, slice, slice]
"""Frame, rows and columns."""


class PhaseProblem:
    """Recorded amplitudes, a forward model, and the loss; a `Problem`.

    Parameters
    ----------
    model
        The forward model.
    amplitudes
        Square roots of the recorded intensities, real, (N, Y, X) at the sensor, on the device of the model.
    mask
        Boolean, (N, Y, X) or broadcastable to it, False at pixels to ignore; None if all are valid.
    at_least
        Boolean, (N, Y, X), True where pixels are saturated, so that the recorded amplitude is a lower bound;
        None if all are exact.
    """

    def __init__(
        self, model: LenslessModel, amplitudes: Tensor, mask: Tensor | None = None, at_least: Tensor | None = None
    ) -> None:
        self.model = model
        self.mask = None if mask is None else mask.expand(amplitudes.shape)
        self.at_least = at_least
        self.amplitudes = amplitudes if self.mask is None else amplitudes.where(self.mask, 0)
        self.valid = amplitudes.numel() if self.mask is None else int(self.mask.sum())
        """Number of valid pixels."""
        self.weights: Tensor | None = None
        """Weight of each amplitude, (N, Y, X), one on average; all equal if None."""
        self.priors: Priors | None = None
        """Priors of the object, added to the misfit."""
        self.kind: Kind = "amplitude"
        """Whether amplitudes or intensities are compared."""

    @property
    def freedom(self) -> float:
        """Fraction of the recorded values that the object leaves as degrees of freedom, at least a quarter."""
        return max(1 - 2 / (self.valid / math.prod(self.model.field_of_view)), 0.25)

    def with_model(self, model: LenslessModel) -> Self:
        """Return the problem with another model of the same frames."""
        return self._changed(model=model)

    def with_weights(self, weights: Tensor | None) -> Self:
        """Return the problem with other weights."""
        return self._changed(weights=weights)

    def with_priors(self, priors: Priors | None) -> Self:
        """Return the problem with other priors."""
        return self._changed(priors=priors)

    def with_kind(self, kind: Kind) -> Self:
        """Return the problem that compares amplitudes or intensities."""
        return self._changed(kind=kind)

    def without_bounds(self) -> Self:
        """Return the problem without the saturated pixels."""
        return self._changed(mask=self.exact, at_least=None)

    def _changed(self, **attributes: object) -> Self:
        changed = copy.copy(self)
        changed.__dict__.update(attributes)
        return changed

    @property
    def device(self) -> torch.device:
        """Device of data and fields."""
        return self.model.device

    @property
    def exact(self) -> Tensor | None:
        """True at valid pixels that are not just bounds, (N, Y, X); None if that is everywhere."""
        if self.at_least is None:
            return self.mask
        return ~self.at_least if self.mask is None else self.mask & ~self.at_least

    def unexplained(self, difference: Tensor, part: Part | EllipsisType = ...) -> Tensor:
        """Return the part of the difference model minus data that has to be explained.

        It is zero outside the mask, and at saturated pixels where the model is brighter than the recorded value.

        Parameters
        ----------
        difference
            Model minus data, amplitudes or intensities.
        part
            Frame and pixels of the difference; those of the whole stack by default.
        """
        if self.mask is not None:
            difference = difference.where(self.mask[part], 0)
        if self.at_least is not None:
            difference = difference.where(~(self.at_least[part] & (difference > 0)), 0)
        return difference

    def answering(self, modulus: Tensor, part: Part | EllipsisType = ...) -> Tensor | None:
        """Return the pixels at which the misfit responds to small changes of the prediction; None for all.

        Parameters
        ----------
        modulus
            Predicted amplitudes |U|.
        part
            Frame and pixels of these; the whole stack by default.
        """
        counted = None if self.mask is None else self.mask[part]
        if self.at_least is None:
            return counted
        felt = ~(self.at_least[part] & (modulus >= self.amplitudes[part]))
        return felt if counted is None else felt & counted

    def evaluate(self, field: Tensor) -> Evaluation:
        """Return loss, gradient and misfit of a field, in one pass over the heights.

        With U_z the propagated field, the misfit is the mean over all valid pixels of ``(|U| − √I)²``
        (``"amplitude"``), whose gradient is ``2 A^H[(|U| − √I) U/|U|]``, or of ``(|U|² − I)²`` (``"intensity"``), with
        ``4 A^H[(|U|² − I) U]``, each divided by the number of pixels; where the sensor's pixels are larger than the
        object's, |U|² stands for its mean over a pixel. For a saturated pixel only ``min(|U| − √I, 0)`` counts: the
        model must be at least that bright. `weights` multiply the squares, and priors are added to loss and gradient.

        Parameters
        ----------
        field
            Complex field O, (Y, X).
        """
        total, gradient = self._compared(field)
        misfit = float(total)
        if self.priors is None:
            return Evaluation(misfit, gradient, misfit)
        cost, slope = self.priors.evaluate(field)
        return Evaluation(misfit + cost, gradient + slope, misfit)

    @property
    def _counts_alike(self) -> bool:
        """Whether all pixels count, by the differences of their amplitudes."""
        return self.kind == "amplitude" and self.mask is None and self.at_least is None

    def _compared(self, field: Tensor) -> tuple[Tensor, Tensor]:
        """Return the misfit, a scalar, and its gradient, without waiting for the device."""
        # frames may come in any order, but are added up in the same one, so that runs can be repeated
        squares: dict[tuple[int, int, int], Tensor | float] = {}

        def respond(frame: int, at: Pixels, U: Tensor) -> Tensor:
            place = (frame, at[0].start, at[1].start)
            part, sensor = (frame, *at), self.model.sensor_at(frame, at)
            amplitudes, weights = self.amplitudes[part], None if self.weights is None else self.weights[part]
            if self._counts_alike and sensor.is_sharp:
                square = pull_(U, amplitudes, weights)
                if square is not None:
                    squares[place] = square
                    return U
            if self.kind == "amplitude":
                modulus = sensor.modulus(U)
                residual = self.unexplained(modulus - amplitudes, part)
                weighted = 2 * residual / modulus.clamp_min(1e-20)
            else:
                residual = self.unexplained(sensor.mean(intensity(U)) - amplitudes**2, part)
                weighted = 4 * residual
            if weights is not None:
                residual, weighted = residual * weights.sqrt(), weighted * weights
            squares[place] = _square_sum(residual)
            return multiply_(U, sensor.mean_adjoint(weighted))

        gradient = self.model.round_trip(field, respond).div_(self.valid)
        total = torch.zeros((), dtype=_precise(self.device), device=self.device)
        for place in sorted(squares):
            total = total + squares[place]
        return total / self.valid, gradient

    def value(self, field: Tensor) -> float:
        """Return the loss of `evaluate` alone, which takes half the time."""
        return self.misfit(field) + (0.0 if self.priors is None else self.priors.evaluate(field)[0])

    def misfit(self, field: Tensor) -> float:
        """Return the misfit of `evaluate` alone, which takes half the time."""
        moduli = (
            (self.model.sensor_at(frame, at).modulus(U), (frame, *at)) for frame, at, U in self.model.propagated(field)
        )
        return sum(self._square(modulus, part) for modulus, part in moduli) / self.valid

    def misfit_of(self, moduli: Tensor) -> float:
        """Return `misfit` for the predicted amplitudes of a field, (N, Y, X)."""
        whole = slice(None)
        return sum(self._square(page, (frame, whole, whole)) for frame, page in enumerate(moduli)) / self.valid

    def _square(self, modulus: Tensor, part: Part) -> float:
        """Return the weighted sum of the squares that `evaluate` averages, over a part of a frame."""
        difference = modulus - self.amplitudes[part]
        if self.kind == "intensity":
            difference = modulus.square() - self.amplitudes[part].square()
        residual = self.unexplained(difference, part)
        return sum_of_squares(residual if self.weights is None else residual * self.weights[part].sqrt())

    def linearise(self, field: Tensor) -> Linearised:
        """Return the derivative of the recorded amplitudes at a field."""
        return Linearised(self, field)

    def with_curvature(self, normal: Operator, field: Tensor, scaling: Tensor) -> Operator:
        """Add the second derivatives of the priors at a field to JᵀJ, for unknowns scaled by `scaling`."""
        if self.priors is None:
            return normal
        quadratic = self.priors.quadratic(field)
        return lambda step: normal(step) + self.valid * scaling * quadratic(scaling * step)

    def loss(self, field: Tensor) -> Tensor:
        """Return the loss of `evaluate` as a scalar that is differentiable by `field`."""
        loss: Tensor = _Loss.apply(field, self)  # type: ignore[no-untyped-call]
        return loss

    def objective(self, unknown: Unknown) -> float:
        """Return the loss of the exact field."""
        with torch.no_grad():
            return self.value(unknown.exact())

    def batches(self, size: int | None, generator: torch.Generator | None) -> Sequence[Batch]:
        """Return all data at once."""
        return [None]

    def descend(self, unknown: Unknown, batch: Batch, *, exact: bool) -> Tensor:
        """Add the gradient of the loss to the parameters of an unknown; return the loss."""
        loss = self.loss(unknown.exact() if exact else unknown())
        loss.backward()
        return loss.detach()

    def modulus(self, field: Tensor) -> Tensor:
        """Return the predicted amplitudes of a field, (N, Y, X)."""
        return self.model.moduli(field)

    def intensity_error(self, residual: Tensor) -> float:
        """Return the mean square of an `intensity_residual` over the valid pixels."""
        return sum_of_squares(residual) / self.valid

    def intensity_residual(self, field: Tensor) -> Tensor:
        """Return model minus recorded intensities of a field, (N, Y, X); see `unexplained`."""
        return self.intensity_residual_of(self.modulus(field))

    def intensity_residual_of(self, moduli: Tensor) -> Tensor:
        """Return `intensity_residual` for the predicted amplitudes of a field, (N, Y, X)."""
        return self.unexplained(moduli.square().sub_(self.amplitudes.square()))

    def flat_field(self) -> Tensor:
        """Return the empty object, of constant amplitude, with the recorded mean intensity: complex, (Y, X).

        Saturated pixels count with their recorded values, here and in `filled_amplitudes`, which is sufficient for a
        start.
        """
        return self._flat()[0]

    def flat_residual(self) -> Tensor:
        """Return the `intensity_residual` of `flat_field`, which takes half the time of both."""
        return self.intensity_residual_of(self._flat()[1])

    def _flat(self) -> tuple[Tensor, Tensor]:
        """Return the empty object, and its predicted amplitudes, (N, Y, X)."""
        empty = torch.ones(self.model.shape, dtype=self.model.dtype, device=self.model.device)
        moduli, power = self.model.moduli(empty), 0.0
        for frame, modulus in enumerate(moduli):
            power += sum_of_squares(modulus if self.mask is None else modulus.where(self.mask[frame], 0))
        factor = (sum_of_squares(self.amplitudes) / power) ** 0.5
        return empty * factor, moduli.mul_(factor)

    def filled_amplitudes(self) -> Tensor:
        """Return the recorded amplitudes, with masked pixels replaced by the mean of their frame: (N, Y, X)."""
        if self.mask is None:
            return self.amplitudes
        counts = self.mask.sum((-2, -1), keepdim=True).clamp_min(1)
        return self.amplitudes.where(self.mask, self.amplitudes.sum((-2, -1), keepdim=True) / counts)


def sum_of_squares(values: Tensor) -> float:
    """Return Σ v², summed in double precision if the device supports it."""
    return float(_square_sum(values))


def _square_sum(values: Tensor) -> Tensor:
    total: Tensor = torch.linalg.vector_norm(values, dtype=_precise(values.device)).square()
    return total


def _precise(device: torch.device) -> torch.dtype:
    """Return double precision, or single where there is no other, as on Apple's graphics cards."""
    return torch.float32 if device.type == "mps" else torch.float64


class _Loss(torch.autograd.Function):
    """The loss with its gradient computed in the forward pass, so that no graph of transforms is stored."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, problem: PhaseProblem) -> Tensor:
        """Compute the loss and store its gradient."""
        loss: Tensor | float
        if problem.priors is None:
            # nothing is read back from a card, so that the step can be recorded
            loss, gradient = problem._compared(field.detach())
        else:
            loss, gradient, _ = problem.evaluate(field.detach())
        ctx.save_for_backward(gradient)
        return torch.as_tensor(loss, dtype=field.real.dtype, device=field.device)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        """Scale the gradient."""
        (gradient,) = ctx.saved_tensors
        return grad_outputs[0] * gradient, None
