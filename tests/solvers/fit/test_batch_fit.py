"""Fitting networks of coordinates to values that are known."""

from __future__ import annotations

import torch

from napari_diner.representations.pixels import Pixels
from napari_diner.solvers.fit.batch_fit import BatchFit
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import TrainingSettings


def run(epochs: int = 30, **limits: object) -> tuple[Pixels, torch.Tensor, list[object]]:
    targets = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0))
    pixels = Pixels((20, 50), 2)
    solver = BatchFit(
        ValueProblem(targets),
        pixels,
        TrainingSettings(batch_size=256),
        epochs,
        0.05,
        torch.Generator().manual_seed(0),
        **limits,  # type: ignore[arg-type]
    )
    steps = list(solver.steps())
    list(solver.finish())
    return pixels, targets, list(steps)


def test_every_sample_is_shown_once_an_epoch() -> None:
    pixels, targets, steps = run()
    # 1000 samples in batches of 256 are four batches
    assert len(steps) == 4 * 30
    assert [step.within for step in steps[:4]] == [0.25, 0.5, 0.75, 1.0]  # type: ignore[attr-defined]
    assert float((pixels.exact().detach().flatten(1) - targets).abs().max()) < 0.1


def test_a_time_limit_ends_it_within_an_epoch() -> None:
    ticks = iter(range(10_000))
    _, _, steps = run(10_000, max_seconds=50.0, elapsed=lambda: float(next(ticks)))
    assert 40 <= len(steps) <= 52
