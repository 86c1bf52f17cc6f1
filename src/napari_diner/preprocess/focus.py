"""Autofocus: sharpness as a function of distance, its peak, and the uncertainty of the peak."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Padding
from napari_diner.physics.propagation import frequencies, transfer_function
from napari_diner.preprocess.settings import Metric
from napari_diner.preprocess.sharpness import block_sums, sharpness

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Focus:
    """Focus of a field."""

    distance_um: float
    """Distance back from the plane of the field to the sharpest plane, interpolated between the steps."""
    uncertainty_um: float
    """Standard error by the jackknife over the blocks of the field. It reflects how well parts of the field agree, not
    by how much a twin image displaces all of them.
    """
    distances_um: Curve
    """Distances of the curve, in ascending order, (steps,)."""
    sharpness: Curve
    """Sharpness at these distances, (steps,)."""
    at_end: bool
    """Whether the sharpest distance is the first or last of those tried, so that the true one may lie beyond."""


_PADDING_PX, _MARGIN_PX = 64, 6  # the margin, which depends on the padding, is excluded from the sharpness
_BLUR_PX = 0.6  # standard deviation of a blur that suppresses noise between neighbouring pixels
# refined steps are this much shorter, over so many first steps on both sides of the peak
_REFINEMENT, _AROUND = 4, 2


class Refocus:
    """Refocusing of a field to any distance.

    Parameters
    ----------
    field
        Complex field, (Y, X), or the square root of a recorded intensity, whose phase is assumed to be constant.
    optics
        Pixels, wavelength, medium and method of propagation.
    """

    def __init__(self, field: Tensor, optics: Optics) -> None:
        self.optics = optics
        shape = (field.shape[0], field.shape[1])
        self._padding = Padding(shape, "reflect", min(_PADDING_PX, min(shape) // 4))
        level = float(field.abs().square().mean().sqrt()) or 1.0
        self._level = level
        self._spectrum: Tensor = torch.fft.fft2(self._padding.pad((field / level).to(torch.complex64)))
        fy, fx = frequencies(self._padding.padded_shape, 1.0)
        self._blur = torch.exp(-2 * (torch.pi * _BLUR_PX) ** 2 * (fy**2 + fx**2)).to(field.device, torch.float32)

    def at(self, distance_um: float) -> Tensor:
        """Return the field at a distance in front of its plane, towards the source: complex, (Y, X)."""
        return self._level * self._propagated(self._spectrum, distance_um)

    def sums(self, distance_um: float, metric: Metric) -> Tensor:
        """Return the `block_sums` for the sharpness at a distance, (blocks, figures)."""
        field = self._propagated(self._spectrum * self._blur, distance_um)
        margin = min(_MARGIN_PX, (min(field.shape) - 8) // 2)
        return block_sums(field[margin : field.shape[0] - margin, margin : field.shape[1] - margin], metric).cpu()

    def _propagated(self, spectrum: Tensor, distance_um: float) -> Tensor:
        transfer = transfer_function(self._padding.padded_shape, self.optics, -distance_um).to(spectrum.device)
        return self._padding.crop(ifft2(spectrum * transfer))


def search(
    field: Tensor, near_um: float, far_um: float, optics: Optics, metric: Metric, step_um: float | None = None
) -> Generator[tuple[int, int], None, Focus]:
    """Find the distance at which a field is sharpest, in steps over the whole range and then in finer ones.

    Parameters
    ----------
    field
        Complex field at the sensor, (Y, X), or the square root of a recorded intensity.
    near_um, far_um
        Range of distances, towards the source; they may be negative.
    optics
        Pixels, wavelength, medium and method of propagation.
    metric
        Measure of sharpness; see `block_sums`.
    step_um
        First step; the depth of field if None. The finer steps are a quarter of it.

    Yields
    ------
    tuple[int, int]
        Steps done, and total number of steps.

    Returns
    -------
    Focus
        The peak, by a parabola through the steps around the largest one, its uncertainty, and the curve.
    """
    step = optics.depth_of_field_um if step_um is None else step_um
    count = max(5, 1 + int(np.ceil((far_um - near_um) / step)))
    refocus = Refocus(field, optics)
    coarse = np.linspace(near_um, far_um, count)
    total = count + 2 * _AROUND * (_REFINEMENT - 1)
    sums: dict[float, Tensor] = {}
    for distance in coarse:
        sums[float(distance)] = refocus.sums(float(distance), metric)
        yield len(sums), total
    best = max(sums, key=lambda z: float(sharpness(sums[z].sum(0), metric)))
    width = float(coarse[1] - coarse[0])
    fine = best + width / _REFINEMENT * np.arange(-_AROUND * _REFINEMENT, _AROUND * _REFINEMENT + 1)
    for number, distance in enumerate(fine):
        if number % _REFINEMENT and near_um < distance < far_um:
            sums[float(distance)] = refocus.sums(float(distance), metric)
            yield min(len(sums), total), total
    distances = np.array(sorted(sums))
    return _peak_of(distances, torch.stack([sums[z] for z in sorted(sums)]), width, metric)


def _peak_of(distances: Curve, sums: Tensor, width: float, metric: Metric) -> Focus:
    """Return the peak of a curve given as sums, (steps, blocks, figures)."""
    whole = sums.sum(1)
    values = sharpness(whole, metric).numpy()
    without = sharpness(whole[:, None] - sums, metric).numpy()
    peaks = np.array([peak(distances, column, width) for column in without.T])
    error = float(np.sqrt((len(peaks) - 1) * np.mean((peaks - peaks.mean()) ** 2)))
    at_end = int(np.argmax(values)) in (0, len(values) - 1)
    return Focus(peak(distances, values, width), error, distances, values, at_end)


def peak(distances: Curve, values: Curve, width: float) -> float:
    """Return the position of the maximum of a curve, by a parabola through the points within `width`/2 of the largest.

    The fit includes at least the next neighbours. If the parabola opens upwards or its vertex is outside of its points,
    the position of the largest point is returned.
    """
    top = int(np.argmax(values))
    if top in (0, len(values) - 1):
        return float(distances[top])
    near = np.abs(distances - distances[top]) <= 0.5001 * width
    near[top - 1 : top + 2] = True
    z = distances[near] - distances[top]
    curvature, slope, _ = np.polyfit(z, values[near], 2)
    if curvature >= 0:
        return float(distances[top])
    vertex = -slope / (2 * curvature)
    return float(distances[top] + vertex) if z[0] <= vertex <= z[-1] else float(distances[top])
