"""Permittivity contrast and refractive index are each other's inverse."""

from __future__ import annotations

import torch

from napari_diner.physics.idt.contrast import permittivity_contrast, refractive_index

N0 = 1.33


def test_there_and_back() -> None:
    generator = torch.Generator().manual_seed(1)
    n_re = 1.2 + 0.5 * torch.rand(3, 4, 5, dtype=torch.float64, generator=generator)
    n_im = 0.1 * torch.randn(3, 4, 5, dtype=torch.float64, generator=generator)
    back_re, back_im = refractive_index(permittivity_contrast(n_re, n_im, N0), N0)
    assert torch.allclose(back_re, n_re, rtol=0, atol=1e-14)
    assert torch.allclose(back_im, n_im, rtol=0, atol=1e-14)


def test_equation_7() -> None:
    contrast = torch.tensor([[0.1, -0.05, 0.02], [0.03, 0.0, -0.2]], dtype=torch.float64)
    a = N0**2 + contrast[0]
    n_re = torch.sqrt(0.5 * (a + torch.sqrt(a**2 + contrast[1] ** 2)))
    found_re, found_im = refractive_index(contrast, N0)
    assert torch.allclose(found_re, n_re, rtol=1e-14)
    assert torch.allclose(found_im, contrast[1] / (2 * n_re), rtol=1e-13, atol=0)


def test_no_absorption_has_no_imaginary_part() -> None:
    contrast = permittivity_contrast(torch.tensor([1.35, 1.31]), None, N0)
    assert contrast.shape == (2, 2)
    assert torch.equal(contrast[1], torch.zeros(2))
    assert torch.equal(refractive_index(contrast, N0)[1], torch.zeros(2))


def test_weak_contrast_keeps_its_digits_in_single_precision() -> None:
    n_re = torch.tensor(1.33 + 1e-4)
    exact = float(n_re.double()) ** 2 - N0**2
    assert abs(float(permittivity_contrast(n_re, None, N0)[0]) / exact - 1) < 1e-3


def test_gradient() -> None:
    contrast = torch.tensor([[0.1, -0.05], [0.03, 0.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: refractive_index(x, N0), (contrast,))


def test_the_square_root_is_finite_for_any_contrast() -> None:
    values = torch.tensor([-1e12, -5.0, -(N0**2), -1.7, 0.0, 3.0, 1e12])
    contrast = torch.stack(torch.meshgrid(values, torch.tensor([-1e12, -0.1, 0.0, 1e-6, 2.0]), indexing="ij"))
    root = torch.sqrt(torch.complex((N0**2 + contrast[0]).double(), contrast[1].double()))
    found_re, found_im = refractive_index(contrast, N0)
    torch.testing.assert_close(found_re.double(), root.real, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found_im.double(), root.imag, rtol=1e-5, atol=1e-4)
