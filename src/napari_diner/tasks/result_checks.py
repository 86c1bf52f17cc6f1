"""Checks of results: finite values, from more than a single step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.job import StageRecord

# parts of a run, such as its tiles, that are each named in a sentence of its own
_MOST_NAMED = 2


def few_steps(
    stages: Sequence[StageRecord], coarse: bool = False, *, explained: bool = False, finished: bool = True
) -> list[str]:
    """Return warnings about solvers that took at most one step of many, and so hardly changed their start.

    Parameters
    ----------
    stages
        What was done.
    coarse
        Whether the last stage has a result although it was stopped in its preparation, and another warning says so.
    explained
        Whether nothing but noise is left unexplained, so that the start left nothing to improve on.
    finished
        Whether the run was not stopped by its owner, which is no fault of the solvers.
    """
    if coarse:
        stages = stages[:-1]
    iterative = [stage for stage in stages if stage.most_iterations > 1]
    cut = [stage for stage in iterative if is_cut_short(stage)]
    sentences = [
        f"the time limit was reached after the first of {stage.most_iterations} iterations of {stage.name}; "
        "allow more time"
        for stage in cut
    ]
    if len(cut) > _MOST_NAMED:
        sentences = [
            f"the time limit was reached after at most one iteration of {len(cut)} parts of the run, from "
            f"{cut[0].name} to {cut[-1].name}; allow more time"
        ]
    if finished and iterative and not sentences and not explained and all(stage.iterations <= 1 for stage in iterative):
        last = iterative[-1]
        sentences.append(
            f"{last.name} stopped after the first of {last.most_iterations} iterations, as no step improved on its "
            "start; check the units of lengths and the scale of the data"
        )
    if stages and stages[-1].iterations == 0:
        end = "was stopped during its preparation" if stages[-1].most_iterations else "took no step"
        sentences.append(f"the stage {stages[-1].name} {end}; the result is what it started from")
    return sentences


def is_cut_short(stage: StageRecord) -> bool:
    """Return whether the time limit ended a stage after at most one step of many."""
    return stage.stopped_by_time_limit and stage.iterations <= 1 < stage.most_iterations


def check_finite(
    parts: Iterable[NamedArray | tuple[str, npt.NDArray[np.generic]]], stages: Sequence[StageRecord]
) -> None:
    """Check that images and parameters are numbers.

    Raises
    ------
    DinerError
        If some are not finite.
    """
    for part in parts:
        name, values = (part.name, part.data) if isinstance(part, NamedArray) else part
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            after = f" after the stage {stages[-1].name}" if stages else ""
            raise DinerError(
                f"{bad:,} of {values.size:,} values of {name} are not finite{after}: it diverged, as with too large a "
                "learning rate, or with gains, scales or data that are extreme; change those"
            )
