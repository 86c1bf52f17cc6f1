"""A lensless reconstruction of a field in one piece."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_diner import device as devices
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.lensless.tiles import TiledMultiHeight
from napari_diner.representations.complex_field import ComplexField
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.gradient_descent import GradientDescent
from napari_diner.solvers.lensless.held_out import HeldOutFrame
from napari_diner.solvers.lensless.noise import NoiseModel, fine_noise
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.lensless.uncertainty import UncertaintyEstimate
from napari_diner.solvers.lensless.weighting import weigh
from napari_diner.solvers.step import Step
from napari_diner.tasks.lensless.calibrate import Calibration, check_calibration
from napari_diner.tasks.lensless.data import LenslessData, checked_illumination, memory_needed, prepare, resolved
from napari_diner.tasks.lensless.geometry import at_the_sample, geometry_report, object_shape, onto_object
from napari_diner.tasks.lensless.model import build_problem
from napari_diner.tasks.lensless.phase_output import phase_images
from napari_diner.tasks.lensless.prior import add_priors, checked_support, middle_frame, prior_report
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.register import FrameRegistration, check_registration
from napari_diner.tasks.lensless.solve import Solver, Stage
from napari_diner.tasks.lensless.truth import Truth, band_errors, check_truth, score
from napari_diner.tasks.lensless.uncertainty import uncertainty_images, uncertainty_report
from napari_diner.tasks.lensless.unknown import build_unknown
from napari_diner.tasks.report import provenance, psnr_db
from napari_diner.tasks.run import Progress, Reconstruction, Result, remaining_s

_PREVIEW_PIXELS = 512
_SOLVERS = ("gauss-newton", "diner", "alternating", "pixels")
# the part of a time limit that a solver may spend on making a start for another one
_START_SHARE = 0.5
# how far Gauss-Newton goes only to see the noise, and its first damping afterwards
_LOOK = {"iterations": 4, "tolerance": 0.05}
_DAMPING_LOOKED = 1e-3
# first damping and tolerance of Gauss-Newton from an object found with the geometry: only slow modes are left
_DAMPING_CALIBRATED, _TOLERANCE_CALIBRATED = 1e-4, 1.5e-6


class LenslessReconstruction(Reconstruction):
    """A lensless reconstruction in progress; made by `reconstruct`."""

    def __init__(
        self,
        recipe: LenslessRecipe,
        data: LenslessData,
        truth: Truth | None = None,
        preview_interval_s: float | None = None,
    ) -> None:
        super().__init__()
        frames = data.frames
        self.recipe = resolved(recipe, data)
        check_registration(self.recipe, len(frames))
        check_calibration(self.recipe, len(frames))
        self.model_recipe = at_the_sample(self.recipe)
        """What the prepared frames would be described by: pixels, distances and shifts as seen by the model."""
        if truth is not None:
            check_truth(truth, object_shape(recipe, frames.shape[1:]))
        self.truth = truth
        self.preview_interval_s = preview_interval_s
        self.device = devices.choose_device(recipe.device)
        devices.check_memory(
            memory_needed(self.recipe, len(frames), frames.shape[1:], 0, None),
            f"A stack of {len(frames)} frames of {frames.shape[1]}×{frames.shape[2]} pixels",
            self.device,
        )
        self._prepared = prepare(self.recipe, data)
        illumination = checked_illumination(data.illumination, frames.shape)
        self._illumination = None if illumination is None else onto_object(recipe, illumination)
        self._support = checked_support(recipe, data)
        self._choice: HeldOutFrame | None = None
        self._noise: NoiseModel | None = None
        self._checksum = checksum(frames)
        self._registered: dict[str, Any] | None = None
        self._calibration: Calibration | None = None
        self._calibrated: dict[str, Any] | None = None
        self._problem: PhaseProblem | None = None
        self._solver: Solver | None = None
        self._unknown: ComplexField | None = None
        self._field: Tensor | None = None
        self._uncertainty: UncertaintyEstimate | None = None
        self._stages: list[Stage] = []
        self._last_preview = 0.0
        self._timed_out = False
        self._result: Result | None = None

    def _run(self) -> Generator[Progress, None, None]:
        if self.recipe.registration != "off":
            yield from self._register()
        if self.recipe.calibration.wanted:
            yield from self._calibrate()
        recipe = self.model_recipe
        problem = self._problem = build_problem(recipe, self._prepared, self._illumination, self.device)
        flat = recipe.start == "flat"
        if flat:
            self._field = problem.flat_field()
        elif self._field is None:
            self._field = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())
        yield from self._know_beforehand(problem)
        known: dict[str, Any] = {}
        limit = None if recipe.max_seconds is None else _START_SHARE * recipe.max_seconds
        given = recipe.start in _SOLVERS and recipe.start != "gauss-newton"
        if given:
            yield from self._stage(f"start: {recipe.start}", recipe.start, limit)
        for look in range(recipe.noise.looks):
            if look or not given:
                yield from self._stage("a look at the noise", "gauss-newton", limit, changes=_LOOK | known)
            flat = False
            self._noise = weigh(problem, self._field, robust=recipe.noise.weighting == "robust")
            # projections know no weights, and would undo what is known; and no careful first step is needed
            known = {"warm_up": 0, "damping": min(recipe.gauss_newton.damping, _DAMPING_LOOKED)}
        if recipe.start == "gauss-newton":
            yield from self._stage("start: gauss-newton", "gauss-newton", limit, changes=known)
        yield from self._stage(recipe.solver, recipe.solver, recipe.max_seconds, flat=flat, changes=known)
        self._stages[-1].name = recipe.solver
        if recipe.uncertainty.map:
            yield from self._assess()

    def _register(self) -> Generator[Progress, None, None]:
        """Bring the frames to one another, and go on with them."""
        # what there is to show if this is interrupted
        self._problem = build_problem(self.model_recipe, self._prepared, self._illumination, self.device)
        self._field = contrast_transfer_inverse(self._problem.model, self._problem.filled_amplitudes())
        limit = None if self.recipe.max_seconds is None else _START_SHARE * self.recipe.max_seconds
        began, stage = self.clock.seconds, Stage("registration")
        self._stages.append(stage)
        registration = FrameRegistration(self.recipe, self.model_recipe, self._prepared, self.device)
        for step in registration.steps():
            stage.iterations, stage.loss = step.iteration, step.loss
            stage.seconds = self.clock.seconds - began
            yield self._progress(stage.name, step, stage.seconds, limit)
            if limit is not None and self.clock.seconds >= limit and registration.all_looked_at:
                self._timed_out = True
                break
        registration.finish()
        self._registered = registration.report()
        self.model_recipe, self._prepared = registration.model_recipe, registration.prepared
        self._problem = self._field = None

    def _calibrate(self) -> Generator[Progress, None, None]:
        """Find the geometry, and go on with it, and with the object that was found with it if it is good."""
        limit = None if self.recipe.max_seconds is None else _START_SHARE * self.recipe.max_seconds
        calibration = self._calibration = Calibration(
            self.recipe, self.model_recipe, self._prepared, self._illumination, self.device
        )
        yield from self._follow("calibration", calibration, limit)
        calibration.finish()
        self._adopt_calibration()
        self._solver = None

    def _know_beforehand(self, problem: PhaseProblem) -> Generator[Progress, None, None]:
        """Add what the recipe knows of the object, once its weight is chosen."""
        assert self._field is not None
        recipe = self.model_recipe
        add_priors(recipe, problem, self._support)
        if problem.priors is None:
            return
        if recipe.prior.total_variation == "held_out":
            limit = None if recipe.max_seconds is None else _START_SHARE * recipe.max_seconds
            self._choice = HeldOutFrame(problem, self._field, recipe.gauss_newton, middle_frame(recipe))
            yield from self._follow("weight of the prior", self._choice, limit)
            self._choice.finish()
            self._solver = None
        problem.evaluate(self._field)
        # the start may explain little; its misfit is not all noise then
        problem.priors.adapt(min(problem.misfit, fine_noise(problem.filled_amplitudes()).shot))

    def _adopt_calibration(self) -> None:
        """Describe model and frames by what the calibration has found so far."""
        calibration = self._calibration
        assert calibration is not None
        self._calibrated = calibration.report()
        recipe = calibration.model_recipe
        if calibration.to_go_on_from:
            self._field = calibration.field()
            # what the warm-up is for, to untangle the phase, has been done, and no careful first step is needed
            settings = recipe.gauss_newton
            quick = {
                "warm_up": 0,
                "damping": min(settings.damping, _DAMPING_CALIBRATED),
                "tolerance": min(settings.tolerance, _TOLERANCE_CALIBRATED),
            }
            recipe = recipe.updated({"gauss_newton": quick})
        self.model_recipe, self._prepared = recipe, calibration.prepared

    def _stage(
        self, label: str, name: str, limit_s: float | None, *, flat: bool = False, changes: dict[str, Any] | None = None
    ) -> Generator[Progress, None, None]:
        """Run one solver from the present field until it is done or the time is up.

        With `changes`, Gauss-Newton differs in these from its settings.
        """
        began = self.clock.seconds
        solver = self._make_solver(name, limit_s, flat=flat, changes=changes)
        yield from self._follow(label, solver, limit_s)
        self._field = solver.finish() if isinstance(solver, GradientDescent) else solver.field()
        self._stages[-1].seconds = self.clock.seconds - began

    def _follow(self, label: str, solver: Solver, limit_s: float | None) -> Generator[Progress, None, None]:
        """Take the steps of a solver until it is done or the time is up."""
        began = self.clock.seconds
        stage = Stage(label)
        self._stages.append(stage)
        self._solver = solver
        for step in solver.steps():
            stage.iterations, stage.loss = step.iteration, step.loss
            stage.seconds = self.clock.seconds - began
            yield self._progress(label, step, stage.seconds, limit_s)
            if limit_s is not None and self.clock.seconds >= limit_s:
                self._timed_out = True
                break
        stage.seconds = self.clock.seconds - began

    def _assess(self) -> Generator[Progress, None, None]:
        """Estimate how uncertain the field found is; a time limit that is up leaves it one sample."""
        assert self._problem is not None and self._field is not None and self.model_recipe.pixel_size_um is not None
        began, recipe = self.clock.seconds, self.model_recipe
        self._solver = None
        estimate = UncertaintyEstimate(
            self._problem, self._field, recipe.uncertainty, self.model_recipe.pixel_size_um, recipe.seed
        )
        for step in estimate.steps():
            self._uncertainty = estimate
            yield self._progress("uncertainty", step, self.clock.seconds - began, None)
            if recipe.max_seconds is not None and self.clock.seconds >= recipe.max_seconds:
                return

    def _make_solver(
        self, name: str, limit_s: float | None, *, flat: bool, changes: dict[str, Any] | None = None
    ) -> Solver:
        assert self._problem is not None and self._field is not None
        recipe, problem, field = self.model_recipe, self._problem, self._field
        self._unknown = None
        if name == "gauss-newton":
            return GaussNewton(problem, field, recipe.gauss_newton.model_copy(update=changes or {}))
        if name == "alternating":
            return AlternatingProjections(problem, field, recipe.alternating)
        self._unknown = build_unknown(recipe.updated({"solver": name}), field, flat=flat)
        descent = recipe.gradient
        if not flat:
            descent = descent.model_copy(update={"learning_rate": descent.learning_rate * descent.warm_factor})
        left = None if limit_s is None else max(limit_s - self.clock.seconds, 0.0)
        return GradientDescent(problem, self._unknown, descent, left, lambda: self.clock.seconds)

    def _progress(self, label: str, step: Step, spent_s: float, limit_s: float | None) -> Progress:
        remaining = remaining_s(step.done, spent_s, None if limit_s is None else limit_s - self.clock.seconds)
        preview: tuple[NamedArray, ...] = ()
        now = time.monotonic()
        if self.preview_interval_s is not None and now - self._last_preview >= self.preview_interval_s:
            preview = self._preview()
            self._last_preview = time.monotonic()
        losses = {"loss": step.loss}
        return Progress(label, step.iteration, step.iterations, losses, self.clock.seconds, remaining, preview)

    def _best_field(self) -> Tensor:
        field = self._solver.field() if self._solver is not None and not self.finished else self._field
        if isinstance(self._solver, Calibration) and not self._solver.covers_all:
            assert self._problem is not None
            return contrast_transfer_inverse(self._problem.model, self._problem.filled_amplitudes())
        assert field is not None
        return field

    def _images(self, field: Tensor, stride: int = 1) -> tuple[NamedArray, NamedArray]:
        """Return amplitude and phase of a field; the phase has its unobservable mean taken off."""
        seen = field[::stride, ::stride].to(torch.complex64)
        seen = seen * torch.exp(-1j * seen.sum().angle())
        assert self.model_recipe.pixel_size_um is not None
        scale = (self.model_recipe.pixel_size_um * stride,) * 2
        return (
            NamedArray("amplitude", seen.abs().cpu().numpy(), "YX", scale),
            NamedArray("phase", seen.angle().cpu().numpy(), "YX", scale, "rad"),
        )

    def _preview(self) -> tuple[NamedArray, ...]:
        field = self._solver.preview() if isinstance(self._solver, GradientDescent) else self._best_field()
        return self._images(field, stride=-(-max(field.shape) // _PREVIEW_PIXELS))

    def _snapshot(self) -> Result:
        if self._result is not None:
            return self._result
        if isinstance(self._solver, Calibration):
            self._adopt_calibration()
            self._problem = build_problem(self.model_recipe, self._prepared, self._illumination, self.device)
        assert self._problem is not None
        field = self._best_field()
        amplitude, phase = self._images(field)
        residual = self._residual(field)
        weights = {"amplitude": amplitude.data, "phase": phase.data}
        if self._unknown is not None:
            weights = {name: value.cpu().numpy() for name, value in self._unknown.state_dict().items()}
        report = self._report(field, amplitude, phase)
        doubts: tuple[NamedArray, ...] = ()
        if self._uncertainty is not None:
            found = self._uncertainty.result()
            doubts = uncertainty_images(found, amplitude.scale_um[0], bands=self.recipe.uncertainty.bands)
            report["uncertainty"] = uncertainty_report(found, self.model_recipe, self._prepared.gains)
        result = Result(
            task="lensless",
            arrays=(*doubts, amplitude, phase, residual, *self._phase_images(phase)),
            recipe=self.recipe,
            report=report,
            weights=weights,
            partial=not self.finished,
        )
        if self.finished:
            self._result = result
        return result

    def _phase_images(self, phase: NamedArray) -> tuple[NamedArray, ...]:
        assert self.recipe.wavelength_um is not None
        return phase_images(phase, self.recipe.phase_output, self.recipe.wavelength_um)

    def _residual(self, field: Tensor) -> NamedArray:
        """Return model minus recorded intensities, zero where the mask says so."""
        problem = self._problem
        assert problem is not None and self.model_recipe.pixel_size_um is not None
        sensor = problem.model.sensor
        residual = np.empty(problem.amplitudes.shape, np.float32)
        for frame, at, U in problem.model.seen(field):
            error = sensor.modulus(U).square() - problem.amplitudes[frame][at].square()
            if problem.mask is not None:
                error = error.where(problem.mask[frame][at], 0)
            residual[frame][at] = error.cpu().numpy()
        pixel_um = sensor.binning * self.model_recipe.pixel_size_um
        return NamedArray("residual", residual, "NYX", (1.0, pixel_um, pixel_um))

    def _report(self, field: Tensor, amplitude: NamedArray, phase: NamedArray) -> dict[str, Any]:
        assert self._problem is not None
        mean_square = self._problem.intensity_error(field)
        stage = self._stages[-1]
        report: dict[str, Any] = {
            "task": "lensless",
            "solver": self.recipe.solver,
            "start": self.recipe.start,
            "partial": not self.finished,
            "stopped_by_time_limit": self._timed_out,
            "iterations": stage.iterations,
            "seconds": self.clock.seconds,
            "stages": [vars(stage) for stage in self._stages],
            "measurement_psnr_db": psnr_db(np.array(mean_square**0.5), self._prepared.peak),
            "measurement_peak": self._prepared.peak,
            "loss": stage.loss,
            "parameters": 2 * field.numel() if self._unknown is None else self._unknown.parameter_count(),
            "gains": list(self._prepared.gains),
            **geometry_report(self.recipe, self.model_recipe),
            **provenance(self.device, self.recipe.seed),
            "input_sha256": self._checksum,
            "warnings": list(self._prepared.warnings),
        }
        model = self._problem.model
        if isinstance(model, TiledMultiHeight):
            report["tiles"] = {"rows": model.edges[0], "columns": model.edges[1], "window_px": list(model.window)}
        if self._registered is not None:
            registration = dict(self._registered)
            report["warnings"] += registration.pop("warnings")
            report["registration"] = registration
        if self._calibrated is not None:
            calibration = dict(self._calibrated)
            report["warnings"] += calibration.pop("warnings")
            report["calibration"] = calibration
        if self._noise is not None:
            # of the intensities: variance = shot * intensity + read_sigma²; the object has taken its part of it
            freedom = max(1 - 2 * field.numel() / self._problem.valid, 0.25)
            noise = self._noise.scaled(1 / freedom)
            report["noise"] = {"shot": 4 * noise.shot, "read_sigma": noise.read_sigma}
        if self._problem.priors is not None:
            report["prior"] = prior_report(self._problem.priors, self._choice)
        if self.truth is not None:
            report["truth"] = score(amplitude.data, phase.data, self.truth)
            report["truth_bands"] = band_errors(phase.data, self.truth, phase.scale_um[0])
        return report

    def _release(self) -> None:
        self._problem = self._solver = self._unknown = self._field = self._calibration = self._uncertainty = None
        devices.free_memory(self.device)
