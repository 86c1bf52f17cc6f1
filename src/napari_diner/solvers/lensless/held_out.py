"""Choice of the weight of a prior by cross-validation with one held-out frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

_FACTORS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125)
_ITERATIONS = 4


@dataclass(frozen=True)
class WeightChoice:
    """The chosen weight of a prior."""

    factor: float
    """Factor on the weight for the noise."""
    frame: int
    """The frame that was held out."""
    factors: tuple[float, ...]
    """The candidates."""
    misfits: tuple[float, ...]
    """Mean square error of the predicted amplitudes for each candidate."""
    field: Tensor
    """The field of the last weight: complex, (Y, X)."""


class HeldOutFrame(Resumable):
    """Choose the weight of the total variation by the frame in the middle.

    The object is reconstructed from the other frames, for successively smaller weights, and predicts the held-out
    frame. Too small a weight predicts noise, too large a weight predicts a blur; the misfit of the prediction has a
    minimum in between (Golub, Heath and Wahba, Technometrics 21, 215 (1979), on cross-validation).

    Parameters
    ----------
    problem
        What is to be explained; its own priors are ignored.
    priors
        The priors whose weight is chosen.
    start
        Complex field to start from, (Y, X).
    settings
        Of the solver.
    frame
        Frame to hold out, ideally with a median distance.
    """

    kept = answer = ("_misfits", "_field")

    def __init__(
        self, problem: PhaseProblem, priors: Priors, start: Tensor, settings: GaussNewtonSettings, frame: int
    ) -> None:
        self.frame = frame
        self._misfits: list[float] = []
        self._strength = priors.settings.strength
        self._priors = priors
        self._settings = settings
        self._field = start
        used = torch.ones(problem.amplitudes.shape, dtype=torch.bool, device=problem.device)
        if problem.mask is not None:
            used &= problem.mask
        held = used.clone()
        used[frame] = False
        held[:frame], held[frame + 1 :] = False, False
        self._rest, self._held = (
            PhaseProblem(problem.model, problem.amplitudes, mask, problem.at_least).with_weights(problem.weights)
            for mask in (used, held)
        )

    @property
    def factors(self) -> tuple[float, ...]:
        """Candidates for the factor on the weight for the noise."""
        return tuple(self._strength * factor for factor in _FACTORS)

    def result(self) -> WeightChoice:
        """Return the best factor so far."""
        misfits = tuple(self._misfits)
        factor = self.factors[misfits.index(min(misfits))] if misfits else self._strength
        return WeightChoice(factor, self.frame, self.factors[: len(misfits)], misfits, self._field)

    current = result

    def steps(self) -> Iterator[Step]:
        """Try all weights."""
        settings = self._settings.model_copy(update={"iterations": _ITERATIONS})
        for number, factor in enumerate(self.factors):
            if number > 0:
                settings = settings.model_copy(update={"warm_up": 0})
            if number < len(self._misfits):
                continue
            problem = self._rest.with_priors(self._priors.with_factor(factor))
            solver = GaussNewton(problem, self._field, settings, exaggerate=number == 0)
            for step in solver.steps():
                within = (step.iteration - 1 + step.within) / _ITERATIONS
                yield Step(number + 1, len(self.factors), step.loss, within=within)
            self._field = solver.result()
            self._misfits.append(self._held.misfit(self._field))
            yield Step(number + 1, len(self.factors), self._misfits[-1], resumable=True)
