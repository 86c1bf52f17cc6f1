"""Settings of solvers in a recipe. Does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class GaussNewtonSettings(Settings):
    """Second-order steps on log-amplitude and phase: the most precise solver if the model is correct."""

    warm_up: int = Field(default=50, ge=0, le=10_000, title="Warm-up")
    """Rounds of alternating projections before the first step; they unwrap phases beyond about two radians."""
    iterations: int = Field(default=30, ge=1, le=10_000, title="Iterations")
    """Maximum number of outer steps; fewer if the fit stops improving."""
    cg_steps: int = Field(default=120, ge=1, le=1000, title="Inner steps")
    """Maximum number of conjugate-gradient steps to solve each linearised problem; more recover slow phase better."""
    coarse_grid: bool = Field(default=True, title="Coarse grid")
    """Also solve for slowly varying phase on a coarse grid: several times faster convergence."""
    damping: float = Field(default=1e-4, gt=0, le=1e3, title="First damping")
    """Levenberg-Marquardt damping of the first step; it is lowered on success and raised on failure."""
    tolerance: float | None = Field(default=None, ge=0, lt=1, title="Tolerance")
    """Stop when a step lowers the loss by less than this fraction; if empty, 1e-6, or 1e-3 with an unknown surround."""


class AlternatingSettings(Settings):
    """Averaged projections between the sensor planes, with Nesterov momentum: light on memory, robust, first order."""

    iterations: int = Field(default=500, ge=1, le=100_000, title="Iterations")
    """Maximum number of rounds over all heights."""
    momentum: bool = Field(default=True, title="Nesterov momentum")
    """Extrapolate each round from the last two; several times faster on most data."""
    tolerance: float = Field(default=1e-6, ge=0, lt=1, title="Tolerance")
    """Stop when the loss has improved by less than this fraction over twenty rounds; 0 for never."""


class AdamSettings(Settings):
    """Adam on the parameters of a representation."""

    iterations: int = Field(default=1500, ge=1, le=10_000_000, title="Iterations")
    """Maximum number of passes over all data; the learning rate is annealed over them, or over the time limit."""
    learning_rate: float = Field(default=1e-3, gt=0, le=10, title="Learning rate")
    """Step size of Adam at the start."""
    schedule: Literal["cosine", "constant"] = Field(default="cosine", title="Schedule")
    """Decay of the learning rate: along a cosine to a hundredth, or none."""
    patience: int | None = Field(default=300, ge=1, le=1_000_000, title="Patience")
    """Stop early when the loss has not improved for this many iterations; empty for never."""


class TrainingSettings(Settings):
    """Settings of the fit of a representation to values."""

    schedule: Literal["cosine", "constant"] = Field(default="cosine", title="Schedule")
    """Decay of the learning rate: along a cosine to a hundredth, or none."""
    unique: bool = Field(default=True, title="Unique values")
    """Equal values share a key, weighted by their count: less work, and the same result (Proposition 2)."""
    searches: int = Field(default=20, ge=0, le=1000, title="Key searches")
    """Number of global searches, which move every key to the lattice point with the nearest value."""
    key_steps: int = Field(default=6, ge=0, le=1000, title="Last key steps")
    """Final second-order steps of each key, for a fixed network."""
    batch_size: int = Field(default=8192, ge=256, le=2**26, title="Batch size")
    """Samples per step for networks of coordinates; one epoch is one pass over all samples."""
