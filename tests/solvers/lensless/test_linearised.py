"""The linearised model: derivative of the amplitudes, and its least squares problem."""

from __future__ import annotations

import pytest
import torch

from napari_diner.physics.lensless.light import Light
from napari_diner.solvers.lensless.problem import PhaseProblem
from tests.kit.adjoint import assert_adjoint
from tests.solvers.lensless.small_problems import LASER, LED, Recording, Space, rich_problem


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("padding", [False, True, "unknown"])
@pytest.mark.parametrize("light", [LASER, LED])
def test_the_derivative_is_that_of_the_model(masked: bool, padding: Space, light: Light) -> None:
    problem = rich_problem(masked, padding, light)
    generator = torch.Generator().manual_seed(1)
    field, change = torch.randn(2, *problem.model.shape, dtype=torch.complex128, generator=generator)
    ahead, behind = (problem.modulus(field * torch.exp(step * change)) for step in (1e-5, -1e-5))
    expected = (ahead - behind) / 2e-5
    if problem.mask is not None:
        expected = expected.where(problem.mask, 0)
    torch.testing.assert_close(problem.linearise(field).apply(change), expected, atol=1e-7, rtol=1e-6)


def test_a_change_is_found_back_from_what_it_does(recording: Recording) -> None:
    linear = recording.problem.linearise(recording.truth)
    change = 0.1 * torch.log(recording.truth)
    change = change - 1j * change.imag.mean()
    found = linear.solve(linear.apply(change), 400, 1e-7, damping=1e-9)
    found = found - 1j * found.imag.mean()
    torch.testing.assert_close(found, change, atol=1e-3, rtol=0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("light", [LASER, LED])
def test_the_adjoint_is_that_of_the_derivative(masked: bool, weighted: bool, light: Light) -> None:
    problem = rich_problem(masked, padding=True, light=light)
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand(problem.amplitudes.shape, dtype=torch.float64, generator=generator) + 0.1
    if weighted:
        problem = problem.with_weights(weights)
    field, change = torch.randn(2, 5, 6, dtype=torch.complex128, generator=generator)
    data = torch.randn(problem.amplitudes.shape, dtype=torch.float64, generator=generator)
    linear = problem.linearise(field)
    # with weights W the adjoint is Jᵀ W
    assert_adjoint(linear.apply, lambda d: linear.adjoint(d / weights if weighted else d), change, data)


@pytest.mark.parametrize("light", [LASER, LED])
def test_the_gradient_is_that_of_the_residual(light: Light) -> None:
    problem = rich_problem(masked=True, padding=False, light=light)
    field = torch.randn(5, 6, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    linear = problem.linearise(field)
    gradient = 2 / problem.valid * linear.adjoint(linear.residual())
    # by log-amplitude and phase, the gradient is O* times that by the field
    torch.testing.assert_close(field.conj() * problem.evaluate(field).gradient, gradient, rtol=1e-10, atol=1e-14)


def test_weights_are_those_of_another_problem(recording: Recording) -> None:
    problem = recording.problem
    weighted = problem.with_weights(torch.full_like(problem.amplitudes, 2.0))
    field = problem.flat_field()
    assert isinstance(weighted, PhaseProblem)
    assert problem.weights is None
    assert weighted.evaluate(field).misfit == pytest.approx(2 * problem.evaluate(field).misfit)
