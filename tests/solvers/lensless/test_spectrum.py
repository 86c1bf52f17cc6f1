"""Smoothness that follows the spectrum of the object."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import contrast_power
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless import smoothness
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.prior_settings import PriorSettings
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings
from tests.kit.fields import noise, smooth_noise

SHAPE, SIGMA = (64, 64), 0.01
TRUE = torch.polar(1 + 0.1 * smooth_noise(SHAPE, 1, 120), 0.4 * smooth_noise(SHAPE, 2, 120)).to(torch.complex64)


def recording() -> PhaseProblem:
    heights = Heights(Optics(1.2, 0.55), (120.0, 160.0, 200.0, 240.0), light=Light(120.0, 10_000.0, "lens"))
    model = MultiHeight(SHAPE, heights)
    amplitudes = model.moduli(TRUE)
    return PhaseProblem(model, amplitudes + SIGMA * noise((4, *SHAPE), 3).float())


def solved(problem: PhaseProblem, start: Tensor) -> Tensor:
    solver = GaussNewton(problem, start, GaussNewtonSettings(warm_up=5, iterations=4))
    for _ in solver.steps():
        pass
    return solver.result()


def fine_error(field: Tensor) -> float:
    """Return the power of the error beyond half the Nyquist frequency."""
    turned = field * torch.exp(-1j * (field * TRUE.conj()).sum().angle())
    fine = smoothness.rings(SHAPE) >= 12
    return float(torch.fft.fft2(turned - TRUE)[fine].abs().square().sum())


def test_rings_without_an_object_are_not_filled_with_noise() -> None:
    problem = recording()
    steps = Priors(
        PriorSettings(), 1.0, periodic=True, values_per_pixel=4, freedom=problem.freedom, most_smooth=1.0,
        variance=SIGMA**2,
    )  # fmt: skip
    usual = solved(problem.with_priors(steps), problem.flat_field())
    adapted = steps.with_spectrum(usual, contrast_power(problem.model))
    factors = adapted.smooth_factors
    assert factors is not None
    assert torch.isfinite(factors).all()
    # the object has slow structure as the prior expects it, and no fine one
    assert float(factors[1]) < 2
    assert float(factors[12:20].min()) > 5
    assert fine_error(solved(problem.with_priors(adapted), usual)) < 0.2 * fine_error(usual)


def test_factors_count_in_cost_slope_and_curvature() -> None:
    field = TRUE.to(torch.complex128)
    factors = torch.linspace(1, 20, 34, dtype=torch.float64)
    change = 1e-6 * torch.complex(noise(SHAPE, 4), noise(SHAPE, 5))
    cost, slope = smoothness.roughness(field, factors=factors)
    ahead, behind = (smoothness.roughness(field + sign * change, factors=factors)[0] for sign in (1, -1))
    derivative = float(torch.vdot(slope.flatten(), change.flatten()).real)
    assert abs(ahead - behind - 2 * derivative) < 1e-5 * abs(2 * derivative)
    assert cost > 1.5 * smoothness.roughness(field)[0]
    log_change = change / field
    curved = smoothness.quadratic(field, factors=factors)(log_change)
    second = float(torch.vdot(log_change.flatten(), curved.flatten()).real)
    assert abs(ahead + behind - 2 * cost - 2 * second) < 1e-3 * 2 * second + 1e-15
