"""State of a fit between its stages, and what an image of a series starts from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_diner.representations.base import Representation
from napari_diner.representations.unknown import Values
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.tasks.fit.layout import Array


@dataclass(frozen=True)
class Origin:
    """The fit from which the images of a series start."""

    parameters: Mapping[str, Tensor]
    """Parameters of its representation."""
    targets: Tensor
    """Values of its keys, (outputs, n)."""


@dataclass(frozen=True)
class FitState:
    """State of a fit between its stages."""

    problem: ValueProblem
    """The problem of fitting the values."""
    representation: Representation
    """Representation of the values; solvers change its parameters in place."""
    rows: Array
    """Distinct values of the data, (U, outputs), or those of all samples if none are shared."""
    index: Array | None
    """Row of each sample; None if none are shared."""
    counts: npt.NDArray[np.int64] | None
    """Number of samples of each row; None if none are shared."""
    best: Mapping[str, Tensor] = field(default_factory=dict)
    """Better parameters than the current ones of the representation; empty if there are none."""
    origin: Origin | None = None
    """The fit from which this image of a series starts; None if it starts from random parameters."""

    def load_best(self) -> None:
        """Put the best parameters into the representation."""
        if self.best:
            best = {name.removeprefix("field."): value for name, value in self.best.items()}
            self.representation.load_state_dict(best)

    def misfit(self) -> float:
        """Return the misfit of the current parameters."""
        return self.problem.objective(Values(self.representation))

    @contextlib.contextmanager
    def with_best(self) -> Iterator[Representation]:
        """Give the representation with its best parameters; the current ones are restored afterwards."""
        present = {name: value.clone() for name, value in self.representation.state_dict().items()} if self.best else {}
        self.load_best()
        yield self.representation
        if present:
            self.representation.load_state_dict(present)
