"""The solvers of a lensless recipe by their names, and what is told of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from napari_diner.solvers.step import Step


class Solver(Protocol):
    """A way to find the field: iterate its steps, ask for the best field at any time."""

    def steps(self) -> Iterator[Step]:
        """Iterate."""

    def field(self) -> Tensor:
        """Return the best field so far: complex, (Y, X)."""


@dataclass
class Stage:
    """What one solver did, for the report."""

    name: str
    seconds: float = 0.0
    iterations: int = 0
    loss: float = float("nan")
