"""A start for wide fields from a reconstruction with larger pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.lensless.multiheight import LenslessModel
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step
from napari_diner.tasks.job import Stage
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.state import LenslessState

# smaller fields are reconstructed as they are, and no field is made smaller than this
_WIDE_PX, _SMALLEST_PX = 768, 384
# rounds of alternating projections and initial damping of Gauss-Newton from a start with larger pixels: fine detail is
# missing, but the phase is unwrapped
_WARM_UP, _DAMPING = 10, 1e-7
# settings of Gauss-Newton with larger pixels: what these leave unexplained for lack of fine detail is soon reached
_SETTINGS = {"iterations": 4, "cg_steps": 80, "tolerance": 0.01}

Value = TypeVar("Value", bound=np.generic)


class CoarseStart(Resumable):
    """A reconstruction with pixels of twice the size, and before with four times if the field is wide; a `Solver`.

    Frames are averaged over 2×2 pixels, and each reconstruction is interpolated as a start for the next: the idea of
    nested iteration (Briggs, Henson and McCormick, A Multigrid Tutorial, SIAM 2000, Ch. 3). Slowly varying phase, which
    converges last, is found at a quarter of the cost or less. Interference finer than the larger pixels is averaged
    out, so the result is only a start.

    Parameters
    ----------
    setup, prepared
        The prepared frames.
    builder
        Builds forward models.
    model
        The model of the frames, for which the start is.
    settings
        Settings of Gauss-Newton, of which the warm-up and the damping are used.
    """

    answer = ("_field", "_size")

    def __init__(
        self,
        setup: Setup,
        prepared: PreparedFrames,
        builder: ModelBuilder,
        model: LenslessModel,
        settings: GaussNewtonSettings,
    ) -> None:
        self._setup, self._prepared, self._builder, self._model = setup, prepared, builder, model
        self._settings = settings.model_copy(update=_SETTINGS)
        self._size = 1
        self._field: Tensor | None = None

    @staticmethod
    def pays_off(setup: Setup, builder: ModelBuilder, model: LenslessModel) -> bool:
        """Return whether the field is wide, and the object has the pixels of the frames, at rest in its light."""
        light = builder.illumination
        return (
            min(model.field_of_view) >= _WIDE_PX
            and setup.super_resolution == 1
            and setup.positions_um is None
            and (light is None or light.shape == model.field_of_view)
        )

    def steps(self) -> Iterator[Step]:
        """Yield the steps of Gauss-Newton, from the largest pixels on."""
        sizes = [2]
        while min(self._model.field_of_view) // (2 * sizes[-1]) >= _SMALLEST_PX:
            sizes.append(2 * sizes[-1])
        settings = self._settings
        for part, size in enumerate(reversed(sizes)):
            setup, builder = _coarser(self._setup, self._builder, size)
            problem = builder.problem(setup, binned(self._prepared, size))
            if self._field is None:
                start = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())
            else:
                start, settings = self._onto(problem.model, size), continued(settings)
            solver = GaussNewton(problem, start, settings)
            for step in solver.steps():
                self._field, self._size = solver.result(), size
                before, most = part * settings.iterations, len(sizes) * settings.iterations
                yield Step(before + step.iteration, most, step.loss, within=step.within)

    def result(self) -> Tensor | None:
        """Return the start on the grid of the object, complex, (Y, X); None before the first step."""
        return None if self._field is None else self._onto(self._model, 1)

    current = result

    def _onto(self, model: LenslessModel, size: int) -> Tensor:
        """Interpolate the field onto the grid of a model whose pixels are `size` times those of the frames."""
        assert self._field is not None
        ratio = self._size // size
        places = []
        for axis, (length, count) in enumerate(zip(self._field.shape, model.shape, strict=True)):
            # from the first pixel of the field of view
            fine = torch.arange(count, dtype=model.real_dtype) - (count - model.field_of_view[axis]) // 2
            seen = self._prepared.amplitudes.shape[1 + axis] // self._size
            at = (fine + 0.5) / ratio - 0.5 + (length - seen) // 2
            places.append(2 * at / (length - 1) - 1)
        grid = torch.stack([places[1].expand(model.shape), places[0][:, None].expand(model.shape)], -1)
        parts = torch.stack([self._field.real, self._field.imag])[None]
        fine_parts = torch.nn.functional.grid_sample(
            parts, grid[None].to(parts), mode="bicubic", padding_mode="border", align_corners=True
        )[0]
        return torch.complex(fine_parts[0], fine_parts[1])


def continued(settings: GaussNewtonSettings) -> GaussNewtonSettings:
    """Return the settings of Gauss-Newton from a start with larger pixels."""
    return settings.model_copy(
        update={"warm_up": min(settings.warm_up, _WARM_UP), "damping": min(settings.damping, _DAMPING)}
    )


def coarse_stage(builder: ModelBuilder, share: float) -> Stage[LenslessState]:
    """Return the stage that finds a start for wide fields with larger pixels.

    Parameters
    ----------
    builder
        Builds forward models.
    share
        Part of the time limit at which it must end.
    """

    def solver(state: LenslessState, budget: Budget) -> CoarseStart | None:
        settings, model = state.gauss_newton, state.problem.model
        if state.is_flat or settings.warm_up == 0 or state.light is not None:
            return None
        if not CoarseStart.pays_off(state.setup, builder, model):
            return None
        return CoarseStart(state.setup, state.prepared, builder, model, settings)

    def absorb(state: LenslessState, field: Tensor | None) -> LenslessState:
        # objects with much detail of single pixels are explained better by the start of the recipe
        if field is None or state.problem.value(field) > state.problem.value(state.field):
            return state
        return dataclasses.replace(state.with_field(field), gauss_newton=continued(state.gauss_newton))

    return Stage(
        "start with larger pixels",
        solver,
        absorb,
        share=share,
        show=lambda state, field: state if field is None else state.with_field(field),
    )


def binned(prepared: PreparedFrames, size: int) -> PreparedFrames:
    """Return frames averaged over `size`×`size` pixels; remaining rows and columns are left out.

    A pixel counts if all those in it count. The mean of saturated and other values is a lower bound as well.
    """

    def blocks(image: npt.NDArray[Value]) -> npt.NDArray[Value]:
        rows, columns = (length // size for length in image.shape[1:])
        return image[:, : rows * size, : columns * size].reshape(len(image), rows, size, columns, size)

    mask, at_least = prepared.mask, prepared.at_least
    return dataclasses.replace(
        prepared,
        amplitudes=np.sqrt(np.square(blocks(prepared.amplitudes)).mean((2, 4))),
        mask=None if mask is None else np.asarray(blocks(mask).all((2, 4))),
        at_least=None if at_least is None else np.asarray(blocks(at_least).any((2, 4))),
    )


def _coarser(setup: Setup, builder: ModelBuilder, size: int) -> tuple[Setup, ModelBuilder]:
    """Return the geometry of binned frames, and the builder with the mean light on their pixels."""
    optics = dataclasses.replace(setup.optics, pixel_size_um=size * setup.pixel_size_um)
    light = builder.illumination
    if light is not None:
        rows, columns = (length // size for length in light.shape)
        light = light[: rows * size, : columns * size].reshape(rows, size, columns, size).mean((1, 3))
        builder = dataclasses.replace(builder, illumination=light)
    return setup.with_heights(optics=optics), builder
