"""Adam on the parameters of any representation, for any problem: the first-order solver of all tasks."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from napari_diner.device import captured
from napari_diner.representations.unknown import Unknown
from napari_diner.solvers.annealing import Annealing
from napari_diner.solvers.problem import Batch, Problem, TakesSteps
from napari_diner.solvers.settings import AdamSettings
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step

# the last steps use the exact network, so that it is fitted instead of its interpolation;
# their share of a time limit
_POLISH_STEPS = 10
_POLISH_SHARE = 0.05
# smallest relative decrease of the loss that counts as progress
_WORTHWHILE = 1e-4
# shorter memory of the squared gradient than the usual 0.999: keys move fast at first and must settle soon
_BETAS = (0.9, 0.99)
# the gradient scales with one over the number of samples, which Adam ignores; epsilon must be negligible
_EPSILON = 1e-15
# on a graph, the loss is read back from the card once in so many steps, as the card stands still meanwhile
_READ_EVERY = 4
# the best parameters, which can be many, are copied every so many iterations, counted instead of timed, so that a run
# is reproducible to the last bit
_COPIED_PER_ITERATION = 1 << 20


@dataclass(frozen=True)
class Represented:
    """An estimate and the parameters that represent it."""

    parameters: Mapping[str, Tensor]
    """Parameters of the unknown, by name; empty for a preview."""
    evaluate: Callable[[], Tensor]
    """Computes the estimate."""
    unknown: Unknown
    """The represented estimate, whose parameters change during a run."""

    @property
    def estimate(self) -> Tensor:
        """The values, computed on each access: exact, except for a preview."""
        return self.evaluate()


class Refinement(Protocol):
    """Changes parameters by other means than the gradient, a few times during a run."""

    def is_due(self, done: float) -> bool:
        """Return whether to act now that a fraction of the run is done."""

    def apply(self, optimizer: torch.optim.Optimizer) -> Iterator[float]:
        """Change parameters; yield the completed fraction of the work."""


class AdamDescent(Resumable):
    """Minimise a problem over the parameters of a representation by Adam (Kingma and Ba, ICLR 2015).

    Parameters
    ----------
    problem
        The problem to minimise.
    unknown
        The represented estimate; its parameters are changed in place.
    settings
        Iterations, learning rate, schedule, patience.
    budget
        Time over which the learning rate is annealed, if shorter than the iterations.
    batch_size
        Size of the parts from `problem.batches`; None for all data at every step.
    polish
        Whether the last steps are taken on the exact representation.
    generator
        Source of the random order of batches, on the CPU.
    refinement
        Additional changes of the parameters, if any.
    keep_start
        Whether the start is a candidate for the result, as after a warm start.
    graph
        Whether a step may be recorded as a CUDA graph: `problem.descend` must read nothing back from the card.
    """

    kept = (
        "unknown", "_moments", "_candidates", "_scores", "_best_loss", "_iteration", "_converged", "_last_better",
        "_reference", "_recent", "_annealing", "generator", "refinement",
    )  # fmt: skip
    answer = ("unknown", "_ended")

    def __init__(
        self,
        problem: Problem,
        unknown: Unknown,
        settings: AdamSettings,
        budget: Budget | None = None,
        *,
        batch_size: int | None = None,
        polish: bool = True,
        generator: torch.Generator | None = None,
        refinement: Refinement | None = None,
        keep_start: bool = False,
        graph: bool = False,
    ) -> None:
        self.problem = problem
        self.unknown = unknown
        self.settings = settings
        self.budget = Budget() if budget is None else budget
        self.batch_size = batch_size
        self.polish = polish
        self.generator = generator
        self.refinement = refinement
        self._copy_every = 1 + unknown.parameter_count() // _COPIED_PER_ITERATION
        self._on_graph = graph and problem.device.type == "cuda"
        self._every = _READ_EVERY if self._on_graph else 1
        self._candidates: dict[str, dict[str, Tensor]] = {"start": unknown.state()} if keep_start else {}
        self._scores: dict[str, float] = {}
        self._best_loss = self._reference = math.inf
        self._iteration = self._last_better = 0
        self._recent: list[float] = []
        self._annealing = Annealing(settings.schedule, self.budget)
        self._optimizer = self._new_optimizer()
        self._converged = self._ended = False

    def steps(self) -> Iterator[Step]:
        """Iterate; one iteration is one pass over all data, one step is one batch."""
        settings, total, optimizer = self.settings, self.settings.iterations, self._optimizer
        annealing = self._annealing
        step = functools.partial(self._descend, optimizer, None, exact=False)
        whole_step = captured(step, self.problem.device) if self._on_graph else step
        loss, recent = math.nan, self._recent
        while self._iteration < total and not self._converged:
            iteration = self._iteration + 1
            batches = self.problem.batches(self.batch_size, self.generator)
            for number, batch in enumerate(batches):
                done = annealing.done((iteration - 1 + number / len(batches)) / total)
                if self.refinement is not None and self.refinement.is_due(done):
                    for part in self.refinement.apply(optimizer):
                        yield Step(iteration, total, loss, within=number / len(batches) * part)
                self._set_rate(optimizer, settings.learning_rate * annealing.factor(done))
                exact = self.polish and (
                    iteration > total - _POLISH_STEPS or (self.budget.ends_at is not None and done >= 1 - _POLISH_SHARE)
                )
                whole = batch is None and not exact
                if self._on_graph and whole and recent and iteration % _READ_EVERY and iteration < total:
                    whole_step()
                    continue
                is_copied = number == 0 and (iteration // self._every) % self._copy_every == 0
                candidate = self.unknown.state() if is_copied else None
                recent.append(float(whole_step() if whole else self._descend(optimizer, batch, exact=exact)))
                if len(recent) > len(batches):
                    del recent[0]
                loss = sum(recent) / len(recent)
                if candidate is not None and loss < self._best_loss:
                    # the loss of all data belongs to the parameters before the step, that of a part only approximately
                    self._best_loss = loss
                    self._candidates["best"] = candidate
                    self._scores.pop("best", None)
                if number + 1 < len(batches):
                    yield Step(iteration, total, loss, within=(number + 1) / len(batches))
            if loss < self._reference * (1 - _WORTHWHILE):
                self._reference, self._last_better = loss, iteration
            self._iteration = iteration
            idle = iteration - self._last_better
            self._converged = done >= 1 or (settings.patience is not None and idle >= settings.patience)
            yield Step(iteration, total, loss, resumable=True)
        self.unknown.restore(self._best())
        self._ended = True

    def result(self) -> Represented:
        """Return the best estimate so far, from the exact representation.

        During a run, the fast evaluation determines the best parameters; here the start, the best and the current
        ones are compared by their exact loss. Afterwards the current parameters are restored, unless the run is over.
        """
        present = self.unknown.state()
        if self._ended:
            return Represented(present, self._exact, self.unknown)
        best = self._best()
        self.unknown.restore(present)
        return Represented(best, functools.partial(self._exact_of, best), self.unknown)

    def current(self) -> Represented:
        """Return the current estimate by the fast evaluation, without its parameters."""
        return Represented({}, self._fast, self.unknown)

    @torch.no_grad()
    def _fast(self) -> Tensor:
        return self.unknown()  # type: ignore[no-any-return]

    @torch.no_grad()
    def _exact(self) -> Tensor:
        return self.unknown.exact()

    def _exact_of(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Return the exact estimate of other parameters than the current ones, which are restored."""
        present = self.unknown.state()
        self.unknown.restore(parameters)
        estimate = self._exact().clone()
        self.unknown.restore(present)
        return estimate

    def _descend(self, optimizer: torch.optim.Adam, batch: Batch, *, exact: bool) -> Tensor:
        optimizer.zero_grad(set_to_none=False)
        loss = None
        if batch is None and not exact and isinstance(self.problem, TakesSteps):
            loss = self.problem.descend_and_step(self.unknown, optimizer)
        if loss is None:
            loss = self.problem.descend(self.unknown, batch, exact=exact)
        optimizer.step()
        return loss

    def _best(self) -> dict[str, Tensor]:
        """Return the candidate with the smallest exact loss."""
        self._candidates["present"] = self.unknown.state()
        self._scores.pop("present", None)
        for name, parameters in self._candidates.items():
            if name not in self._scores:
                self.unknown.restore(parameters)
                score = self.problem.objective(self.unknown)
                self._scores[name] = math.inf if math.isnan(score) else score
        present = self._candidates.pop("present")
        return {**self._candidates, "present": present}[min(self._scores, key=self._scores.__getitem__)]

    def _new_optimizer(self) -> torch.optim.Adam:
        rate = self._rate(self.settings.learning_rate)
        return torch.optim.Adam(
            self.unknown.parameters(),
            lr=rate,
            betas=_BETAS,
            eps=_EPSILON,
            fused=self.problem.device.type in ("cpu", "cuda"),
            capturable=isinstance(rate, Tensor),
        )

    @property
    def _moments(self) -> list[tuple[int, Mapping[str, Tensor]]]:
        """Adam's averages, by the number of the parameter."""
        return list(self._optimizer.state_dict()["state"].items())

    @_moments.setter
    def _moments(self, moments: list[tuple[int, Mapping[str, Tensor]]]) -> None:
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": dict(moments)})

    def _rate(self, rate: float) -> float | Tensor:
        """Return the learning rate; for a CUDA graph a tensor, which each replay reads anew."""
        return torch.tensor(rate, device=self.problem.device) if self._on_graph else rate

    @staticmethod
    def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
