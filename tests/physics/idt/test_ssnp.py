"""The multi-slice model: gradients, limit of weak objects, and options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.errors import InputError, RecipeError
from napari_diner.physics.idt import ssnp_linearised
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import noise, relative_error

WAVELENGTH_UM, NA, N0 = 0.515, 0.65, 1.33
LIT = Illumination.of([[0.6, 0.1], [[0.2, 0.3, 3.0], [-0.1, 0.5, 1.0]], [0.0, 0.0]])
TINY = (3, 5, 6)


def build(shape: tuple[int, int, int] = TINY, lit: Illumination = LIT, **options: Any) -> SSNPModel:
    chosen = {"pixel": 0.1625, "spacing": 0.5, "first": None, "dtype": torch.complex128} | options
    pixel, spacing, first = chosen.pop("pixel"), chosen.pop("spacing"), chosen.pop("first")
    return SSNPModel(VolumeGeometry(shape, spacing, WAVELENGTH_UM, N0, pixel, NA, first), lit, **chosen)


def smooth_object(shape: tuple[int, int, int], dn: float) -> Tensor:
    """A blob with structure in it, that absorbs a little, (2, Z, Y, X)."""
    z, y, x = torch.meshgrid(*(torch.linspace(-1, 1, size, dtype=torch.float64) for size in shape), indexing="ij")
    blob = torch.exp(-2 * ((2 * z) ** 2 + (3 * y) ** 2 + (4 * x) ** 2))
    blob = blob * (1 + 0.3 * torch.sin(9 * x + 7 * y) + 0.3 * torch.sin(13 * z))
    return 2 * N0 * dn * torch.stack([blob, 0.1 * blob])


def test_empty_medium_leaves_the_light_as_it_is() -> None:
    lit = ring(0.65, 5, offset_deg=13)
    assert float(build((4, 8, 9), lit).forward(torch.zeros(2, 4, 8, 9, dtype=torch.float64)).abs().max()) < 1e-13


def test_the_light_is_the_square_of_the_fields() -> None:
    model = build(batch_elements=60)
    contrast = smooth_object(TINY, 0.02)
    fields = model.fields(contrast)
    assert fields.shape == (4, *TINY[1:])
    light = fields.abs().square()
    # the second frame has two sources of unlike weight
    expected = torch.stack([light[0], 0.75 * light[1] + 0.25 * light[2], light[3]])
    torch.testing.assert_close(model.intensities(contrast), expected)


@pytest.mark.parametrize("batch_elements", [1, 60, 10_000])
@pytest.mark.parametrize("frames", [None, [1, 0]])
def test_gradient(batch_elements: int, frames: list[int] | None) -> None:
    model = build(first=0.3, batch_elements=batch_elements)
    contrast = (0.05 * noise((2, *TINY), 1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model.forward(x, frames), (contrast,))


def test_gradient_without_grazing_waves() -> None:
    model = build(batch_elements=60)
    contrast = (0.05 * noise((2, *TINY), 1)).double()
    contrast[0] -= 0.6
    few, many = (next(model.batches(None, part)).turn[0].count_nonzero() for part in (contrast, 0 * contrast))
    assert few < many
    assert torch.autograd.gradcheck(model.forward, (contrast.requires_grad_(),))


def test_gradient_of_a_strong_object_in_single_precision() -> None:
    # the march back starts from rounded fields and must not run away from the march there
    shape = (40, 16, 16)
    contrast = smooth_object(shape, 0.05)
    weights = noise((3, 16, 16), 2)
    gradients = []
    for dtype in (torch.complex128, torch.complex64):
        model = build(shape, dtype=dtype)
        x = contrast.to(model.real_dtype).requires_grad_()
        gradients.append(torch.autograd.grad(model.forward(x), x, weights.to(model.real_dtype))[0])
    assert relative_error(gradients[1], gradients[0]) < 1e-4


def test_gradient_can_be_asked_for_twice() -> None:
    contrast = (0.05 * noise((2, *TINY), 1)).requires_grad_()
    total = build().forward(contrast).square().sum()
    first = torch.autograd.grad(total, contrast, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(total, contrast)[0], first)


@pytest.mark.parametrize("free_bytes", [0, 2**30])
def test_linearised_model_is_the_derivative_and_its_transpose(free_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no memory for the fields at the kicks."""
    monkeypatch.setattr(ssnp_linearised, "available_memory", lambda: free_bytes)
    model = build(batch_elements=60)
    contrast, change = 0.05 * noise((2, *TINY), 1), noise((2, *TINY), 2)
    linear = model.linearised(contrast, [2, 1])
    assert all((stored is None) == (not free_bytes) for stored in linear._stored)
    assert torch.allclose(linear.data, model.forward(contrast, [2, 1]), atol=1e-13)
    ahead, behind = (model.forward(contrast + sign * 1e-6 * change, [2, 1]) for sign in (1, -1))
    assert relative_error(linear.apply(change), (ahead - behind) / 2e-6) < 1e-8
    assert_adjoint(linear.apply, linear.adjoint, change, noise((2, 5, 6), 3))


