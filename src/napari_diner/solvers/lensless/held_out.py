"""The weight of a prior that predicts best what was not used: one frame is held out."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.solvers.step import Step

_FACTORS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125)
_ITERATIONS = 4


class HeldOutFrame:
    """Choose the weight of the total variation by the frame in the middle.

    The object is found from the other frames, for one weight after the other from the largest on, and predicts the
    frame that was held out. Too little weight predicts noise, too much predicts blurs; the misfit of the prediction
    is least between (Golub, Heath and Wahba, Technometrics 21, 215 (1979), on cross-validation).

    Parameters
    ----------
    problem
        What is to be explained, with priors.
    start
        Complex field to start from, (Y, X).
    settings
        Of the solver.
    frame
        Which frame to hold out, best one in the middle of the distances.
    """

    def __init__(self, problem: PhaseProblem, start: Tensor, settings: GaussNewtonSettings, frame: int) -> None:
        assert problem.priors is not None
        self.frame = frame
        self.misfits: list[float] = []
        """Mean square error of the predicted amplitudes, for each of `factors` so far."""
        self._priors: Priors = problem.priors
        self._strength = problem.priors.settings.strength
        self._settings = settings
        self._field = start
        seen = torch.ones(problem.amplitudes.shape, dtype=torch.bool, device=problem.amplitudes.device)
        if problem.mask is not None:
            seen &= problem.mask
        held = seen.clone()
        seen[frame] = False
        held[:frame], held[frame + 1 :] = False, False
        self._rest = PhaseProblem(problem.model, problem.amplitudes, seen, problem.priors)
        self._held = PhaseProblem(problem.model, problem.amplitudes, held)
        self._rest.weights = self._held.weights = problem.weights

    @property
    def factors(self) -> tuple[float, ...]:
        """The factors that are tried on the weight that the noise asks for."""
        return tuple(self._strength * factor for factor in _FACTORS)

    @property
    def factor(self) -> float:
        """The best of them so far."""
        return self.factors[self.misfits.index(min(self.misfits))] if self.misfits else self._strength

    def field(self) -> Tensor:
        """Return the field of the weight tried last: complex, (Y, X)."""
        return self._field

    def steps(self) -> Iterator[Step]:
        """Try all weights."""
        settings = self._settings.model_copy(update={"iterations": _ITERATIONS})
        for number, factor in enumerate(self.factors):
            self._priors.factor = factor
            solver = GaussNewton(self._rest, self._field, settings, exaggerate=number == 0)
            for step in solver.steps():
                within = (step.iteration - 1 + step.within) / _ITERATIONS
                yield Step(number + 1, len(self.factors), step.loss, within=within)
            self._field = solver.field()
            settings = settings.model_copy(update={"warm_up": 0})
            self.misfits.append(self._held.evaluate(self._field)[0])

    def finish(self) -> None:
        """Give the priors of the problem the best weight."""
        self._priors.factor = self.factor
