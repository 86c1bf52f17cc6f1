"""Settings of the solvers of diffraction tomography in a recipe. Does not import torch."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from napari_diner.settings import Settings


class MultisliceSettings(Settings):
    """Multiple scattering, slice by slice, for objects with phase delays above about half a radian."""

    iterations: int = Field(default=20, ge=1, le=10_000, title="Iterations")
    """Maximum number of steps of the voxels solver; each predicts all frames, which takes seconds to minutes."""
    descent_iterations: int = Field(default=15, ge=1, le=100_000, title="Iterations of a representation")
    """Maximum number of passes of gradient descent over all frames for a representation."""
    steps_per_slice: int | None = Field(default=None, ge=1, le=64, title="Steps per slice")
    """Number of steps per slice; empty for steps of a third of a wavelength. Computing time is proportional to it."""


class VoxelSettings(Protocol):
    """A recipe with settings of the voxels solver."""

    @property
    def iterations(self) -> int:
        """Maximum number of steps under a linear model."""

    @property
    def multislice(self) -> MultisliceSettings:
        """Settings under the multi-slice model."""
