"""A fit: one recipe on one image, stack, volume or video."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_diner import device as devices
from napari_diner.errors import RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.representations import registry
from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.representations.unknown import Values
from napari_diner.solvers.adam import AdamDescent, Represented
from napari_diner.solvers.fit.keys import KeyPlacement, KeySearch, matching_keys
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import AdamSettings
from napari_diner.solvers.solver import Budget, Solver
from napari_diner.solvers.starting_values import StartingValues
from napari_diner.solvers.step import Step
from napari_diner.tasks.fit.bounded import bounded, correction_step, evaluated
from napari_diner.tasks.fit.data import FitData, layout_of, with_axes
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.memory import plan
from napari_diner.tasks.fit.model import Fitted, pack
from napari_diner.tasks.fit.preview import preview
from napari_diner.tasks.fit.range import constant
from napari_diner.tasks.fit.recipe import FitRecipe, learning_rate_of
from napari_diner.tasks.fit.state import FitState, Origin
from napari_diner.tasks.fit.stored import LOW, unpacked_table
from napari_diner.tasks.fit.unique import unique_samples
from napari_diner.tasks.fit.width import backbone_for, width_for
from napari_diner.tasks.job import FOLLOWING_RATE, Job, Outcome, RunRecord, Stage, StageRecord, fewer
from napari_diner.tasks.preflight import Finding
from napari_diner.tasks.report import psnr_of
from napari_diner.wording import count, digits, percent

_ROWS = 1 << 20
# part of a time limit for training; the rest is for placing the keys
_TRAINING_SHARE = 0.97
_PLACING = "placing keys"
# epochs for data without variation: their value is that of the range, or learnt by the last layer alone
_CONSTANT_EPOCHS = 100
_NOTHING = "there is nothing to learn; check that this is the file, and the part of it, that was meant"
# values up to which the last steps of a DINER use its network instead of the lattice; they take as long as some hundred
_POLISHED = 1 << 18
# unexplained share of the variation above which an image is hardly recognisable
_DOUBTFUL = 0.1

# misfit of an image of a series at its start, relative to that of the previous image in the end, above which it shows
# another scene: 10 dB; from image to image of a scene, two or three are lost at the start and won again
_CHANGED = 10.0


class FitJob(Job[FitState]):
    """The fit of a representation to data: Eq. 4b with P the identity.

    Parameters
    ----------
    recipe
        All settings.
    data
        The data with their axes.

    Raises
    ------
    InputError
        If the data cannot be used, or do not have the axes named.
    OutOfMemoryError
        If the work does not fit the memory.
    """

    task = "fit"
    signal = "the variation of the data"

    def __init__(self, recipe: FitRecipe, data: FitData) -> None:
        self._data = data = with_axes(recipe, data)
        self.layout, self.warnings = layout_of(recipe, data)
        same = constant(self.layout.to_samples(data.data))
        self._is_constant = same is not None
        if same is not None:
            self.warnings = [*self.warnings, f"all samples of the data are {same}, so that {_NOTHING}"]
        self.recipe: FitRecipe = _resolved(recipe, data, self.layout)
        if recipe.representation != "diner":
            # on this device nothing is allocated; data that it cannot represent are refused before any work is done
            with torch.device("meta"):
                registry.build(recipe.representation, self.layout.sample_shape, self.layout.outputs, self.recipe)
        if recipe.max_error is not None:
            correction_step(self.layout, recipe.max_error)
        self.device = devices.choose_device(recipe.device)
        self.memory = plan(self.recipe, data.data.shape, data.axes, data.data.dtype)
        self.memory.check(self.device)
        self.checksum = checksum(data.data)

    def findings(self) -> Sequence[Finding]:
        """Return what is fitted."""
        layout = self.layout
        values = f"{math.prod(layout.sample_shape):,} samples of {count(layout.outputs, 'number')}"
        return [
            Finding(
                "sampling", "good", f"{values} between {digits(layout.low, 4)} and {digits(layout.high, 4)} are fitted"
            )
        ]

    def begin(self) -> FitState:
        """Return the state with a random representation."""
        layout = self.layout
        torch.manual_seed(self.recipe.seed)
        self._generator = torch.Generator().manual_seed(self.recipe.seed)
        samples = layout.to_samples(self._data.data)
        rows, index, counts, weights = samples.reshape(-1, layout.outputs), None, None, None
        if self.recipe.representation == "diner" and self.recipe.training.unique:
            distinct = unique_samples(samples)
            if distinct is not None:
                rows, index, counts = distinct
                weights = torch.from_numpy(counts.astype(np.float32)).to(self.device)
        shape = layout.sample_shape if index is None else (len(rows),)
        self.recipe = recipe = self.recipe.with_lattice(len(rows), layout.outputs)
        targets = torch.from_numpy(np.ascontiguousarray(layout.to_outputs(rows.T))).to(self.device)
        representation = registry.build(recipe.representation, shape, layout.outputs, recipe, self._generator)
        return FitState(ValueProblem(targets, weights), representation.to(self.device), rows, index, counts)

    def stages(self) -> Sequence[Stage[FitState]]:
        """Return training and the placement of keys; or the placement alone if that is exact."""
        recipe = self.recipe
        if recipe.bit_exact or recipe.representation == "pixels":
            return [Stage(_PLACING, self._exact, lambda state, unknown: state, essential=True)]
        return [
            Stage(
                recipe.name, self._training, _trained, share=_TRAINING_SHARE,
                essential=True, show=lambda state, present: state,
            ),
            Stage(_PLACING, self._placement, lambda state, diner: replace(state, best={}), essential=True),
        ]  # fmt: skip

    @property
    def _settings(self) -> AdamSettings:
        """Settings of a training from random parameters."""
        recipe = self.recipe
        learning_rate = recipe.learning_rate or learning_rate_of(recipe.name, recipe.epochs)
        return AdamSettings(
            iterations=min(recipe.epochs, _CONSTANT_EPOCHS) if self._is_constant else recipe.epochs,
            learning_rate=learning_rate,
            schedule=recipe.training.schedule,
            patience=None,
        )

    def check_series(self) -> None:
        """Check that the model files of all images have the same size."""
        if self.recipe.max_error is not None:
            raise RecipeError("A series stores equal numbers for all images; empty {field}", "max_error")

    def follow(self, previous: FitState) -> FitState:
        """Return the state with the network of the previous image, or, of a DINER, with that of an earlier one.

        A network that is trained for image after image ages: it fits each a little worse than the one before. All
        images therefore start from the same fit, that of the first image, whose keys are matched by value, as objects
        move. If this fits an image much worse than the previous image was fitted, the scene has changed: the image is
        fitted as a first one, from which the next ones start.
        """
        began = self.begin()
        previous.load_best()
        representation = began.representation
        if not isinstance(representation, Diner):
            if self.recipe.representation != "pixels":
                representation.load_state_dict(previous.representation.state_dict())
            return began
        origin = previous.origin or Origin(previous.representation.state_dict(), previous.problem.targets)
        initial = {name: value.clone() for name, value in representation.state_dict().items()}
        keys = matching_keys(origin.parameters["hash_table"], origin.targets, began.problem.targets)
        representation.load_state_dict({**origin.parameters, "hash_table": keys})
        if began.misfit() > _CHANGED * previous.misfit():
            representation.load_state_dict(initial)
            return began
        return replace(began, origin=origin)

    def later_stages(self) -> Sequence[Stage[FitState]]:
        """Return the same stages; with an origin, training takes fewer and smaller steps.

        Networks of coordinates have to learn again where objects are, and take all of them.
        """
        return self.stages()

    def _exact(self, state: FitState, budget: Budget) -> StartingValues:
        unknown = Values(state.representation)
        values = state.problem.targets.reshape(self.layout.outputs, *state.representation.shape)
        return StartingValues(unknown, values, 1e-3, self._generator)

    def _training(self, state: FitState, budget: Budget) -> AdamDescent:
        recipe, problem, settings = self.recipe, state.problem, self._settings
        if state.origin is not None:
            rate = FOLLOWING_RATE * settings.learning_rate
            settings = settings.model_copy(update={"iterations": fewer(settings.iterations), "learning_rate": rate})
        refinement, batch_size, polish = None, None, False
        if isinstance(state.representation, Diner):
            polish = problem.targets.shape[1] <= _POLISHED
            refinement = KeySearch(state.representation, problem.targets, recipe.training.searches, budget)
        else:
            batch_size = recipe.training.batch_size
        return AdamDescent(
            problem,
            Values(state.representation),
            settings,
            budget,
            batch_size=batch_size,
            polish=polish,
            generator=self._generator,
            refinement=refinement,
            graph=True,
        )

    def _placement(self, state: FitState, budget: Budget) -> Solver[Diner] | None:
        if not isinstance(state.representation, Diner):
            return None
        state.load_best()
        objective = functools.partial(state.problem.objective, Values(state.representation))
        return KeyPlacement(state.representation, state.problem.targets, self.recipe.training.key_steps, objective)

    def losses(self, state: FitState, step: Step) -> dict[str, float]:
        """Return the misfit and its PSNR."""
        return {"loss": step.loss, "psnr_db": psnr_of(step.loss, self._peak)}

    @property
    def _peak(self) -> float:
        """Peak of a PSNR, in units of the range; None for constant data."""
        return 1.0 if self.layout.peak else 0.0

    def preview(self, state: FitState) -> tuple[NamedArray, ...]:
        """Return the middle plane, once there is something to see."""
        shown = preview(self._fitted(state), state.problem.targets)
        return () if shown is None else (shown,)

    def _fitted(self, state: FitState) -> Fitted:
        return Fitted(state.representation, self.layout, self.recipe, state.index)

    def outcome(self, state: FitState, record: RunRecord) -> Outcome:
        """Return the data given by the exact representation, after the rounding of a stored table."""
        with state.with_best():
            return self._outcome(state, record)

    def _outcome(self, state: FitState, record: RunRecord) -> Outcome:
        layout, recipe, representation = self.layout, self.recipe, state.representation
        figures: dict[str, Any] = {}
        header = layout.to_header()
        outputs: npt.NDArray[np.floating] = _outputs(representation)
        if recipe.max_error is not None:
            figures["float_psnr_db"] = psnr_of(self._score(state, outputs)[0], self._peak)
            stored = bounded(self._fitted(state), state.rows, recipe.max_error)
            weights, outputs = stored.weights, stored.outputs
            header |= stored.header
            figures |= {"table_levels": stored.levels, "corrected": stored.corrected}
        else:
            weights = pack(self._fitted(state))
            if LOW in weights:
                figures["float_psnr_db"] = psnr_of(self._score(state, outputs)[0], self._peak)
                table = unpacked_table(weights)
                assert isinstance(representation, Diner)
                outputs = evaluated(representation, table.reshape(-1, table.shape[-1]))
        mean_square, identical, values = self._score(state, outputs)
        psnr_db = psnr_of(mean_square, self._peak)
        variance = 0.0 if self._is_constant else self._variance(state)
        unexplained = mean_square / variance if variance else math.nan
        if state.index is not None:
            values = values[state.index]
        data = layout.from_samples(values.reshape(*layout.sample_shape, layout.outputs))
        text = len(json.dumps(header)) + len(recipe.model_dump_json()) + 100 * len(weights)
        model_bytes = sum(weight.nbytes for weight in weights.values()) + text
        samples, table_parameters, network = math.prod(layout.sample_shape), 0, representation.parameter_count()
        if isinstance(representation, Diner):
            # counted as published, with a key for each sample, whether or not equal ones share it
            table_parameters = samples * representation.settings.table_width
            network -= representation.hash_table.numel()
        training = record.stages[0] if record.stages else StageRecord(recipe.name)
        source = self._data.source_bytes
        figures |= {
            "solver": recipe.name,
            "representation": recipe.representation,
            "stopped_by_time_limit": recipe.max_seconds is not None and training.iterations < training.most_iterations,
            "iterations": training.iterations,
            "seconds_per_epoch": training.seconds / max(training.iterations, 1),
            "unexplained": unexplained,
            "psnr_db": psnr_db,
            "measurement_psnr_db": psnr_db,
            "psnr_peak": layout.peak,
            "measurement_peak": layout.peak,
            "identical": identical,
            "parameters": network + table_parameters,
            "table_parameters": table_parameters,
            "samples": samples,
            "unique_values": None if state.index is None else len(state.rows),
            "model_bytes": model_bytes,
            "bits_per_pixel": 8 * model_bytes / layout.pixels,
            "source_bits_per_pixel": None if source is None else 8 * source / layout.pixels,
        }
        if recipe.bit_exact or recipe.representation == "pixels":
            figures |= {"stopped_by_time_limit": False, "iterations": 1, "seconds_per_epoch": 0.0}
        if recipe.max_error is not None:
            figures["largest_error"] = _largest_error(data, self._data.data)
        array = NamedArray("reconstruction", np.ascontiguousarray(data), layout.axes, layout.scale_um)
        is_rounded = recipe.max_error is not None and figures["float_psnr_db"] > psnr_db
        return Outcome((array,), figures, self._warnings(identical, unexplained, is_rounded), weights, header)

    def _warnings(self, identical: float, unexplained: float, is_rounded: bool) -> list[str]:
        warnings = []
        if unexplained > _DOUBTFUL:
            cure = "lower max_error" if is_rounded else "allow more epochs or time, or choose another representation"
            warnings.append(
                f"{percent(unexplained)} of the variation of the data is not reproduced"
                f"{', no less than by a constant' * (unexplained >= 1)}; {cure}"
            )
        if self.recipe.bit_exact and identical < 1:
            warnings.append(f"{1 - identical:.2e} of the numbers differ after rounding; the fit is not bit-exact")
        if self.recipe.representation == "pixels":
            warnings.append("pixels are the data themselves and do not measure a representation")
        return warnings

    def _score(self, state: FitState, outputs: npt.NDArray[np.floating]) -> tuple[float, float, Array]:
        """Return the mean square error in units of the range, the share of numbers equal after rounding, the values."""
        layout, rows = self.layout, state.rows
        values = np.empty(rows.shape, np.dtype(layout.dtype))
        square = equal = total = 0.0
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            counts = np.ones(1) if state.counts is None else state.counts[part, None]
            expected = rows[part]
            values[part] = layout.to_values(outputs[part])
            # in units of the range, where no square is too large or too small
            errors = self._peak * (outputs[part] - layout.normalised(expected))
            square += float((counts * errors**2).sum())
            equal += float((counts * (values[part] == expected)).sum())
            total += float(np.broadcast_to(counts, expected.shape).sum())
        return square / total, equal / total, values

    def _variance(self, state: FitState) -> float:
        """Return the mean square of the data less the mean of each channel, in units of the range."""
        mean_square = 0.0
        weights = np.ones(len(state.rows)) if state.counts is None else state.counts
        for channel in state.rows.T:
            values = self.layout.normalised(channel)
            mean = np.average(values, weights=weights)
            mean_square += float(np.average((values - mean) ** 2, weights=weights)) / state.rows.shape[1]
        return mean_square


def _trained(state: FitState, represented: Represented) -> FitState:
    return replace(state, best=represented.parameters)


def _resolved(recipe: FitRecipe, data: FitData, layout: Layout) -> FitRecipe:
    """Return the recipe with all unset fields resolved."""
    width = recipe.diner.table_width or width_for(layout, data.data)
    if recipe.diner.backbone == "auto":
        recipe = recipe.updated({"diner": {"backbone": backbone_for(width, layout.outputs)}})
    changes: dict[str, object] = {
        **data.read_as,
        "image": data.source,
        "axes": data.stored_axes or data.axes,
        "diner": {"table_width": width},
        "learning_rate": recipe.learning_rate or learning_rate_of(recipe.name, recipe.epochs),
    }
    if recipe.representation == "hash-grid" and recipe.hash_grid.log2_table_size is None:
        from napari_diner.representations.hash_grid import matched_table_size

        numbers = math.prod(layout.sample_shape) * width
        size = matched_table_size(layout.sample_shape, recipe.hash_grid, numbers)
        changes["hash_grid"] = {"log2_table_size": size}
    pixel = layout.scale_um[data.axes.index("X")]
    if pixel != 1.0:
        changes["pixel_size_um"] = pixel
    return recipe.updated(changes)


def _largest_error(values: Array, data: Array) -> float:
    """Return the largest difference of values from the data, in units of the data."""
    return max(float(np.abs(one.astype(np.float64) - other).max()) for one, other in zip(values, data, strict=True))


@torch.no_grad()
def _outputs(representation: Representation) -> npt.NDArray[np.float32]:
    """Return the values of the exact representation for all of its samples, (n, outputs)."""
    outputs: npt.NDArray[np.float32] = representation.exact().flatten(1).T.cpu().numpy()
    return outputs
