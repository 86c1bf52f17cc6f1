"""The stages of a reconstruction that take in dark-field frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from napari_diner.solvers.idt.brightness import BrightnessFit
from napari_diner.solvers.idt.gauss_newton import GaussNewtonVoxels
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.time_left import is_over
from napari_diner.tasks.job import Stage

BRIGHT_SHARE = 0.4
"""Part of the time of the solver by which it has solved for bright field, if dark field follows."""


def brightness(recipe: IdtRecipe) -> Iterator[Stage[IdtState]]:
    """Give the stage from which on the problem includes dark-field frames, if a recipe uses them."""
    if recipe.dark_field == "use":

        def fit(state: IdtState, budget: Budget) -> BrightnessFit | None:
            return None if is_over(recipe, state, budget) else _fit(state)

        yield Stage("brightness", fit, IdtState.with_dark_field, essential=True, show=lambda state, answer: state)


def dark_field(recipe: IdtRecipe, share: float) -> Iterator[Stage[IdtState]]:
    """Give the stages that continue over voxels with dark-field frames, if a recipe uses them.

    Parameters
    ----------
    recipe
        The resolved recipe.
    share
        Part of the time limit by which they end.
    """

    def newton(state: IdtState, budget: Budget) -> GaussNewtonVoxels | None:
        if state.brightness is None:
            return None
        return GaussNewtonVoxels(state.problem, state.estimate, recipe.multislice.dark_field_iterations, is_near=True)

    yield from brightness(recipe)
    if recipe.dark_field == "use":
        yield Stage("dark field", newton, _solution, share, essential=True)


def _fit(state: IdtState) -> BrightnessFit | None:
    dark, models = state.present_dark, state.models
    if dark is None or not isinstance(models, ComputedModels):
        return None
    return dark.brightness_fit(state.problem, models.of_size(*state.problem.model.shape[1:]), state.estimate)


def _solution(state: IdtState, volume: Tensor) -> IdtState:
    return replace(state, volume=volume)
