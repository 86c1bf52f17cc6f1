"""The sign of the contrast of a sample, from the skewness of what the closed form gives.

Most samples are denser than their medium, and their dense parts are few: the distribution of the index is skewed. Of
the phase along z only slow changes count, which stand out of the noise. If the illumination hides them, or positive and
negative ones balance as in shells, the volume decides: its fine detail is skewed as well.

Fields that continue beyond their edges hold the halos of what lies outside, which are skewed the other way. There, the
middle of the volume has to agree.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_diner.physics.padding import fading

# skewness of the phase, and of a volume, below which the sign is uncertain; and least skewness of the middle of a
# volume that agrees: below 0 for 4 samples of 48 whose phase had the wrong sign
_SKEWED, _SKEWED_VOLUME, _AGREEING = 0.35, 0.4, 0.2


def skewness(images: Tensor) -> Tensor:
    """Return the skewness of images or volumes of zero mean, (W, ..., Y, X) to (W,); zero for empty ones."""
    values = images.flatten(1)
    variance = values.square().mean(1).clamp_min(torch.finfo(images.dtype).tiny ** 0.5)
    return (values**3).mean(1) / variance**1.5


def sign_of(skew: float) -> int:
    """Return the sign of the contrast, 1 or −1, from the skewness; 0 if uncertain."""
    return int(math.copysign(1, skew)) if abs(skew) > _SKEWED else 0


def of_volume(slices: Tensor) -> float:
    """Return the skewness of a volume, (Z, Y, X), or 0 if it leaves the sign open."""
    skew = float(skewness(slices[None]))
    return skew if abs(skew) > _SKEWED_VOLUME else 0.0


def agreed_by_middle(skew: float, slices: Tensor) -> float:
    """Return a skewness, or 0 if that of the middle of a volume, (Z, Y, X), does not have the same sign."""
    rows, columns = slices.shape[1:]
    weights = fading(rows, columns, part=1.0).to(slices).expand_as(slices)
    weights = weights / weights.sum()
    values = slices - (weights * slices).sum()
    variance = (weights * values.square()).sum().clamp_min(torch.finfo(slices.dtype).tiny ** 0.5)
    inner = float((weights * values**3).sum() / variance**1.5)
    return skew if math.copysign(1, skew) * inner > _AGREEING else 0.0


def image_of(coefficients: Tensor, places: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return real images from some Fourier coefficients.

    Parameters
    ----------
    coefficients
        Complex, (..., K).
    places
        Where they are in a flattened half-spectrum, (K,).
    shape
        Rows and columns of the images.
    """
    rows, columns = shape
    spectrum = torch.zeros(*coefficients.shape[:-1], rows * (columns // 2 + 1), dtype=coefficients.dtype)
    spectrum[..., places] = coefficients
    images: Tensor = torch.fft.irfft2(spectrum.unflatten(-1, (rows, -1)), s=shape)
    return images
