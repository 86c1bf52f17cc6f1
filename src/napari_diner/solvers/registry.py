"""The registry of the solvers of each task. Does not import torch.

Every registered representation is a solver of every task, by `napari_diner.solvers.adam`; here are the others. A
solver from another package is added with `register`, see the page on extending in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_diner.registry import Entry
from napari_diner.representations.registry import representations


@dataclass(frozen=True)
class SolverEntry(Entry):
    """A solver of a task.

    Its function `build` gets the task's `Problem`, the estimate to start from, the recipe, and the `Budget`, and
    returns a `Solver` whose answers are estimates.

    Parameters
    ----------
    name, summary, build, sections
        See `Entry`.
    task
        Name of its task.
    supports
        Supported features of the problem, of ``"priors"`` and ``"weights"``.
    """

    task: str = ""
    supports: frozenset[str] = frozenset({"priors", "weights"})


_ENTRIES: dict[str, dict[str, SolverEntry]] = {}


def register(entry: SolverEntry) -> None:
    """Add a solver, replacing one of the same name and task."""
    _ENTRIES.setdefault(entry.task, {})[entry.name] = entry


def solvers(task: str) -> Mapping[str, SolverEntry]:
    """Return the registered solvers of a task by name, without the representations."""
    return _ENTRIES.get(task, {})


def solver_names(task: str) -> tuple[str, ...]:
    """Return valid values of the field ``solver`` of a task's recipe: registered solvers, then representations."""
    return (*solvers(task), *(name for name in representations() if name not in solvers(task)))


def sections_of(task: str, solver: str) -> tuple[str, ...]:
    """Return the sections of a recipe that apply to a solver or representation."""
    if solver in solvers(task):
        return solvers(task)[solver].sections
    entry = representations().get(solver)
    return () if entry is None else (*entry.sections, "gradient")


def supports(task: str, solver: str, what: str) -> bool:
    """Return whether a solver supports ``"priors"`` or ``"weights"``; Adam on representations does."""
    entry = solvers(task).get(solver)
    return entry is None or what in entry.supports


for _entry in (
    SolverEntry(
        "gauss-newton",
        "Second-order steps on log-amplitude and phase",
        "napari_diner.solvers.lensless.gauss_newton:build",
        ("gauss_newton",),
        task="lensless",
    ),
    SolverEntry(
        "alternating",
        "Averaged projections with Nesterov momentum",
        "napari_diner.solvers.lensless.alternating:build",
        ("alternating",),
        task="lensless",
        supports=frozenset(),
    ),
    SolverEntry(
        "voxels",
        "Voxels with total variation and positivity",
        "napari_diner.solvers.idt.voxels:build",
        ("regularization", "multislice"),
        task="idt",
    ),
    SolverEntry(
        "tikhonov",
        "Least squares in closed form",
        "napari_diner.solvers.idt.least_squares:build",
        ("regularization",),
        task="idt",
        supports=frozenset(),
    ),
):
    register(_entry)
