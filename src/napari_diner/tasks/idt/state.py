"""The state of a reconstruction by diffraction tomography between its stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.padding import fading
from napari_diner.representations.unknown import Scaled
from napari_diner.solvers.idt.brightness import Brightness
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.uncertainty import VolumeUncertainty
from napari_diner.solvers.idt.weight_choice import Choice
from napari_diner.tasks.idt.calibrate import IlluminationCalibration
from napari_diner.tasks.idt.dark_field import DarkFrames
from napari_diner.tasks.idt.optics import ComputedModels, Models
from napari_diner.tasks.idt.rival import Comparison, Rival
from napari_diner.tasks.unexplained import Unexplained


@dataclass(frozen=True)
class IdtState:
    """State of a reconstruction between its stages."""

    models: Models
    """Source of forward models."""
    problem: VolumeProblem
    """The problem of explaining the data."""
    volume: Tensor | None = None
    """The best contrast so far: real, (2, Z, Y, X)."""
    is_multiply_scattering: bool = False
    """Whether it explains the data by multiple scattering, unlike the closed form that comes first."""
    is_strong: bool = False
    """Whether chords do not lead to the volume, so that the exact slope of the multi-slice model is needed."""
    scatters: bool = False
    """Whether another part of the field needed multiple scattering."""
    loosened: float | None = None
    """Share of the data that a tenth of the penalty of the closed form leaves unexplained; None if it leaves little."""
    linearised: Tensor | None = None
    """Data for the linear model from this volume on, (N, Y, X); the recorded ones if None."""
    unknown: Scaled | None = None
    """The representation that has been prepared for the next stage."""
    parameters: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    """Parameters of the representation of the volume; none for plain voxels."""
    rival: Rival | None = None
    """The volume before the representation."""
    choices: Mapping[str, Choice] = dataclasses.field(default_factory=dict)
    """Weights that were chosen, by name."""
    calibration: IlluminationCalibration | None = None
    """The calibration of the illumination."""
    dark: DarkFrames | None = None
    """Dark-field frames to use."""
    brightness: Brightness | None = None
    """Their brightness; None until the problem includes them."""
    uncertainty: VolumeUncertainty | None = None
    """Uncertainty of the volume."""
    warnings: tuple[str, ...] = ()
    """Sentences for the report."""

    @property
    def estimate(self) -> Tensor:
        """The best contrast so far; initially empty."""
        return self.empty if self.volume is None else self.volume

    @property
    def empty(self) -> Tensor:
        """The contrast of an empty volume: real, (2, Z, Y, X)."""
        model = self.problem.model
        return torch.zeros(2, *model.shape, dtype=model.real_dtype, device=model.device)

    @property
    def seen(self) -> Tensor:
        """The best contrast so far within the field of view."""
        return self.problem.seen(self.estimate)

    @property
    def periodic_data(self) -> Tensor:
        """Data for solvers that assume a periodic field, (N, Y, X): faded out towards edges that do not match."""
        data = self.problem.data
        return data if self.problem.padding is None else data * fading(data.shape[1], data.shape[2]).to(data)

    @property
    def explained(self) -> VolumeProblem:
        """The problem with the model that the volume was computed with."""
        model = self.problem.model if self.is_multiply_scattering else self.problem.linear
        return replace(self.problem, model=model)

    def before(self, source: str) -> Rival:
        """Return the volume so far, to compare that of a representation with."""
        return Rival(self.estimate, self.is_multiply_scattering, source)

    def comparison(
        self, solver: str, frames: Sequence[int] | None = None, own: Tensor | None = None
    ) -> Comparison | None:
        """Compare a representation with the volume before it; None without one.

        Parameters
        ----------
        solver
            Name of the representation.
        frames
            Frames to compare by; all if None.
        own
            Residual of the volume in these frames, (N, Y, X), if it is known already.
        """
        rival = self.rival
        if rival is None:
            return None
        data = self.problem.data if frames is None else self.problem.data[list(frames)]

        def unexplained(residual: Tensor) -> Unexplained:
            return Unexplained.of(residual.cpu().numpy(), data.cpu().numpy())

        before = replace(self, volume=rival.volume, is_multiply_scattering=rival.is_multiply_scattering)
        own = self.residual(frames) if own is None else own
        return Comparison(solver, unexplained(own), unexplained(before.residual(frames)), rival.source)

    @torch.no_grad()
    def residual(self, frames: Sequence[int] | None = None) -> Tensor:
        """Return what the volume leaves unexplained of some frames, or of all: (N, Y, X)."""
        return self.explained.residual(self.estimate, frames)

    @property
    def start(self) -> Tensor:
        """Start of a solver for voxels: empty if a volume from single scattering would be misleading."""
        is_linear = isinstance(self.problem.model, LinearModel)
        return self.estimate if is_linear or self.is_multiply_scattering else self.empty

    def calibrated(self, calibration: IlluminationCalibration | None) -> IdtState:
        """Return the state with a new calibration, which changes models and data."""
        if calibration is None:
            return self
        models = calibration.models.of_size(*self.problem.model.shape[1:])
        data = calibration.without_gains(self.problem.data)
        problem = replace(self.problem, model=models.linear(), data=data)
        return replace(self, models=models, problem=problem, calibration=calibration)

    def with_dark_field(self, brightness: Brightness | None) -> IdtState:
        """Return the state with a problem that includes the dark-field frames, of the given brightness."""
        dark, models = self.present_dark, self.models
        if brightness is None or dark is None or not isinstance(models, ComputedModels):
            return self
        return replace(
            self,
            problem=dark.added_to(self.problem, models.of_size(*self.problem.model.shape[1:]), brightness),
            brightness=brightness,
            is_multiply_scattering=True,
            warnings=(*self.warnings, *dark.doubts(brightness)),
        )

    @property
    def present_dark(self) -> DarkFrames | None:
        """The dark-field frames, with directions that follow the calibrated ones of bright field."""
        calibration = self.calibration
        if self.dark is None or calibration is None:
            return self.dark
        given, present = calibration.given.apertures, calibration.models.illumination.apertures
        return self.dark.moved(given, present, calibration.models.geometry.na)

    def following(self, previous: IdtState) -> IdtState:
        """Return the state of another recording, with illumination, model, weights and volume of the previous one."""
        state = self.calibrated(previous.calibration).with_priors(previous.problem.priors)
        problem = state.problem
        if isinstance(previous.problem.model, SSNPModel) and isinstance(state.models, ComputedModels):
            problem = replace(problem, model=state.models.multislice(), slope=problem.linear)
        return replace(
            state,
            problem=problem,
            volume=previous.volume,
            is_multiply_scattering=previous.is_multiply_scattering,
            unknown=previous.unknown,
            is_strong=previous.is_strong,
            choices=previous.choices,
            warnings=previous.warnings,
        )

    def beside(self, previous: IdtState) -> IdtState:
        """Return the state of another part of the field, with illumination, kind of model and weights."""
        priors = previous.problem.priors
        if "tikhonov" in previous.choices:  # solvers for voxels have none
            priors = replace(priors, tikhonov=previous.choices["tikhonov"].value)
        return replace(
            self.calibrated(previous.calibration).with_priors(priors),
            scatters=isinstance(previous.problem.model, SSNPModel),
            is_strong=previous.is_strong,
            choices=previous.choices,
            warnings=previous.warnings,
        )

    def with_priors(self, priors: VolumePriors) -> IdtState:
        """Return the state with other priors."""
        return replace(self, problem=self.problem.with_priors(priors))
