"""A reconstruction by diffraction tomography of a wide field in tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.io.arrays import NamedArray
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.tasks.chain import Chain, ChainState
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.idt.outcome import index_of, no_volume, outcome_of
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.tiles import Tile, TileLayout, no_series
from napari_diner.tasks.job import Job, Outcome, RunRecord, Stage
from napari_diner.tasks.preflight import Finding


class _Solved(NamedTuple):
    """A tile and its volume."""

    tile: Tile
    place: tuple[slice, slice]
    """Rows and columns that count, in the whole field with its surround."""
    weights: npt.NDArray[np.float32]
    """Their weights, (Y', X')."""
    volume: Tensor
    """Their contrast, (2, Z, Y', X')."""
    is_multiply_scattering: bool
    """Whether it explains the data by multiple scattering."""


class TiledIdtJob(Chain):
    """The reconstruction of a recording in overlapping tiles, one after the other; see `Task.job`.

    The tile with most structure comes first. It decides on calibration, model and weights, which hold for all. Each
    tile has an unknown surround, and adjacent ones are blended where both know their surroundings.

    Parameters
    ----------
    recording
        The recording.
    layout
        The tiles.
    """

    task = "idt"

    def __init__(self, recording: IdtRecording, layout: TileLayout) -> None:
        self.recording, self.layout = recording, layout
        self.recipe: IdtRecipe = recording.recipe
        first = recording.busiest()
        self._tiles = [first, *(tile for tile in layout.tiles if tile != first)]
        super().__init__(len(self._tiles), IdtJob(recording, first))
        self.device, self.memory, self.checksum = recording.device, recording.memory, recording.checksum
        self.warnings = recording.warnings
        rows, columns = layout.size
        self.notes = (
            *recording.notes,
            f"the field is computed in {self.count} tiles of {rows}×{columns} pixels, which overlap by at least "
            f"{layout.overlap_px}",
        )

    @property
    def suspicions(self) -> Sequence[str]:
        """What comparisons with other directions and optics say about the whole field."""
        return self.recording.suspicions

    def findings(self) -> Sequence[Finding]:
        """Return what optics, illumination and saturation allow."""
        return self.recording.findings

    def check_series(self) -> None:
        """Refuse a series; see `Job.check_series`."""
        raise no_series()

    def build(self, number: int) -> Job[IdtState]:
        """Return the job of a tile."""
        return IdtJob(self.recording, self._tiles[number])

    def following(self, number: int, previous: IdtState) -> IdtState:
        """Return the state of a tile with what the previous one has decided."""
        return self._of(number).beside(previous)

    def later_stages_of(self, number: int) -> Sequence[Stage[IdtState]]:
        """Return the stages of a tile after the first one."""
        return self._of(number).stages_beside()

    def _of(self, number: int) -> IdtJob:
        job = self.part(number)
        if not isinstance(job, IdtJob):
            raise TypeError("a tile has another job")
        return job

    def kept(self, state: ChainState) -> _Solved:
        """Return the part of the volume of a tile that counts."""
        inner: IdtState = state.inner
        tile, problem = self._tiles[state.number], inner.problem
        weights = self._weights(tile, problem)
        part = _nonzero(weights.max(1)), _nonzero(weights.max(0))
        place = tuple(
            slice(window.start + inside.start, window.start + inside.stop)
            for window, inside in zip(_window(tile, problem), part, strict=True)
        )
        # a card only holds the present tile, and a view would hold all of it
        volume = inner.estimate[..., *part].cpu().clone()
        return _Solved(tile, (place[0], place[1]), weights[part].copy(), volume, inner.is_multiply_scattering)

    def _weights(self, tile: Tile, problem: VolumeProblem) -> npt.NDArray[np.float32]:
        """Return the weights of a tile with its surround, which continue beyond the edges of the field."""
        before = (0, 0) if problem.padding is None else problem.padding.before
        beyond = [
            (first, more - size - first)
            for first, more, size in zip(before, problem.model.shape[1:], self.layout.size, strict=True)
        ]
        return np.pad(self.layout.weights(tile), beyond, mode="edge")

    def prefix(self, number: int) -> str:
        """Return what the names of the stages of a tile begin with."""
        return f"tile {number + 1} of {self.count}: "

    def preview(self, state: ChainState) -> tuple[NamedArray, ...]:
        """Return the real part of the index of all tiles so far."""
        solved = self._solved(state)
        if not solved:
            return ()
        problem: VolumeProblem = state.inner.problem
        return index_of(self._seen(self._blended(solved, problem), problem), self.recipe)[:1]

    def outcome(self, state: ChainState, record: RunRecord) -> Outcome:
        """Return the refractive index and the residual of all tiles so far."""
        solved = self._solved(state)
        if not solved:
            raise no_volume()
        inner = _explaining(state.inner, solved[-1])
        whole = self._blended(solved, inner.problem)
        data = torch.from_numpy(self.recording.contrast)
        data = data if inner.calibration is None else inner.calibration.without_gains(data)
        residual = self._residual(solved, inner.explained, whole, data)
        # by the last tile, as the volumes before are not kept
        comparison = inner.comparison(self.recipe.solver)
        answer = outcome_of(
            self.recording,
            inner,
            self._seen(whole, inner.problem),
            data.numpy(),
            residual,
            record,
            comparison=comparison,
        )
        rows, columns = self.layout.seams
        tiles = {"tiles": {"count": self.count, "size_px": self.layout.size, "seams_y": rows, "seams_x": columns}}
        return replace(answer, figures={**answer.figures, **tiles})

    def _solved(self, state: ChainState) -> list[_Solved]:
        last = [] if state.inner.volume is None else [self.kept(state)]
        return [*state.done, *last]

    def _blended(self, solved: Sequence[_Solved], problem: VolumeProblem) -> Tensor:
        """Return the contrast of the whole field with its surround, (2, Z, Y', X'); empty where there is no tile yet.

        Beyond the edges of the field, the tiles at its edges continue as they are.
        """
        planes, *padded = problem.model.shape
        shape = [
            length + more - size for length, more, size in zip(self.layout.shape, padded, self.layout.size, strict=True)
        ]
        whole, total = torch.zeros(2, planes, *shape), torch.zeros(*shape)
        for part in solved:
            weights = torch.from_numpy(part.weights)
            total[part.place] += weights
            whole[..., *part.place] += part.volume.float() * weights
        if len(solved) < self.count:  # the edges of tiles without a neighbour
            whole /= torch.where(total > 0, total, 1)
        return whole

    def _seen(self, whole: Tensor, problem: VolumeProblem) -> Tensor:
        """Return the field of view of a volume with its surround."""
        top, left = (0, 0) if problem.padding is None else problem.padding.before
        rows, columns = self.layout.shape
        return whole[..., top : top + rows, left : left + columns]

    @torch.no_grad()
    def _residual(
        self, solved: Sequence[_Solved], problem: VolumeProblem, whole: Tensor, data: Tensor
    ) -> npt.NDArray[np.float32]:
        """Return the residual of the blended volume, (N, Y, X); −g where there is no tile yet."""
        residual, total = torch.zeros_like(data), torch.zeros(self.layout.shape)
        for tile in (part.tile for part in solved):
            bounds = self.recording.bounds(tile)
            part = replace(problem, data=data[:, *tile.place].to(problem.device), at_least=bounds)
            blended = whole[..., *_window(tile, problem)].to(problem.device)
            weights = torch.from_numpy(self.layout.weights(tile))
            residual[:, *tile.place] += part.residual(blended, part.frames).cpu() * weights
            total[tile.place] += weights
        return (residual - (1 - total) * data).numpy() if len(solved) < self.count else residual.numpy()


def _window(tile: Tile, problem: VolumeProblem) -> tuple[slice, slice]:
    """Return the place of a tile with its surround in the whole field with its surround."""
    _, rows, columns = problem.model.shape
    top, left = tile.rows.start, tile.columns.start
    return slice(top, top + rows), slice(left, left + columns)


def _nonzero(values: npt.NDArray[np.float32]) -> slice:
    """Return the range from the first to the last value that is not zero."""
    places = np.flatnonzero(values)
    return slice(int(places[0]), int(places[-1]) + 1)


def _explaining(state: IdtState, solved: _Solved) -> IdtState:
    """Return a state with the model that explains a solved tile; its own tile may not have got so far."""
    problem, models = state.problem, state.models
    is_other = solved.is_multiply_scattering and not isinstance(problem.model, SSNPModel)
    if is_other and isinstance(models, ComputedModels):
        problem = replace(problem, model=models.multislice(), slope=problem.linear)
    return replace(state, problem=problem, is_multiply_scattering=solved.is_multiply_scattering)
