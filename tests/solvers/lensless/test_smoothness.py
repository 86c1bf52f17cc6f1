"""Smoothness of a field: gradient, curvature, and effect with an unknown surround."""

from __future__ import annotations

import pytest
import torch

from napari_diner.solvers.conjugate_gradients import inner
from napari_diner.solvers.lensless.prior_settings import PriorSettings
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.lensless.smoothness import quadratic, roughness
from tests.kit.fields import complex_noise

SHAPE = (7, 9)
PARTS = [None, torch.rand(SHAPE, generator=torch.Generator().manual_seed(3)) > 0.4]


def test_it_is_the_mean_square_of_the_differences() -> None:
    field = torch.zeros(4, 5, dtype=torch.complex128)
    field[1, 2] = 2j
    assert roughness(field)[0] == pytest.approx(4 * 4 / 20)
    # those across the edges do not count: only two remain at a corner
    assert roughness(torch.roll(field, (-1, -2), (0, 1)))[0] == pytest.approx(2 * 4 / 20)
    assert roughness(field + 5)[0] == pytest.approx(4 * 4 / 20)


@pytest.mark.parametrize("part", PARTS)
def test_gradient_and_curvature(part: torch.Tensor | None) -> None:
    field, step = complex_noise(SHAPE, 1), complex_noise(SHAPE, 2)
    ends = [roughness(field + sign * 1e-6 * step, part)[0] for sign in (1, -1)]
    assert float(inner(roughness(field, part)[1], step)) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)
    # a quadratic form: that of O δ
    assert float(inner(step, quadratic(field, part)(step))) == pytest.approx(roughness(field * step, part)[0])


def test_the_weight_follows_the_noise_up_to_a_limit() -> None:
    priors = Priors(PriorSettings(), 2.0, periodic=False, values_per_pixel=4.0, most_smooth=0.5)
    weights = [priors.adapted(misfit).smoothness_weight for misfit in (0.0, 1e-3, 2e-3, 1e3)]
    assert weights == pytest.approx([0, 1e-3 / (4 * 0.2**2), 2e-3 / (4 * 0.2**2), 0.5])
    without = Priors(PriorSettings(), 2.0, periodic=False, values_per_pixel=4.0).adapted(1e-3)
    assert without.smoothness_weight == 0 and without.evaluate(complex_noise(SHAPE, 1))[0] == 0
