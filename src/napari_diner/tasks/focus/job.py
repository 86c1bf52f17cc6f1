"""Autofocus: one recipe on one lensless recording."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_diner import device as devices
from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import check_frames_first, checksum
from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.point_source import effective_distance_um, magnification, real_distance_um
from napari_diner.physics.padding import Padding
from napari_diner.preprocess.focus import Focus, Refocus
from napari_diner.preprocess.soundness import numbered
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import AlternatingSettings
from napari_diner.solvers.solver import Budget
from napari_diner.solvers.step import Step
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.focus.search import FocusSearch
from napari_diner.tasks.frame_list import about_distances, frame_list
from napari_diner.tasks.job import Job, Outcome, RunRecord, Stage
from napari_diner.tasks.lensless.data import (
    LenslessData,
    corrected,
    kept,
    with_all_frames,
    with_file_facts,
)
from napari_diner.tasks.lensless.findings import fresnel_number, sampling
from napari_diner.tasks.lensless.memory import plan
from napari_diner.tasks.lensless.model import problem_of
from napari_diner.tasks.lensless.plausibility import doubts
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.preflight import Finding, saturation
from napari_diner.tasks.unexplained import Unexplained

# the twin image displaces the distances of single frames by less than this many depths of field
_TWIN_REACH = 6.0
# a few rounds at approximate distances explain less than a reconstruction: see benchmarks/unexplained.py
_DOUBTFUL = (
    0.25, 0.1, "an empty field", "check the order of the frames, the wavelength, the pixel size and the range",
)  # fmt: skip


@dataclass(frozen=True)
class FocusState:
    """State of autofocus between its stages; distances are those for parallel light."""

    frames: tuple[Focus, ...] = ()
    """The focus of each single frame."""
    field: Tensor | None = None
    """The complex field of all frames together, (Y, X)."""
    unexplained: Unexplained | None = None
    """Share of the frames that the field does not explain."""
    joint: Focus | None = None
    """The focus of the field: the length to add to all distances."""


class FocusJob(Job[FocusState]):
    """The search for the distances of one recording.

    First, each frame is treated separately: the square root of its intensity is propagated back over the range, and the
    sharpest distance is taken. As the phase at the sensor is unknown, a twin image, twice as far out of focus, lies
    over the sample and displaces the peak by up to a few depths of field, most so for transparent samples. Then, with
    two frames or more, all are used together: alternating projections recover the phase, with the distances of the
    recipe, or else those of the single frames, and the field is refocused. It has no twin image; its peak gives
    the length by which *all* distances must be increased.

    Parameters
    ----------
    recipe
        All settings.
    data
        The recording.

    Raises
    ------
    DinerError
        As for `napari_diner.tasks.task.Task.job`.
    """

    task = "focus"

    def __init__(self, recipe: FocusRecipe, data: LenslessData) -> None:
        self.checksum = checksum(data.frames)
        used, data, self._left_out = kept(recipe, data)
        with self._left_out.counting():
            self._prepare(used, data)
        self.recipe = with_all_frames(self._used, recipe)

    def _prepare(self, recipe: FocusRecipe, data: LenslessData) -> None:
        frames = data.frames
        count = len(frames) if frames.ndim == 3 else 0
        self._used = with_file_facts(recipe, data)
        check_frames_first(frames.shape, len(self._used.distances_um), self._used.axes)
        self._used.check_complete(count)
        self._setup = Setup.of(self._used.with_distances(count))
        self.optics = self._setup.optics
        self.device = devices.choose_device(recipe.device)
        self.memory = plan(recipe, frames.shape)
        self.memory.check(self.device)
        prepared = corrected(self._used, data)
        notes, warnings = about_distances(data.files, recipe.distances_um, needed=recipe.needs_distances)
        self.notes = (*data.notes, *notes)
        implausible = doubts(self._used, self._setup, prepared.intensities.shape[1:])
        self.warnings = (*data.warnings, *warnings, *implausible, *prepared.notes)
        self._files = data.files
        intensities = np.clip(prepared.intensities, 0, None)
        self._amplitudes = torch.from_numpy(np.sqrt(intensities)).to(self.device)
        self._mask, self._at_least = prepared.mask, prepared.at_least
        self.warnings = tuple(self._left_out.counted(self.warnings))

    def findings(self) -> Sequence[Finding]:
        """Return what the range of distances and saturation allow."""
        optics = self._setup.optics
        ends = [edge for number in range(len(self._amplitudes)) for edge in self._range(number)]
        field_um = min(self._amplitudes.shape[1:]) * optics.pixel_size_um
        reach = (min(ends), max(ends))
        return [
            sampling(optics, reach, field_um),
            fresnel_number(optics, reach),
            saturation(self._at_least, self._used.preprocess.saturated),
        ]

    def begin(self) -> FocusState:
        """Return the initial state, without any distances."""
        return FocusState()

    def stages(self) -> Sequence[Stage[FocusState]]:
        """Return a stage for each frame, one for the phase and one for the focus of all together."""
        count = len(self._amplitudes)
        stages = [
            Stage(
                f"frame {number + 1} of {count}",
                functools.partial(self._search_frame, number),
                lambda state, focus: state if focus is None else replace(state, frames=(*state.frames, focus)),
            )
            for number in range(count)
        ]
        if self._used.joint and count > 1:
            stages += [
                Stage("phase of all", self._recover, self._recovered),
                Stage(
                    "all frames",
                    self._search_joint,
                    lambda state, focus: state if focus is None else replace(state, joint=focus),
                ),
            ]
        return stages

    def preview(self, state: FocusState) -> tuple[NamedArray, ...]:
        """Return no images: the dock has its own live picture."""
        return ()

    def losses(self, state: FocusState, step: Step) -> dict[str, float]:
        """Return the loss of the phase retrieval; a search has none."""
        return {"loss": step.loss}

    def _search_frame(self, number: int, state: FocusState, budget: Budget) -> FocusSearch:
        return FocusSearch(self._amplitudes[number], *self._range(number), self.optics, self._used)

    def _search_joint(self, state: FocusState, budget: Budget) -> FocusSearch | None:
        if state.field is None:
            return None
        reach = _TWIN_REACH * self.optics.depth_of_field_um
        near, far = -reach, reach
        if self._used.distances_um:
            near, far = (edge - self._base(state)[0] for edge in self._range(0))
        return FocusSearch(state.field, near, far, self.optics, self._used)

    def _range(self, number: int) -> tuple[float, float]:
        """Return the nearest and the farthest distance to try for a frame, as for parallel light."""
        recipe = self._used
        if recipe.near_um is not None and recipe.far_um is not None:
            return self._effective(recipe.near_um), self._effective(recipe.far_um)
        distance = self._setup.heights.distances_um[number]
        return distance * (1 - recipe.search_range), distance * (1 + recipe.search_range)

    def _base(self, state: FocusState) -> tuple[float, ...]:
        """Return the distances of the recipe, or else those of the single frames, as for parallel light."""
        if self._used.distances_um:
            return tuple(self._setup.heights.distances_um)
        return tuple(focus.distance_um for focus in state.frames)

    def _recover(self, state: FocusState, budget: Budget) -> AlternatingProjections | None:
        """Build the solver that recovers the complex field at the current distances."""
        if len(self._base(state)) < len(self._amplitudes):
            return None
        problem = self._problem(state)
        start = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())
        return AlternatingProjections(problem, start, AlternatingSettings(iterations=self._used.rounds))

    def _recovered(self, state: FocusState, field: Tensor) -> FocusState:
        problem = self._problem(state)
        residuals = problem.intensity_residual(field), problem.flat_residual()
        return replace(
            state, field=field, unexplained=Unexplained.of(*(residual.cpu().numpy() for residual in residuals))
        )

    def _problem(self, state: FocusState) -> PhaseProblem:
        """Return the problem of explaining all frames at the current distances."""
        distances = self._base(state)
        shape = (self._amplitudes.shape[1], self._amplitudes.shape[2])
        means = self._amplitudes.square().mean((1, 2))
        band_limit, padding = self._setup.heights.band_limit, self._setup.padding
        # few rounds do not recover an unknown surround
        mode = "reflect" if self._setup.padding_mode == "unknown" else self._setup.padding_mode
        heights = Heights(self.optics, distances, band_limit=band_limit, gains=(means / means.mean()).tolist())
        model = MultiHeight(
            shape,
            heights,
            padding=Padding(shape, mode, self._setup.padding_px, padding.apodise),
            device=self.device,
        )
        return problem_of(model, self._amplitudes.numpy(force=True), self._mask, self._at_least)

    def outcome(self, state: FocusState, record: RunRecord) -> Outcome:
        """Return the refocused frames, and the distances with their standard errors."""
        if not state.frames:
            raise DinerError("No frame is done yet; let the search continue, or allow it more time")
        sharpest, sharpest_se = self._real_pairs((one.distance_um, one.uncertainty_um) for one in state.frames)
        best = [(one.distance_um, one.uncertainty_um) for one in state.frames]
        starts = self._setup.heights.distances_um if self._used.distances_um else (None,) * len(self._amplitudes)
        figures: dict[str, object] = {
            "metric": self._used.metric,
            "partial": not record.finished or len(state.frames) < len(self._amplitudes),
            "depth_of_field_um": self.optics.depth_of_field_um,
            "given_um": list(self._used.distances_um),
            "sharpest_um": sharpest,
            "sharpest_um_se": sharpest_se,
            "curves": [_curve(one, start) for one, start in zip(state.frames, starts, strict=False)],
        }
        doubts = []
        if state.unexplained is not None:
            figures = {**state.unexplained.figures(), **figures}
            doubts = state.unexplained.warnings(*_DOUBTFUL)
        if state.joint is not None:
            offset, error = state.joint.distance_um, state.joint.uncertainty_um
            figures |= {"offset_um": offset, "offset_um_se": error, "joint_curve": _curve(state.joint, 0.0)}
            best = [(base + offset, error) for base in self._base(state)]
        distances, figures["distances_um_se"] = self._real_pairs(best)
        figures["distances_um"] = distances
        figures["frames"] = frame_list(self._left_out.kept, self._files, {"distance_um": distances})
        if self._left_out.numbers:
            figures["left_out"] = [number + 1 for number in self._left_out.numbers]
        return Outcome(self._images(state, best), figures, self._left_out.counted([*doubts, *_doubts(state)]))

    def _images(self, state: FocusState, best: Sequence[tuple[float, float]]) -> tuple[NamedArray, ...]:
        """Return the amplitude of each frame at its distance, and the field of all together."""
        pixel = self.optics.pixel_size_um
        refocused = np.empty((len(best), *self._amplitudes.shape[1:]), np.float32)
        for number, (distance, _) in enumerate(best):
            refocused[number] = Refocus(self._amplitudes[number], self.optics).at(distance).abs().cpu().numpy()
        images = [NamedArray("refocused", refocused, "NYX", (1.0, pixel, pixel))]
        if state.joint is not None and state.field is not None:
            field = Refocus(state.field, self.optics).at(state.joint.distance_um)
            field = field * torch.exp(-1j * field.sum().angle())
            images += [
                NamedArray("amplitude", field.abs().cpu().numpy(), "YX", (pixel, pixel)),
                NamedArray("phase", field.angle().cpu().numpy(), "YX", (pixel, pixel), "rad"),
            ]
        return tuple(images)

    def _effective(self, real_um: float) -> float:
        source = self._used.source_distance_um
        if source is None:
            return real_um
        return effective_distance_um(real_um, magnification(source, real_um, self._used.source_distance_to))

    def _real(self, effective_um: float) -> float:
        source = self._used.source_distance_um
        return effective_um if source is None else real_distance_um(effective_um, source, self._used.source_distance_to)

    def _real_pairs(self, pairs: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
        """Return distances from sample to sensor, and their standard errors, from those for parallel light."""
        distances, errors = [], []
        for effective, error in pairs:
            distance = self._real(effective)
            distances.append(distance)
            # to first order, with the derivative from a difference that is small for any error
            slope = abs(self._real(effective * 1.0001) / distance - 1) / 1e-4 * distance / effective
            errors.append(slope * error)
        return distances, errors


def _doubts(state: FocusState) -> list[str]:
    """Return a sentence for each maximum at the end of its range."""
    at_end = [number for number, one in enumerate(state.frames) if one.at_end]
    doubts = []
    if at_end:
        doubts.append(
            f"{numbered(at_end)}: the sharpest distance lies at the end of the range; extend the range, or "
            "try another metric"
        )
    if state.joint is not None and state.joint.at_end:
        doubts.append("all frames together: the sharpest distance lies at the end of the range; extend the range")
    return doubts


def _curve(focus: Focus, given_um: float | None) -> dict[str, object]:
    """Return a curve for the report; its distances are those for parallel light."""
    return {
        "distances_um": focus.distances_um.tolist(),
        "sharpness": focus.sharpness.tolist(),
        "peak_um": focus.distance_um,
        "peak_um_se": focus.uncertainty_um,
        "given_um": given_um,
    }
