"""Light sources of finite size, such as LEDs: sums over plane waves. Does not import torch.

The points of an LED emit independently, so that their intensities add up. Seen from the sample, it is a disc of
directions with the numerical aperture ρ ≈ r/L, with its radius r and distance L. A slice at z appears shifted by
``z tan θ`` under each of them, so that frames are blurred more the farther a slice is from the plane in focus. The
integral over the disc is a sum over the nodes of a Gaussian quadrature (Stroud, Approximate Calculation of Multiple
Integrals, 1971): Gauss-Legendre in the square of the radius, and equal angles.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import EDGE, Illumination, Source

# change of the phase over the radius of the disc that each further circle of nodes follows
_PHASE_OF_A_CIRCLE_RAD = 4.0
_MOST_CIRCLES = 6


def disc(circles: int) -> NDArray[np.float64]:
    """Return nodes of quadrature over the unit disc, with their weights, which add up to one.

    Parameters
    ----------
    circles
        Number of circles of nodes.

    Returns
    -------
    NDArray[np.float64]
        Rows of y, x and weight, (circles · (4·circles + 1), 3). Polynomials of a degree up to ``4·circles − 1`` are
        integrated exactly.
    """
    places, weights = np.polynomial.legendre.leggauss(circles)
    angles = 4 * circles + 1
    turns = 2 * np.pi * np.arange(angles) / angles
    rows = [
        (radius * np.sin(turn), radius * np.cos(turn), weight / 2 / angles)
        for radius, weight in zip(np.sqrt((places + 1) / 2), weights, strict=True)
        for turn in turns
    ]
    return np.array(rows)


def nodes_of(circles: int) -> int:
    """Return the number of nodes of `disc`."""
    return circles * (4 * circles + 1)


def circles_needed(geometry: VolumeGeometry, source_na: float) -> int:
    """Return the number of circles of nodes for a disc of directions of the radius `source_na`.

    The phase of light scattered at a height z changes by up to ``2π |z| (ρ/λ) 2 tan θ`` between the middle and the edge
    of the disc, with the angle θ of the objective's aperture.
    """
    tangent = geometry.na / math.sqrt(max(geometry.medium_index**2 - geometry.na**2, 1e-6))
    height_um = float(np.abs(geometry.slice_positions_um).max())
    phase = 4 * math.pi * height_um * source_na / geometry.wavelength_um * tangent
    return min(1 + math.ceil(phase / _PHASE_OF_A_CIRCLE_RAD), _MOST_CIRCLES)


def extended(illumination: Illumination, source_na: float, geometry: VolumeGeometry) -> Illumination:
    """Return an illumination with discs of directions instead of single ones.

    Parameters
    ----------
    illumination
        The directions of the middles of the sources.
    source_na
        Radius ρ of the sources as a numerical aperture; 0 for points.
    geometry
        The volume and the objective. Light outside its aperture is no part of the background, and is left out; of dark
        field, light within it.
    """
    if not source_na:
        return illumination
    nodes = disc(circles_needed(geometry, source_na))
    scaled = (nodes * (source_na, source_na, 1.0)).tolist()
    return Illumination(tuple(_passing(frame, scaled, geometry.na) for frame in illumination.frames))


def _passing(frame: tuple[Source, ...], nodes: list[list[float]], na: float) -> tuple[Source, ...]:
    points = [Source(one.na_y + y, one.na_x + x, one.weight * weight) for one in frame for y, x, weight in nodes]
    # a frame is bright or dark field, as the middles of its sources are
    limit = na * (1 + EDGE)
    is_dark = all(one.na > limit for one in frame)
    return tuple(point for point in points if (point.na > limit) == is_dark) or frame
