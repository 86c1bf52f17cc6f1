"""Progress and result of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.report import Report

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Progress:
    """Progress of a reconstruction."""

    stage: str
    """Short name of the stage, e.g. ``"gauss-newton"`` or ``"start: alternating"``."""
    iteration: int
    """Steps done in this stage."""
    iterations: int
    """Maximum number of steps of this stage."""
    losses: Mapping[str, float]
    """The current value of each quantity worth plotting, e.g. ``{"loss": 1e-4, "measurement_psnr_db": 40.1}``."""
    elapsed_s: float
    """Seconds of computing so far, without pauses."""
    remaining_s: float | None
    """Estimated remaining seconds, or None."""
    preview: tuple[NamedArray, ...] = ()
    """A few images of the current estimate, at most a few times a second; otherwise empty."""
    contender: str = ""
    """In a comparison, the contender of the step; otherwise empty."""
    part: int = 1
    """Number of this stage, from 1."""
    parts: int = 1
    """Number of all stages; in a comparison, of all contenders."""
    done: float | None = None
    """Completed fraction of the stage; None if it is that of its steps."""


@dataclass(frozen=True)
class Result:
    """Result of a reconstruction, with everything needed to assess and reproduce it."""

    task: str
    """The task's name, e.g. ``"lensless"``."""
    arrays: tuple[NamedArray, ...]
    """The images, e.g. amplitude, phase and residual."""
    recipe: Recipe
    """The recipe with everything resolved."""
    report: Report
    """Metrics, timings, versions, seed, device, checksum of the input: the content of ``report.json``."""
    weights: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    """Parameters of the representation by name, for ``model.safetensors``."""
    header: Mapping[str, str] = field(default_factory=dict)
    """Further entries of the header of ``model.safetensors``."""
    partial: bool = False
    """Whether the run was stopped early."""
    problem: DinerError | None = None
    """The error that ended the run early, such as a later recording of a series that cannot be used; None if there was
    none. It is the first warning in the report."""
    images: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Images that were given as arrays in place of files, by the keys of the recipe; saved with the result."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays, parameters and images."""
        plain = (*self.weights.values(), *self.images.values())
        return sum(array.data.nbytes for array in self.arrays) + sum(value.nbytes for value in plain)

    def __getitem__(self, name: str) -> NamedArray:
        """Return the array called `name`, with its axes and units."""
        for array in self.arrays:
            if array.name == name:
                return array
        raise KeyError(name)

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        """Return the values of an array by its name, e.g. ``result.phase``."""
        if not name.startswith("_"):
            for array in self.arrays:
                if array.name == name:
                    return array.data
        raise AttributeError(
            f"the result of {self.task!r} has no array {name!r}; it has {', '.join(a.name for a in self.arrays)}"
        )

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the result into a folder, all or nothing; see `napari_diner.tasks.saving.save`."""
        from napari_diner.tasks.saving import save

        save(self, folder, overwrite=overwrite)

    def to_xarray(self) -> xarray.Dataset:
        """Return the arrays as an ``xarray.Dataset`` with coordinates in micrometres (needs xarray).

        Axes of equal letter but different size or spacing, such as those of frames and volume, get the name of their
        array behind the letter.
        """
        from napari_diner.io.labelled import dataset

        return dataset(self.arrays)

    def _repr_html_(self) -> str:
        """Return a table of the arrays and the main figures, for notebooks."""
        rows = "".join(
            f"<tr><td>{a.name}</td><td>{a.axes}</td><td>{' × '.join(map(str, a.data.shape))}</td>"
            f"<td>{' × '.join(f'{size:g}' for size in a.scale_um)} µm</td><td>{a.unit}</td></tr>"
            for a in self.arrays
        )
        return f"<b>napari-diner {self.task}</b><table>{rows}</table>"
