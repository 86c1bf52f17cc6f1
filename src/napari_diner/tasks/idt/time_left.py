"""What a time limit leaves time for."""

from __future__ import annotations

from napari_diner.physics.idt.base import IDTModel
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.idt.optics import prediction_seconds
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.job import RunRecord
from napari_diner.wording import duration

AFFORDABLE_S = 3600.0
"""Time above which multiple scattering is left out, unless set in the recipe."""
# part of the time for all chords below which a limit leaves multiple scattering with less than single scattering has
_ENOUGH = 0.5
# part of a time limit for the score of a result after it
_SCORING_SHARE = 0.25


def scattering_left_out(recipe: IdtRecipe, model: IDTModel, predictions: int) -> list[str]:
    """Return a warning if so many predictions by the multi-slice model take too long for it to be chosen."""
    seconds = prediction_seconds(model) * predictions
    words = f"multiple scattering is left out, as it would take about {duration(seconds)}"
    cure = "set model to multislice to include it, or reduce slice_count or multislice.steps_per_slice"
    if seconds > AFFORDABLE_S:
        return [f"{words}; {cure}"]
    limit = recipe.max_seconds
    if limit is not None and _ENOUGH * seconds > limit:
        return [f"{words} and the time limit is {duration(limit)}; allow more time, {cure}"]
    return []


def is_over(recipe: IdtRecipe, state: IdtState, budget: Budget) -> bool:
    """Return whether the time limit of a whole run has passed and there is a volume, so that no stage need begin."""
    return state.volume is not None and recipe.max_seconds is not None and budget.elapsed() >= recipe.max_seconds


def remarks_of_solver(recipe: IdtRecipe, record: RunRecord) -> list[str]:
    """Return a remark if the time limit of a run had passed before its solver could begin."""
    begun = any(stage.name.endswith(recipe.solver) for stage in record.stages)
    if begun or recipe.solver == "tikhonov" or not (record.finished and record.timed_out and record.stages):
        return []
    before = "the volume is that of the stages before it, such as the closed form"
    return [f"no time was left for {recipe.solver}; {before}; allow more time"]


def scoring_seconds(recipe: IdtRecipe) -> float | None:
    """Return the most seconds that the score of a result may take after the time limit; None without one."""
    return None if recipe.max_seconds is None else _SCORING_SHARE * recipe.max_seconds
