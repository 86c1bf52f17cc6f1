from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear, minimize
from torch import Tensor

from napari_diner.physics.idt.geometry import Slices, VolumeGeometry
from napari_diner.physics.idt.given import GivenTransfer
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.admm import Admm, factorised
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.tikhonov import ClosedForm
from tests.solvers.idt.small_volumes import TV, blocks, born, dense, dense_differences, noise

TINY = (3, 5, 6)
SMALL = (6, 20, 22)


def problem_of(shape: tuple[int, int, int], frames: int, priors: VolumePriors, sigma: float = 0.01) -> VolumeProblem:
    model = born(shape, frames)
    data = model.forward(blocks(shape)) + sigma * noise(frames, *shape[1:])
    return VolumeProblem(model, data, priors, TV)


def minimised(problem: VolumeProblem, iterations: int, tolerance: float = 1e-3) -> Admm:
    admm = Admm(problem, ClosedForm(problem.linear).solve(problem.data, 1.0), iterations, tolerance)
    for _ in admm.steps():
        pass
    return admm


def test_without_variation_and_positivity_it_is_the_closed_form() -> None:
    problem = problem_of(SMALL, 8, VolumePriors(tikhonov=0.7))
    wanted = ClosedForm(problem.linear).solve(problem.data, 0.7)
    found = minimised(problem, 300, 1e-9).result()
    assert torch.allclose(found, wanted, atol=1e-6 * float(wanted.abs().max()))


def test_positive_least_squares_as_by_an_active_set() -> None:
    problem = problem_of(TINY, 6, VolumePriors(tikhonov=0.3, sign_re=1, sign_im=1))
    matrix, data = dense(problem.linear).numpy(), problem.data.flatten().numpy()
    rows = np.concatenate([matrix, np.sqrt(0.3) * np.eye(matrix.shape[1])])
    exact = lsq_linear(rows, np.concatenate([data, np.zeros(matrix.shape[1])]), (0, np.inf), method="bvls", tol=1e-14)
    found = minimised(problem, 500, 1e-10).result()
    assert (exact.x == 0).any()
    assert np.allclose(found.flatten(), exact.x, atol=1e-6 * exact.x.max())


