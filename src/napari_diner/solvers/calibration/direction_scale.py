"""Directions of illumination in another scale or at other angles.

They may be angles, or sines in another medium, in place of numerical apertures, or all rotated about the axis.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial

import numpy as np

from napari_diner.physics.idt.illumination import EDGE, Illumination, Source
from napari_diner.solvers.calibration.arrangement import Arrangement

# factors that are tried beside the named scales; the minimum is about a twentieth wide
_FACTORS = np.geomspace(0.5, 2, 36)
# rotations that are tried in both senses; those by right angles are arrangements
_ROTATIONS_DEG = range(5, 50, 5)
# changes of all directions that do not count
_EQUAL = 0.03


def scaled(original: Illumination, na: float, medium_index: float) -> list[Arrangement]:
    """Return a list of directions in other scales, as far as they pass the objective.

    Parameters
    ----------
    original
        The list.
    na
        Numerical aperture of the objective.
    medium_index
        Refractive index of the medium.
    """
    scales: dict[str, Callable[[float], float]] = {
        "all as sines of angles in the medium": lambda size: medium_index * size,
        "all as numerical apertures times the index of the medium": lambda size: size / medium_index,
        "all as angles in radians": _sine,
        "all as angles in the medium, in radians": lambda size: medium_index * _sine(size),
        "all as tangents of angles": lambda size: size / math.hypot(1, size),
        "all as cosines of angles": lambda size: math.sqrt(max(1 - size**2, 0)),
    }
    for factor in _FACTORS:
        scales[f"all {factor:.2f} times as large"] = partial(operator.mul, float(factor))
    largest = max(source.na for frame in original.frames for source in frame)
    ways = []
    for name, scale in scales.items():
        sizes = [scale(source.na) for frame in original.frames for source in frame]
        if max(sizes) <= na * (1 + EDGE) and abs(scale(largest) / (largest or 1) - 1) > _EQUAL:
            ways.append(Arrangement(name, _in_scale(original, scale)))
    return ways


def rotated(original: Illumination) -> list[Arrangement]:
    """Return a list of directions at other angles, between those of its arrangements."""
    return [
        Arrangement(f"all turned by {sign * angle}°", _rotated(original, math.radians(sign * angle)))
        for angle in _ROTATIONS_DEG
        for sign in (1, -1)
    ]


def _rotated(original: Illumination, angle: float) -> Illumination:
    """Return directions rotated from +x towards +y by an angle in radians."""
    c, s = math.cos(angle), math.sin(angle)

    def turned(source: Source) -> Source:
        return Source(c * source.na_y + s * source.na_x, c * source.na_x - s * source.na_y, source.weight)

    return Illumination(tuple(tuple(turned(source) for source in frame) for frame in original.frames))


def _sine(angle: float) -> float:
    return math.sin(min(angle, math.pi / 2))


def _in_scale(original: Illumination, scale: Callable[[float], float]) -> Illumination:
    def changed(source: Source) -> Source:
        by = scale(source.na) / source.na if source.na else 1.0
        return Source(by * source.na_y, by * source.na_x, source.weight)

    return Illumination(tuple(tuple(changed(source) for source in frame) for frame in original.frames))
