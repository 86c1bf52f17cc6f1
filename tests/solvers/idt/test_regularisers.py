from __future__ import annotations

import math

import torch

from napari_diner.solvers.idt.regularisers import TotalVariation, VolumePriors, cosines, magnitudes, shrunk
from tests.solvers.idt.small_volumes import TV, dense_differences, noise

SHAPE = (4, 5, 6)


def test_adjoint_of_the_differences() -> None:
    volume, gradient = noise(2, *SHAPE), noise(3, 2, *SHAPE, seed=1)
    left, right = torch.sum(TV.differences(volume) * gradient), torch.sum(volume * TV.adjoint(gradient))
    assert math.isclose(float(left), float(right), rel_tol=1e-12)


def test_a_ball_has_as_much_variation_along_z_as_along_x_whatever_the_spacing() -> None:
    # a flat slope per µm is the same in both directions, though a slice is wider than a pixel
    z, x = torch.arange(4.0)[:, None, None] * 0.5, torch.arange(30.0) * 0.125
    tv = TotalVariation.of_voxels(0.5, 0.125)
    up, across = tv.differences(z.expand(4, 3, 30)), tv.differences(x.expand(4, 3, 30))
    assert torch.allclose(up[0, :-1], torch.tensor(0.125))
    assert torch.allclose(across[2, ..., :-1], torch.tensor(0.125))


def test_volume_wraps_around_along_y_and_x_and_ends_along_z() -> None:
    volume = torch.zeros(3, 4, 5)
    volume[-1] = 1
    volume[:, -1] += 2
    volume[:, :, -1] += 4
    along_z, along_y, along_x = TotalVariation().differences(volume)
    assert along_z[-1].abs().max() == 0
    assert torch.all(along_y[:, -1] == -2)
    assert torch.all(along_x[..., -1] == -4)


def test_eigenvalues_are_those_of_the_matrix() -> None:
    slopes = dense_differences(SHAPE, TV)[:, : math.prod(SHAPE)]
    wanted = torch.linalg.eigvalsh(slopes.T @ slopes)
    half = TV.eigenvalues(SHAPE)
    full = torch.cat([half, half[..., 1:-1].flip(-1)], -1)
    assert torch.allclose(full.flatten().sort().values, wanted, atol=1e-12)


def test_cosines_and_waves_are_the_eigenvectors() -> None:
    volume = noise(*SHAPE)
    applied = TV.adjoint(TV.differences(volume))
    transform = cosines(SHAPE[0])
    spectrum = torch.einsum("kz,zyx->kyx", transform.to(torch.complex128), torch.fft.rfft2(volume))
    wanted = torch.einsum("kz,zyx->kyx", transform.to(torch.complex128), torch.fft.rfft2(applied))
    assert torch.allclose(spectrum * TV.eigenvalues(SHAPE), wanted, atol=1e-12)
    assert torch.allclose(transform @ transform.T, torch.eye(4, dtype=torch.float64), atol=1e-12)


def test_shrunk_is_the_proximal_map() -> None:
    vectors, threshold = noise(3, 50), 0.8
    found = shrunk(vectors, threshold)

    def cost(candidate: torch.Tensor) -> torch.Tensor:
        return (candidate - vectors).square().sum(0) / 2 + threshold * candidate.norm(dim=0)

    best = cost(found)
    for seed in range(20):
        step = noise(3, 50, seed=seed + 1)
        for size in (1e-4, 1e-2, 1.0):
            assert torch.all(cost(found + size * step) >= best)
    assert torch.all(found[:, vectors.norm(dim=0) < threshold] == 0)
    assert torch.allclose(magnitudes(found), (vectors.norm(dim=0) - threshold).clamp_min(0))


def test_smooth_variation_has_the_right_gradient_and_nears_the_variation() -> None:
    volume = noise(2, 2, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: TV.smooth(x, 0.1), volume)
    exact = TV.value(volume.detach())
    assert abs(float(TV.smooth(volume.detach(), 1e-6)) - exact) < 1e-4
    assert float(TV.smooth(volume.detach(), 0.1)) < exact


def test_priors_keep_only_what_is_asked() -> None:
    contrast = noise(2, 2, 3, 3)
    priors = VolumePriors(sign_im=1)
    projected = priors.projected(contrast)
    assert torch.equal(projected[0], contrast[0])
    assert torch.equal(projected[1], contrast[1].clamp_min(0))
    assert torch.equal(VolumePriors().projected(contrast), contrast)


def test_contrast_may_be_kept_below_zero() -> None:
    contrast = noise(2, 2, 3, 3)
    projected = VolumePriors(sign_re=-1, sign_im=1).projected(contrast)
    assert torch.equal(projected, torch.stack([contrast[0].clamp_max(0), contrast[1].clamp_min(0)]))
