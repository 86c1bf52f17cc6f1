"""A reconstruction by diffraction tomography: one recipe on one recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.optics import prediction_seconds
from napari_diner.tasks.idt.outcome import index_of, no_volume, outcome_of, scored_frames
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.stages import COARSE, IdtStages
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.tiles import Tile
from napari_diner.tasks.idt.time_left import remarks_of_solver, scoring_seconds
from napari_diner.tasks.idt.uncertainty import uncertainty_report, uncertainty_volumes
from napari_diner.tasks.job import UNCERTAINTY, Job, Outcome, RunRecord, Stage
from napari_diner.tasks.preflight import Finding


class IdtJob(Job[IdtState]):
    """The reconstruction of a volume of refractive index from one recording; see `Task.job`."""

    task = "idt"

    def __init__(self, recording: IdtRecording, tile: Tile | None = None) -> None:
        self.recording = recording
        self.recipe: IdtRecipe = recording.recipe
        self.device, self.memory, self.checksum = recording.device, recording.memory, recording.checksum
        self.warnings, self.notes = recording.warnings, recording.notes
        self.measures_light = recording.measures_light
        self._first = recording.state(tile)

    @property
    def suspicions(self) -> Sequence[str]:
        """What comparisons with other directions and optics say."""
        return self.recording.suspicions

    def findings(self) -> Sequence[Finding]:
        """Return what optics, illumination and saturation allow."""
        return self.recording.findings

    def scoring_seconds(self, state: IdtState) -> float:
        """Return the time of a prediction of all frames."""
        seconds, most = prediction_seconds(state.problem.model), scoring_seconds(self.recipe)
        return seconds if most is None else min(seconds, most)

    def begin(self) -> IdtState:
        """Return the state with the data and a linear model."""
        return self._first

    def stages(self) -> Sequence[Stage[IdtState]]:
        """Return the stages in order."""
        return list(IdtStages(self.recipe))

    def beside(self, previous: IdtState) -> IdtState:
        """Return the state with illumination, model and weights of another part of the field."""
        return self._first.beside(previous)

    def stages_beside(self) -> Sequence[Stage[IdtState]]:
        """Return the stages after `beside`."""
        return list(IdtStages(self.recipe).beside())

    def follow(self, previous: IdtState) -> IdtState:
        """Return the state with illumination, model, weights and volume of the previous recording."""
        return self._first.following(previous)

    def later_stages(self) -> Sequence[Stage[IdtState]]:
        """Return only the stages of the solver and of the uncertainty."""
        return list(IdtStages(self.recipe).later())

    def preview(self, state: IdtState) -> tuple[NamedArray, ...]:
        """Return the real part of the index of a state."""
        return () if state.volume is None else index_of(state.seen, self.recipe)[:1]

    def outcome(self, state: IdtState, record: RunRecord) -> Outcome:
        """Return the refractive index and the residual of a state."""
        problem, recipe = state.explained, self.recipe
        if state.volume is None:
            raise no_volume()
        scored = scored_frames(problem.model, record, scoring_seconds(recipe))
        left = state.residual(scored)
        residual = left.cpu().numpy()
        data = problem.data if scored is None else problem.data[scored]
        answer = outcome_of(
            self.recording,
            state,
            state.seen,
            data.cpu().numpy(),
            residual,
            record,
            is_sampled=scored is not None,
            comparison=state.comparison(recipe.solver, scored, left),
        )
        figures, warnings, arrays = dict(answer.figures), list(answer.warnings), answer.arrays
        if problem.padding is not None:
            figures["surround"] = {"object_px": problem.padding.padded_shape, "before_px": problem.padding.before}
        if state.uncertainty is not None:
            arrays = (*arrays[:2], *uncertainty_volumes(state.uncertainty, recipe.voxel_um), *arrays[2:])
            residual_rms = float(np.sqrt(np.mean(np.square(residual, dtype=np.float64))))
            figures[UNCERTAINTY] = uncertainty_report(state.uncertainty, state.models, recipe, residual_rms)
        if recipe.uncertainty.map and record.timed_out and state.uncertainty is None:
            late = "no time was left for the uncertainty; raise max_seconds, or lower uncertainty.samples"
            warnings.append(late)
        weights = answer.weights
        is_coarse = COARSE in state.warnings and record.stages[-1].name.endswith("closed form")
        if state.parameters:  # those of the network
            figures["parameters"] = sum(part.numel() for part in state.parameters.values())
            weights = {name.removeprefix("field."): part.cpu().numpy() for name, part in state.parameters.items()}
        remarks = (*answer.remarks, *remarks_of_solver(recipe, record))
        return replace(
            answer,
            arrays=arrays,
            figures=figures,
            warnings=warnings,
            remarks=remarks,
            weights=weights,
            is_coarse=is_coarse,
        )
