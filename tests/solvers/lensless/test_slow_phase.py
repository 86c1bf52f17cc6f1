"""The coarse grid of slowly varying phase: matrix, and saved steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Padding
from napari_diner.solvers.conjugate_gradients import Operator, inner
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.lensless.slow_phase import SlowPhase
from napari_diner.solvers.settings import GaussNewtonSettings
from tests.kit.fields import low_passed, noise

PIXEL_UM, WAVELENGTH_UM = 1.12, 0.532


def textured(shape: tuple[int, int], slow_rad: float = 1.5) -> Tensor:
    """Fine texture with slowly varying phase: complex, (Y, X)."""
    images = noise((2, *shape), 3)
    fine, wide = low_passed(images[0], 50), low_passed(images[1], min(shape) ** 2 / 4)
    return torch.polar(torch.exp(0.2 * fine / fine.std()), slow_rad * wide / wide.abs().max())


def problem_of(shape: tuple[int, int], padding: Padding | None = None, masked: bool = False) -> PhaseProblem:
    model = MultiHeight(
        shape,
        Heights(Optics(PIXEL_UM, WAVELENGTH_UM), (40.0, 60.0, 90.0)),
        illumination=1 + 0.1 * textured(shape).real,
        padding=padding,
        dtype=torch.complex128,
    )
    amplitudes = model.fields(textured(shape)).abs()
    mask = torch.ones(amplitudes.shape, dtype=torch.bool)
    mask[1, 20:50, 30:60] = False
    return PhaseProblem(model, amplitudes, mask if masked else None)


def measured(problem: PhaseProblem, field: Tensor) -> tuple[SlowPhase, Operator]:
    normal = problem.linearise(field).normal(torch.ones(problem.model.shape, dtype=torch.float64))
    slow = SlowPhase(problem.model)
    done = list(slow.measure(normal))
    assert done == sorted(done) and done[-1] == 1
    return slow, normal


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("shape", [(64, 64), (192, 224)])
def test_the_matrix_is_that_of_the_amplitudes(shape: tuple[int, int], padded: bool, masked: bool) -> None:
    problem = problem_of(shape, Padding(shape, "reflect", 24) if padded else None, masked)
    slow, normal = measured(problem, textured(shape))
    rows, columns = (axis.hats for axis in slow._axes)
    triangles = [row[:, None] * column for row in rows for column in columns]
    answers = [normal(1j * triangle.to(torch.complex128)).imag for triangle in triangles]
    exact = torch.stack([torch.stack([(triangle * answer).sum() for triangle in triangles]) for answer in answers])
    # few nodes are tried one by one; of many, those far apart together
    tolerance = 1e-9 if max(slow.nodes) <= 5 else 0.02
    assert torch.linalg.matrix_norm(slow.matrix - exact) < tolerance * torch.linalg.matrix_norm(exact)
    assert torch.equal(slow.matrix, slow.matrix.T)


def test_the_correction_is_symmetric_and_solves_on_the_coarse_grid() -> None:
    shape = (192, 224)
    field = textured(shape)
    slow, _ = measured(problem_of(shape), field)
    scaling = field.abs().rsqrt()
    apply = slow.inverse(1e-3, scaling, 0.1)
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(*shape, dtype=torch.complex128, generator=generator) for _ in range(2))
    assert float(inner(apply(x), y)) == pytest.approx(float(inner(x, apply(y))), rel=1e-9)
    assert float(inner(apply(x), x)) > 0
    # what A c comes from is c, but for the constant phase that no height sees
    undamped = slow.inverse(0.0, scaling, 0.0)
    rows, columns = (axis.hats for axis in slow._axes)
    coefficients = torch.randn(*slow.nodes, dtype=torch.float64, generator=generator)
    image = (slow.matrix @ coefficients.flatten()).reshape(slow.nodes)
    # P⁺ᵀ: the residual whose projection PᵀR is A c
    residual = torch.linalg.pinv(rows) @ image @ torch.linalg.pinv(columns).T * scaling
    found = undamped(torch.complex(torch.zeros_like(residual), residual)).imag * scaling
    wanted = rows.T @ coefficients @ columns
    assert (found - found.mean() - wanted + wanted.mean()).abs().max() < 1e-2 * wanted.abs().max()


def test_slow_phase_takes_fewer_steps() -> None:
    shape = (256, 256)
    problem, truth = problem_of(shape), textured(shape)

    def error_after(steps: int, coarse_grid: bool) -> float:
        settings = GaussNewtonSettings(warm_up=0, iterations=6, cg_steps=steps, coarse_grid=coarse_grid)
        start = torch.polar(truth.abs(), torch.zeros_like(truth.real))
        solver = GaussNewton(problem, start, settings)
        for _ in solver.steps():
            pass
        away = (solver.result() * truth.conj()).angle()
        return float((away - away.mean()).square().mean().sqrt())

    assert error_after(6, coarse_grid=True) < 0.6 * error_after(6, coarse_grid=False)


def test_small_fields_have_no_slower_phase() -> None:
    shape = (48, 200)
    problem = problem_of(shape)
    slow = SlowPhase(problem.model)
    assert not slow.worthwhile
    assert not list(slow.follow(lambda step: step, 1.0))
    assert not slow.measured
