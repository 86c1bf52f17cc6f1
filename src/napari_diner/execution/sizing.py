"""The number of items that fit this machine at the same time, and the size of their results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_diner.device import available_memory, choose_device
from napari_diner.errors import DinerError
from napari_diner.execution.items import Item
from napari_diner.io.folder import REPORT
from napari_diner.tasks.memory import MemoryPlan
from napari_diner.tasks.registry import task_of

_PROCESS_BYTES = 600 * 2**20
"""Memory of a process that has imported torch, without data."""


def fitting_workers(items: Sequence[Item], threads: int = 1) -> int:
    """Return how many workers fit the processors and the free memory; one if a graphics card is used.

    Parameters
    ----------
    items
        The items to run; the largest counts.
    threads
        Threads of each worker.
    """
    if any(choose_device(name).type != "cpu" for name in {item.recipe.device for item in items} - {"cpu"}):
        return 1
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    each = _PROCESS_BYTES + max(map(_needed, items), default=0)
    return max(1, min(len(items), processors // threads, available_memory() // each))


def result_bytes(items: Sequence[Item], output: Path) -> float:
    """Return the bytes of the results of those items that have none in the output folder of their batch."""
    plans = [_plan(item) for item in items if not (output / item.name / REPORT).is_file()]
    return sum(plan.result for plan in plans if plan is not None)


def _needed(item: Item) -> int:
    """Return the bytes that an item needs; 0 if reading it fails."""
    plan = _plan(item)
    return 0 if plan is None else plan.work


def _plan(item: Item) -> MemoryPlan | None:
    """Return the plan of an item; None if reading it fails."""
    try:
        return None if item.problem else task_of(item.recipe).plan(item.recipe)
    except DinerError:
        return None
