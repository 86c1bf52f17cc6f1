"""Voxels under the multi-slice model."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.multislice import MultiSliceVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.tikhonov import ClosedForm
from tests.solvers.idt.small_volumes import TV, blocks, born, noise

SHAPE = (6, 32, 32)
FRAMES = 8
PRIORS = VolumePriors(tv=2e-2, sign_re=1, sign_im=1)
LINEAR = born(SHAPE, FRAMES, torch.complex64)


def recorded(strength: float, sigma: float = 2e-3) -> tuple[VolumeProblem, Tensor]:
    model = SSNPModel(VolumeGeometry(SHAPE, 0.5, 0.515, 1.33, 0.18, 0.65), ring(0.637, FRAMES, offset_deg=10))
    truth = blocks(SHAPE, strength).float()
    data = model.forward(truth) + sigma * noise(FRAMES, *SHAPE[1:]).float()
    return VolumeProblem(model, data, PRIORS, TV, slope=LINEAR), truth


def solved(problem: VolumeProblem, iterations: int) -> MultiSliceVoxels:
    voxels = MultiSliceVoxels(problem, torch.zeros(2, *SHAPE), iterations)
    for _ in voxels.steps():
        pass
    return voxels


def error(found: Tensor, truth: Tensor) -> float:
    return float((found - truth)[0].norm() / truth[0].norm())


def test_strong_object_comes_out_where_single_scattering_fails() -> None:
    problem, truth = recorded(0.15)
    closed = ClosedForm(LINEAR)
    best = min(error(closed.solve(problem.data, alpha), truth) for alpha in (0.1, 1.0, 10.0, 100.0))
    voxels = solved(problem, 15)
    assert voxels.result().min() >= 0
    assert error(voxels.result(), truth) < 0.65 * best
    # little more than noise is left
    left = float(problem.misfit(voxels.result())) * 2 / problem.data.numel()
    assert left < (4 * 2e-3) ** 2


def test_weak_object_is_that_of_the_linear_solver() -> None:
    problem, _ = recorded(1e-3, 1e-4)
    problem = problem.with_priors(VolumePriors(tv=1e-4, sign_re=1, sign_im=1))
    single = replace(problem, model=LINEAR)
    admm = Admm(single, torch.zeros(2, *SHAPE), 300, 1e-5)
    for _ in admm.steps():
        pass
    found = solved(problem, 60)
    assert found.objective < 1.05 * problem.loss(admm.result())


def test_linearised_data_are_explained_by_the_linear_model() -> None:
    problem, truth = recorded(0.15, 0.0)
    voxels = MultiSliceVoxels(problem, truth, 1)
    assert torch.allclose(voxels.linearised(), LINEAR.forward(truth), atol=1e-5)


def test_best_volume_is_kept_and_frames_left_out_do_not_count() -> None:
    problem, _ = recorded(0.15)
    spoiled = problem.data.clone()
    spoiled[[2, 5]] = 1e3
    frames = (0, 1, 3, 4, 6, 7)
    volumes = []
    for data in (problem.data, spoiled):
        voxels = MultiSliceVoxels(replace(problem, data=data, frames=frames), torch.zeros(2, *SHAPE), 4)
        losses = [step.loss for step in voxels.steps()]
        assert losses == sorted(losses, reverse=True)
        assert voxels.objective == losses[-1]
        volumes.append(voxels.result())
    assert torch.equal(*volumes)


def test_start_that_is_nonsense_is_recovered_from() -> None:
    problem, _ = recorded(0.05)
    voxels = MultiSliceVoxels(problem, 0.02 * noise(2, *SHAPE).float(), 20)
    first = voxels.objective
    for _ in voxels.steps():
        pass
    assert voxels.objective < 0.1 * first
