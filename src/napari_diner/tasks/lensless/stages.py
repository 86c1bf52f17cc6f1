"""The stages of a lensless reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.representations.registry import representation, representations
from napari_diner.representations.unknown import Unknown
from napari_diner.solvers.adam import AdamDescent, Represented
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.held_out import HeldOutFrame, WeightChoice
from napari_diner.solvers.lensless.joint_illumination import Lit
from napari_diner.solvers.lensless.uncertainty import UncertaintyEstimate
from napari_diner.solvers.lensless.weighting import weigh
from napari_diner.solvers.registry import solvers
from napari_diner.solvers.settings import AdamSettings, GaussNewtonSettings
from napari_diner.solvers.solver import Budget, Immediate, Solver
from napari_diner.solvers.starting_values import StartingValues
from napari_diner.tasks.job import FOLLOWING_RATE, UNCERTAINTY, Stage, fewer
from napari_diner.tasks.lensless.calibrate import CalibratedRecording, Calibration
from napari_diner.tasks.lensless.coarse import coarse_stage
from napari_diner.tasks.lensless.deform import FrameDeformation
from napari_diner.tasks.lensless.follow import determined
from napari_diner.tasks.lensless.illumination import solver_of_illumination
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.prior import Support, middle_frame, priors_of, smoothed, weighed
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.register import FrameRegistration, RegisteredRecording
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.state import LenslessState
from napari_diner.tasks.lensless.unknown import build_unknown, make_flat

# part of a time limit at which everything before the last solver must end
_START_SHARE = 0.5
# and at which a representation must have its starting values
_VALUES_SHARE = 0.7
# Gauss-Newton steps to estimate the noise, with fewer inner steps so that a time limit finds a result, and the initial
# damping afterwards
_LOOK, _LOOK_INNER = {"iterations": 8, "tolerance": 0.05}, 60
_DAMPING_LOOKED = 1e-7
# initial damping and tolerance of Gauss-Newton from the object of a calibration, where only slow modes remain
_DAMPING_CALIBRATED, _TOLERANCE_CALIBRATED = 1e-4, 1.5e-6

# initial damping of Gauss-Newton from the object of the previous recording, whose phase is unwrapped, and default
# tolerance: further steps fit the noise, see benchmarks/series.py
_DAMPING_FOLLOWING, _TOLERANCE_FOLLOWING = 1e-6, 1e-3


class LenslessStages:
    """Builds the stages of a recipe.

    Parameters
    ----------
    recipe
        The resolved recipe.
    builder
        Builds forward models.
    support
        Where there may be a specimen, on the grid of the object, (Y, X), or None.
    follows
        Whether the start is the result of the previous recording.
    """

    def __init__(
        self, recipe: LenslessRecipe, builder: ModelBuilder, support: Support | None, *, follows: bool = False
    ) -> None:
        self.recipe = recipe
        self.follows = follows
        self.builder = builder
        self.support = support

    def begin(self, setup: Setup, prepared: PreparedFrames, light: Tensor | None = None) -> LenslessState:
        """Return the state with the problem of explaining prepared frames, and the start of the recipe.

        Parameters
        ----------
        setup, prepared
            The prepared frames.
        light
            An illumination that was estimated, complex, (Y, X).
        """
        builder = self.builder
        if light is not None:
            builder = replace(builder, illumination=light.cpu().numpy())
        problem = builder.problem(setup, prepared)
        is_flat = self.recipe.start == "flat"
        if is_flat:
            field = problem.flat_field()
        else:
            field = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())
        problem = weighed(problem.with_priors(priors_of(self.recipe, problem, self.support)), field)
        return LenslessState(setup, prepared, problem, field, is_flat, self.recipe.gauss_newton, light=light)

    def __iter__(self) -> Iterator[Stage[LenslessState]]:
        """Give the stages in order."""
        recipe = self.recipe
        if recipe.registration != "off":
            yield Stage(
                "registration",
                lambda state, budget: FrameRegistration(recipe, state.setup, state.prepared, self.builder.device),
                self._registered,
                share=_START_SHARE,
                essential=True,
                may_end=lambda registration: registration.may_end,
                show=lambda state, registered: state,
                early=lambda state, registration: replace(state, registration=registration.unfinished()),
            )
        if recipe.registration == "deformation":
            yield Stage(
                "deformation",
                lambda state, budget: FrameDeformation(state.setup, state.prepared, self.builder),
                self._undeformed,
                share=_START_SHARE,
                essential=True,
                show=lambda state, undeformed: state,
                early=lambda state, deformation: replace(
                    state, registration=_merged(state.registration, deformation.unfinished())
                ),
            )
        if recipe.calibration.wanted:
            yield Stage(
                "calibration",
                lambda state, budget: Calibration(recipe, state.setup, state.prepared, self.builder),
                self._calibrated,
                share=_START_SHARE,
                essential=True,
                show=lambda state, calibrated: (
                    state if calibrated.field is None else replace(state, field=calibrated.field)
                ),
                # without the search for the plane of the object
                early=lambda state, calibration: self._calibrated(state, calibration.current()),
            )
        if recipe.unknown_illumination.solve:
            yield Stage(
                "illumination",
                lambda state, budget: solver_of_illumination(recipe, self.builder, state.setup, state.problem),
                self._lit,
                share=_START_SHARE,
                essential=True,
                show=lambda state, lit: replace(state, field=lit.field),
            )
        if recipe.prior.total_variation == "held_out":
            yield Stage("weight of the prior", self._weight_choice, self._weight_chosen, share=_START_SHARE)
        # the noise is estimated from the result of this start; for that of Gauss-Newton, it has to be known before
        is_quick = recipe.has_start and recipe.start != "gauss-newton"
        if is_quick:
            yield from self._solved(f"start: {recipe.start}", recipe.start, _START_SHARE)
        else:
            yield coarse_stage(self.builder, _START_SHARE)
        for look in range(recipe.noise.looks):
            yield self._look(is_needed=look > 0 or not is_quick)
        if recipe.start == "gauss-newton":
            yield from self._solved("start: gauss-newton", "gauss-newton", _START_SHARE)
        yield from self._solved(recipe.solver, recipe.solver, 1.0)
        yield from self._last()

    def _uncertainty(self, state: LenslessState, budget: Budget) -> UncertaintyEstimate:
        settings = self.recipe.uncertainty
        if settings.noise is not None:
            settings = settings.model_copy(update={"noise": settings.noise / state.prepared.unit})
        return UncertaintyEstimate(state.problem, state.field, settings, state.setup.pixel_size_um, self.recipe.seed)

    def _registered(self, state: LenslessState, registered: RegisteredRecording) -> LenslessState:
        began = self.begin(registered.setup, registered.prepared)
        return replace(began, registration=registered.report)

    def _undeformed(self, state: LenslessState, undeformed: RegisteredRecording) -> LenslessState:
        merged = _merged(state.registration, undeformed.report)
        return replace(self.begin(undeformed.setup, undeformed.prepared), registration=merged)

    def _calibrated(self, state: LenslessState, calibrated: CalibratedRecording) -> LenslessState:
        """Continue with the calibrated geometry, and with its object if that is a good start."""
        began = self.begin(calibrated.setup, calibrated.prepared)
        began = replace(began, registration=state.registration, calibration=calibrated.report)
        if not calibrated.is_start or calibrated.field is None:
            return began
        quick = _quick(state.gauss_newton)
        if self.recipe.start != "flat":
            began = replace(began.with_field(calibrated.field), problem=weighed(began.problem, calibrated.field))
        return replace(began, gauss_newton=quick)

    def _lit(self, state: LenslessState, lit: Lit) -> LenslessState:
        """Continue with the illumination, and with the object that was estimated together with it."""
        began = self.begin(state.setup, state.prepared, lit.light)
        began = replace(
            began.with_field(lit.field),
            problem=weighed(began.problem, lit.field),
            registration=state.registration,
            calibration=state.calibration,
        )
        return replace(began, gauss_newton=_quick(state.gauss_newton))

    def follow(self, prepared: PreparedFrames, previous: LenslessState) -> LenslessState:
        """Return the initial state after another recording, with its geometry and the determined part of its object."""
        if self.recipe.gains is None and self.recipe.calibration.gain:
            prepared = replace(prepared, gains=previous.prepared.gains)
        began = self.begin(previous.setup, prepared, previous.light)
        priors, choice = began.problem.priors, previous.choice
        if priors is not None and choice is not None:
            began = replace(began, problem=began.problem.with_priors(priors.with_factor(choice.factor)))
        settings = self.recipe.gauss_newton
        tolerance = _TOLERANCE_FOLLOWING if settings.tolerance is None else settings.tolerance
        field = determined(began.problem, previous.field)
        # the same camera has the same noise, and bright and dark places are similar; the previous
        # object of a moving sample would take changes for noise
        problem = weighed(began.problem, field).with_weights(previous.problem.weights)
        problem = smoothed(problem, field)
        # the projections of the warm-up, which are cheap, correct fine detail that has moved: by the linearised model,
        # its large errors would disturb the slow phase
        damping = min(settings.damping, _DAMPING_FOLLOWING)
        settings = settings.model_copy(update={"damping": damping, "tolerance": tolerance})
        return replace(
            began.with_field(field),
            problem=problem,
            noise=previous.noise,
            gauss_newton=settings,
            unknown=previous.unknown,
            choice=choice,
            registration=previous.registration,
            calibration=previous.calibration,
        )

    def later(self) -> Iterator[Stage[LenslessState]]:
        """Give the stages after `follow`, with fewer iterations where their number is fixed."""
        recipe = self.recipe
        sections = {name: getattr(recipe, name) for name in ("alternating", "gradient")}
        recipe = recipe.model_copy(
            update={
                name: section.model_copy(update={"iterations": fewer(section.iterations)})
                for name, section in sections.items()
            }
        )
        later = LenslessStages(recipe, self.builder, self.support, follows=True)
        if recipe.solver in representations() and recipe.has_start:
            # the object has moved: its errors would add up, as descents from a good start take small steps only
            yield from later._solved(f"start: {recipe.start}", recipe.start, _START_SHARE)
            yield from later._solved(recipe.solver, recipe.solver, 1.0)
        else:
            # of a representation, which exists already, only the descent
            yield list(later._solved(recipe.solver, recipe.solver, 1.0))[-1]
        yield from later._last()

    def _last(self) -> Iterator[Stage[LenslessState]]:
        """Give the stage of the uncertainty."""
        if self.recipe.uncertainty.map:
            yield Stage(
                UNCERTAINTY,
                self._uncertainty,
                lambda state, uncertainty: replace(state, uncertainty=uncertainty),
                essential=True,
                may_end=lambda solver: solver.result() is not None,
                show=lambda state, uncertainty: state,
            )

    def _weight_choice(self, state: LenslessState, budget: Budget) -> HeldOutFrame | None:
        priors = state.problem.priors
        if priors is None:
            return None
        frame = middle_frame(state.setup.heights.distances_um)
        return HeldOutFrame(state.problem, priors, state.field, state.gauss_newton, frame)

    def _weight_chosen(self, state: LenslessState, choice: WeightChoice) -> LenslessState:
        priors = state.problem.priors
        chosen = None if priors is None else priors.with_factor(choice.factor)
        return replace(state, problem=state.problem.with_priors(chosen), choice=choice)

    def _look(self, *, is_needed: bool) -> Stage[LenslessState]:
        """Return the stage that estimates the noise, from a short reconstruction if needed."""

        def solver(state: LenslessState, budget: Budget) -> Solver[Tensor]:
            if not is_needed:
                return Immediate(state.field)
            settings = state.gauss_newton
            settings = settings.model_copy(update={**_LOOK, "cg_steps": min(settings.cg_steps, _LOOK_INNER)})
            return GaussNewton(state.problem, state.field, settings)

        def absorb(state: LenslessState, field: Tensor) -> LenslessState:
            problem = smoothed(state.problem, field)
            problem, noise = weigh(problem, field, robust=self.recipe.noise.weighting == "robust")
            # projections do not support weights and would undo the start; and no cautious first step is needed
            quick = {"warm_up": 0, "damping": min(state.gauss_newton.damping, _DAMPING_LOOKED)}
            state = replace(
                state, problem=problem, noise=noise, gauss_newton=state.gauss_newton.model_copy(update=quick)
            )
            return state.with_field(field) if is_needed else state

        return Stage(
            "noise estimate",
            solver,
            absorb,
            share=_START_SHARE,
            essential=True,
            show=lambda state, field: state.with_field(field),
        )

    def _solved(self, label: str, name: str, share: float) -> Iterator[Stage[LenslessState]]:
        """Give the stages of a registered solver or representation for the field."""
        if name in solvers("lensless"):
            build = solvers("lensless")[name].builder()

            def solver(state: LenslessState, budget: Budget) -> Solver[Tensor]:
                settings = self.recipe.model_copy(update={"gauss_newton": state.gauss_newton})
                built: Solver[Tensor] = build(state.problem, state.field, settings, budget)
                return built

            yield Stage(label, solver, LenslessState.with_field, share=share, essential=True)
            return
        yield Stage(
            f"{label}: starting values",
            self._values(name),
            _took_values,
            share=_VALUES_SHARE,
            essential=True,
            may_end=lambda solver: not isinstance(solver, StartingValues) or solver.may_end,
            show=lambda state, unknown: state,
        )
        yield Stage(label, self._descent(name), _represented, share=share, essential=True)

    def _values(self, name: str) -> Callable[[LenslessState, Budget], Solver[Unknown]]:
        """Return the solver that fits a representation to the current field, or to its mean if it is flat."""

        def solver(state: LenslessState, budget: Budget) -> Solver[Unknown]:
            generator = torch.Generator().manual_seed(self.recipe.seed)
            unknown = build_unknown(self.recipe, name, state.field, generator)
            if state.is_flat and name != "pixels":
                make_flat(unknown, state.field)
                return Immediate[Unknown](unknown)
            return StartingValues(unknown, state.field, representation(name).learning_rate, generator, budget)

        return solver

    def _descent(self, name: str) -> Callable[[LenslessState, Budget], Solver[Represented] | None]:
        """Return the function that builds Adam on the parameters of the representation made by `_values`."""
        gradient = self.recipe.gradient

        def solver(state: LenslessState, budget: Budget) -> Solver[Represented] | None:
            if state.unknown is None:
                return None
            rate = gradient.learning_rate or representations()[name].learning_rate
            if not state.is_flat and representations()[name].holds_values:
                rate *= gradient.warm_factor
            elif self.follows:
                rate *= FOLLOWING_RATE
            settings = AdamSettings(
                iterations=gradient.iterations,
                learning_rate=rate,
                schedule=gradient.schedule,
                patience=gradient.patience,
            )
            problem = weighed(state.problem, state.field).with_kind(gradient.loss)
            start = not state.is_flat
            # the values of priors are read back from the card
            return AdamDescent(problem, state.unknown, settings, budget, keep_start=start, graph=problem.priors is None)

        return solver


def _merged(first: Mapping[str, Any] | None, second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of two steps of a registration."""
    before = first or {}
    return {
        **before,
        **second,
        "warnings": [*before.get("warnings", ()), *second["warnings"]],
        "summary": f"{before.get('summary', '')}; {second['summary']}",
    }


def _quick(settings: GaussNewtonSettings) -> GaussNewtonSettings:
    """Return settings for a good start with an unwrapped phase: no warm-up, no cautious first step."""
    tolerance = settings.tolerance
    return settings.model_copy(
        update={
            "warm_up": 0,
            "damping": min(settings.damping, _DAMPING_CALIBRATED),
            "tolerance": min(_TOLERANCE_CALIBRATED if tolerance is None else tolerance, _TOLERANCE_CALIBRATED),
        }
    )


def _took_values(state: LenslessState, unknown: Unknown) -> LenslessState:
    return replace(state, unknown=unknown, start=None if state.is_flat else state.unexplained())


def _represented(state: LenslessState, represented: Represented) -> LenslessState:
    count = None if state.unknown is None else state.unknown.parameter_count()
    return replace(state.with_field(represented.estimate), parameters=represented.parameters, parameter_count=count)
