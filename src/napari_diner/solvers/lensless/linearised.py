"""The forward model linearised about a field: how recorded amplitudes answer to small changes of the object."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import contrast_power
from napari_diner.physics.lensless.multiheight import Pixels
from napari_diner.solvers.conjugate_gradients import ConjugateGradients
from napari_diner.solvers.lensless.problem import PhaseProblem

# where the heights say little about a frequency, the preconditioner stops trusting the contrast transfer
_CONTRAST_FLOOR = 1e-3


class Linearised:
    """The derivative of the recorded amplitudes at a field, and its least squares problem.

    For ``O → O exp(δ)`` with δ = δl + iδφ, the amplitudes |U| change by ``J δ = Re[Û* A(O δ)]``, Û = U/|U|, at the
    pixels that the mask counts (see `Sensor` for larger ones); W are the problem's weights. Unknowns are scaled by
    1/√|O| as in `napari_diner.solvers.lensless.gauss_newton`.

    Parameters
    ----------
    problem
        The recording and its model.
    field
        Complex field O, (Y, X).
    damping
        What is added to the diagonal of JᵀJ, relative to the strongest response of all heights: it decides what
        becomes of changes that no height can see.
    """

    def __init__(self, problem: PhaseProblem, field: Tensor, damping: float = 1e-6) -> None:
        self.problem = problem
        model = problem.model
        self._scaling = field.abs().clamp_min(1e-6).rsqrt()
        self._scaled = field * self._scaling
        self.modulus = torch.empty(problem.amplitudes.shape, dtype=problem.amplitudes.dtype, device=model.device)
        """|U| of the field at every height, (N, Y, X)."""
        self._directions = torch.empty(model.frames, *model.shape, dtype=model.dtype, device=model.device)
        sensor = self._sensor = model.sensor
        for frame, at, U in model.seen(field):
            self.modulus[frame][at] = sensor.modulus(U)
            direction = sensor.direction(U)
            if problem.mask is not None:
                direction = direction * sensor.spread(problem.mask[frame][at])
            self._directions[frame][sensor.fine(at)] = direction
        brightness = float(model.lit(self._scaled).abs().square().mean()) / sensor.binning**2
        power = contrast_power(model)
        strongest = float(torch.maximum(power.amplitude, power.phase).max())
        self._damping = damping * strongest * brightness
        floor = (damping + _CONTRAST_FLOOR) * strongest
        half = model.padding.padded_shape[1] // 2 + 1
        self._gains = [1 / (brightness * (response[:, :half] + floor)) for response in power]

    def residual(self) -> Tensor:
        """Return model minus recorded amplitudes, (N, Y, X), zero outside the mask."""
        difference = self.modulus - self.problem.amplitudes
        return difference if self.problem.mask is None else difference.where(self.problem.mask, 0)

    def apply(self, change: Tensor) -> Tensor:
        """Return J δ, the change of the amplitudes, (N, Y, X), for a change δ of log-amplitude and phase, (Y, X)."""
        changes = torch.empty_like(self.modulus)
        for frame, at, U in self.problem.model.seen(self._scaled * (change / self._scaling)):
            changes[frame][at] = self._along(U, frame, at)
        return changes

    def solve(self, amplitudes: Tensor, steps: int, tolerance: float = 1e-3) -> Tensor:
        """Return the change δ that explains a change of the amplitudes best: ``(JᵀWJ + μ) δ = JᵀW a``.

        Parameters
        ----------
        amplitudes
            Real, (N, Y, X); what lies outside the mask does not count.
        steps
            At most this many steps of conjugate gradients.
        tolerance
            Where they stop, relative to the first preconditioned residual.

        Returns
        -------
        Tensor
            Complex, (Y, X): change of log-amplitude, and i times that of phase.
        """
        back = self.problem.model.collect(lambda frame, at: self._backwards(amplitudes[frame][at], frame, at))
        solve = ConjugateGradients(self._normal, self._scaled.conj() * back, self._precondition)
        for _ in range(steps):
            if solve.converged(tolerance):
                break
            solve.step()
        return solve.solution * self._scaling

    def _along(self, U: Tensor, frame: int, at: Pixels) -> Tensor:
        return self._sensor.change(self._directions[frame][self._sensor.fine(at)], U)

    def _backwards(self, amplitudes: Tensor, frame: int, at: Pixels) -> Tensor:
        weights = self.problem.weights
        weighted = amplitudes if weights is None else weights[frame][at] * amplitudes
        return self._sensor.change_adjoint(self._directions[frame][self._sensor.fine(at)], weighted)

    def _normal(self, step: Tensor) -> Tensor:
        back = self.problem.model.round_trip(
            self._scaled * step, lambda frame, at, U: self._backwards(self._along(U, frame, at), frame, at)
        )
        return self._scaled.conj() * back + self._damping * step

    def _precondition(self, residual: Tensor) -> Tensor:
        """Apply the inverse of a weak object's Hessian: diagonal in frequency, for l and φ separately."""
        padding = self.problem.model.padding
        parts = []
        for part, gain in zip((residual.real, residual.imag), self._gains, strict=True):
            spectrum = torch.fft.rfft2(padding.crop_adjoint(part)) * gain
            parts.append(padding.crop(torch.fft.irfft2(spectrum, s=padding.padded_shape)))
        return torch.complex(parts[0], parts[1])
