"""Adam on a represented volume, under either model: DINER, coordinate networks, and voxels where no closed form is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from napari_diner.representations.base import Representation
from napari_diner.solvers.annealing import Annealing
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.settings import GradientSettings
from napari_diner.solvers.starting_values import fit_values
from napari_diner.solvers.step import Step

# the last steps are taken on the exact network, so that it, and not its interpolation, is what was fitted; of a time
# limit, in which few of them fit, they get this share
_POLISH_STEPS = 10
_POLISH_SHARE = 0.05
# a fall of the loss by less than this fraction is no reason to go on
_WORTHWHILE = 1e-4
# a shorter memory of the squared gradient than the usual 0.999: keys move fast at first and must settle soon
_BETAS = (0.9, 0.99)
# rounding of the total variation, in units of the contrast's scale: no slope that matters is as small
_ROUNDING = 1e-3


class VolumeDescent:
    """Minimise a problem over the parameters of a represented contrast by Adam (Kingma and Ba, ICLR 2015).

    The representation holds the contrast in units of `scale`. Positivity acts on what it represents: values below
    zero are read as zero, and are pulled back up when the data ask for more.

    Parameters
    ----------
    problem
        What is minimised.
    representation
        Δε_re and Δε_im over `scale`, of shape (Z, Y, X) with two outputs; its parameters are changed in place.
    scale
        Contrast that the value 1 stands for: one for each of Δε_re and Δε_im, (2,).
    settings
        Iterations, learning rate, schedule, patience.
    batch_frames
        Frames in each step; one iteration is a round through all of them. All at once if None.
    max_seconds
        Time over which the learning rate is annealed, if that is shorter than the iterations; None for no limit.
    elapsed
        Clock by which that time is counted, in seconds.
    generator
        Source of the order of the frames, on the processor.
    """

    def __init__(
        self,
        problem: VolumeProblem,
        representation: Representation,
        scale: Tensor,
        settings: GradientSettings,
        *,
        batch_frames: int | None = None,
        max_seconds: float | None = None,
        elapsed: Callable[[], float] = time.perf_counter,
        generator: torch.Generator | None = None,
    ) -> None:
        self.problem = problem
        self.representation = representation
        self.scale = scale.to(problem.model.device, problem.model.real_dtype)
        self.settings = settings
        self.frames = list(range(problem.model.frames)) if problem.frames is None else list(problem.frames)
        self.batch_frames = len(self.frames) if batch_frames is None else min(batch_frames, len(self.frames))
        self.max_seconds = max_seconds
        self.elapsed = elapsed
        self.generator = generator
        self._best_loss = math.inf
        self._best = self._copy_state()
        self._start = self._copy_state()
        self._start_value: float | None = None

    def _copy_state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.representation.state_dict().items()}

    def preview(self) -> Tensor:
        """Return the present contrast by the fastest way: real, (2, Z, Y, X)."""
        with torch.no_grad():
            return self.problem.projected(self._contrast(self.representation()))

    def volume(self) -> Tensor:
        """Return the best contrast so far, from the exact representation: real, (2, Z, Y, X)."""
        now = self._copy_state()
        volume = self.finish()
        self.representation.load_state_dict(now)
        return volume

    @torch.no_grad()
    def finish(self) -> Tensor:
        """Put the best parameters found into the representation; return the exact contrast, real, (2, Z, Y, X).

        On the way the best are told by the representation's fast evaluation. If those do worse than the start when
        both are evaluated exactly, the start is the best.
        """
        if self._start_value is None:
            self.representation.load_state_dict(self._start)
            self._start_value = self.problem.objective(self._exact())[0]
        self.representation.load_state_dict(self._best)
        volume = self._exact()
        if not self.problem.objective(volume)[0] <= self._start_value:
            self.representation.load_state_dict(self._start)
            volume = self._exact()
        return volume

    def steps(self) -> Iterator[Step]:
        """Iterate; the loss is what is minimised, with the misfit of each frame as it was when it was looked at."""
        settings, representation = self.settings, self.representation
        # gradients are as small as voxels are many; epsilon must not be felt
        optimizer = torch.optim.Adam(representation.parameters(), lr=settings.learning_rate, betas=_BETAS, eps=1e-15)
        total = settings.iterations
        last_better, reference = 0, math.inf
        annealing = Annealing(settings.schedule, self.max_seconds, self.elapsed)
        for iteration in range(1, total + 1):
            done = annealing.done((iteration - 1) / total)
            late = self.max_seconds is not None and done >= 1 - _POLISH_SHARE
            polishing = late or iteration > total - _POLISH_STEPS
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * annealing.factor(done)
            batches = self._batches()
            value = 0.0
            before = None if len(batches) == 1 else self._copy_state()
            for place, frames in enumerate(batches, 1):
                optimizer.zero_grad()
                loss = self._loss(representation.exact() if polishing else representation(), frames)
                value += float(loss.detach()) * len(frames) / len(self.frames)
                if place == len(batches) and value < self._best_loss:
                    # of a whole gradient the loss belongs to the parameters before the step; of a round, about to
                    # those before it
                    self._best_loss = value
                    for name, parameter in (before or representation.state_dict()).items():
                        self._best[name].copy_(parameter)
                loss.backward()
                optimizer.step()
                # only now may anybody look at the parameters, which changes them for a moment
                if place < len(batches):
                    yield Step(iteration, total, value * len(self.frames) / (place * len(frames)), place / len(batches))
            if value < reference * (1 - _WORTHWHILE):
                reference, last_better = value, iteration
            yield Step(iteration, total, value)
            if iteration - last_better >= settings.patience or done >= 1:
                return

    def _loss(self, values: Tensor, frames: list[int]) -> Tensor:
        """Return what is minimised, with the misfit of some frames scaled up to all, and the variation rounded."""
        problem, priors = self.problem, self.problem.priors
        contrast = _Positive.apply(self._contrast(values), priors.positive)  # type: ignore[no-untyped-call]
        whole = len(frames) == len(self.frames)
        loss = problem.misfit(contrast, None if whole else frames) * (len(self.frames) / len(frames))
        if priors.tikhonov:
            loss = loss + priors.tikhonov / 2 * contrast.square().sum()
        if priors.tv:
            for part, unit in zip(contrast, self.scale.tolist(), strict=True):
                loss = loss + priors.tv * problem.tv.smooth(part, _ROUNDING * unit)
        return loss

    def _contrast(self, values: Tensor) -> Tensor:
        return self.scale[:, None, None, None] * values

    def _exact(self) -> Tensor:
        return self.problem.projected(self._contrast(self.representation.exact()))

    def _batches(self) -> list[list[int]]:
        if self.batch_frames == len(self.frames):
            return [self.frames]
        order = torch.randperm(len(self.frames), generator=self.generator).tolist()
        count = math.ceil(len(order) / self.batch_frames)
        return [[self.frames[place] for place in order[first::count]] for first in range(count)]


def start_from(representation: Representation, contrast: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Make a representation return a contrast; return the scale in units of which it does, (2,).

    Parameters
    ----------
    representation
        A `Diner` with keys of at least two numbers, or `Pixels`; changed in place.
    contrast
        Real, (2, Z, Y, X).
    generator
        See `fit_values`.
    """
    scale = scale_of(contrast)
    fit_values(representation, contrast / scale[:, None, None, None], generator)
    return scale


def scale_of(contrast: Tensor) -> Tensor:
    """Return the scale of a contrast, (2, Z, Y, X): the largest of each part, (2,), or 1 where all is zero."""
    largest = contrast.abs().amax((1, 2, 3))
    return torch.where(largest > 0, largest, torch.ones_like(largest))


class _Positive(torch.autograd.Function):
    """Negative values read as zero; their gradients pass where a step against them leads up, and not down."""

    @staticmethod
    def forward(ctx: Any, contrast: Tensor, positive: tuple[bool, bool]) -> Tensor:
        """Return the contrast (2, Z, Y, X), not negative where it must not be."""
        ctx.save_for_backward(contrast)
        ctx.positive = positive
        parts = zip(contrast.unbind(0), positive, strict=True)
        return torch.stack([part.clamp_min(0) if asked else part for part, asked in parts])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient, without what would push values further below zero."""
        (contrast,) = ctx.saved_tensors
        passed = gradients[0].clone()
        for gradient, part, asked in zip(passed, contrast, ctx.positive, strict=True):
            if asked:
                gradient.masked_fill_((part <= 0) & (gradient > 0), 0)
        return passed, None
