"""The stages from data to a volume: closed form, weights, voxels, network; each keeps the best volume so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.representations.base import Representation
from napari_diner.solvers.idt.admm import Admm, factorised
from napari_diner.solvers.idt.descent import VolumeDescent, scale_of, start_from
from napari_diner.solvers.idt.multislice import MultiSliceVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import Priors, TotalVariation
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import Choice, TvSearch, choose_tikhonov, noise_in_volume
from napari_diner.solvers.step import Step
from napari_diner.tasks.idt.crop import cropped
from napari_diner.tasks.idt.optics import prediction_seconds
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.represent import LEARNING_RATES, build_representation

LINEAR_PHASE_RAD = 0.5
"""Phase above which single scattering is not to be trusted."""
# the closed form shows less phase than there is; above this much, multiple scattering is worth its time
_SHOWN_PHASE_RAD = 0.35
# and if that would take longer, it is left out unless it is asked for
_AFFORDABLE_S = 3600.0
# of a time limit, the weights may have the first part, and voxels that a network starts from end at the second
_WEIGHTS_SHARE = 0.3
_START_SHARE = 0.6
# steps for voxels that a network starts from: it goes on from there
_START_ITERATIONS = 20
# frames in each step of a network under the multi-slice model
_BATCH_FRAMES = 8
# a few chords under the multi-slice model, with a weight of the total variation in units of `noise_in_volume`
_FIRST_CHORDS = 8
_FIRST_TV = 8.0


@dataclass
class Stage:
    """What was done, for the report."""

    name: str
    iterations: int = 0
    seconds: float = 0.0
    loss: float = math.nan


class Inversion:
    """From data to a volume, as a recipe says: go through `run`, then take `volume`.

    Parameters
    ----------
    recipe
        A complete recipe.
    linear
        The linear model.
    multislice
        Builds the multi-slice model, when it is needed; None if there can be none.
    rebuild
        Makes the linear model for a volume of another shape, to choose weights on a part; None if there can be none.
    data
        g = I / I_background − 1, real, (N, Y, X), on the device of the models.
    elapsed
        Clock of the run, in seconds.
    """

    def __init__(
        self,
        recipe: IdtRecipe,
        linear: LinearModel,
        multislice: Callable[[], SSNPModel] | None,
        rebuild: Callable[[tuple[int, int, int]], LinearModel] | None,
        data: Tensor,
        elapsed: Callable[[], float],
    ) -> None:
        assert recipe.pixel_size_um is not None
        self.recipe = recipe
        self.linear = linear
        self._build_multislice = multislice
        self._rebuild = rebuild
        self._elapsed = elapsed
        self.choices: dict[str, Choice] = {}
        self.stages: list[Stage] = []
        self.warnings: list[str] = []
        self.timed_out = False
        self.volume: Tensor | None = None
        """The best volume of the stages that are done: real, (2, Z, Y, X)."""
        self.representation: Representation | None = None
        self.solver: Admm | MultiSliceVoxels | VolumeDescent | None = None
        """What is at work."""
        wanted, solver = recipe.regularization, recipe.solver
        priors = Priors(
            tikhonov=wanted.tikhonov or 0.0,
            tv=wanted.tv or 0.0,
            positive_re=wanted.positivity and solver != "tikhonov",
            positive_im=wanted.positive_absorption and solver != "tikhonov",
        )
        tv = TotalVariation.of_voxels(recipe.slice_spacing_um, recipe.pixel_size_um)
        self.problem = VolumeProblem(linear, data, priors, tv)

    @property
    def model(self) -> str:
        """Name of the model in use."""
        return "multislice" if isinstance(self.problem.model, SSNPModel) else "born"

    @property
    def iterations(self) -> int:
        """Iterations of the last stage."""
        return self.stages[-1].iterations if self.stages else 0

    def best(self) -> Tensor | None:
        """Return the best volume so far, in the middle of a stage as well."""
        return self.volume if self.solver is None else self.solver.volume()

    def preview(self) -> Tensor | None:
        """Return the present volume by the fastest way."""
        return self.solver.preview() if isinstance(self.solver, VolumeDescent) else self.best()

    def run(self) -> Iterator[tuple[Stage, Step]]:
        """Do the work; yields the stage and where it stands."""
        recipe = self.recipe
        yield from self._closed_form()
        if recipe.solver == "tikhonov":
            self._warn_of_phase()
            return
        multislice = self._multislice()
        if multislice is not None:
            self.problem = replace(self.problem, model=multislice)
        else:
            self._warn_of_phase()
        if recipe.regularization.tikhonov is None:
            # what the closed form needs is no prior of the other solvers
            self.problem = replace(self.problem, priors=replace(self.problem.priors, tikhonov=0.0))
        if recipe.regularization.tv is None and self.problem.model.frames > 1:
            yield from self._choose_tv()
        if recipe.solver != "decaf" and not self.timed_out:
            yield from self._voxels()
        if recipe.solver in ("diner", "decaf") and not self.timed_out:
            yield from self._network()

    def _closed_form(self) -> Iterator[tuple[Stage, Step]]:
        stage = self._begin("closed form")
        closed = ClosedForm(self.linear)
        alpha = self.problem.priors.tikhonov
        if not alpha:
            choice = self.choices["tikhonov"] = choose_tikhonov(closed, self.problem.data)
            alpha = choice.value
            self.problem = replace(self.problem, priors=replace(self.problem.priors, tikhonov=alpha))
        self.volume = closed.solve(self.problem.data, alpha)
        with torch.no_grad():
            loss = self.problem.objective(self.volume)[0]
        yield self._at(stage, Step(1, 1, loss))

    def _multislice(self) -> SSNPModel | None:
        """Return the multi-slice model if it is asked for, or needed and affordable."""
        recipe = self.recipe
        if self._build_multislice is None or recipe.model == "born":
            return None
        assert self.volume is not None
        if recipe.model == "auto" and self.linear.peak_phase(self.volume) <= _SHOWN_PHASE_RAD:
            return None
        model = self._build_multislice()
        seconds = prediction_seconds(model) * (_FIRST_CHORDS + recipe.multislice.iterations)
        if recipe.model == "auto" and seconds > _AFFORDABLE_S:
            self.warnings.append(
                f"multiple scattering is left out, as it would take about {seconds / 3600:.0f} hours; set model to "
                "multislice to have it, or fewer slices or multislice.steps_per_slice"
            )
            return None
        return model

    def _warn_of_phase(self) -> None:
        assert self.volume is not None
        phase = self.linear.peak_phase(self.volume)
        if phase > LINEAR_PHASE_RAD:
            cure = "" if self._build_multislice is None else "; the solver voxels with model multislice describes it"
            self.warnings.append(
                f"the sample delays light by up to {phase:.2g} rad, more than single scattering describes (0.5 rad); "
                "indices will be too low and shapes wrong" + cure
            )

    def _choose_tv(self) -> Iterator[tuple[Stage, Step]]:
        problem = replace(self.problem, model=self.linear)
        assert self.volume is not None
        if isinstance(self.problem.model, SSNPModel):
            # what the linear model has to explain, once multiple scattering is taken off; for that any weight will do
            tau = _FIRST_TV * noise_in_volume(self.linear, problem.data)
            priors = replace(problem.priors, tv=tau)
            solver = self._chords(replace(self.problem, priors=priors), _FIRST_CHORDS)
            yield from self._go("first chords", solver, _WEIGHTS_SHARE)
            problem = replace(problem, data=solver.linearised())
        stage = self._begin("weights")
        volume = self.volume
        if self._rebuild is not None:
            problem, volume = cropped(problem, volume, self._rebuild)
        search = TvSearch(problem, volume)
        limit = self._limit(_WEIGHTS_SHARE)
        for part in search.steps():
            yield self._at(stage, Step(1, 1, math.nan, part))
            if limit is not None and self._elapsed() > limit and search.choice() is not None:
                break
        choice = search.choice()
        assert choice is not None
        self.choices["tv"] = choice
        self.problem = replace(self.problem, priors=replace(self.problem.priors, tv=choice.value))
        yield self._at(stage, Step(1, 1, math.nan))

    def _chords(self, problem: VolumeProblem, iterations: int) -> MultiSliceVoxels:
        """Return the solver for the multi-slice model, from the volume so far if that is one of this model."""
        assert self.volume is not None
        # single scattering is right about an empty volume, and misleads about a strong one
        started = any(stage.name == "first chords" for stage in self.stages)
        start = self.volume if started else torch.zeros_like(self.volume)
        closed = factorised(replace(problem, model=self.linear))
        return MultiSliceVoxels(problem, self.linear, start, iterations, closed)

    def _voxels(self) -> Iterator[tuple[Stage, Step]]:
        assert self.volume is not None
        final = self.recipe.solver == "voxels"
        if isinstance(self.problem.model, SSNPModel):
            chords = self._chords(self.problem, self.recipe.multislice.iterations)
            yield from self._go("voxels" if final else "start: voxels", chords, None if final else _START_SHARE)
            return
        iterations = self.recipe.iterations if final else min(_START_ITERATIONS, self.recipe.iterations)
        admm = Admm(self.problem, self.volume, iterations)
        yield from self._go("voxels" if final else "start: voxels", admm, None if final else _START_SHARE)

    def _network(self) -> Iterator[tuple[Stage, Step]]:
        assert self.volume is not None
        recipe, problem = self.recipe, self.problem
        generator = torch.Generator().manual_seed(recipe.seed)
        self.representation = build_representation(recipe, problem.model.shape, generator).to(problem.model.device)
        if recipe.solver == "diner":
            scale = start_from(self.representation, self.volume, generator)
        else:
            # DeCAF's representation cannot be given values; it starts from an empty volume
            scale = scale_of(self.volume)
        settings = recipe.gradient.complete(LEARNING_RATES[recipe.solver])
        multislice = isinstance(problem.model, SSNPModel)
        if multislice:
            settings = settings.model_copy(update={"iterations": recipe.multislice.descent_iterations})
        left = None if recipe.max_seconds is None else max(recipe.max_seconds - self._elapsed(), 0.0)
        descent = VolumeDescent(
            problem,
            self.representation,
            scale,
            settings,
            batch_frames=_BATCH_FRAMES if multislice else None,
            max_seconds=left,
            elapsed=self._elapsed,
            generator=generator,
        )
        yield from self._go(recipe.solver, descent, None)

    def _go(
        self, name: str, solver: Admm | MultiSliceVoxels | VolumeDescent, share: float | None
    ) -> Iterator[tuple[Stage, Step]]:
        """Let a solver work until it is done or its part of the time limit is over."""
        stage = self._begin(name)
        self.solver = solver
        limit = self._limit(1.0 if share is None else share)
        last = Step(0, 1, math.nan)
        for step in solver.steps():
            last = step
            yield self._at(stage, step)
            if limit is not None and self._elapsed() >= limit:
                break
        # descent anneals towards the limit and ends there by itself
        self.timed_out = share is None and limit is not None and self._elapsed() >= limit
        self.volume = solver.finish() if isinstance(solver, VolumeDescent) else solver.volume()
        self.solver = None
        self._at(stage, last)

    def _limit(self, share: float) -> float | None:
        return None if self.recipe.max_seconds is None else share * self.recipe.max_seconds

    def _begin(self, name: str) -> Stage:
        self._began = self._elapsed()
        self.stages.append(Stage(name))
        return self.stages[-1]

    def _at(self, stage: Stage, step: Step) -> tuple[Stage, Step]:
        stage.iterations, stage.loss = step.iteration, step.loss
        stage.seconds = self._elapsed() - self._began
        return stage, step
