"""Small data to fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest


def colours(height: int = 40, width: int = 48) -> npt.NDArray[np.uint8]:
    """A colour image with edges, gradients and texture: (Y, X, 3)."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    rng = np.random.default_rng(0)
    image = np.stack([x, y, 0.5 + 0.5 * np.sin(20 * x * y + 3 * y)], -1)
    image[(x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.05] *= 0.5
    image += 0.03 * rng.standard_normal(image.shape)
    pixels: npt.NDArray[Any] = np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture
def image() -> npt.NDArray[np.uint8]:
    """A colour image."""
    return colours()


@pytest.fixture
def volume() -> npt.NDArray[np.uint16]:
    """A 16-bit volume: (Z, Y, X)."""
    z, y, x = np.mgrid[:6, :20, :24] / 24
    values = 300 + 3000 * np.exp(-((z - 0.12) ** 2 + (y - 0.4) ** 2 + (x - 0.5) ** 2) / 0.05)
    return np.random.default_rng(1).poisson(values).astype(np.uint16)
