"""The registry of solvers: the ways to the unknown of each task. Free of torch.

Every registered representation is a solver of every task, by `napari_diner.solvers.adam`; here are the others. A
solver from another package is added with `register`, see the page on extending in the documentation.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from napari_diner.representations.registry import representations

if TYPE_CHECKING:
    from torch import Tensor

    from napari_diner.solvers.solver import Budget, Solver

Build = Callable[[Any, "Tensor", Any, "Budget"], "Solver[Tensor]"]
"""Builds a solver from the task's problem, the estimate to start from, the recipe and the time that it may take."""


@dataclass(frozen=True)
class SolverEntry:
    """A solver and what a task must know of it.

    Parameters
    ----------
    name
        Its name in recipes, e.g. ``"gauss-newton"``.
    task
        Name of the task that it is for.
    summary
        What it does, in a few words.
    build
        The function that builds it, or ``"module:function"``, which is imported when it is first needed.
    sections
        Sections of the recipe that it reads.
    supports
        What else of the problem it takes into account, of ``"priors"`` and ``"weights"``.
    """

    name: str
    task: str
    summary: str
    build: Build | str
    sections: tuple[str, ...] = ()
    supports: frozenset[str] = frozenset({"priors", "weights"})

    def builder(self) -> Build:
        """Return the function that builds it."""
        if not isinstance(self.build, str):
            return self.build
        module, _, function = self.build.partition(":")
        return cast(Build, getattr(importlib.import_module(module), function))


_ENTRIES: dict[str, dict[str, SolverEntry]] = {}


def register(entry: SolverEntry) -> None:
    """Add a solver; one of the same name and task is replaced."""
    _ENTRIES.setdefault(entry.task, {})[entry.name] = entry


def solvers(task: str) -> Mapping[str, SolverEntry]:
    """Return the registered solvers of a task by name, without the representations."""
    return _ENTRIES.get(task, {})


def solver_names(task: str) -> tuple[str, ...]:
    """Return what the field ``solver`` of a task's recipe may be: registered solvers, then representations."""
    return (*solvers(task), *(name for name in representations() if name not in solvers(task)))


def sections_of(task: str, solver: str) -> tuple[str, ...]:
    """Return the sections of a recipe that matter for a solver or representation."""
    if solver in solvers(task):
        return solvers(task)[solver].sections
    entry = representations().get(solver)
    return () if entry is None else (*entry.sections, "gradient")


def supports(task: str, solver: str, what: str) -> bool:
    """Tell whether a solver takes ``"priors"`` or ``"weights"`` into account; Adam on representations does."""
    entry = solvers(task).get(solver)
    return entry is None or what in entry.supports


for _entry in (
    SolverEntry(
        "gauss-newton", "lensless", "Second-order steps on log-amplitude and phase",
        "napari_diner.solvers.lensless.gauss_newton:build", ("gauss_newton",),
    ),
    SolverEntry(
        "alternating", "lensless", "Averaged projections with Nesterov momentum",
        "napari_diner.solvers.lensless.alternating:build", ("alternating",), frozenset(),
    ),
    SolverEntry(
        "voxels", "idt", "Voxels with total variation and positivity",
        "napari_diner.solvers.idt.voxels:build", ("regularization",),
    ),
    SolverEntry(
        "tikhonov", "idt", "Least squares in closed form",
        "napari_diner.solvers.idt.tikhonov:build", ("regularization",), frozenset(),
    ),
):  # fmt: skip
    register(_entry)
