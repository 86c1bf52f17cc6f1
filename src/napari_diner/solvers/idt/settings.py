"""Settings of the solvers of diffraction tomography in a recipe. Does not import torch."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field

from napari_diner.settings import Settings


class MultisliceSettings(Settings):
    """Multiple scattering, slice by slice, for objects with phase delays above about half a radian."""

    method: Literal["auto", "chords", "gauss-newton"] = Field(default="auto", title="Method")
    """Steps of the voxels solver with the slope of single scattering (chords), or with the exact one (gauss-newton);
    auto: chords, unless a few of them leave much unexplained, as for phase delays of several radians."""
    iterations: int = Field(default=20, ge=1, le=10_000, title="Iterations")
    """Maximum number of chords; each predicts all frames, which takes seconds to minutes."""
    newton_iterations: int = Field(default=60, ge=1, le=10_000, title="Gauss-Newton iterations")
    """Maximum number of steps with the exact slope; each takes as long as about ten chords."""
    descent_iterations: int = Field(default=15, ge=1, le=100_000, title="Iterations of a representation")
    """Maximum number of passes of gradient descent over all frames for a representation."""
    dark_field_iterations: int = Field(default=12, ge=1, le=10_000, title="Dark-field iterations")
    """Maximum number of steps of the voxels solver with dark-field frames; each takes as long as about ten chords."""
    steps_per_slice: int | None = Field(default=None, ge=1, le=64, title="Steps per slice")
    """Number of steps per slice; empty for steps of a third of a wavelength. Computing time is proportional to it."""


class VolumeUncertaintySettings(Settings):
    """Uncertainty of the refractive index: volumes of its standard deviations."""

    map: bool = Field(default=False, title="Uncertainty map")
    """Estimate the standard deviation of n at each voxel by noise, and its change with the weights of the priors."""
    samples: int = Field(default=8, ge=2, le=1000, title="Samples")
    """Reconstructions with other noise, each of which takes about as long as the first; more make the map smoother."""
    noise: float | None = Field(default=None, gt=0, title="Noise of the frames")
    """Standard deviation of I / I_background, if known; empty to estimate it where no object contributes."""


class VoxelSettings(Protocol):
    """A recipe with settings of the voxels solver."""

    @property
    def iterations(self) -> int:
        """Maximum number of steps under a linear model."""

    @property
    def multislice(self) -> MultisliceSettings:
        """Settings under the multi-slice model."""
