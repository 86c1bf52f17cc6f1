"""Adam on represented volumes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.settings import CompleteDinerSettings
from napari_diner.representations.unknown import Scaled
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.problem import VolumeProblem, scale_of
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.settings import AdamSettings
from napari_diner.solvers.solver import Budget
from napari_diner.solvers.starting_values import fit_values
from tests.solvers.idt.small_volumes import TV, blocks, born, noise

SHAPE = (5, 15, 17)
PRIORS = VolumePriors(tv=0.02, sign_re=1, sign_im=1)


def recorded(priors: VolumePriors = PRIORS) -> tuple[VolumeProblem, Tensor]:
    model, truth = born(SHAPE, 10, torch.complex64), blocks(SHAPE)
    data = model.forward(truth.float()) + 2e-3 * noise(10, *SHAPE[1:]).float()
    return VolumeProblem(model, data, priors, TV), truth


def start_of(problem: VolumeProblem) -> Tensor:
    return ClosedForm(problem.linear).solve(problem.data, 1.0)


def diner(width: int = 2) -> Diner:
    torch.manual_seed(0)
    settings = CompleteDinerSettings(table_width=width, lattice_size=32 if width == 2 else 16)
    return Diner(SHAPE, 2, settings, torch.Generator().manual_seed(0))


def unknown_of(representation: Diner | Pixels, start: Tensor) -> Scaled:
    """Return a representation of contrasts such as a start, with its values."""
    unknown = Scaled(representation, torch.tensor(scale_of(start)))
    fit_values(representation, unknown.decompose(start), torch.Generator().manual_seed(0))
    return unknown


def descent_of(
    problem: VolumeProblem,
    representation: Diner | Pixels,
    start: Tensor,
    rate: float,
    steps: int,
    batch_frames: int | None = None,
    budget: Budget | None = None,
) -> AdamDescent:
    return AdamDescent(
        replace(problem, scale=scale_of(start)),
        unknown_of(representation, start),
        AdamSettings(iterations=steps, learning_rate=rate),
        budget,
        batch_size=batch_frames,
        generator=torch.Generator().manual_seed(0),
        keep_start=True,
    )


def descend(
    problem: VolumeProblem,
    representation: Diner | Pixels,
    start: Tensor,
    rate: float,
    steps: int,
    batch_frames: int | None = None,
) -> Tensor:
    """Return the volume of the best parameters."""
    descent = descent_of(problem, representation, start, rate, steps, batch_frames)
    for _ in descent.steps():
        pass
    return problem.projected(descent.result().estimate)


def test_representation_starts_from_the_contrast_given() -> None:
    start = start_of(recorded()[0])
    for representation in (diner(), diner(3), Pixels(SHAPE, 2)):
        found = unknown_of(representation, start).exact().detach()
        assert float((found - start).abs().max()) < 1e-4 * float(start.abs().max())


def test_scale_of_what_is_zero_is_one() -> None:
    contrast = torch.zeros(2, *SHAPE)
    contrast[0, 1, 2, 3] = -0.25
    assert scale_of(contrast) == (0.25, 1.0)


def test_voxels_reach_what_admm_reaches() -> None:
    problem, _ = recorded()
    start = start_of(problem)
    admm = Admm(problem, start, 400, 1e-5)
    for _ in admm.steps():
        pass
    volume = descend(problem, Pixels(SHAPE, 2), start, 2e-2, 1000)
    assert volume.min() >= 0
    assert problem.loss(volume) < 1.02 * admm.objective


@pytest.mark.parametrize("width", [2, 3])
def test_diner_lowers_the_loss_and_the_error(width: int) -> None:
    problem, truth = recorded()
    start = start_of(problem)
    descent = descent_of(problem, diner(width), start, 3e-4, 300)
    for _ in descent.steps():
        pass
    volume = problem.projected(descent.result().estimate)
    assert problem.loss(volume) < 0.7 * problem.loss(problem.projected(start))
    assert float((volume - truth)[0].norm()) < 0.8 * float((start - truth)[0].norm())
    # the representation holds what is returned
    assert torch.equal(problem.projected(descent.unknown.exact()), volume)
    assert problem.objective(descent.unknown) == problem.loss(volume)


def test_values_below_zero_come_up_again_where_the_data_ask_for_it() -> None:
    problem, truth = recorded()
    found = descend(problem, Pixels(SHAPE, 2), -truth.float(), 2e-2, 300)[0].double()
    # they started at twice the distance of an empty volume
    assert float((found - truth[0]).norm()) < 0.9 * float(truth[0].norm())


def test_values_above_zero_come_down_again_where_the_data_ask_for_it() -> None:
    problem, truth = recorded(VolumePriors(tv=0.02, sign_re=-1, sign_im=-1))
    problem = replace(problem, data=-problem.data)
    found = descend(problem, Pixels(SHAPE, 2), truth.float(), 2e-2, 300)[0].double()
    assert float((found + truth[0]).norm()) < 0.9 * float(truth[0].norm())


def test_without_positivity_values_may_be_negative() -> None:
    problem, _ = recorded(VolumePriors(tv=0.02))
    assert descend(problem, Pixels(SHAPE, 2), start_of(problem), 1e-2, 100).min() < 0


def test_batches_of_frames_lead_to_nearly_the_same() -> None:
    problem, _ = recorded()
    start = start_of(problem)
    whole = problem.loss(descend(problem, Pixels(SHAPE, 2), start, 1e-2, 300))
    assert problem.loss(descend(problem, Pixels(SHAPE, 2), start, 1e-2, 150, batch_frames=4)) < 1.1 * whole


def test_an_iteration_shows_every_frame_once_and_reports_its_part() -> None:
    problem = replace(recorded()[0], frames=tuple(range(1, 10)))
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        batches = [batch for batch in problem.batches(4, generator) if batch is not None]
        assert sorted(int(frame) for batch in batches for frame in batch) == list(range(1, 10))
        assert [len(batch) for batch in batches] == [3, 3, 3]
    assert problem.batches(9, generator) == [None]
    descent = descent_of(problem, Pixels(SHAPE, 2), start_of(problem), 1e-3, 2, batch_frames=4)
    steps = list(descent.steps())
    assert [step.iteration for step in steps] == [1, 1, 1, 2, 2, 2]
    assert [step.within for step in steps] == pytest.approx([1 / 3, 2 / 3, 1] * 2)


def test_result_is_never_worse_than_the_start() -> None:
    problem, truth = recorded()
    start = problem.projected(truth.float())
    volume = descend(problem, Pixels(SHAPE, 2), start, 5.0, 3)
    assert problem.loss(volume) <= problem.loss(start) * (1 + 1e-5)


@pytest.mark.parametrize("batch_frames", [None, 4])
def test_asking_for_the_result_does_not_disturb_the_run(batch_frames: int | None) -> None:
    problem, _ = recorded()
    results = []
    for asked in (False, True):
        descent = descent_of(problem, diner(), start_of(problem), 1e-4, 12, batch_frames)
        for _ in descent.steps():
            if asked:
                assert descent.result().estimate.isfinite().all()
        results.append(descent.result().estimate)
    assert torch.equal(*results)


def test_time_limit_anneals_the_rate_and_ends_the_run() -> None:
    problem, _ = recorded()
    clock = iter(range(1000))
    budget = Budget(lambda: float(next(clock)), 20.0)
    descent = descent_of(problem, Pixels(SHAPE, 2), start_of(problem), 1e-3, 1000, budget=budget)
    assert 8 <= len(list(descent.steps())) <= 25


def test_multi_slice_model_explains_what_the_linear_one_cannot() -> None:
    shape = (4, 24, 24)
    light = ring(0.637, 8)
    model = SSNPModel(VolumeGeometry(shape, 0.5, 0.515, 1.33, 0.18, 0.65), light)
    truth = blocks(shape, 0.12).float()
    data = model.forward(truth)
    linear = born(shape, 8, torch.complex64)
    start = ClosedForm(linear).solve(data, 10.0)
    # the closed form at its best
    best = min(float((ClosedForm(linear).solve(data, a) - truth)[0].norm()) for a in (1.0, 10.0, 100.0, 1000.0))
    problem = VolumeProblem(model, data, VolumePriors(tv=1e-2, sign_re=1, sign_im=1), TV)
    volume = descend(problem, Pixels(shape, 2), start, 3e-2, 60, batch_frames=4)
    assert float((volume - truth)[0].norm()) < 0.85 * best
