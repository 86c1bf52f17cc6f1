"""Random and smooth images, and their distances."""

from __future__ import annotations

import torch
from torch import Tensor


def noise(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return normally distributed numbers."""
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def complex_noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Return complex numbers, normally distributed: all frequencies alike."""
    return noise(shape, seed, torch.complex128)


def low_passed(image: Tensor, decay: float) -> Tensor:
    """Return a real image (..., Y, X) of which the frequency f, in cycles a pixel, is weakened by exp(−decay f²)."""
    fy, fx = (torch.fft.fftfreq(size, dtype=torch.float64) for size in image.shape[-2:])
    smooth: Tensor = torch.fft.ifft2(torch.fft.fft2(image) * torch.exp(-decay * (fy[:, None] ** 2 + fx**2))).real
    return smooth


def smooth_noise(shape: tuple[int, int], seed: int, decay: float) -> Tensor:
    """Return a smooth random image with a mean of zero and a standard deviation of one, (Y, X), float64."""
    image = low_passed(noise(shape, seed), decay)
    return (image - image.mean()) / image.std()


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return ‖found − expected‖ / ‖expected‖."""
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))
