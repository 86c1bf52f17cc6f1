"""Results that are out of focus: a length common to all distances, or their reverse order, leaves no other trace."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_diner.io.arrays import Array
from napari_diner.physics.optics import Optics
from napari_diner.preprocess.distances import reversed_order
from napari_diner.preprocess.focus import Refocus
from napari_diner.preprocess.settings import Metric
from napari_diner.preprocess.sharpness import sharpness
from napari_diner.tasks.frame_list import listed
from napari_diner.wording import digits

# side of the middle of the field that is looked at, the least that tells, and the most planes
_MOST_PX, _FEWEST_PX, _MOST_PLANES = 256, 128, 200
# distance of planes in units of p²/λ, over which detail of a pixel blurs
_APART = 8.0
# Measures that must agree, with the log ratios to the plane of the result beyond which another one is sharper. Samples
# in focus are below half of at least one of them, also if their phase wraps; the first must hold in 12 of 16 blocks.
_FIRST: tuple[Metric, float] = ("sparse_gradient", 0.14)
_SECOND: tuple[Metric, float] = ("gini_gradient", 0.04)
_BLOCKS = 12
# largest deviation of the plane of the mirror image, and of a list from its mirror image, relative to its length
_MIRRORED, _EVEN = 0.05, 0.02


@torch.no_grad()
def out_of_focus(field: Tensor, optics: Optics, distances_um: Sequence[float]) -> list[str]:
    """Return a warning if a reconstructed sample is much sharper in another plane.

    Frames at distances z of an object O are those at z + c of O, propagated by −c, so that they do not show a length
    that is common to all distances. Neither do they show the reverse order of an even list: the conjugate of O in a
    plane at the sum of the smallest and the largest distance explains them as well.

    Parameters
    ----------
    field
        The complex field behind the sample, (Y, X).
    optics
        Its pixels, wavelength and medium.
    distances_um
        Distances from there to the sensor.
    """
    side = min(*field.shape, _MOST_PX)
    if side < _FEWEST_PX:
        return []
    rows, columns = ((size - side) // 2 for size in field.shape)
    refocus = Refocus(field[rows : rows + side, columns : columns + side].cpu(), optics)
    nearest, farthest = min(distances_um), max(distances_um)
    step = max(
        _APART * optics.pixel_size_um**2 / optics.wavelength_in_medium_um, (2 * farthest + nearest) / _MOST_PLANES
    )
    planes = step * np.arange(-math.floor(farthest / step), math.ceil((nearest + farthest) / step) + 2)

    metric, least = _FIRST
    by_plane = torch.stack([refocus.sums(-float(plane), metric) for plane in planes])
    own = refocus.sums(0.0, metric)
    best = int(sharpness(by_plane.sum(1), metric).argmax())
    away_um = float(planes[best])
    blocks = int((sharpness(by_plane[best], metric) > sharpness(own, metric)).sum())
    if _excess(by_plane[best], own, metric) < least or blocks < _BLOCKS or best in (0, len(planes) - 1):
        return []
    metric, least = _SECOND
    if _excess(refocus.sums(-away_um, metric), refocus.sums(0.0, metric), metric) < least:
        return []
    return _told(away_um, step, distances_um)


def reverse_is_sharper(turned: Array) -> str:
    """Return the sentence about distances whose reverse order, (N,), shows a sharper sample."""
    return (
        "the distances in reverse order explain the frames as well, and show a sharper sample; check whether the "
        f"list should be {listed(turned.tolist())} µm"
    )


def _excess(there: Tensor, here: Tensor, metric: Metric) -> float:
    """Return the logarithm of the ratio of two sharpnesses, from their sums over blocks."""
    return math.log(float(sharpness(there.sum(0), metric)) / max(float(sharpness(here.sum(0), metric)), 1e-12))


def _told(away_um: float, step_um: float, distances_um: Sequence[float]) -> list[str]:
    turned, both = reversed_order(distances_um), min(distances_um) + max(distances_um)
    is_even = float(np.abs(both - turned - np.asarray(distances_um)).max()) < _EVEN * both
    is_beyond = away_um >= min(distances_um)  # of the nearest sensor, where no sample can be
    if is_even and (is_beyond or abs(away_um - both) < max(_MIRRORED * both, 2 * step_um)):
        return [reverse_is_sharper(turned)]
    if is_beyond:
        return []
    amount = digits(abs(away_um))
    where, length = ("closer to", "long") if away_um > 0 else ("farther from", "short")
    return [
        f"the sample is much sharper about {amount} µm {where} the sensor than the distances say; a length "
        f"that is common to all of them does not show in the frames: check whether they are that much too {length}, or "
        "find it with Lensless focus (napari-diner focus)"
    ]
