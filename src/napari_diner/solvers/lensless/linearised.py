"""The forward model linearised about a field: the change of the recorded amplitudes with the object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import contrast_power
from napari_diner.physics.lensless.multiheight import Pixels
from napari_diner.physics.lensless.sensor import Response
from napari_diner.physics.padding import Padding
from napari_diner.processors import divided, is_divided
from napari_diner.solvers.conjugate_gradients import ConjugateGradients, Operator

if TYPE_CHECKING:
    from napari_diner.solvers.lensless.problem import PhaseProblem

# response, relative to the strongest, below which the preconditioner does not use the contrast transfer
_CONTRAST_FLOOR = 1e-3


class Linearised:
    """The derivative J of the recorded amplitudes at a field, and its least squares problem; a `Linearisation`.

    For ``O → O exp(δ)`` with δ = δl + iδφ, the amplitudes |U| change by ``J δ = Re[Û* A(O δ)]``, Û = U/|U|, at the
    valid pixels (see `Response` for larger pixels and incoherent light), except at fulfilled bounds of saturated ones.
    W are the weights of the amplitudes.

    Parameters
    ----------
    problem
        The recording and its model.
    field
        Complex field O, (Y, X).
    """

    def __init__(self, problem: PhaseProblem, field: Tensor) -> None:
        self.problem = problem
        self._field = field
        model, weights = problem.model, problem.weights
        self._responses: dict[tuple[int, int, int], Response] = {}
        for frame, at, U in model.propagated(field):
            sensor = model.sensor_at(frame, at)
            modulus = sensor.modulus(U)
            factor = modulus.clamp_min(1e-20).reciprocal()
            answering = problem.answering(modulus, (frame, *at))
            if answering is not None:
                factor = factor * answering
            if weights is not None:
                factor = factor * weights[frame][at].sqrt()
            self._responses[_place(frame, at)] = sensor.response(U, factor)

    def residual(self) -> Tensor:
        """Return model minus recorded amplitudes, (N, Y, X), zero at fulfilled bounds."""
        problem = self.problem
        return problem.unexplained(problem.modulus(self._field) - problem.amplitudes)

    def apply(self, change: Tensor) -> Tensor:
        """Return J δ, the change of the amplitudes, (N, Y, X), for a change δ of log-amplitude and phase, (Y, X)."""
        changes = torch.empty_like(self.problem.amplitudes)
        for frame, at, U in self.problem.model.propagated(self._field * change):
            changes[frame][at] = self._along(U, frame, at)
        weights = self.problem.weights
        return changes if weights is None else changes / weights.sqrt()

    def adjoint(self, data: Tensor) -> Tensor:
        """Return Jᵀ W a, complex, (Y, X), for a change a of the amplitudes, real, (N, Y, X)."""
        weights = self.problem.weights
        weighted = data if weights is None else data * weights.sqrt()
        back = self.problem.model.collect(lambda frame, at: self._backwards(weighted[frame][at], frame, at))
        return self._field.conj() * back

    def normal(self, scaling: Tensor) -> Operator:
        """Return ``S Jᵀ W J S``, with S the scaling of the unknowns, real, (Y, X)."""
        scaled = self._field * scaling

        def respond(frame: int, at: Pixels, U: Tensor) -> Tensor:
            return self._responses[_place(frame, at)].round_trip(U)

        return lambda step: scaled.conj() * self.problem.model.round_trip(scaled * step, respond)

    def solve(self, amplitudes: Tensor, steps: int, tolerance: float = 1e-3, damping: float = 1e-6) -> Tensor:
        """Return the last of the `solutions`."""
        *_, solution = self.solutions(amplitudes, steps, tolerance, damping)
        return solution

    def solutions(
        self, amplitudes: Tensor, steps: int, tolerance: float = 1e-3, damping: float = 1e-6
    ) -> Iterator[Tensor]:
        """Give ever better solutions δ of ``(JᵀWJ + μ) δ = JᵀW a``, the least squares change for one of the amplitudes.

        Unknowns are scaled by 1/√|O| as in `napari_diner.solvers.lensless.gauss_newton`.

        Parameters
        ----------
        amplitudes
            Real, (N, Y, X); values outside the mask are ignored.
        steps
            Maximum number of steps of conjugate gradients.
        tolerance
            Stopping tolerance, relative to the first preconditioned residual.
        damping
            Added to the diagonal of JᵀJ, relative to the strongest response of all heights: it determines changes
            that no height resolves.

        Yields
        ------
        Tensor
            Complex, (Y, X): change of log-amplitude, and i times that of phase; zero first, then one after each step.
        """
        model = self.problem.model
        scaling = self._field.abs().clamp_min(1e-6).rsqrt()
        brightness = float(model.lit(self._field * scaling).abs().square().mean()) / model.sensor.binning**2
        power = contrast_power(model)
        strongest = float(torch.maximum(power.amplitude, power.phase).max())
        shift = damping * strongest * brightness
        floor = (damping + _CONTRAST_FLOOR) * strongest
        padding = model.padding
        half = padding.padded_shape[1] // 2 + 1
        precondition = by_frequency(padding, [1 / (brightness * (part[:, :half] + floor)) for part in power])
        normal = self.normal(scaling)
        if self.problem.priors is not None and self.problem.priors.most_smooth > 0:
            normal = self.problem.with_curvature(normal, self._field, scaling)
        solve = ConjugateGradients(normal, scaling * self.adjoint(amplitudes), precondition, shift)
        yield solve.solution * scaling
        for _ in range(steps):
            if solve.converged(tolerance):
                return
            solve.step()
            yield solve.solution * scaling

    def _along(self, U: Tensor, frame: int, at: Pixels) -> Tensor:
        return self._responses[_place(frame, at)].change(U)

    def _backwards(self, amplitudes: Tensor, frame: int, at: Pixels) -> Tensor:
        return self._responses[_place(frame, at)].adjoint(amplitudes)


def _place(frame: int, at: Pixels) -> tuple[int, int, int]:
    """Return a key that identifies a part of the sensor."""
    return frame, at[0].start, at[1].start


def by_frequency(padding: Padding, gains: Iterable[Tensor]) -> Operator:
    """Return the operator that multiplies the frequencies of log-amplitude and of phase by separate gains.

    It is a preconditioner: the Hessian of a weak object is diagonal in frequency, for both separately.

    Parameters
    ----------
    padding
        How the field continues beyond its edges.
    gains
        For log-amplitude and for phase, real, (Y', X'/2 + 1) on the padded grid.
    """
    gains = list(gains)

    def filtered(part: Tensor, gain: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(padding.object_part_adjoint(part)) * gain
        return padding.object_part(torch.fft.irfft2(spectrum, s=padding.padded_shape))

    def apply(residual: Tensor) -> Tensor:
        both = residual.real, residual.imag

        def of(numbers: range) -> list[Tensor]:
            return [filtered(both[number], gains[number]) for number in numbers]

        parts = divided(2, of) if is_divided(padding.padded_shape, residual.device.type) else [of(range(2))]
        return torch.complex(*(part for some in parts for part in some))

    return apply
