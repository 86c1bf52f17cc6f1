"""Adam on the parameters of a representation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from napari_diner.representations.complex_field import ComplexField
from napari_diner.solvers.annealing import Annealing
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GradientSettings
from napari_diner.solvers.step import Step

# the last steps are taken on the exact network, so that it, and not its interpolation, is what was fitted
_POLISH_STEPS = 10
# a fall of the loss by less than this fraction is no reason to go on
_WORTHWHILE = 1e-4
# a shorter memory of the squared gradient than the usual 0.999: keys move fast at first and must settle soon
_BETAS = (0.9, 0.99)


class GradientDescent:
    """Minimise the misfit over the parameters of a represented field by Adam (Kingma and Ba, ICLR 2015).

    Parameters
    ----------
    problem
        What is to be explained.
    unknown
        The represented field; its parameters are changed in place.
    settings
        Iterations, learning rate, schedule, loss, patience.
    max_seconds
        Time over which the learning rate is annealed, if that is shorter than the iterations; None for no limit.
    elapsed
        Clock by which that time is counted, in seconds.
    """

    def __init__(
        self,
        problem: PhaseProblem,
        unknown: ComplexField,
        settings: GradientSettings,
        max_seconds: float | None = None,
        elapsed: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.problem = problem
        self.unknown = unknown
        self.settings = settings
        self.max_seconds = max_seconds
        self.elapsed = elapsed
        self._best_loss = math.inf
        self._best = self._copy_state()
        self._start = self._copy_state()
        self._start_loss: float | None = None

    def _copy_state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.unknown.state_dict().items()}

    def preview(self) -> Tensor:
        """Return the present field by the fastest way: complex, (Y, X)."""
        with torch.no_grad():
            return self.unknown()  # type: ignore[no-any-return]

    def field(self) -> Tensor:
        """Return the best field so far, from the exact representation: complex, (Y, X)."""
        now = self._copy_state()
        field = self.finish()
        self.unknown.load_state_dict(now)
        return field

    @torch.no_grad()
    def finish(self) -> Tensor:
        """Put the best parameters found into the representation; return the exact field, complex, (Y, X).

        On the way the best are told by the representation's fast evaluation. If those do worse than the start when
        both are evaluated exactly, the start is the best.
        """
        if self._start_loss is None:
            self.unknown.load_state_dict(self._start)
            self._start_loss = self.problem.evaluate(self.unknown.exact(), self.settings.loss)[0]
        self.unknown.load_state_dict(self._best)
        field = self.unknown.exact()
        if self.problem.evaluate(field, self.settings.loss)[0] > self._start_loss:
            self.unknown.load_state_dict(self._start)
            field = self.unknown.exact()
        return field

    def steps(self) -> Iterator[Step]:
        """Iterate; one step is one gradient of the whole misfit."""
        settings, unknown = self.settings, self.unknown
        optimizer = torch.optim.Adam(unknown.parameters(), lr=settings.learning_rate, betas=_BETAS)
        total = settings.iterations
        last_better, reference = 0, math.inf
        annealing = Annealing(settings.schedule, self.max_seconds, self.elapsed)
        for iteration in range(1, total + 1):
            done = annealing.done((iteration - 1) / total)
            polishing = done >= 1 - _POLISH_STEPS / total
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * annealing.factor(done)
            optimizer.zero_grad()
            loss = self.problem.loss(unknown.exact() if polishing else unknown(), settings.loss)
            value = float(loss.detach())
            if value < reference * (1 - _WORTHWHILE):
                reference, last_better = value, iteration
            if value < self._best_loss:
                self._best_loss = value
                for name, parameter in unknown.state_dict().items():
                    self._best[name].copy_(parameter)
            loss.backward()
            optimizer.step()
            yield Step(iteration, total, value)
            if iteration - last_better >= settings.patience:
                return
