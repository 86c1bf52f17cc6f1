"""Fit a DINER to values that are known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from napari_diner.device import captured
from napari_diner.representations.diner import Diner
from napari_diner.solvers.annealing import Annealing
from napari_diner.solvers.fit.keys import place_keys, search_keys
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import TrainingSettings
from napari_diner.solvers.step import Step

# a shorter memory of the squared gradient than the usual 0.999: keys move fast at first and must settle soon
_BETAS = (0.9, 0.99)
# searches take place within this part of the run: not before there is a network to search, and not so late that what
# they have moved cannot settle
_SEARCH_SPAN = (0.08, 0.85)
# the table can be large: the best is copied no more often than this
_COPY_INTERVAL_S = 1.0
# share of a time limit that is kept for placing the keys at the end
_PLACING_SHARE = 0.03


class TableFit:
    """Minimise the misfit over the keys and the network of a DINER: Eq. 4b with P the identity.

    All keys take a step of Adam together at every epoch, evaluated through the lattice or exactly. A few times on the
    way each key is moved to where on the whole lattice the network comes nearest to its value (`search_keys`), and at
    the end to the nearest minimum on the exact network (`place_keys`).

    Parameters
    ----------
    problem
        What is to be returned.
    diner
        The representation; changed in place.
    settings
        Schedule, searches, last steps.
    epochs
        Steps of Adam.
    learning_rate
        Its step size at the start.
    max_seconds
        Time over which the learning rate is annealed, if that is shorter than the epochs; None for no limit.
    elapsed
        Clock by which that time is counted, in seconds.
    """

    def __init__(
        self,
        problem: ValueProblem,
        diner: Diner,
        settings: TrainingSettings,
        epochs: int,
        learning_rate: float,
        max_seconds: float | None = None,
        elapsed: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.problem = problem
        self.diner = diner
        self.settings = settings
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.max_seconds = max_seconds
        self.elapsed = elapsed
        self._best_loss = math.inf
        self._best: dict[str, Tensor] = {}
        self._started = elapsed()

    def steps(self) -> Iterator[Step]:
        """Iterate; one step is one epoch."""
        settings, diner, problem = self.settings, self.diner, self.problem
        training_s = None if self.max_seconds is None else self.max_seconds * (1 - _PLACING_SHARE)
        annealing = Annealing(settings.schedule, training_s, self.elapsed)
        on_card = problem.targets.device.type == "cuda"
        rate = torch.tensor(self.learning_rate, device=problem.targets.device) if on_card else self.learning_rate
        # equal values share a key and its gradient is as many times larger as they are: Adam does not see the scale of
        # a gradient, save for epsilon, which therefore has to be small
        optimizer = torch.optim.Adam(
            diner.parameters(), lr=rate, betas=_BETAS, eps=1e-15, fused=True, capturable=on_card
        )

        def descend() -> Tensor:
            optimizer.zero_grad(set_to_none=False)
            if diner.settings.evaluation == "lattice":
                loss = problem.descend_lattice(diner)
            else:
                loss = problem.loss(diner.exact().flatten(1))
                loss.backward()
            optimizer.step()
            return loss.detach()

        epoch = captured(descend, problem.targets.device)
        searched, looked, loss = 0, self.elapsed(), math.nan
        first, last = _SEARCH_SPAN
        for iteration in range(1, self.epochs + 1):
            done = annealing.done((iteration - 1) / self.epochs)
            if searched < settings.searches and done >= first + (last - first) * searched / settings.searches:
                searched += 1
                moved = torch.zeros(len(diner.hash_table), dtype=torch.bool, device=problem.targets.device)
                for count in search_keys(diner, problem.targets, moved):
                    if count < len(moved):
                        yield Step(iteration - 1, self.epochs, loss)
                state = optimizer.state.get(diner.hash_table)
                if state:
                    # its old momentum would carry a key away from where it was put
                    state["exp_avg"][moved] = 0
            for group in optimizer.param_groups:
                if on_card:
                    group["lr"].fill_(self.learning_rate * annealing.factor(done))
                else:
                    group["lr"] = self.learning_rate * annealing.factor(done)
            # an epoch tells the loss of the parameters before its step
            looking = self.elapsed() - looked >= _COPY_INTERVAL_S
            candidate = self._copy() if looking else None
            loss = float(epoch())
            if candidate is not None:
                looked = self.elapsed()
                if loss < self._best_loss:
                    self._best_loss, self._best = loss, candidate
            yield Step(iteration, self.epochs, loss)
            if done >= 1:
                break

    def finish(self) -> Iterator[Step]:
        """Put the better of the last and the best parameters into the representation, and place its keys exactly."""
        loss = self.keep_better()
        count = len(self.diner.hash_table)
        for done in place_keys(self.diner, self.problem.targets, self.settings.key_steps):
            yield Step(1, 1, loss, within=done / count)
            if self.max_seconds is not None and self.elapsed() - self._started > self.max_seconds:
                return

    def keep_better(self) -> float:
        """Put the better of the last and the best parameters into the representation; return the exact misfit."""
        loss = self.problem.exact_loss(self.diner)
        if self._best:
            last = self._copy()
            self.diner.load_state_dict(self._best)
            best_loss = self.problem.exact_loss(self.diner)
            if loss <= best_loss:
                self.diner.load_state_dict(last)
            loss = min(loss, best_loss)
        return loss

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.diner.state_dict().items()}
