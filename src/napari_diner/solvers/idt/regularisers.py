"""Priors of a volume: piecewise smooth, and with known signs of the contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Sign = Literal[-1, 0, 1]
"""A sign; 0 for any."""


@dataclass(frozen=True)
class VolumePriors:
    """Weights of the priors on the contrast."""

    tikhonov: float = 0.0
    """α of ``α/2 Σ |Δε|²``."""
    tv: float = 0.0
    """τ of ``τ TV(Δε)``; see `TotalVariation`."""
    sign_re: Sign = 0
    """1 for Δε_re ≥ 0: the index is nowhere below that of the medium; −1 for ≤ 0: nowhere above."""
    sign_im: Sign = 0
    """1 for Δε_im ≥ 0: the sample absorbs and does not amplify."""

    @property
    def signs(self) -> tuple[Sign, Sign]:
        """Required signs of Δε_re and Δε_im; 0 for any."""
        return self.sign_re, self.sign_im

    def projected(self, contrast: Tensor) -> Tensor:
        """Return the nearest contrast, (2, Z, Y, X), with the required signs."""
        return torch.stack([of_sign(part, sign) for part, sign in zip(contrast, self.signs, strict=True)])


def of_sign(values: Tensor, sign: Sign) -> Tensor:
    """Return values with those of the other sign set to zero; unchanged if `sign` is 0."""
    if sign == 0:
        return values
    return values.clamp_min(0) if sign > 0 else values.clamp_max(0)


@dataclass(frozen=True)
class TotalVariation:
    """The isotropic total variation of a volume whose voxels are not cubes (Rudin, Osher and Fatemi, Physica D 1992).

    ``TV(x) = Σ_voxels √( Σ_a (w_a D_a x)² )``, with the differences D_a to the next voxel along each axis, and weights
    w_a inversely proportional to the voxel size along it: w_a D_a is a gradient. Each channel has its own sum. The
    volume is periodic along y and x, as in the models, and ends at the first and the last slice.
    """

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """w of z, y and x."""

    @classmethod
    def of_voxels(cls, slice_spacing_um: float, pixel_size_um: float) -> TotalVariation:
        """Return the total variation with gradients per pixel, in all directions: w = (pixel/Δz, 1, 1)."""
        return cls((pixel_size_um / slice_spacing_um, 1.0, 1.0))

    def differences(self, volume: Tensor) -> Tensor:
        """Return w_a D_a x, (3, ..., Z, Y, X), of a volume (..., Z, Y, X); zero along z after the last slice."""
        wz, wy, wx = self.weights
        gradient = volume.new_empty(3, *volume.shape)
        along_z, along_y, along_x = gradient
        torch.sub(volume[..., 1:, :, :], volume[..., :-1, :, :], out=along_z[..., :-1, :, :])
        along_z[..., -1, :, :] = 0
        torch.sub(volume[..., 1:, :], volume[..., :-1, :], out=along_y[..., :-1, :])
        torch.sub(volume[..., :1, :], volume[..., -1:, :], out=along_y[..., -1:, :])
        torch.sub(volume[..., 1:], volume[..., :-1], out=along_x[..., :-1])
        torch.sub(volume[..., :1], volume[..., -1:], out=along_x[..., -1:])
        for part, weight in ((along_z, wz), (along_y, wy), (along_x, wx)):
            if weight != 1:
                part *= weight
        return gradient

    def adjoint(self, gradient: Tensor) -> Tensor:
        """Apply the adjoint of `differences`: (3, ..., Z, Y, X) to (..., Z, Y, X)."""
        along_z, along_y, along_x = gradient
        wz, wy, wx = self.weights
        inner = along_z[..., :-1, :, :]
        volume = torch.zeros_like(along_z)
        volume[..., 1:, :, :].add_(inner, alpha=wz)
        volume[..., :-1, :, :].sub_(inner, alpha=wz)
        volume.sub_(along_y, alpha=wy)
        volume[..., 1:, :].add_(along_y[..., :-1, :], alpha=wy)
        volume[..., :1, :].add_(along_y[..., -1:, :], alpha=wy)
        volume.sub_(along_x, alpha=wx)
        volume[..., 1:].add_(along_x[..., :-1], alpha=wx)
        volume[..., :1].add_(along_x[..., -1:], alpha=wx)
        return volume

    def value(self, volume: Tensor) -> float:
        """Return TV(x), summed over the channels."""
        return float(magnitudes(self.differences(volume)).sum())

    def smooth(self, volume: Tensor, rounding: float) -> Tensor:
        """Return ``Σ √(|∇x|² + ε²) − ε``, which is differentiable everywhere.

        Parameters
        ----------
        volume
            Real, (..., Z, Y, X).
        rounding
            ε, in units of the volume: smaller slopes contribute their squares over 2ε.
        """
        rounded: Tensor = _Smooth.apply(volume, self, rounding)  # type: ignore[no-untyped-call]
        return rounded

    def eigenvalues(self, shape: tuple[int, int, int], dtype: torch.dtype = torch.float64) -> Tensor:
        """Return the eigenvalues of DᵀD, (Z, Y, X//2+1).

        Its eigenvectors are cosines along z (those of the discrete cosine transform of type II, see `cosines`) and
        waves along y and x (those of ``rfft2``).
        """
        planes, rows, columns = shape
        wz, wy, wx = self.weights
        z = (wz * 2 * torch.sin(math.pi * torch.arange(planes, dtype=torch.float64) / (2 * planes))).square()
        y = (wy * 2 * torch.sin(math.pi * torch.arange(rows, dtype=torch.float64) / rows)).square()
        x = (wx * 2 * torch.sin(math.pi * torch.arange(columns // 2 + 1, dtype=torch.float64) / columns)).square()
        return (z[:, None, None] + y[:, None] + x).to(dtype)


def cosines(count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return the orthonormal matrix of the discrete cosine transform of type II, (count, count): a cosine in a row."""
    order = torch.arange(count, dtype=torch.float64)
    matrix = math.sqrt(2 / count) * torch.cos(math.pi * order[:, None] * (2 * order + 1) / (2 * count))
    matrix[0] /= math.sqrt(2)
    return matrix.to(dtype)


def magnitudes(gradient: Tensor) -> Tensor:
    """Return the lengths (...) of vectors (3, ...)."""
    squares = gradient[0].square()
    squares.addcmul_(gradient[1], gradient[1]).addcmul_(gradient[2], gradient[2])
    return squares.sqrt_()


def shrunk(gradient: Tensor, threshold: float) -> Tensor:
    """Return each vector of (3, ...) shortened by a threshold, or zero: the proximal map of ``threshold Σ |d|``."""
    lengths = magnitudes(gradient)
    factor = (lengths - threshold).clamp_min_(0) / lengths.clamp_min_(torch.finfo(lengths.dtype).tiny)
    return gradient * factor


class _Smooth(torch.autograd.Function):
    """The rounded total variation; its gradient Dᵀ(Dx / √(|Dx|² + ε²)) is computed in the forward pass."""

    @staticmethod
    def forward(ctx: Any, volume: Tensor, tv: TotalVariation, rounding: float) -> Tensor:
        """Return the sum."""
        gradient = tv.differences(volume)
        lengths = gradient[0].square().add_(rounding**2)
        lengths.addcmul_(gradient[1], gradient[1]).addcmul_(gradient[2], gradient[2]).sqrt_()
        if ctx.needs_input_grad[0]:
            gradient /= lengths
            ctx.save_for_backward(tv.adjoint(gradient))
        return (lengths - rounding).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient."""
        (slope,) = ctx.saved_tensors
        return slope * gradients[0], None, None
