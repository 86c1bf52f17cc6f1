"""Object and illumination solved for together, from frames between which the object moves against the illumination."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.lensless.contrast_transfer import ContrastPower, contrast_power
from napari_diner.physics.propagation import frequencies
from napari_diner.solvers.conjugate_gradients import ConjugateGradients
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.linearised import by_frequency
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import AlternatingSettings, GaussNewtonSettings
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

_DAMPING, _DAMPING_DOWN, _DAMPING_UP, _LEAST_DAMPING = 1e-2, 0.1, 16.0, 1e-7
_FRACTIONS = (1.0, 0.5, 0.25, 0.125)
_FLOOR = 1e-2
_TOLERANCE = 1e-4
# initial rounds of alternating projections for each of the two, and how often they take turns
_ROUNDS, _TURNS = 10, 4


@dataclass(frozen=True)
class Lit:
    """An object and its illumination."""

    field: Tensor
    """The object O, complex, (Y, X)."""
    light: Tensor
    """The illumination P, complex, (Y, X), of a mean square of one and a mean phase of zero."""


class JointIllumination(Resumable):
    """Gauss-Newton on the logarithms of object and illumination, ``O ← O exp(δ)`` and ``P ← P exp(ε)``.

    For a given illumination the frames are a `PhaseProblem` of the object, and for a given object one of the
    illumination; the joint derivative consists of those of both, ``J δ + K ε``. Each step solves its normal equations,
    including the terms JᵀK, by conjugate gradients, preconditioned by the contrast transfer of weak objects. They have
    directions that no frame sees: a factor of O that is divided out of P, and slopes of phase. The damping leaves these
    where they are. Before the first step, alternating projections improve one and then the other a few times.

    Parameters
    ----------
    of_object, of_light
        Return the problem of the object for an illumination P, and of the illumination for an object O.
    field, light
        Where to begin, complex, (Y, X).
    finest_px
        Period of the finest detail of the logarithm of the illumination, in pixels; 0 if it may have any.
    iterations, cg_steps
        Maximum number of steps, and of conjugate gradients in each.
    """

    answer = ("_field", "_light")
    kept = (*answer, "_iteration", "_damping", "_converged")

    def __init__(
        self,
        of_object: Callable[[Tensor], PhaseProblem],
        of_light: Callable[[Tensor], PhaseProblem],
        field: Tensor,
        light: Tensor,
        *,
        finest_px: float,
        iterations: int,
        cg_steps: int,
    ) -> None:
        self._of_object, self._of_light = of_object, of_light
        self._field, self._light = field, light
        self._iterations, self._cg_steps = iterations, cg_steps
        radius = torch.hypot(*frequencies((light.shape[0], light.shape[1]), 1.0)).to(light.device)
        self._band = radius * finest_px <= 1
        self._iteration, self._damping, self._converged = 0, _DAMPING, False

    def result(self) -> Lit:
        """Return object and illumination."""
        return _normalised(self._field, self._light)

    current = result

    def steps(self) -> Iterator[Step]:
        """Iterate; inner steps are reported, too."""
        if self._iteration == 0:
            yield from self._take_turns()
        loss = self._of_object(self._light).value(self._field)
        while self._iteration < self._iterations and not self._converged:
            number = self._iteration + 1
            step = yield from self._solved(number, loss)
            for fraction in _FRACTIONS:
                field = self._field * torch.exp(fraction * step[0])
                light = self._light * torch.exp(fraction * step[1])
                new_loss = self._of_object(light).value(field)
                if new_loss < loss:
                    break
            better = new_loss < loss
            factor = _DAMPING_DOWN if better and fraction == 1 else _DAMPING_UP
            self._damping = max(self._damping * factor, _LEAST_DAMPING)
            self._iteration = number
            if better:
                self._converged = 1 - new_loss / loss < _TOLERANCE
                self._field, self._light, loss = field, light, new_loss
            else:
                self._converged = self._damping > 1
            yield Step(number, self._iterations, loss, resumable=True)

    def _take_turns(self) -> Iterator[Step]:
        settings = AlternatingSettings(iterations=_ROUNDS)
        for _ in range(_TURNS):
            for is_object in (True, False):
                problem = self._of_object(self._light) if is_object else self._of_light(self._field)
                rounds = AlternatingProjections(problem, self._field if is_object else self._light, settings)
                for step in rounds.steps():
                    yield Step(1, self._iterations, step.loss, within=0.0)
                if is_object:
                    self._field = rounds.result()
                else:
                    change = (rounds.result() / self._light).log()
                    self._light = self._light * torch.exp(self._smooth(change))

    def _smooth(self, change: Tensor) -> Tensor:
        """Return a change of the logarithm of the illumination without detail finer than the band."""
        if bool(self._band.all()):
            return change
        smooth: Tensor = ifft2(self._band * torch.fft.fft2(change))
        return smooth

    def _solved(self, number: int, loss: float) -> Generator[Step, None, Tensor]:
        """Return the step (δ, ε), complex, (2, Y, X), as the value of the generator."""
        of_object, of_light = self._of_object(self._light), self._of_light(self._field)
        J, K = of_object.linearise(self._field), of_light.linearise(self._light)
        scales = [field.abs().clamp_min(1e-3).rsqrt() for field in (self._field, self._light)]
        if not bool(self._band.all()):
            scales[1] = torch.ones_like(scales[1])

        def adjoint(amplitudes: Tensor) -> Tensor:
            return torch.stack([scales[0] * J.adjoint(amplitudes), self._smooth(scales[1] * K.adjoint(amplitudes))])

        def normal(step: Tensor) -> Tensor:
            return adjoint(J.apply(scales[0] * step[0]) + K.apply(scales[1] * self._smooth(step[1])))

        brightness = float((self._field * self._light).abs().mean())
        powers = [contrast_power(problem.model) for problem in (of_object, of_light)]
        strongest = max(float(part.max()) for power in powers for part in power)
        shift = self._damping * strongest * brightness
        gains = [self._gain(power, brightness, strongest) for power in powers]
        padding = of_object.model.padding
        inverse = [by_frequency(padding, gain) for gain in gains]

        def precondition(residual: Tensor) -> Tensor:
            return torch.stack([inverse[0](residual[0]), self._smooth(inverse[1](residual[1]))])

        solve = ConjugateGradients(normal, -adjoint(J.residual()), precondition, shift)
        for inner in range(self._cg_steps):
            if solve.converged(1e-3):
                break
            solve.step()
            yield Step(number, self._iterations, loss, within=inner / self._cg_steps)
        object_step, light_step = solve.solution
        return torch.stack([scales[0] * object_step, scales[1] * self._smooth(light_step)])

    def _gain(self, power: ContrastPower, brightness: float, strongest: float) -> list[Tensor]:
        half = power.phase.shape[-1] // 2 + 1
        floor = (self._damping + _FLOOR) * strongest
        return [1 / (brightness * (part[:, :half] + floor)) for part in power]


class OneIllumination(Resumable):
    """Object and illumination of frames between which the object does not move: a matter of definition.

    The frames determine only their product. All of its logarithm that is smoother than a period belongs to the
    illumination, the rest to the object.

    Parameters
    ----------
    problem
        The problem of the product, for an even illumination.
    start
        Where to begin, complex, (Y, X).
    finest_px
        That period, in pixels.
    settings
        Settings of the solver of the product.
    """

    kept = answer = ("_solver",)

    def __init__(self, problem: PhaseProblem, start: Tensor, finest_px: float, settings: GaussNewtonSettings) -> None:
        self._solver, self._model = GaussNewton(problem, start, settings), problem.model
        self._finest_px = finest_px

    def steps(self) -> Iterator[Step]:
        """Iterate as the solver of the product."""
        yield from self._solver.steps()

    def result(self) -> Lit:
        """Return object and illumination."""
        product = self._model.lit(self._solver.result())
        # deferred, since scikit-image takes a second to import
        from skimage.restoration import unwrap_phase

        unwrapped = unwrap_phase(product.angle().cpu().numpy(), rng=0)  # type: ignore[no-untyped-call]
        phase = torch.from_numpy(unwrapped).to(product.device, product.real.dtype)
        log = torch.complex(product.abs().clamp_min(1e-6).log(), phase)
        # continued by its mirror image, since the phase may differ at opposite edges
        for axis in (0, 1):
            log = torch.cat([log, log.flip(axis)], axis)
        radius = torch.hypot(*frequencies((log.shape[0], log.shape[1]), 1.0)).to(log.device)
        smooth = ifft2((radius * self._finest_px <= 1) * torch.fft.fft2(log))
        light = torch.exp(smooth[: product.shape[0], : product.shape[1]])
        return _normalised(product / light, light)

    current = result


def _normalised(field: Tensor, light: Tensor) -> Lit:
    """Return object and illumination, with the brightness and the mean phase of both in the object."""
    factor = light.abs().square().mean().sqrt() * torch.exp(1j * light.sum().angle())
    return Lit(field * factor, light / factor)
