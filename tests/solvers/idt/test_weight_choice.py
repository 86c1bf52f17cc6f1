from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import Choice, TvSearch, choose_tikhonov, noise_in_volume, noise_level
from tests.solvers.idt.small_volumes import TV, blocks, born, noise

SHAPE = (6, 24, 26)
FRAMES = 12


def recording(model: LinearModel, sigma: float, seed: int = 0) -> Tensor:
    return model.forward(blocks(model.shape)) + sigma * noise(model.frames, *model.shape[1:], seed=seed)


def distance(volume: Tensor) -> float:
    truth = blocks((volume.shape[1], volume.shape[2], volume.shape[3]))
    return float((volume[0] - truth[0])[truth[0] > 0].square().mean().sqrt())


@pytest.mark.parametrize("frames", [4, 9], ids=["fewer frames than unknowns", "more frames than unknowns"])
def test_errors_are_those_of_leaving_out_each_frame(frames: int) -> None:
    model = born((3, 6, 7), frames)
    data = noise(frames, 6, 7)
    choice = choose_tikhonov(ClosedForm(model), data, count=5)
    others = [[j for j in range(frames) if j != i] for i in range(frames)]
    parts = [ClosedForm(model, frames=kept) for kept in others]
    for alpha, error in zip(choice.candidates, choice.errors, strict=True):
        squares = 0.0
        for left_out, (kept, part) in enumerate(zip(others, parts, strict=True)):
            predicted = model.forward(part.solve(data[kept], alpha), [left_out])
            squares += float((predicted - data[left_out]).square().mean())
        assert math.isclose(error, math.sqrt(squares / frames), rel_tol=1e-5)


@pytest.mark.parametrize("sigma", [0.003, 0.03, 0.3])
def test_chosen_alpha_is_nearly_the_best_whatever_the_noise(sigma: float) -> None:
    model = born(SHAPE, FRAMES)
    closed, data = ClosedForm(model), recording(model, sigma)
    choice = choose_tikhonov(closed, data)
    best = min(distance(closed.solve(data, alpha)) for alpha in choice.candidates)
    assert distance(closed.solve(data, choice.value)) < 1.15 * best


@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e6])
def test_the_scale_of_the_responses_does_not_matter_in_single_precision(factor: float) -> None:
    model = born(SHAPE, FRAMES, dtype=torch.complex64)
    data = recording(model, 0.03).float()
    closed = ClosedForm(model)
    expected = choose_tikhonov(closed, data)
    closed.eigenvalues *= factor**2
    found = choose_tikhonov(closed, data)
    assert found.value == pytest.approx(factor**2 * expected.value, rel=1e-4)
    assert found.errors == pytest.approx(expected.errors, rel=1e-3)


def test_noisier_data_ask_for_a_larger_alpha() -> None:
    model = born(SHAPE, FRAMES)
    closed = ClosedForm(model)
    values = [choose_tikhonov(closed, recording(model, sigma)).value for sigma in (0.003, 0.03, 0.3)]
    assert values == sorted(set(values))


def test_a_single_frame_is_not_fitted_to_its_noise() -> None:
    model = born(SHAPE, 1)
    closed, data = ClosedForm(model), recording(model, 0.03)
    choice = choose_tikhonov(closed, data)
    left = model.forward(closed.solve(data, choice.value)) - data
    assert 0.5 * 0.03 < float(left.square().mean().sqrt()) < 1.5 * 0.03


def searched(search: TvSearch) -> tuple[Choice, list[float]]:
    parts = [step.done for step in search.steps()]
    choice = search.result()
    assert choice is not None
    return choice, parts


@pytest.mark.parametrize("sigma", [0.003, 0.03])
def test_chosen_variation_is_nearly_the_best(sigma: float) -> None:
    model = born(SHAPE, FRAMES)
    data = recording(model, sigma)
    start = ClosedForm(model).solve(data, 1.0)
    problem = VolumeProblem(model, data, VolumePriors(sign_re=1, sign_im=1), TV)
    choice, parts = searched(TvSearch(problem, start))
    distances = []
    for factor in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0):
        admm = Admm(replace(problem, priors=replace(problem.priors, tv=factor * choice.value)), start, 60)
        for _ in admm.steps():
            pass
        distances.append(distance(admm.result()))
    # the data cannot tell much better
    assert distances[3] < 1.7 * min(distances)
    assert parts == sorted(parts)
    assert 0 < parts[0] <= parts[-1] <= 1


def test_of_weights_that_predict_alike_the_largest_is_chosen() -> None:
    model = born(SHAPE, 5)
    problem = VolumeProblem(model, recording(model, 0.01), VolumePriors(), TV)
    search = TvSearch(problem, torch.zeros(2, *SHAPE), candidates=(1e-3, 1e-1, 1e-2), iterations=3)
    assert search.result() is None
    choice, _ = searched(search)
    assert choice.candidates == (1e-3, 1e-2, 1e-1)
    assert choice.errors[choice.candidates.index(choice.value)] <= 1.005 * min(choice.errors)
    larger = [error for tau, error in zip(choice.candidates, choice.errors, strict=True) if tau > choice.value]
    assert all(error > 1.005 * min(choice.errors) for error in larger)


def test_where_the_model_is_wrong_larger_weights_are_tried_than_noise_asks_for() -> None:
    model = born(SHAPE, FRAMES)
    data = recording(model, 1e-4)
    # what no volume explains, at frequencies where objects show
    data += model.forward(0.05 * noise(2, *SHAPE, seed=3)).flip(0)
    problem = VolumeProblem(model, data, VolumePriors(sign_re=1), TV)
    search = TvSearch(problem, torch.zeros(2, *SHAPE))
    choice, _ = searched(search)
    level = noise_in_volume(model, data, search.shown)
    assert max(choice.candidates) > 30 * level


def test_variation_is_not_chosen_from_one_frame() -> None:
    model = born(SHAPE, 1)
    problem = VolumeProblem(model, torch.zeros(1, *SHAPE[1:]), VolumePriors(), TV)
    with pytest.raises(ValueError, match="single frame"):
        TvSearch(problem, torch.zeros(2, *SHAPE))


def test_noise_is_told_from_what_no_illumination_brings() -> None:
    model = born((6, 40, 42), FRAMES)
    assert noise_level(model, recording(model, 0.02)) == pytest.approx(0.02, rel=0.1)


def test_noise_in_the_volume_is_that_of_the_adjoint() -> None:
    model = born(SHAPE, FRAMES)
    quiet = 0.02 * noise(FRAMES, *SHAPE[1:])
    spread = float(model.adjoint(quiet).square().mean().sqrt())
    assert noise_in_volume(model, quiet) == pytest.approx(spread, rel=0.15)
