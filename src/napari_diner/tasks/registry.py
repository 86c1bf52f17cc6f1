"""The registry of tasks. Does not import torch.

A task from another package is added with `register`, for which the package names a module in the entry point group
``napari_diner.extensions``; importing the module registers its tasks, solvers and representations.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import entry_points

from napari_diner.registry import unknown
from napari_diner.tasks.fit.task import FitTask
from napari_diner.tasks.focus.task import FocusTask
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.lensless.task import LenslessTask
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.sample import Sample
from napari_diner.tasks.task import AnyTask as AnyTask

_TASKS: dict[str, AnyTask] = {task.name: task for task in (LenslessTask(), FocusTask(), IdtTask(), FitTask())}


def register(task: AnyTask) -> None:
    """Add a task, replacing one of the same name."""
    _TASKS[task.name] = task


@functools.cache
def _load_extensions() -> None:
    for entry in entry_points(group="napari_diner.extensions"):
        entry.load()


def tasks() -> Mapping[str, AnyTask]:
    """Return all registered tasks by name."""
    _load_extensions()
    return _TASKS


def task(name: str) -> AnyTask:
    """Return a registered task.

    Raises
    ------
    RecipeError
        If there is no such task; the message suggests the nearest name.
    """
    if name not in tasks():
        raise unknown("task", name, _TASKS, "task")
    return _TASKS[name]


def task_of(recipe: Recipe) -> AnyTask:
    """Return the task of a recipe."""
    return task(recipe.task)


def samples() -> dict[str, tuple[AnyTask, Sample]]:
    """Return the samples of all tasks by name, each with its task."""
    return {sample.name: (task, sample) for task in tasks().values() for sample in task.samples}
