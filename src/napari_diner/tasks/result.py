"""Progress and result of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.report import Report

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Progress:
    """Where a reconstruction stands.

    Parameters
    ----------
    stage
        What is being done, in a word or two, e.g. ``"gauss-newton"`` or ``"start: alternating"``.
    iteration, iterations
        Steps done in this stage, and the most that it will take.
    losses
        The current value of each quantity worth plotting, e.g. ``{"loss": 1e-4, "measurement_psnr_db": 40.1}``.
    elapsed_s, remaining_s
        Seconds of computing so far (pauses are not counted), and an estimate of those to come, or None.
    preview
        A few images of the current estimate, at most a few times a second; otherwise empty.
    contender
        In a comparison, whose step it was; otherwise empty.
    part, parts
        Number of this stage from 1, and of all stages; in a comparison, those of all contenders count.
    """

    stage: str
    iteration: int
    iterations: int
    losses: Mapping[str, float]
    elapsed_s: float
    remaining_s: float | None
    preview: tuple[NamedArray, ...] = ()
    contender: str = ""
    part: int = 1
    parts: int = 1


@dataclass(frozen=True)
class Result:
    """What a reconstruction found, with all that is needed to trust and to repeat it."""

    task: str
    """The task's name, e.g. ``"lensless"``."""
    arrays: tuple[NamedArray, ...]
    """The images found, e.g. amplitude, phase and residual."""
    recipe: Recipe
    """The recipe with everything resolved."""
    report: Report
    """Metrics, timings, versions, seed, device, checksum of the input: the content of ``report.json``."""
    weights: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    """Parameters of the representation by name, for ``model.safetensors``."""
    header: Mapping[str, str] = field(default_factory=dict)
    """What ``model.safetensors`` says of them besides the recipe."""
    partial: bool = False
    """Whether the run was ended before it was done."""

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
