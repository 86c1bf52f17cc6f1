"""The question that every lensless solver answers: which field explains the recorded amplitudes?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from napari_diner.physics.lensless.multiheight import LenslessModel, Pixels

if TYPE_CHECKING:
    from napari_diner.solvers.lensless.priors import Priors

Kind = Literal["amplitude", "intensity"]


class PhaseProblem:
    """Recorded amplitudes, the model that should explain them, and the misfit between the two.

    Parameters
    ----------
    model
        The forward model.
    amplitudes
        Square roots of the recorded intensities, real, (N, Y, X) at the sensor, on the device of the model.
    mask
        Boolean, (N, Y, X) or broadcastable to it, False where pixels must be ignored; None if all count.
    priors
        What is known of the object beforehand; `evaluate` adds it to the misfit of the amplitudes.
    """

    def __init__(
        self, model: LenslessModel, amplitudes: Tensor, mask: Tensor | None = None, priors: Priors | None = None
    ) -> None:
        self.model = model
        self.priors = priors
        self.weights: Tensor | None = None
        """What each amplitude counts, (N, Y, X), one on average; all alike if None."""
        self.mask = None if mask is None else mask.expand(amplitudes.shape)
        self.amplitudes = amplitudes if self.mask is None else amplitudes.where(self.mask, 0)
        self.valid = amplitudes.numel() if self.mask is None else int(self.mask.sum())
        self.misfit = float("nan")
        """The misfit alone, without priors, at the last field evaluated."""

    def evaluate(self, field: Tensor, kind: Kind = "amplitude") -> tuple[float, Tensor]:
        """Return the misfit of a field and its gradient, in one pass over the heights.

        With U_z the propagated field, the misfit is the mean over all valid pixels of ``(|U| − √I)²``
        (``"amplitude"``), whose gradient is ``2 A^H[(|U| − √I) U/|U|]``, or of ``(|U|² − I)²`` (``"intensity"``),
        with ``4 A^H[(|U|² − I) U]``, each divided by the number of pixels; where the sensor's pixels are larger than
        the object's, |U|² stands for its mean over a pixel. `weights` multiply the squares, and what `priors` add is in
        both.

        Parameters
        ----------
        field
            Complex field O, (Y, X).
        kind
            Which misfit.

        Returns
        -------
        misfit
            The mean square.
        gradient
            Complex, (Y, X): derivative by Re O plus i times that by Im O.
        """
        total, sensor = 0.0, self.model.sensor

        def respond(frame: int, at: Pixels, U: Tensor) -> Tensor:
            nonlocal total
            amplitudes = self.amplitudes[frame][at]
            if kind == "amplitude":
                modulus = sensor.modulus(U)
                residual = modulus - amplitudes
                weighted = 2 * residual / modulus.clamp_min(1e-20)
            else:
                residual = sensor.mean(U.real**2 + U.imag**2) - amplitudes**2
                weighted = 4 * residual
            if self.mask is not None:
                counted = self.mask[frame][at]
                residual, weighted = residual.where(counted, 0), weighted.where(counted, 0)
            if self.weights is not None:
                weights = self.weights[frame][at]
                residual, weighted = residual * weights.sqrt(), weighted * weights
            total += sum_of_squares(residual)
            return sensor.mean_adjoint(weighted) * U

        gradient = self.model.round_trip(field, respond) / self.valid
        misfit = total / self.valid
        self.misfit = misfit
        if self.priors is not None:
            cost, slope = self.priors.evaluate(field)
            misfit, gradient = misfit + cost, gradient + slope
        return misfit, gradient

    def loss(self, field: Tensor, kind: Kind = "amplitude") -> Tensor:
        """Return the misfit of `evaluate` as a scalar that automatic differentiation can follow back to `field`."""
        misfit: Tensor = _Misfit.apply(field, self, kind)  # type: ignore[no-untyped-call]
        return misfit

    def intensity_error(self, field: Tensor) -> float:
        """Return the mean square of model minus recorded intensity over the valid pixels."""
        total = 0.0
        for frame, at, U in self.model.seen(field):
            error = self.model.sensor.mean(U.real**2 + U.imag**2) - self.amplitudes[frame][at] ** 2
            if self.mask is not None:
                error = error.where(self.mask[frame][at], 0)
            total += sum_of_squares(error)
        return total / self.valid

    def flat_field(self) -> Tensor:
        """Return the empty object, of constant amplitude, that has the recorded mean intensity: complex, (Y, X)."""
        empty = torch.ones(self.model.shape, dtype=self.model.dtype, device=self.model.device)
        power = 0.0
        for frame, at, U in self.model.seen(empty):
            intensity = self.model.sensor.mean(U.real**2 + U.imag**2)
            power += float((intensity if self.mask is None else intensity.where(self.mask[frame][at], 0)).sum())
        field: Tensor = empty * (float(self.amplitudes.square().sum()) / power) ** 0.5
        return field

    def filled_amplitudes(self) -> Tensor:
        """Return the recorded amplitudes, with masked pixels replaced by the mean of their frame: (N, Y, X)."""
        if self.mask is None:
            return self.amplitudes
        counts = self.mask.sum((-2, -1), keepdim=True).clamp_min(1)
        return self.amplitudes.where(self.mask, self.amplitudes.sum((-2, -1), keepdim=True) / counts)


def sum_of_squares(values: Tensor) -> float:
    """Return Σ v², added up in double precision where the device has it (Apple's graphics cards do not)."""
    dtype = torch.float32 if values.device.type == "mps" else torch.float64
    return float(torch.linalg.vector_norm(values, dtype=dtype)) ** 2


class _Misfit(torch.autograd.Function):
    """The misfit with its gradient computed in the forward pass: no graph of transforms is ever stored."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, problem: PhaseProblem, kind: Kind) -> Tensor:
        """Compute the misfit and remember its gradient."""
        misfit, gradient = problem.evaluate(field.detach(), kind)
        ctx.save_for_backward(gradient)
        return torch.tensor(misfit, dtype=field.real.dtype, device=field.device)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        """Scale the gradient remembered."""
        (gradient,) = ctx.saved_tensors
        return grad_outputs[0] * gradient, None, None
