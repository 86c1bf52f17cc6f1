"""Total variation: value, derivative, and quadratic majorant."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.solvers.conjugate_gradients import inner
from napari_diner.solvers.lensless.total_variation import TotalVariation, adjoint, difference

BOTH = [(True, True), (True, False), (False, True)]


def smooth_field(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = 0.3 * torch.randn(2, 9, 11, dtype=torch.float64, generator=generator)
    return torch.polar(parts[0].exp(), parts[1])


def random_step(seed: int) -> Tensor:
    return torch.randn(9, 11, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def total_variation(phase: bool, amplitude: bool, periodic: bool) -> TotalVariation:
    return TotalVariation(phase=phase, amplitude=amplitude, periodic=periodic, brightness=1.1)


def test_a_step_counts_by_its_height_and_length() -> None:
    phase = torch.zeros(8, 10, dtype=torch.float64)
    phase[:, 4:] = 0.7
    field = torch.polar(torch.ones_like(phase), phase)
    corner = 1e-2
    found = total_variation(True, False, periodic=False).evaluate(field)[0] - corner * (1 - 8 / 80)
    assert found == pytest.approx((0.7**2 + corner**2) ** 0.5 * 8 / 80, rel=1e-6)
    # a periodic field has the step down at its edge as well
    around = total_variation(True, False, periodic=True).evaluate(field)[0] - corner * (1 - 16 / 80)
    assert around == pytest.approx((0.7**2 + corner**2) ** 0.5 * 16 / 80, rel=1e-6)


def test_whole_turns_of_the_phase_are_no_step() -> None:
    field = smooth_field()
    turned = field.clone()
    turned[3:6] *= torch.exp(torch.tensor(2j * torch.pi, dtype=torch.complex128))
    of = total_variation(True, True, periodic=True)
    assert of.evaluate(turned)[0] == pytest.approx(of.evaluate(field)[0], rel=1e-9)


@pytest.mark.parametrize("periodic", [False, True])
def test_differences_and_their_adjoint(periodic: bool) -> None:
    x, y = random_step(1).real, random_step(2).real
    for axis in (0, 1):
        slopes = difference(y, axis, periodic)
        assert float((difference(x, axis, periodic) * slopes).sum()) == pytest.approx(
            float((x * adjoint(slopes, axis)).sum()), rel=1e-12
        )


@pytest.mark.parametrize("periodic", [False, True])
def test_the_derivative_by_the_phase(periodic: bool) -> None:
    field, step = smooth_field(), 1j * random_step(3).real
    of = total_variation(True, False, periodic)
    ends = [of.evaluate(field * torch.exp(sign * 1e-6 * step))[0] for sign in (1, -1)]
    assert float(inner(of.evaluate(field)[1], step)) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_the_derivative_by_a_small_log_amplitude() -> None:
    # the factor a² of the squared differences is held in each step; exact where the amplitude is even
    field = torch.polar(torch.ones(9, 11, dtype=torch.float64), smooth_field().angle())
    of, step = total_variation(False, True, periodic=True), 1e-3 * random_step(4).real.to(torch.complex128)
    moved = field * torch.exp(step)
    ends = [of.evaluate(moved * torch.exp(sign * 1e-6 * step))[0] for sign in (1, -1)]
    assert float(inner(of.evaluate(moved)[1], step)) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-2)


@pytest.mark.parametrize("size", [1e-3, 0.1, 0.5])
def test_the_quadratic_touches_from_above(size: float) -> None:
    field, step = smooth_field(), 1j * size * random_step(5).real
    of = total_variation(True, False, periodic=True)
    value, slope = of.evaluate(field)
    above = value + float(inner(slope, step)) + 0.5 * float(inner(of.weights(field).apply(step), step)) / field.numel()
    assert of.evaluate(field * torch.exp(step))[0] <= above


@pytest.mark.parametrize(("phase", "amplitude"), BOTH)
def test_what_does_not_count_has_no_weight(phase: bool, amplitude: bool) -> None:
    field, step = smooth_field(), random_step(6)
    of = total_variation(phase, amplitude, periodic=False)
    slope, bent = of.evaluate(field)[1], of.weights(field).apply(step)
    for counts, part in ((amplitude, torch.Tensor.real.__get__), (phase, torch.Tensor.imag.__get__)):
        assert bool(part(slope).any()) == bool(part(bent).any()) == counts