@pytest.mark.parametrize("first_um", [None, 2.0])
def test_weak_objects_are_those_of_the_linear_model(first_um: float | None) -> None:
    shape = (16, 32, 32)
    geometry = VolumeGeometry(shape, 0.5, WAVELENGTH_UM, N0, 0.1625, NA, first_um)
    born = BornModel(geometry, LIT, dtype=torch.complex128)
    errors = []
    for dn in (1e-4, 1e-3):
        contrast = smooth_object(shape, dn)
        errors.append(relative_error(born.forward(contrast), build(shape, first=first_um).forward(contrast)))
    assert errors[0] < 2e-3
    # what is left is of the second order in the contrast
    assert 8 < errors[1] / errors[0] < 12


def test_slab_factor_is_needed() -> None:
    # the contrast of thick slices as SSNP sees it when it cuts them, against the linear model of thin slices
    shape, spacing = (6, 32, 32), 1.2
    contrast = smooth_object(shape, 1e-5)
    geometry = VolumeGeometry(shape, spacing, WAVELENGTH_UM, N0, 0.1625, NA)
    exact = build(shape, spacing=spacing).forward(contrast)
    assert relative_error(BornModel(geometry, LIT, dtype=torch.complex128).forward(contrast), exact) < 2e-3
    fine = BornModel(
        replace(geometry, shape=(600, 32, 32), slice_spacing_um=spacing / 100), LIT, dtype=torch.complex128
    )
    thin = torch.zeros(2, 600, 32, 32, dtype=torch.float64)
    thin[:, 50::100] = 100 * contrast
    assert relative_error(fine.forward(thin), exact) > 0.01


def test_steps_converge_and_their_correction_speeds_it_up() -> None:
    shape = (16, 32, 32)
    contrast = smooth_object(shape, 0.04)
    exact = build(shape, steps_per_slice=30).forward(contrast)
    usual = build(shape)
    assert usual.steps_per_slice == 4
    plain = build(shape)
    plain.corrections = torch.zeros_like(plain.corrections)
    assert relative_error(usual.forward(contrast), exact) < 1e-3
    assert relative_error(plain.forward(contrast), exact) > 5e-3


def test_multiplexed_frame_is_the_weighted_mean_of_its_sources() -> None:
    contrast = 0.05 * noise((2, *TINY), 1)
    together = build().forward(contrast)[1]
    alone = build(lit=Illumination.of([[0.2, 0.3], [-0.1, 0.5]])).forward(contrast)
    assert torch.allclose(together, 0.75 * alone[0] + 0.25 * alone[1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("elements", [1, 60, 61])
def test_results_do_not_depend_on_the_batches(elements: int) -> None:
    contrast = 0.05 * noise((2, *TINY), 1)
    batched = build(batch_elements=elements)
    assert batched.batch < 4
    assert torch.allclose(batched.forward(contrast), build().forward(contrast), rtol=0, atol=1e-13)


def test_some_frames() -> None:
    contrast = 0.05 * noise((2, *TINY), 1)
    assert torch.allclose(build().forward(contrast, [2, 1]), build().forward(contrast)[[2, 1]], rtol=0, atol=1e-14)


def test_intensities_are_one_and_the_data() -> None:
    contrast = 0.05 * noise((2, *TINY), 1)
    assert torch.equal(build().intensities(contrast), 1 + build().forward(contrast))


def test_absorption_takes_light_away() -> None:
    shape = (4, 12, 12)
    contrast = torch.zeros(2, *shape, dtype=torch.float64)
    contrast[1] = 2 * N0 * 0.01
    lit = Illumination.of([[0.0, 0.0]])
    # Beer and Lambert: exp(−2 k0 n_im d), but for the light that the two surfaces throw back
    expected = np.exp(-2 * 2 * np.pi / WAVELENGTH_UM * 0.01 * 4 * 0.5)
    assert float(build(shape, lit).intensities(contrast).mean()) == pytest.approx(expected, rel=1e-3)


def test_steps_of_half_a_wavelength_are_refused() -> None:
    spacing = WAVELENGTH_UM / N0
    with pytest.raises(RecipeError, match=r"set multislice\.steps_per_slice to at least 3"):
        build(lit=Illumination.of([[0.0, 0.0]]), spacing=spacing, steps_per_slice=2)
    assert build(spacing=spacing).step_um == pytest.approx(spacing / 3)


@pytest.mark.parametrize("spacing", [1e3, 1e300])
def test_slices_of_thousands_of_wavelengths_are_refused(spacing: float) -> None:
    with pytest.raises(RecipeError, match=r"wavelengths thick.*check wavelength_um"):
        build(lit=Illumination.of([[0.0, 0.0]]), spacing=spacing)


def test_illumination_outside_the_objective_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"frame 1 has an NA of 0\.7"):
        build(lit=Illumination.of([[0.7, 0.0]]))


def test_volume_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(2, 3, 5, 6\)"):
        build().forward(noise((2, 3, 5, 5), 1))
