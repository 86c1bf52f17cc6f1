"""The linearised model: the derivative of the amplitudes, and the least squares problem that goes with it."""

from __future__ import annotations

import pytest
import torch

from napari_diner.solvers.lensless.linearised import Linearised
from tests.solvers.lensless.small_problems import Recording, rich_problem


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("padding", [False, True])
def test_the_derivative_is_that_of_the_model(masked: bool, padding: bool) -> None:
    problem = rich_problem(masked, padding)
    generator = torch.Generator().manual_seed(1)
    field, change = (torch.randn(5, 6, dtype=torch.complex128, generator=generator) for _ in range(2))
    ahead, behind = (problem.model.fields(field * torch.exp(step * change)).abs() for step in (1e-5, -1e-5))
    expected = (ahead - behind) / 2e-5
    if problem.mask is not None:
        expected = expected.where(problem.mask, 0)
    torch.testing.assert_close(Linearised(problem, field).apply(change), expected, atol=1e-7, rtol=1e-6)


def test_a_change_is_found_back_from_what_it_does(recording: Recording) -> None:
    linear = Linearised(recording.problem, recording.truth, damping=1e-9)
    change = 0.1 * torch.log(recording.truth)
    change = change - 1j * change.imag.mean()
    found = linear.solve(linear.apply(change), 400, 1e-7)
    found = found - 1j * found.imag.mean()
    torch.testing.assert_close(found, change, atol=1e-3, rtol=0)
