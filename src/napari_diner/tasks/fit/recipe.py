"""The recipe of a fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from napari_diner.io.axes import in_order
from napari_diner.representations.registry import representations
from napari_diner.representations.settings import RepresentationSettings, suitable_lattice
from napari_diner.settings import OneOf
from napari_diner.solvers.settings import TrainingSettings
from napari_diner.tasks.recipe import ArrayRecipe

CHANNEL_AXES = "CS"
SAMPLE_AXES = "NTZYX"
LEARNING_RATES = {"diner-siren": 1e-3, "diner-finer": 7e-4, "diner-mlp": 5e-3}
"""Step size of Adam for each backbone over 3000 epochs, if the recipe does not give one; determined by trials."""

_MOVED = ("backbone", "table_width", "table")


def learning_rate_of(name: str, epochs: int) -> float:
    """Return the step size for a representation if the recipe gives none; larger for a DINER with few epochs."""
    entry = representations().get(name)
    rate = LEARNING_RATES.get(name, 1e-3 if entry is None else entry.learning_rate)
    return rate * min(max((3000 / epochs) ** 0.5, 1.0), 1.5) if name.startswith("diner") else rate


def _representations() -> Iterable[str]:
    return representations()


class FitRecipe(RepresentationSettings, ArrayRecipe):
    """Settings of the fit of a representation: Eq. 4b of the paper with P the identity."""

    task: Literal["fit"] = "fit"
    """Name of the task."""
    image: str | None = Field(default=None, title="Image")
    """Image, stack, volume or video (TIFF, PNG, NumPy, MATLAB, HDF5, OME-Zarr); or a folder or glob of frames."""
    channels: Literal["joint", "separate"] = Field(default="joint", title="Channels")
    """One key for all channels (or colours) of a sample, as published, or one key for each."""
    pixel_size_um: float | None = Field(default=None, gt=0, le=1e6, title="Pixel size (µm)")
    """Distance between neighbouring pixels; taken from the file's metadata if left empty."""
    z_step_um: float | None = Field(default=None, gt=0, le=1e6, title="Slice spacing (µm)")
    """Distance between neighbouring slices; taken from the file's metadata if left empty."""

    representation: Annotated[str, OneOf(_representations)] = Field(default="diner", title="Representation")
    """DINER, or one for comparison: SIREN, encoded coordinates (PE+MLP), a hash grid (InstantNGP), pixels."""
    epochs: int = Field(default=3000, ge=1, le=10_000_000, title="Epochs")
    """Number of passes over all samples."""
    learning_rate: float | None = Field(default=None, gt=0, le=10, title="Learning rate")
    """Step size of Adam at the start; empty for one that suits the representation."""
    bit_exact: bool = Field(default=False, title="Bit-exact")
    """Reproduce integers exactly, with a key for each channel of a sample (DINER only); takes seconds."""

    stored_bits: Literal[8, 16, 32] = Field(default=32, title="Stored bits")
    """Bits of each number of DINER's table in the model file; fewer make it smaller and cost quality (reported)."""
    max_error: float | None = Field(default=None, ge=0, le=1e30, title="Largest error")
    """Largest error of any stored value, in units of the data, by corrections in the model file; empty for no limit."""

    training: TrainingSettings = Field(default_factory=TrainingSettings, title="Training")
    """Settings of the training."""

    @model_validator(mode="before")
    @classmethod
    def _of_this_version(cls, values: object) -> object:
        moved = [key for key in _MOVED if isinstance(values, dict) and key in values]
        if moved:
            raise ValueError(
                f"{', '.join(moved)} of version 0.1.0 are now in the section diner, as is what network meant for a "
                "DINER, and table.stored_bits is stored_bits; rename them"
            )
        return values

    @field_validator("axes")
    @classmethod
    def _axes_of_a_fit(cls, axes: str) -> str:
        if axes:
            check_axes(in_order(axes))
        return axes

    @model_validator(mode="after")
    def _exact_is_diner(self) -> FitRecipe:
        if self.bit_exact and self.representation != "diner":
            raise ValueError("bit_exact is a mode of DINER; set representation to diner or bit_exact to false")
        if self.bit_exact and self.stored_bits != 32:
            raise ValueError("bit_exact needs its keys in full; set stored_bits to 32")
        if self.max_error is not None and (self.bit_exact or self.representation == "pixels"):
            mode = "bit_exact" if self.bit_exact else "representation pixels"
            raise ValueError(f"max_error corrects what a network leaves, and {mode} leaves nothing; empty max_error")
        return self

    @property
    def name(self) -> str:
        """The representation with its backbone, if it is known, e.g. ``"diner-siren"``."""
        is_known = self.representation == "diner" and self.diner.backbone != "auto"
        return f"diner-{self.diner.backbone}" if is_known else self.representation

    def with_lattice(self, keys: int, outputs: int) -> FitRecipe:
        """Return the recipe with a lattice size suitable for a number of keys and of outputs, unless it has one."""
        width = self.diner.table_width
        if self.diner.lattice_size is not None or width is None:
            return self
        return self.updated({"diner": {"lattice_size": suitable_lattice(width, keys, outputs)}})


def check_axes(axes: str) -> None:
    """Check that letters can be the axes of data: known, unique, Y and X last, colours (S) behind them.

    Raises
    ------
    ValueError
        If they cannot.
    """
    unknown = set(axes) - set(SAMPLE_AXES + CHANNEL_AXES)
    if unknown:
        raise ValueError(
            f"there is no axis {''.join(sorted(unknown))}; use the letters T, Z, C, Y, X, and S for colours"
        )
    if len(set(axes)) != len(axes) or not axes.removesuffix("S").endswith("YX") or "S" in axes[:-1]:
        raise ValueError("name each axis once, Y and X last and S (colours) behind them, as in ZYX, TCYX, YXS")
    if set(CHANNEL_AXES) <= set(axes):
        raise ValueError("there can be channels (C) or colours (S), not both")
