"""Synthetic fur in colour, as difficult for a coordinate network as the Baboon photograph."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

_DIRECTIONS = 12
_FUR = np.array([[0.55, 0.5, 0.3], [0.8, 0.75, 0.65], [0.35, 0.35, 0.3]])
_NOSE, _CHEEKS = np.array([0.85, 0.25, 0.15]), np.array([0.45, 0.65, 0.9])


def fur(size: int = 256, *, grey: bool = False, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return fur at all scales around a bare nose and cheeks: (size, size, 3), or (size, size) if grey."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]

    def smooth(sigma: float) -> npt.NDArray[Any]:
        field = ndimage.gaussian_filter(random.normal(size=(size, size)), sigma, mode="wrap")
        return (field - field.mean()) / field.std()

    # hairs point roughly away from the nose: noise, blurred along the nearest of a few directions
    angle = (np.arctan2(y, x) + 0.5 * smooth(size / 12)) % np.pi
    hairs = np.zeros((size, size))
    for strength, length, thickness in ((0.5, size / 24, 0.5), (0.35, size / 14, 1.0), (0.15, size / 8, 2.0)):
        noise = random.normal(size=(size, size))
        weights, total = np.zeros_like(hairs), np.zeros_like(hairs)
        for direction in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
            across = (angle - direction + np.pi / 2) % np.pi - np.pi / 2
            weight = np.exp(-((across / 0.2) ** 2))
            turned = ndimage.rotate(noise, -np.degrees(direction), reshape=False, order=1, mode="wrap")
            smeared = ndimage.gaussian_filter(turned, (thickness, length / 2), mode="wrap")
            total += weight * ndimage.rotate(smeared, np.degrees(direction), reshape=False, order=1, mode="wrap")
            weights += weight
        layer = total / weights
        hairs += strength * layer / layer.std()
    tone = np.clip(0.5 + 0.35 * hairs, 0, 1)[..., None]
    patches = np.exp(np.stack([smooth(size / 10) for _ in _FUR], -1) * 1.5)
    image = (patches / patches.sum(-1, keepdims=True)) @ _FUR * (0.4 + 1.1 * tone)
    ridges = (0.85 + 0.15 * np.sin(60 * (np.abs(x) + 0.15 * y)))[..., None]
    for colour, inside in (
        (_CHEEKS, np.hypot((np.abs(x) - 0.32) / 0.2, (y - 0.1) / 0.45)),
        (_NOSE, np.hypot(x / 0.12, y / 0.5)),
    ):
        mask = 1 / (1 + np.exp(20 * (inside - 1)))[..., None]
        image = (1 - mask) * image + mask * colour * ridges * (0.9 + 0.1 * tone)
    if grey:
        image = image.mean(-1)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
