from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.settings import DinerSettings
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.descent import VolumeDescent, scale_of, start_from
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import Priors
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.settings import GradientSettings
from tests.solvers.idt.small_volumes import TV, blocks, born, noise

SHAPE = (5, 15, 17)
PRIORS = Priors(tv=0.02, positive_re=True, positive_im=True)


def recorded(priors: Priors = PRIORS) -> tuple[VolumeProblem, Tensor]:
    model, truth = born(SHAPE, 10, torch.complex64), blocks(SHAPE)
    data = model.forward(truth.float()) + 2e-3 * noise(10, *SHAPE[1:]).float()
    return VolumeProblem(model, data, priors, TV), truth


def start_of(problem: VolumeProblem) -> Tensor:
    return ClosedForm(problem.model).solve(problem.data, 1.0)


def diner(width: int = 2) -> Diner:
    torch.manual_seed(0)
    settings = DinerSettings(tables="shared", table_width=width, lattice_size=32 if width == 2 else 16)
    return Diner(SHAPE, 2, settings, torch.Generator().manual_seed(0))


def descend(
    problem: VolumeProblem, representation: Diner | Pixels, start: Tensor, rate: float, steps: int, **options: int
) -> VolumeDescent:
    scale = start_from(representation, start, torch.Generator().manual_seed(0))
    settings = GradientSettings(iterations=steps, learning_rate=rate)
    descent = VolumeDescent(problem, representation, scale, settings, **options)
    for _ in descent.steps():
        pass
    return descent


def test_representation_starts_from_the_contrast_given() -> None:
    start = start_of(recorded()[0])
    for representation in (diner(), diner(3), Pixels(SHAPE, 2)):
        scale = start_from(representation, start, torch.Generator().manual_seed(0))
        found = scale[:, None, None, None] * representation.exact().detach()
        assert float((found - start).abs().max()) < 1e-4 * float(start.abs().max())


def test_scale_of_what_is_zero_is_one() -> None:
    contrast = torch.zeros(2, *SHAPE)
    contrast[0, 1, 2, 3] = -0.25
    assert scale_of(contrast).tolist() == [0.25, 1.0]


def test_voxels_reach_what_admm_reaches() -> None:
    problem, _ = recorded()
    start = start_of(problem)
    admm = Admm(problem, start, 400, 1e-5)
    for _ in admm.steps():
        pass
    volume = descend(problem, Pixels(SHAPE, 2), start, 2e-2, 1000).volume()
    assert volume.min() >= 0
    assert problem.objective(volume)[0] < 1.02 * admm.objective


@pytest.mark.parametrize("width", [2, 3])
def test_diner_lowers_the_objective_and_the_error(width: int) -> None:
    problem, truth = recorded()
    start = start_of(problem)
    descent = descend(problem, diner(width), start, 3e-4, 300)
    volume = descent.finish()
    assert volume.min() >= 0
    assert problem.objective(volume)[0] < 0.7 * problem.objective(problem.projected(start))[0]
    assert float((volume - truth)[0].norm()) < 0.8 * float((start - truth)[0].norm())
    # the representation holds what is returned
    exact = descent.scale[:, None, None, None] * descent.representation.exact()
    assert torch.equal(problem.projected(exact), volume)


def test_values_below_zero_come_up_again_where_the_data_ask_for_it() -> None:
    problem, truth = recorded()
    pixels = Pixels(SHAPE, 2)
    scale = scale_of(truth.float())
    start_from(pixels, -truth.float())
    descent = VolumeDescent(problem, pixels, scale, GradientSettings(iterations=300, learning_rate=2e-2))
    for _ in descent.steps():
        pass
    found = descent.volume()[0].double()
    # they started at twice the distance of an empty volume
    assert float((found - truth[0]).norm()) < 0.9 * float(truth[0].norm())


def test_without_positivity_values_may_be_negative() -> None:
    problem, _ = recorded(Priors(tv=0.02))
    assert descend(problem, Pixels(SHAPE, 2), start_of(problem), 1e-2, 100).volume().min() < 0


def test_batches_of_frames_lead_to_nearly_the_same() -> None:
    problem, _ = recorded()
    start = start_of(problem)
    whole = problem.objective(descend(problem, Pixels(SHAPE, 2), start, 1e-2, 300).volume())[0]
    descent = descend(problem, Pixels(SHAPE, 2), start, 1e-2, 150, batch_frames=4)
    assert problem.objective(descent.volume())[0] < 1.1 * whole


def test_rounds_show_every_frame_once_and_tell_how_far_they_are() -> None:
    problem, _ = recorded()
    problem = VolumeProblem(problem.model, problem.data, PRIORS, TV, tuple(range(1, 10)))
    pixels = Pixels(SHAPE, 2)
    scale = start_from(pixels, start_of(problem))
    descent = VolumeDescent(problem, pixels, scale, GradientSettings(iterations=2, learning_rate=1e-3), batch_frames=4)
    for batches in (descent._batches(), descent._batches()):
        assert sorted(frame for batch in batches for frame in batch) == list(range(1, 10))
        assert [len(batch) for batch in batches] == [3, 3, 3]
    places = [(step.iteration, step.within) for step in descent.steps()]
    assert places == [(i, pytest.approx(part)) for i in (1, 2) for part in (1 / 3, 2 / 3, 1)]


def test_result_is_never_worse_than_the_start() -> None:
    problem, truth = recorded()
    start = problem.projected(truth.float())
    descent = descend(problem, Pixels(SHAPE, 2), start, 5.0, 3)
    assert problem.objective(descent.volume())[0] <= problem.objective(start)[0] * (1 + 1e-5)


@pytest.mark.parametrize("batch_frames", [None, 4])
def test_volume_so_far_leaves_the_run_as_it_is(batch_frames: int | None) -> None:
    problem, _ = recorded()
    results = []
    for asked in (False, True):
        representation = diner()
        scale = start_from(representation, start_of(problem), torch.Generator().manual_seed(0))
        settings = GradientSettings(iterations=12, learning_rate=1e-4)
        descent = VolumeDescent(problem, representation, scale, settings, batch_frames=batch_frames)
        for _ in descent.steps():
            if asked:
                descent.volume()
        results.append(descent.finish())
    assert torch.equal(*results)


def test_time_limit_anneals_the_rate_and_ends_the_run() -> None:
    problem, _ = recorded()
    clock = iter(range(1000))
    pixels = Pixels(SHAPE, 2)
    scale = start_from(pixels, start_of(problem))
    settings = GradientSettings(iterations=1000, learning_rate=1e-3)
    descent = VolumeDescent(problem, pixels, scale, settings, max_seconds=20, elapsed=lambda: float(next(clock)))
    assert 15 <= len(list(descent.steps())) <= 25


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
    problem = VolumeProblem(model, data, Priors(tv=1e-2, positive_re=True, positive_im=True), TV)
    descent = descend(problem, Pixels(shape, 2), start, 3e-2, 60, batch_frames=4)
    assert float((descent.volume() - truth)[0].norm()) < 0.85 * best
