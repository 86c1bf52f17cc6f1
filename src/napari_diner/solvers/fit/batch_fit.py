"""Fit a network that is fed coordinates to values that are known."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from napari_diner.representations.base import Representation
from napari_diner.solvers.annealing import Annealing
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import TrainingSettings
from napari_diner.solvers.step import Step


class BatchFit:
    """Minimise the misfit over the parameters of a representation by Adam on batches of random samples.

    A network of coordinates (PE+MLP, SIREN, hash grid) has no table to profit from a lattice. Batches let it take many
    steps in the time of one pass over all samples, which makes it the strongest opponent for a given time.

    Parameters
    ----------
    problem
        What is to be returned; each sample counts once.
    representation
        Changed in place.
    settings
        Schedule and batch size.
    epochs
        Passes over all samples.
    learning_rate
        Step size of Adam at the start.
    generator
        Source of the random order, on the processor.
    max_seconds
        Time over which the learning rate is annealed, if that is shorter than the epochs; None for no limit.
    elapsed
        Clock by which that time is counted, in seconds.
    """

    def __init__(
        self,
        problem: ValueProblem,
        representation: Representation,
        settings: TrainingSettings,
        epochs: int,
        learning_rate: float,
        generator: torch.Generator,
        max_seconds: float | None = None,
        elapsed: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.problem = problem
        self.representation = representation
        self.settings = settings
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.generator = generator
        self.max_seconds = max_seconds
        self.elapsed = elapsed
        self._loss = self._best_loss = math.inf
        self._best: dict[str, Tensor] = {}

    def steps(self) -> Iterator[Step]:
        """Iterate; one step is one batch, and `Step.within` tells how much of the epoch is done.

        The loss is the mean over the samples of the latest epoch's length.
        """
        annealing = Annealing(self.settings.schedule, self.max_seconds, self.elapsed)
        targets = self.problem.targets
        count, size = targets.shape[1], self.settings.batch_size
        optimizer = torch.optim.Adam(self.representation.parameters(), lr=self.learning_rate, betas=(0.9, 0.99))
        batches = -(-count // size)
        recent: deque[float] = deque(maxlen=batches)
        for epoch in range(1, self.epochs + 1):
            order = torch.randperm(count, generator=self.generator).to(targets.device)
            for number, batch in enumerate(order.split(size)):
                done = annealing.done((epoch - 1 + number / batches) / self.epochs)
                for group in optimizer.param_groups:
                    group["lr"] = self.learning_rate * annealing.factor(done)
                optimizer.zero_grad()
                loss = (self.representation.sample(batch) - targets[:, batch].T).square().mean()
                loss.backward()
                optimizer.step()
                recent.append(float(loss.detach()))
                self._loss = sum(recent) / len(recent)
                yield Step(epoch, self.epochs, self._loss, within=(number + 1) / batches)
                if done >= 1:
                    return
            if self._loss < self._best_loss:
                self._best_loss = self._loss
                self._best = {name: value.clone() for name, value in self.representation.state_dict().items()}

    def finish(self) -> Iterator[Step]:
        """Put the better of the last and the best parameters into the representation."""
        yield Step(1, 1, self.keep_better())

    def keep_better(self) -> float:
        """Put the parameters of the best epoch into the representation, if the last batches did worse."""
        if self._best and self._loss > self._best_loss:
            self.representation.load_state_dict(self._best)
        return min(self._loss, self._best_loss)
