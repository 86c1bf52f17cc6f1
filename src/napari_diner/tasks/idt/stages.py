"""The stages of a reconstruction by diffraction tomography."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.representations.registry import representations
from napari_diner.representations.unknown import Scaled, Unknown
from napari_diner.solvers.adam import AdamDescent, Represented
from napari_diner.solvers.calibration.contrast_sign import sign_of, skewness
from napari_diner.solvers.idt.least_squares import Regularised, WeightedLeastSquares
from napari_diner.solvers.idt.multislice import DataLinearisation, LinearisedData, MultiSliceVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.uncertainty import VolumeUncertainty, VolumeUncertaintyEstimate
from napari_diner.solvers.idt.weight_choice import Choice, TvSearch
from napari_diner.solvers.registry import solvers
from napari_diner.solvers.solver import Budget, Solver
from napari_diner.solvers.starting_values import StartingValues
from napari_diner.tasks.idt import calibration_stages, dark_stages
from napari_diner.tasks.idt.contrast_side import sign_of_sample, warnings_of_sign
from napari_diner.tasks.idt.crop import cropped
from napari_diner.tasks.idt.optics import ComputedModels, GivenModels
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.represent import build_unknown, learning_rate
from napari_diner.tasks.idt.rival import CLOSED_FORM, PREVIOUS
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.strong import are_lost, body, newton_seconds, weighted_by_noise, with_method
from napari_diner.tasks.idt.time_left import AFFORDABLE_S, is_over, scattering_left_out
from napari_diner.tasks.idt.uncertainty import again
from napari_diner.tasks.job import UNCERTAINTY, Stage, fewer
from napari_diner.wording import digits

COARSE = "fine detail is missing, as the closed form was stopped"
LINEAR_PHASE_RAD = 0.5
"""Phase above which single scattering is unreliable."""
# the closed form underestimates the phase; above this value, multiple scattering is worth its time
_VISIBLE_PHASE_RAD = 0.35
# parts of a time limit by which stages end: choice of weights, voxels to start from, values of networks
_WEIGHTS_SHARE, _START_SHARE, _VALUES_SHARE = 0.3, 0.6, 0.7
# part by which the solver ends if the uncertainty is estimated after it
_SOLVED_SHARE = 0.75
# steps for voxels that a representation starts from
_START_ITERATIONS = 20
# frames in each step of Adam under the multi-slice model
_BATCH_FRAMES = 8
# a few chords under the multi-slice model
_FIRST_CHORDS = 8


class IdtStages:
    """Builds the stages of a recipe.

    Parameters
    ----------
    recipe
        The resolved recipe.
    follows
        Whether the volume to start from is that of another recording, so that the solver takes at least one step.
    """

    def __init__(self, recipe: IdtRecipe, *, follows: bool = False) -> None:
        self.recipe = recipe
        self._follows = follows

    def __iter__(self) -> Iterator[Stage[IdtState]]:
        """Give the stages in order."""
        yield from self._reconstruction()
        yield from self._last()

    def _last(self) -> Iterator[Stage[IdtState]]:
        """Give the stage of the uncertainty."""
        if self.recipe.uncertainty.map:
            yield Stage(UNCERTAINTY, self._uncertainty, _with_uncertainty, show=_unchanged)

    @property
    def _share(self) -> float:
        """Part of the time limit by which the solver ends."""
        return _SOLVED_SHARE if self.recipe.uncertainty.map else 1.0

    def _reconstruction(self) -> Iterator[Stage[IdtState]]:
        recipe = self.recipe
        if recipe.calibration.wanted:
            yield from calibration_stages.calibration()
        is_last = recipe.solver == "tikhonov"
        yield _least_squares(self._closed_form, is_last=is_last)
        if is_last:
            return
        yield Stage("first chords", self._first_chords, self._linearised, _WEIGHTS_SHARE, essential=True)
        if recipe.regularization.tv is None:
            yield Stage(
                "weights",
                lambda state, budget: None if self._is_over(state, budget) else _weight_search(state),
                _weighted,
                _WEIGHTS_SHARE,
                essential=True,
                may_end=lambda search: search.result() is not None,
            )
        yield from self._solving()

    def _solving(self) -> Iterator[Stage[IdtState]]:
        """Give the stages of the solver, with known weights."""
        recipe, share = self.recipe, self._share
        entry = representations().get(recipe.solver)
        yield body(recipe, share)
        if entry is None:
            yield self._solved(recipe.solver, recipe.solver, recipe, self._share_before_dark_field)
            yield from dark_stages.dark_field(recipe, share)
            return
        if recipe.start == "voxels":
            short = recipe.model_copy(update={"iterations": min(_START_ITERATIONS, recipe.iterations)})
            yield self._solved("start: voxels", "voxels", short, _START_SHARE)
            if not entry.holds_values:
                yield Stage(
                    f"{recipe.solver}: values",
                    self._values,
                    _took_values,
                    _VALUES_SHARE,
                    essential=True,
                    show=_unchanged,
                )
        yield from dark_stages.brightness(recipe)
        source = "voxels" if recipe.start == "voxels" else CLOSED_FORM
        yield Stage(recipe.solver, self._descent, _represented(source), share, essential=True)

    @property
    def _share_before_dark_field(self) -> float:
        """Part of the time limit by which the solver for bright field ends."""
        return self._share * (dark_stages.BRIGHT_SHARE if self.recipe.dark_field == "use" else 1.0)

    def beside(self) -> Iterator[Stage[IdtState]]:
        """Give the stages of another part of the field: model and weights are those of the first."""
        is_last = self.recipe.solver == "tikhonov"
        yield _least_squares(self._closed_form_beside, is_last=is_last)
        if not is_last:
            yield from self._solving()

    def _closed_form_beside(self, state: IdtState, regularised: Regularised) -> IdtState:
        """Store the first volume of a part, and take the model of the other parts."""
        state, recipe = _solved_again(state, regularised), self.recipe
        if recipe.solver != "tikhonov" and recipe.regularization.tikhonov is None:
            state = state.with_priors(replace(state.problem.priors, tikhonov=0.0))
        models = _multislice_models(state)
        if not state.scatters or models is None:
            return state
        return replace(state, problem=replace(state.problem, model=models.multislice(), slope=state.problem.linear))

    def later(self) -> Iterator[Stage[IdtState]]:
        """Give the stages from a state that follows another recording: those of solver and uncertainty."""
        recipe = self.recipe
        if recipe.solver == "tikhonov":
            yield _least_squares(_solved_again, essential=False, is_last=True)
        elif recipe.solver in representations():
            descent, scattering = recipe.gradient, recipe.multislice
            changes = {
                "start": "voxels",  # whatever the first one started from, this is a good volume
                "gradient": descent.model_copy(update={"iterations": fewer(descent.iterations)}),
                "multislice": scattering.model_copy(
                    update={"descent_iterations": fewer(scattering.descent_iterations)}
                ),
            }
            warm = IdtStages(recipe.model_copy(update=changes), follows=True)
            yield from dark_stages.brightness(recipe)
            yield Stage(recipe.solver, warm._descent, _represented(PREVIOUS), self._share, essential=True)
        else:
            warm = IdtStages(recipe, follows=True)
            yield warm._solved(recipe.solver, recipe.solver, recipe, self._share_before_dark_field)
            yield from dark_stages.dark_field(recipe, self._share)
        yield from self._last()

    def _closed_form(self, state: IdtState, regularised: Regularised) -> IdtState:
        """Store the first volume, and choose the model from now on."""
        choices = {} if regularised.choice is None else {"tikhonov": regularised.choice}
        state = replace(_solved_again(state, regularised), choices={**state.choices, **choices})
        if regularised.is_coarse:
            state = replace(state, warnings=(*state.warnings, COARSE))
        state = state.with_priors(replace(state.problem.priors, tikhonov=regularised.tikhonov))
        if isinstance(state.models, GivenModels):
            state = self._of_found_sign(state, regularised.volume)
        if self.recipe.solver != "tikhonov":
            model, warnings = self._multislice(state)
            if self.recipe.regularization.tikhonov is None:
                # the penalty of the closed form is not a prior of the other solvers
                state = state.with_priors(replace(state.problem.priors, tikhonov=0.0))
            if model is not None:
                state = replace(state, problem=replace(state.problem, model=model, slope=state.problem.linear))
                if self.recipe.multislice.method != "gauss-newton":
                    return state
                return replace(state, is_strong=True, problem=self._with_first_tv(state))
            state = replace(state, warnings=(*state.warnings, *warnings))
        return state

    def _of_found_sign(self, state: IdtState, volume: Tensor) -> IdtState:
        """Return the state with the sign of the contrast from the closed form, for unknown directions."""
        assumed, priors = self.recipe.regularization.sign, state.problem.priors
        phase = volume[0].sum(0)
        expected = sign_of(float(skewness((phase - phase.mean())[None])))
        if priors.sign_re:
            state = state.with_priors(replace(priors, sign_re=sign_of_sample(assumed, expected)))
        return replace(state, warnings=(*state.warnings, *warnings_of_sign(assumed, expected)))

    def _multislice(self, state: IdtState) -> tuple[SSNPModel | None, list[str]]:
        """Return the multi-slice model if it is requested, or needed and affordable; and warnings."""
        recipe, models = self.recipe, _multislice_models(state)
        if models is None or recipe.model == "born":
            return None, []
        if recipe.model == "auto" and state.problem.linear.peak_phase(state.seen) <= _VISIBLE_PHASE_RAD:
            return None, []
        model = models.multislice()
        if recipe.model == "multislice":
            return model, []
        warnings = scattering_left_out(recipe, model, _FIRST_CHORDS + recipe.multislice.iterations)
        return (None if warnings else model), warnings

    def _first_chords(self, state: IdtState, budget: Budget) -> DataLinearisation | None:
        """Return the solver for the data that remain for the linear model after subtracting multiple scattering."""
        problem, multislice = state.problem, self.recipe.multislice
        if state.is_strong or isinstance(problem.model, LinearModel) or problem.model.frames < 2:
            return None
        if self.recipe.regularization.tv is not None and multislice.method == "chords":
            return None
        if self._is_over(state, budget):
            return None
        return DataLinearisation(MultiSliceVoxels(self._with_first_tv(state), state.start, _FIRST_CHORDS))

    def _with_first_tv(self, state: IdtState) -> VolumeProblem:
        """Return the problem with the given weight of the total variation, or else with one that suits the noise."""
        is_given = self.recipe.regularization.tv is not None
        return state.problem if is_given else weighted_by_noise(state.problem, state.estimate)

    def _linearised(self, state: IdtState, linearised: LinearisedData) -> IdtState:
        """Store the volume of the first chords, unless they are lost: then the exact slope starts afresh."""
        volume, multislice = linearised.volume, self.recipe.multislice
        warnings = state.warnings
        if not volume.any():  # ended before the first chord: the volume of the closed form is better than none
            return state
        if multislice.method == "auto" and are_lost(state.problem, volume):
            seconds = newton_seconds(state.problem.model, multislice.newton_iterations)
            if seconds <= AFFORDABLE_S:
                return replace(state, is_strong=True, problem=self._with_first_tv(state))
            warnings = (
                *warnings,
                f"the sample scatters too strongly for chords, and the exact slope would take about "
                f"{seconds / 3600:.0f} hours; set multislice.method to gauss-newton to use it",
            )
        return replace(state, volume=volume, linearised=linearised.data, is_multiply_scattering=True, warnings=warnings)

    def _solved(self, label: str, name: str, recipe: IdtRecipe, share: float) -> Stage[IdtState]:
        """Return the stage of a registered solver for the volume."""
        build = solvers("idt")[name].builder()

        def solver(state: IdtState, budget: Budget) -> Solver[Tensor] | None:
            if self._is_over(state, budget):
                return None
            built: Solver[Tensor] = build(state.problem, state.start, with_method(recipe, state), budget)
            return built

        def absorb(state: IdtState, volume: Tensor) -> IdtState:
            # ended before its first step from an empty volume: the one before is better than none
            return _solution(state, volume) if volume.any() or state.volume is None else state

        return Stage(label, solver, absorb, share, essential=True)

    def _is_over(self, state: IdtState, budget: Budget) -> bool:
        """Return whether the time limit has passed, and a stage need not begin as there is a volume of these data."""
        return not self._follows and is_over(self.recipe, state, budget)

    def _values(self, state: IdtState, budget: Budget) -> StartingValues | None:
        """Return the solver that fits a network of coordinates to the current volume."""
        if self._is_over(state, budget):
            return None
        generator = torch.Generator().manual_seed(self.recipe.seed)
        unknown = build_unknown(self.recipe, state.estimate, generator)
        rate = representations()[self.recipe.solver].learning_rate
        return StartingValues(unknown, state.estimate, rate, generator, budget)

    def _descent(self, state: IdtState, budget: Budget) -> AdamDescent | None:
        """Return Adam on the parameters of the representation."""
        if self._is_over(state, budget):
            return None
        recipe, scatters = self.recipe, isinstance(state.problem.model, SSNPModel)
        generator = torch.Generator().manual_seed(recipe.seed)
        unknown = state.unknown
        if unknown is None:
            unknown = build_unknown(recipe, state.estimate, generator)
        real, imaginary = unknown.scale.flatten().tolist()
        return AdamDescent(
            replace(state.problem, scale=(real, imaginary)),
            unknown,
            recipe.gradient.complete(learning_rate(recipe), recipe.multislice.descent_iterations if scatters else None),
            budget,
            batch_size=_BATCH_FRAMES if scatters else None,
            generator=generator,
            keep_start=True,
        )

    def _uncertainty(self, state: IdtState, budget: Budget) -> VolumeUncertaintyEstimate:
        recipe, problem = with_method(self.recipe, state), state.explained
        pixel_um = recipe.voxel_um[2]
        models = state.models
        resolution_um = 0.5 / models.geometry.cutoff if isinstance(models, ComputedModels) else 2 * pixel_um
        return VolumeUncertaintyEstimate(
            problem, state.estimate, again(problem, recipe), recipe.uncertainty, pixel_um, resolution_um, recipe.seed
        )


def _least_squares(
    absorb: Callable[[IdtState, Regularised], IdtState], *, essential: bool = True, is_last: bool
) -> Stage[IdtState]:
    """Return the stage of the closed form, which ends no sooner than with a coarse volume."""
    return Stage(
        "closed form",
        lambda state, budget: WeightedLeastSquares(state.problem, compares=is_last),
        absorb,
        essential=essential,
        may_end=lambda solver: solver.current() is not None,
        show=_shown,
    )


def _multislice_models(state: IdtState) -> ComputedModels | None:
    """Return the models of a state if multiple scattering is among them."""
    models = state.models
    return models if isinstance(models, ComputedModels) and models.dispersion == "exact" else None


def warnings_of_phase(state: IdtState, phase: float) -> list[str]:
    """Return a warning if a volume delays light by more radians than single scattering describes."""
    if phase <= LINEAR_PHASE_RAD:
        return []
    cure = "" if _multislice_models(state) is None else "; the solver voxels with model multislice describes it"
    return [
        f"the sample delays light by up to {digits(phase)} rad, more than single scattering describes "
        f"({LINEAR_PHASE_RAD:g} rad); indices will be too low and shapes wrong{cure}"
    ]


def _solution(state: IdtState, volume: Tensor) -> IdtState:
    """Return the state with the volume of a solver of its problem."""
    scatters = not isinstance(state.problem.model, LinearModel)
    return replace(state, volume=volume, is_multiply_scattering=scatters)


def _solved_again(state: IdtState, regularised: Regularised) -> IdtState:
    return replace(state, volume=regularised.volume, loosened=regularised.loosened)


def _shown(state: IdtState, regularised: Regularised | None) -> IdtState:
    """Return the state with a volume for a preview, once there is one."""
    return state if regularised is None else replace(state, volume=regularised.volume)


def _unchanged(state: IdtState, answer: object) -> IdtState:
    return state


def _with_uncertainty(state: IdtState, uncertainty: VolumeUncertainty | None) -> IdtState:
    return replace(state, uncertainty=uncertainty)


def _weight_search(state: IdtState) -> TvSearch | None:
    problem, volume = state.problem, state.estimate
    if problem.model.frames < 2 or state.is_strong:
        return None
    if state.linearised is None:
        problem = replace(problem, model=problem.linear)
    else:
        problem = replace(problem, model=problem.linear, data=state.linearised, at_least=None)
    if isinstance(state.models, ComputedModels):
        models = state.models
        problem, volume = cropped(problem, volume, lambda rows, columns: models.of_size(rows, columns).linear())
    return TvSearch(problem, volume)


def _weighted(state: IdtState, choice: Choice | None) -> IdtState:
    if choice is None:
        return state
    state = state.with_priors(replace(state.problem.priors, tv=choice.value))
    return replace(state, choices={**state.choices, "tv": choice})


def _took_values(state: IdtState, unknown: Unknown) -> IdtState:
    return replace(state, unknown=unknown if isinstance(unknown, Scaled) else None)


def _represented(source: str) -> Callable[[IdtState, Represented], IdtState]:
    """Return the function that stores the volume of a representation, beside the one before it from a source."""

    def absorb(state: IdtState, represented: Represented) -> IdtState:
        rival = state.before(source)
        state = _solution(state, state.problem.projected(represented.estimate))
        return replace(_took_values(state, represented.unknown), parameters=represented.parameters, rival=rival)

    return absorb
