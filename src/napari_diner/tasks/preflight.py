"""What can be said about a run before it: a sentence and a state for each aspect. Does not import torch."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from napari_diner.errors import DinerError, OutOfMemoryError
from napari_diner.solvers.solver import Budget
from napari_diner.wording import duration, percent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_diner.tasks.job import Job, Stage
    from napari_diner.tasks.recipe import Recipe
    from napari_diner.tasks.task import AnyTask, Frames

Level = Literal["good", "doubtful", "bad"]
"""Whether an aspect is as it should be, may spoil the result, or prevents one."""

_TRIAL_S, _LONGEST_TRIAL_S, _STEPS = 0.4, 1.0, 5
"""Time for the trial of one stage, and the longest if it takes fewer steps, or not one iteration, in that time."""
_LONG_S = 600.0
"""Time from which a run counts as long."""
_MUCH = 0.1
"""Part of saturated pixels from which a result is unlikely."""


class Finding(NamedTuple):
    """A line of the checks before a run."""

    aspect: str
    """What it is about, e.g. ``"sampling"``."""
    level: Level
    """Green, amber or red."""
    sentence: str
    """What was seen, with figures; without a full stop."""


def preflight(
    task: AnyTask,
    recipe: Recipe,
    frames: Frames | None = None,
    *,
    describe: Callable[[DinerError], str] = str,
    trial: bool = True,
    tell: Callable[[str], object] = lambda what: None,
) -> list[Finding]:
    """Return what can be said about a run before it: sampling, saturation, plausibility, memory and others.

    Parameters
    ----------
    task, recipe, frames
        As for `napari_diner.tasks.task.Task.start`.
    describe
        Returns the message of an error.
    trial
        Whether to estimate the time from the first steps of each stage, which takes about half a second for each.
    tell
        Called with what is being done, in words, as it begins.
    """
    tell("reading data and settings")
    try:
        job = task.start(recipe, frames).job
    except DinerError as error:
        aspect = "memory" if isinstance(error, OutOfMemoryError) else "settings" if error.field else "data"
        return [Finding(aspect, "bad", describe(error).rstrip("."))]
    tell("looking for settings that fit the data better")
    began = time.perf_counter()
    lines = [*job.findings(), *_plausibility(job)]
    compared_s = time.perf_counter() - began
    if trial:
        lines += _time(job, tell, compared_s)
    return lines if job.memory is None else [*lines, Finding("memory", "good", job.memory.describe(job.device))]


def _plausibility(job: Job[Any]) -> list[Finding]:
    """Return a line for each warning of a job that no other line is about."""
    said = {line.sentence for line in job.findings()}
    doubts = [warning for warning in job.all_warnings if warning not in said]
    if not doubts:
        return [Finding("plausibility", "good", "settings and data agree as far as can be seen before a run")]
    return [Finding("plausibility", "doubtful", doubt) for doubt in doubts]


def _time(job: Job[Any], tell: Callable[[str], object], compared_s: float) -> list[Finding]:
    """Return a line with the longest time of a run, from the first steps of each stage; none if they fail.

    Parameters
    ----------
    job
        The work.
    tell
        Called with what is being done.
    compared_s
        Seconds in which the settings were compared with the data, as a run does it again.
    """
    limit = job.recipe.max_seconds
    try:
        trials, state = _trials(job, tell)
    except DinerError:  # the run reports it
        return []
    parts = [part for part in trials if part is not None]
    longest, checks_s = sum(seconds for _, seconds in parts), compared_s + job.scoring_seconds(state)
    if limit is not None and longest > limit:
        more = f", its checks take about {duration(checks_s)} more" if checks_s >= 1 else ""
        return [Finding("time", "good", f"the time limit of {duration(limit)} ends the run{more}")]
    longest += checks_s
    slow = max(parts, key=lambda part: part[1], default=None)
    where = "" if slow is None or len(parts) == 1 else f", most of it for {slow[0]}"
    cure = "; fewer iterations, a crop or a time limit shorten it" if longest > _LONG_S else ""
    level: Level = "good" if longest <= _LONG_S else "doubtful"
    return [Finding("time", level, f"{_at_most(longest)} on this machine{where}{cure}")]


def _at_most(seconds: float) -> str:
    """Return an estimated time in words; whole seconds would be too coarse for short ones."""
    if seconds < 1:
        return "less than a second"
    return f"up to about {seconds:.1f} s" if seconds < 9.95 else f"up to about {duration(seconds)}"


def _trials(job: Job[Any], tell: Callable[[str], object]) -> tuple[list[tuple[str, float] | None], Any]:
    """Return name and longest time of each stage that a job needs, from a trial of its first steps; and the state."""
    state, parts = job.begin(), []
    for stage in job.stages():
        if stage.alike:
            tell(f"trying the first steps of {stage.name}")
            part, state = _trial(stage, state)
            parts.append(part)
    return parts, state


def _trial(stage: Stage[Any], state: Any) -> tuple[tuple[str, float] | None, Any]:
    began = time.perf_counter()
    solver = stage.solver(state, Budget(lambda: time.perf_counter() - began, None))
    if solver is None:
        return None, state
    marks = [(0.0, 0.0)]
    for step in solver.steps():
        marks.append((time.perf_counter() - began, step.done))
        enough = len(marks) > _STEPS and step.iteration != 1
        if len(marks) > 2 and marks[-1][0] > (_TRIAL_S if enough else _LONGEST_TRIAL_S):
            break
    spent, done = marks[-1]
    # the first steps include work that is done once, such as loading and compiling
    rates = [(t - s) / (after - before) for (s, before), (t, after) in itertools.pairwise(marks) if after > before]
    rate = statistics.median(rates[len(rates) // 2 :]) if rates else 0.0
    return (stage.name, stage.alike * (spent + rate * (1 - done))), stage.absorb(state, solver.result())


def saturation(full: npt.NDArray[np.bool_] | None, setting: str) -> Finding:
    """Return the line about saturated pixels, (N, Y, X) or None, as the setting `saturated` treats them."""
    if setting != "at_least":
        return Finding("saturation", "good", f"not judged, as saturated pixels are set to {setting}")
    share = 0.0 if full is None else float(full.mean())
    if share == 0:
        return Finding("saturation", "good", "no pixel is saturated")
    level: Level = "doubtful" if share < _MUCH else "bad"
    cure = "" if share < _MUCH else "; record them again with less light or a shorter exposure"
    return Finding("saturation", level, f"{percent(share)} of the pixels are saturated{cure}")


def worst(lines: Sequence[Finding]) -> Level:
    """Return the worst level of all lines."""
    order: tuple[Level, ...] = ("good", "doubtful", "bad")
    return max((line.level for line in lines), key=order.index, default="good")
