"""The settings of the solvers of diffraction tomography, as they stand in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.representations.settings import Backbone, DinerSettings
from napari_diner.settings import Settings
from napari_diner.solvers.settings import GradientSettings

LATTICE_SIZES = {2: 64, 3: 24}
"""Lattice points along each dimension of the keys for each table width, if the recipe does not tell."""


class VolumeDinerSettings(Settings):
    """A table of learnable keys, one a voxel, and a small network that turns a key into Δε_re and Δε_im."""

    backbone: Backbone = Field(default="siren", title="Backbone")
    """The network behind the table: sine activations (SIREN), ReLU (MLP), or sines of variable period (FINER)."""
    table_width: Literal[2, 3] = Field(default=3, title="Table width")
    """Numbers in each key; the paper uses three."""
    hidden_layers: int = Field(default=2, ge=1, le=16, title="Hidden layers")
    """Hidden layers of the network; the paper uses two."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; the paper uses 64."""
    omega: float = Field(default=30.0, gt=0, le=1000, title="SIREN frequency")
    """Frequency factor of the sine activations (SIREN and FINER only)."""
    evaluation: Literal["lattice", "exact"] = Field(default="lattice", title="Evaluation")
    """Evaluate the network on a lattice and interpolate (many times faster), or at every key at every step."""
    lattice_size: int | None = Field(default=None, ge=8, le=512, title="Lattice size")
    """Lattice points along each dimension of the key space; empty for what suits the table width."""

    def complete(self) -> DinerSettings:
        """Return the settings of the representation."""
        return DinerSettings(
            backbone=self.backbone,
            table_width=self.table_width,
            tables="shared",
            hidden_layers=self.hidden_layers,
            hidden_features=self.hidden_features,
            omega=self.omega,
            evaluation=self.evaluation,
            lattice_size=self.lattice_size or LATTICE_SIZES[self.table_width],
        )


class RadialSettings(Settings):
    """The representation of DeCAF: a network of the coordinates in radial and positional encoding."""

    hidden_layers: int = Field(default=4, ge=1, le=32, title="Hidden layers")
    """Hidden layers of the network; DeCAF has ten, which is a matter of hours on a processor."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; DeCAF has 208."""
    directions: int = Field(default=4, ge=1, le=64, title="Directions")
    """Directions in the plane along which waves are fed, evenly over half a turn."""
    lateral_frequencies: int = Field(default=6, ge=1, le=24, title="Lateral frequencies")
    """Octaves of waves along each direction."""
    axial_frequencies: int = Field(default=5, ge=0, le=24, title="Axial frequencies")
    """Octaves of waves along z."""


class DescentSettings(Settings):
    """Adam on the parameters of a representation, with all priors acting on the volume that it represents."""

    iterations: int = Field(default=100, ge=1, le=1_000_000, title="Iterations")
    """At most this many steps; the learning rate is annealed over them (or over the time limit, if that is shorter)."""
    learning_rate: float | None = Field(default=None, gt=0, le=10, title="Learning rate")
    """Step size of Adam at the start; empty for one that suits the representation."""
    schedule: Literal["cosine", "constant"] = Field(default="cosine", title="Schedule")
    """How the learning rate falls: along a cosine to a hundredth, or not at all."""
    patience: int = Field(default=50, ge=1, le=1_000_000, title="Patience")
    """Stop early when the loss has not improved for this many steps."""

    def complete(self, learning_rate: float) -> GradientSettings:
        """Return the settings of the solver; `learning_rate` is used if there is none here."""
        return GradientSettings(
            iterations=self.iterations,
            learning_rate=self.learning_rate or learning_rate,
            schedule=self.schedule,
            patience=self.patience,
        )


class MultisliceSettings(Settings):
    """Multiple scattering, slice by slice, for objects that delay light by more than about half a radian."""

    iterations: int = Field(default=20, ge=1, le=10_000, title="Iterations")
    """At most this many steps of the voxels solver, each with one prediction of the model, of seconds to minutes."""
    descent_iterations: int = Field(default=15, ge=1, le=100_000, title="Iterations of a network")
    """At most this many rounds of gradient descent for diner, started from the voxels."""
    steps_per_slice: int | None = Field(default=None, ge=1, le=64, title="Steps per slice")
    """Into how many steps a slice is cut; empty for as many as make them a third of a wavelength. Time goes with it."""
