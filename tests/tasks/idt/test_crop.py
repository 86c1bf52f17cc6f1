"""The crop of a large recording for the choice of weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import TotalVariation, VolumePriors
from napari_diner.tasks.idt import crop

LIT = ring(0.637, 4)


def build(rows: int, columns: int) -> BornModel:
    return BornModel(VolumeGeometry((4, rows, columns), 0.5, 0.515, 1.33, 0.1625, 0.65), LIT)


def problem_of(rows: int, columns: int) -> tuple[VolumeProblem, torch.Tensor]:
    volume = torch.zeros(2, 4, rows, columns)
    volume[0, 1:3, 100:120, 150:165] = 1e-3
    model = build(rows, columns)
    return VolumeProblem(model, model.forward(volume), VolumePriors(), TotalVariation()), volume


def test_small_recordings_are_taken_whole() -> None:
    problem, volume = problem_of(128, 192)
    same, contrast = crop.cropped(problem, volume, build)
    assert same is problem
    assert contrast is volume


def test_part_holds_the_object_and_obeys_its_own_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop, "_ENOUGH", 4 * 96**2)
    problem, volume = problem_of(192, 224)
    part, contrast = crop.cropped(problem, volume, build)
    assert part.model.shape == (4, 96, 96)
    assert part.data.shape == (4, 96, 96)
    # the object lies in it, away from the borders, and its data are nearly those of a field of that size
    assert float(contrast.sum()) == pytest.approx(float(volume.sum()), rel=1e-3)
    with torch.no_grad():
        left = part.model.forward(contrast) - part.data
    assert float(left.norm()) < 0.1 * float(part.data.norm())
    centre = np.argwhere(contrast[0].sum(0).numpy() > 0).mean(0)
    assert np.all(np.abs(centre - 47.5) < 25)
