"""Conjugate gradients against a direct solution."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from napari_diner.solvers.conjugate_gradients import ConjugateGradients, inner

SHAPE = (3, 4)
SIZE = 2 * SHAPE[0] * SHAPE[1]


def as_real(image: Tensor) -> Tensor:
    return torch.view_as_real(image).flatten()


def as_image(numbers: Tensor) -> Tensor:
    return torch.view_as_complex(numbers.reshape(*SHAPE, 2))


def system(seed: int = 0, condition: float = 100.0) -> tuple[Tensor, Tensor]:
    """Return a symmetric positive matrix that mixes real and imaginary parts, and a right-hand side."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(SIZE, SIZE, dtype=torch.float64, generator=generator)).Q
    matrix = basis @ torch.diag(torch.logspace(0, 2, SIZE, dtype=torch.float64) * condition / 100) @ basis.T
    return matrix, torch.randn(*SHAPE, dtype=torch.complex128, generator=generator)


def test_inner_reads_complex_images_as_pairs_of_numbers() -> None:
    a, b = system(1)[1], system(2)[1]
    assert float(inner(a, b)) == pytest.approx(float(as_real(a) @ as_real(b)), rel=1e-13)


@pytest.mark.parametrize("preconditioned", [False, True])
def test_steps_lead_to_the_direct_solution(preconditioned: bool) -> None:
    matrix, right = system()
    expected = as_image(torch.linalg.solve(matrix, as_real(right)))
    approximate = torch.linalg.inv(matrix + 2 * torch.eye(SIZE, dtype=torch.float64))

    def apply(image: Tensor) -> Tensor:
        return as_image(matrix @ as_real(image))

    def precondition(image: Tensor) -> Tensor:
        return as_image(approximate @ as_real(image)) if preconditioned else image

    solve = ConjugateGradients(apply, right, precondition)
    assert not solve.converged(1e-3)
    errors = []
    for _ in range(3 * SIZE):  # as many as unknowns, but for rounding
        solve.step()
        difference = solve.solution - expected
        errors.append(float(inner(difference, apply(difference))))
    assert torch.allclose(solve.solution, expected, rtol=0, atol=1e-8)
    assert solve.converged(1e-6)
    # the error falls at every step in the norm of the operator, until rounding
    assert all(later <= sooner for sooner, later in pairwise(errors) if sooner > 1e-18)
    # a good preconditioner gets there sooner
    assert (errors[8] < 1e-6 * errors[0]) == preconditioned


def test_the_exact_inverse_as_preconditioner_needs_one_step() -> None:
    matrix, right = system()
    solve = ConjugateGradients(
        lambda image: as_image(matrix @ as_real(image)),
        right,
        lambda image: as_image(torch.linalg.solve(matrix, as_real(image))),
    )
    solve.step()
    assert solve.converged(1e-6)
    assert torch.allclose(as_real(solve.solution), torch.linalg.solve(matrix, as_real(right)))


def test_nothing_to_solve_has_converged() -> None:
    solve = ConjugateGradients(lambda image: image, torch.zeros(SHAPE, dtype=torch.complex128), lambda image: image)
    assert solve.converged(1e-3)
    solve.step()
    assert solve.converged(1e-3)
