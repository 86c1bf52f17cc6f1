"""Homogeneous bodies that could be a sample: silhouettes along the axis, inflated.

Where a sample deflects light, frames of all directions differ from the empty field. A silhouette is where the local
contrast of the frames, their mean darkness, or the projection of a smooth reconstruction exceeds a part of its largest
value. None of them is right for all samples, so there are several to choose from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from torch import Tensor

from napari_diner.solvers.idt.problem import VolumeProblem

Mask = npt.NDArray[np.bool_]
Real = npt.NDArray[np.floating]

# levels of a silhouette, relative to the largest value: of local contrast and of darkness, and of a projection
_OF_FRAMES, _OF_PROJECTION = (0.4, 0.5, 0.6, 0.7), (0.15, 0.25, 0.4, 0.6)
SILHOUETTES = 2 * len(_OF_FRAMES) + len(_OF_PROJECTION)
"""Number of silhouettes to choose from."""
USUAL = 2 * len(_OF_FRAMES) + 1
"""Place of the one that suits most samples: of a projection, at a level of a quarter."""
# part of the frames whose local contrast may be lower: light from the other side of a sample misses it
_LOWER = 0.25
# largest part of the volume that a body fills
_FILLED = 0.8


def silhouettes(problem: VolumeProblem, volume: Tensor, voxel_um: tuple[float, ...], radius_um: float) -> list[Mask]:
    """Return `SILHOUETTES` silhouettes of a sample, (Y, X) each; some may be equal or empty.

    Parameters
    ----------
    problem
        With the data, whose field of view the volume may exceed.
    volume
        A smooth reconstruction, (2, Z, Y, X).
    voxel_um
        Size of a voxel, (z, y, x).
    radius_um
        Standard deviation by which images are smoothed; parts of a silhouette of a smaller radius are left out.
    """
    sigma = [radius_um / size for size in voxel_um[1:]]
    frames = problem.data[problem.counted].cpu().double().numpy()
    local = np.sqrt(np.quantile([gaussian_filter(frame**2, sigma) for frame in frames], _LOWER, axis=0))
    dark = np.maximum(-gaussian_filter(frames.mean(0), sigma), 0)
    images = [problem.seen_adjoint(torch.from_numpy(image)).numpy() for image in (local, dark)]
    images.append(gaussian_filter(_dense(volume).sum(0), sigma))
    levels = (_OF_FRAMES, _OF_FRAMES, _OF_PROJECTION)
    return [
        _without_small_parts(image > level * image.max(), voxel_um, radius_um)
        for image, several in zip(images, levels, strict=True)
        for level in several
    ]


def sign_of(volume: Tensor) -> Literal[1, -1]:
    """Return the sign of the mean contrast of a volume, (2, Z, Y, X)."""
    return -1 if float(volume[0].sum()) < 0 else 1


def _dense(volume: Tensor) -> Real:
    """Return the contrast of the prevailing sign, without it, (Z, Y, X)."""
    dense: Real = np.maximum(sign_of(volume) * volume[0].detach().cpu().double().numpy(), 0)
    return dense


def _parts(silhouette: Mask) -> Iterator[Mask]:
    numbers, count = label(silhouette)
    for number in range(1, count + 1):
        yield numbers == number


def _without_small_parts(silhouette: Mask, voxel_um: tuple[float, ...], radius_um: float) -> Mask:
    distance = distance_transform_edt(silhouette, sampling=voxel_um[1:])
    large = np.zeros_like(silhouette)
    for part in _parts(silhouette):
        large |= part & bool(distance[part].max() > radius_um)
    return large


def body_of(
    silhouette: Mask, volume: Tensor, voxel_um: tuple[float, ...], radius_um: float, flatness: float, lift: int = 0
) -> Tensor:
    """Return homogeneous bodies of a silhouette, without absorption.

    A round silhouette of radius R becomes an ellipsoid: the half height at a distance d from the edge is
    ``c √(d (2R − d))``, with the flatness c and the largest distance R within a part of any shape. Each body has the
    mean position along z of its part of a volume.

    Parameters
    ----------
    silhouette
        (Y, X).
    volume
        A reconstruction of about the sample, (2, Z, Y, X).
    voxel_um
        Size of a voxel, (z, y, x).
    radius_um
        Standard deviation by which the edges of bodies are smoothed.
    flatness
        Height of a body relative to that of a ball of the same silhouette.
    lift
        Slices by which it is moved towards larger z.

    Returns
    -------
    Tensor
        Contrast of about 1 within bodies, (2, Z, Y, X).
    """
    contrast = _dense(volume)
    distance = distance_transform_edt(silhouette, sampling=voxel_um[1:])
    z = (np.arange(len(contrast)) - (len(contrast) - 1) / 2) * voxel_um[0]
    inside = np.zeros(contrast.shape)
    for part in _parts(silhouette):
        radius = distance[part].max()
        height = flatness * np.sqrt(np.maximum(distance * (2 * radius - distance), 0))
        height = np.where(part, np.minimum(height, _FILLED * max(z.max(), 1e-9)), 0)
        weights = (contrast * part).sum((1, 2))
        centre = float(weights @ z / weights.sum()) if weights.any() else 0.0
        inside[np.abs(z[:, None, None] - centre - lift * voxel_um[0]) < height] = 1.0
    smooth = gaussian_filter(inside, [radius_um / size for size in voxel_um])
    body = torch.from_numpy(smooth).to(volume)
    return torch.stack([body, torch.zeros_like(body)])