@pytest.mark.parametrize("positive", [False, True], ids=["of any sign", "positive"])
def test_minimum_with_total_variation_lies_where_a_smooth_solver_finds_it(positive: bool) -> None:
    priors = VolumePriors(tikhonov=1e-3, tv=3e-3, sign_re=int(positive), sign_im=int(positive))
    problem = problem_of(TINY, 6, priors, sigma=0.02)
    rounding, unit = 1e-6, 1e-3

    def rounded(values: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.from_numpy(unit * values).view(2, *TINY).requires_grad_()
        value = problem.misfit(x) + priors.tikhonov / 2 * x.square().sum() + priors.tv * TV.smooth(x, rounding)
        (gradient,) = torch.autograd.grad(value, x)
        return 1e6 * float(value.detach()), 1e6 * unit * gradient.flatten().numpy()

    bounds = [(0.0 if positive else None, None)] * (2 * 3 * 5 * 6)
    options = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 50}
    smooth = minimize(rounded, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    # the rounded variation is below the variation itself, by no more than ε a voxel: the minimum is between
    low = 1e-6 * smooth.fun
    high = low + priors.tv * rounding * len(bounds)
    found = minimised(problem, 1000, 1e-8).objective
    assert low * (1 - 1e-6) <= found <= high * (1 + 1e-5)


def test_of_a_model_that_changes_nothing_it_is_denoising() -> None:
    # with as many frames as unknowns, and each of them one slice of one part
    planes, rows, columns = 3, 7, 9
    unit = torch.eye(2 * planes, dtype=torch.complex128)[:, :, None, None].expand(-1, -1, rows, columns)
    slices = Slices((planes, rows, columns), 0.5, 0.5, 1.33)
    model = GivenTransfer(unit[:, :planes], unit[:, planes:], slices, dtype=torch.complex128)
    clean = blocks((planes, rows, columns), 1.0)
    noisy, tau = clean + 0.2 * noise(*clean.shape), 0.3
    problem = VolumeProblem(model, noisy.flatten(0, 1), VolumePriors(tv=tau, sign_re=1, sign_im=1), TV)
    assert torch.allclose(model.forward(noisy), noisy.flatten(0, 1))
    admm = Admm(problem, torch.zeros_like(noisy), 600, 1e-8)
    for _ in admm.steps():
        pass

    # the dual of denoising, by projected gradients with momentum (Beck and Teboulle, 2009)
    slopes = dense_differences((planes, rows, columns), TV)
    flat = noisy.flatten()
    p = last = torch.zeros(3, len(flat), dtype=torch.float64)
    for step in range(2000):
        ahead = p + step / (step + 3) * (p - last)
        x = (flat - slopes.T @ ahead.flatten()).clamp_min(0)
        raised = ahead + (slopes @ x).view_as(p) / 9
        last, p = p, raised / (raised.norm(dim=0) / tau).clamp_min(1)
    wanted = (flat - slopes.T @ p.flatten()).clamp_min(0)
    assert torch.allclose(admm.result().flatten(), wanted, atol=1e-5)


def test_forty_steps_get_lower_than_the_start_and_than_long_descent() -> None:
    priors = VolumePriors(tv=2e-3, sign_re=1, sign_im=1)
    problem = problem_of(SMALL, 8, priors)
    start = problem.projected(ClosedForm(problem.linear).solve(problem.data, 1.0))
    unknown = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([unknown], lr=1e-4)
    lowest = problem.loss(start)
    for _ in range(200):
        optimizer.zero_grad()
        (problem.misfit(unknown) + priors.tv * TV.smooth(unknown, 1e-6)).backward()
        optimizer.step()
        with torch.no_grad():
            unknown.clamp_min_(0)
        lowest = min(lowest, problem.loss(unknown.detach()))
    found = minimised(problem, 40)
    assert lowest < problem.loss(start)
    assert found.objective < lowest


def test_priors_bring_the_volume_nearer_to_the_truth() -> None:
    truth = blocks(SMALL)

    def distance(volume: Tensor) -> float:
        return float((volume[0] - truth[0])[truth[0] > 0].square().mean().sqrt())

    problem = problem_of(SMALL, 8, VolumePriors(tv=2e-3, sign_re=1, sign_im=1))
    closed = ClosedForm(problem.linear)
    best = min(distance(closed.solve(problem.data, alpha)) for alpha in (0.01, 0.1, 1.0, 10.0, 100.0))
    assert distance(minimised(problem, 40).result()) < 0.75 * best


def test_best_volume_is_kept_and_is_what_was_asked_for() -> None:
    problem = problem_of(SMALL, 6, VolumePriors(tv=1e-3, sign_re=1))
    admm = Admm(problem, noise(2, *SMALL) * 1e-3, 12)
    assert float(admm.result()[0].min()) >= 0
    lowest = admm.objective
    for number, step in enumerate(admm.steps(), 1):
        lowest = min(lowest, step.loss)
        assert (step.iteration, step.iterations) == (number, 12)
        assert admm.objective == lowest
        assert problem.loss(admm.result()) == pytest.approx(lowest, rel=1e-12)
    assert float(admm.result()[0].min()) >= 0
    assert float(admm.result()[1].min()) < 0


def test_it_stops_when_nothing_moves() -> None:
    problem = problem_of(SMALL, 8, VolumePriors(tv=2e-3, sign_re=1, sign_im=1))
    admm = Admm(problem, torch.zeros(2, *SMALL), 1000, tolerance=1e-3)
    steps = list(admm.steps())
    assert len(steps) < 300
    assert admm.objective == pytest.approx(minimised(problem, 1000, 1e-6).objective, rel=1e-3)


def test_empty_data_give_an_empty_volume() -> None:
    model = born(SMALL, 4)
    problem = VolumeProblem(model, torch.zeros(4, *SMALL[1:]), VolumePriors(tv=1e-3, sign_re=1), TV)
    admm = Admm(problem, torch.zeros(2, *SMALL), 20)
    assert all(np.isfinite(step.loss) for step in admm.steps())
    assert float(admm.result().abs().max()) == 0


def test_frames_that_do_not_count_are_not_looked_at() -> None:
    problem = problem_of(SMALL, 6, VolumePriors(tv=1e-3))
    spoiled = problem.data.clone()
    spoiled[[1, 4]] = 1e3
    frames, start = (0, 2, 3, 5), torch.zeros(2, *SMALL)
    volumes = []
    for data in (problem.data, spoiled):
        part = VolumeProblem(problem.model, data, problem.priors, TV, frames)
        admm = Admm(part, start, 5, closed=factorised(part))
        for _ in admm.steps():
            pass
        volumes.append(admm.result())
    assert float(volumes[0].abs().max()) > 0
    assert torch.equal(*volumes)


def test_model_that_is_not_linear_is_refused() -> None:
    model = SSNPModel(VolumeGeometry(SMALL, 0.5, 0.515, 1.33, 0.18, 0.65), ring(0.637, 2))
    problem = VolumeProblem(model, torch.zeros(2, *SMALL[1:]), VolumePriors(), TV)
    with pytest.raises(TypeError, match="linear"):
        Admm(problem, torch.zeros(2, *SMALL))


def test_ten_steps_come_within_a_few_per_cent_of_the_minimum() -> None:
    problem = problem_of(SMALL, 8, VolumePriors(tv=2e-3, sign_re=1, sign_im=1))
    assert minimised(problem, 10).objective < 1.05 * minimised(problem, 1000, 1e-6).objective


def test_it_goes_on_with_other_data_from_where_it_was() -> None:
    problem = problem_of(SMALL, 8, VolumePriors(tv=2e-3, sign_re=1, sign_im=1))
    admm = minimised(problem, 60)
    state = admm.state()
    other = VolumeProblem(problem.model, 1.01 * problem.data, problem.priors, TV)
    admm.aim(other, admm.result())
    admm.iterations = 3
    for _ in admm.steps():
        pass
    assert admm.objective < 1.01 * minimised(other, 300, 1e-5).objective
    admm.restore(state)
    assert torch.equal(admm.copy(), state["_z"])
