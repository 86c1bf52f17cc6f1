"""Tomographic problems small enough to be solved by brute force."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.solvers.idt.regularisers import TotalVariation

PIXEL_UM = 0.18
SPACING_UM = 0.5
TV = TotalVariation.of_voxels(SPACING_UM, PIXEL_UM)


def born(shape: tuple[int, int, int], frames: int, dtype: torch.dtype = torch.complex128) -> BornModel:
    """A ring just inside the pupil's edge, in water."""
    illumination = ring(0.637, frames, offset_deg=10)
    return BornModel(VolumeGeometry(shape, SPACING_UM, 0.515, 1.33, PIXEL_UM, 0.65), illumination, dtype=dtype)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normally distributed numbers."""
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def dense(model: LinearModel) -> Tensor:
    """The matrix of a model, (N·Y·X, 2·Z·Y·X)."""
    size = 2 * model.shape[0] * model.shape[1] * model.shape[2]
    columns = [model.forward(unit.view(2, *model.shape)).flatten() for unit in torch.eye(size, dtype=model.real_dtype)]
    return torch.stack(columns, 1)


def dense_differences(shape: tuple[int, int, int], tv: TotalVariation) -> Tensor:
    """The matrix of the differences of both channels, (3·2·Z·Y·X, 2·Z·Y·X)."""
    size = 2 * shape[0] * shape[1] * shape[2]
    columns = [tv.differences(unit.view(2, *shape)).flatten() for unit in torch.eye(size, dtype=torch.float64)]
    return torch.stack(columns, 1)


def blocks(shape: tuple[int, int, int], height: float = 4e-3) -> Tensor:
    """A body with a denser core that absorbs a little, (2, Z, Y, X), float64."""
    planes, rows, columns = shape
    contrast = torch.zeros(2, *shape, dtype=torch.float64)
    z, y, x = (
        slice(planes // 4, -(planes // 4) or None),
        slice(rows // 5, -rows // 4),
        slice(columns // 4, -columns // 4),
    )
    contrast[0, z, y, x] = height
    core = (
        slice(planes // 2 - 1, planes // 2 + 1),
        slice(rows // 2 - 2, rows // 2 + 3),
        slice(columns // 3, columns // 2),
    )
    contrast[0][core] = 1.8 * height
    contrast[1][core] = 0.4 * height
    return contrast
