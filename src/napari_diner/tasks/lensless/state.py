"""The state of a lensless reconstruction between its stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from napari_diner.representations.unknown import Unknown
from napari_diner.solvers.lensless.held_out import WeightChoice
from napari_diner.solvers.lensless.noise import NoiseModel
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.lensless.uncertainty import Uncertainty
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.unexplained import Unexplained


@dataclass(frozen=True)
class LenslessState:
    """State of a lensless reconstruction between its stages."""

    setup: Setup
    """Geometry of the frames."""
    prepared: PreparedFrames
    """The frames."""
    problem: PhaseProblem
    """The problem of explaining the frames."""
    field: Tensor
    """The best field so far: complex, (Y, X)."""
    is_flat: bool
    """Whether the field is a constant instead of an estimate."""
    gauss_newton: GaussNewtonSettings
    """Settings of Gauss-Newton from this field on."""
    unknown: Unknown | None = None
    """The representation that has been prepared for the next stage."""
    parameters: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    """Parameters of the representation of the field; empty for plain pixels."""
    parameter_count: int | None = None
    """Number of parameters of the representation."""
    noise: NoiseModel | None = None
    """Estimated noise."""
    choice: WeightChoice | None = None
    """The chosen weight of the priors."""
    registration: Mapping[str, Any] | None = None
    """Part ``registration`` of the report."""
    calibration: Mapping[str, Any] | None = None
    """Part ``calibration`` of the report."""
    light: Tensor | None = None
    """The illumination P, if it was estimated: complex, (Y, X), on the grid of the object."""
    uncertainty: Uncertainty | None = None
    """Uncertainty of the field."""

    start: Unexplained | None = None
    """What the start of a representation leaves unexplained."""

    def unexplained(self) -> Unexplained:
        """Return what the field leaves unexplained."""
        problem = self.problem
        residual = problem.intensity_residual_of(problem.modulus(self.field))
        return Unexplained.of(residual.cpu().numpy(), problem.flat_residual().cpu().numpy())

    def with_field(self, field: Tensor) -> LenslessState:
        """Return the state with another field, of plain pixels."""
        return replace(self, field=field, is_flat=False, parameters={}, parameter_count=None)
