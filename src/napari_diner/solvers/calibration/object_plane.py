"""The plane of the object, from its sharpness, since all frames fit any plane equally well.

With all distances longer by c and the object propagated back by c, no frame changes. In its own plane, a sample has
amplitudes and phases that vary little in most places and strongly at a few edges; out of focus, fringes are everywhere,
and amplitude and phase mix. The criterion is the likelihood of gradients with heavy (Cauchy-like) tails, ``S(c) =
−⟨log(ε + |∇|O||²)⟩ − ⟨log(ε' + |∇ exp(i arg O)|²)⟩``: edges have little weight, and a calm field has
much. ε and ε' are a tenth of the median squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.solvers.calibration.frame_geometry import Derivatives, Vector, Z

_CALM = 0.1
_BLOCKS = 4
_MARGIN = 0.02
# steps of the first search over the range, of the finer ones, and the width of the last ones in depths of field
_FIRST_STEPS = 24
_FINER = 4
_REACH = 6
_LAST = 0.005


@dataclass(frozen=True)
class Plane:
    """The plane of focus of an object."""

    offset_um: float
    """Length to add to all distances so that the object is in its own plane."""
    error_um: float
    """Standard error, from leaving out each block of the field in turn (jackknife), and from the difference between
    the planes of amplitude and phase alone."""
    at_end: bool
    """Whether the best plane is at the end of the range, so that the true one may be beyond."""


class Refocusing:
    """Refocusing of an object.

    Parameters
    ----------
    field
        The object O, (Y, X), for the current distances.
    model
        Its forward model, for the padding.
    derivatives
        For the phase per micrometre.
    part
        Weight of each frequency, (Y', X'); 1 if None.
    """

    def __init__(self, field: Tensor, model: MultiHeight, derivatives: Derivatives, part: Tensor | None = None) -> None:
        self._padding = model.padding
        self._spectrum = torch.fft.fft2(self._padding.pad(field))
        if part is not None:
            self._spectrum = part * self._spectrum
        self._phase = derivatives.of(Z).imag

    def at(self, offset_um: float) -> Tensor:
        """Return the object for distances longer by `offset_um`: complex, (Y, X)."""
        turn = torch.polar(torch.ones_like(self._phase), -offset_um * self._phase)
        field: Tensor = self._padding.crop(ifft2(self._spectrum * turn))
        return field


class PlaneSearch:
    """Search for the plane in which an object is calmest.

    Parameters
    ----------
    refocusing
        The object.
    range_um
        Search range to both sides.
    depth_of_field_um
        Depth of field of the grid, which determines the steps.
    mask
        True where pixels count, (Y, X), or None.
    """

    def __init__(
        self, refocusing: Refocusing, range_um: float, depth_of_field_um: float, mask: Tensor | None = None
    ) -> None:
        self._refocusing = refocusing
        self._range = range_um
        self._last = _LAST * depth_of_field_um
        self._mask = mask
        self._curve: dict[float, Vector] = {}
        self._calm: tuple[Tensor, Tensor] | None = None

    def steps(self) -> Iterator[float]:
        """Search on successively finer grids; yields the completed part of the work."""
        step = 2 * self._range / _FIRST_STEPS
        grid = np.arange(-_FIRST_STEPS // 2, _FIRST_STEPS // 2 + 1) * step
        levels = 1 + max(0, int(np.ceil(np.log(step / self._last) / np.log(_FINER))))
        for level in range(levels):
            for number, offset in enumerate(grid):
                self._measure(float(offset))
                yield (level + (number + 1) / len(grid)) / levels
            best = max(self._curve, key=lambda offset: self._curve[offset].sum(0).mean())
            step /= _FINER
            self._step = step * _FINER
            grid = best + np.arange(-_REACH, _REACH + 1) * step

    def result(self) -> Plane:
        """Return the plane; only after `steps` has ended."""
        offsets = np.array(sorted(self._curve))
        curves = np.array([self._curve[offset] for offset in offsets])
        whole = curves.sum(1)
        best = int(whole.mean(1).argmax())
        offset, _ = self._peak(offsets, whole.mean(1))
        blocks = whole.shape[1]
        left = (whole.sum(1, keepdims=True) - whole) / (blocks - 1)
        without = np.array([self._peak(offsets, curve)[0] for curve in left.T])
        variance = (blocks - 1) / blocks * np.square(without - without.mean()).sum()
        opinions = np.array([self._peak(offsets, part) for part in curves.mean(2).T])
        weight = opinions[:, 1].sum()
        if weight > 0:
            variance += float((opinions[:, 1] * np.square(opinions[:, 0] - offset)).sum() / weight)
        return Plane(offset, float(np.sqrt(variance)), best in (0, len(offsets) - 1))

    def _peak(self, offsets: Vector, curve: Vector) -> tuple[float, float]:
        """Return the top of a parabola through the curve next to its best point, and its curvature there, or 0."""
        best = int(curve.argmax())
        near = np.abs(offsets - offsets[best]) < (_FINER + 0.5) * self._step
        if near.sum() < 4:
            return float(offsets[best]), 0.0
        centred = (offsets[near] - offsets[best]) / self._step
        curvature, slope, _ = np.polyfit(centred, curve[near], 2)
        if curvature >= 0:
            return float(offsets[best]), 0.0
        top = np.clip(-slope / (2 * curvature), centred.min(), centred.max())
        return float(offsets[best] + self._step * top), float(-curvature)

    def _measure(self, offset: float) -> None:
        """Record the calmness of amplitude and phase in each block at an offset, (2, blocks)."""
        if offset in self._curve:
            return
        field = self._refocusing.at(offset)
        amplitude = (field.real**2 + field.imag**2).sqrt()
        squares = _gradient(amplitude), _gradient(field / amplitude.clamp_min(1e-20))
        if self._calm is None:
            small = torch.finfo(amplitude.dtype).tiny
            self._calm = (
                (_CALM * squares[0].median()).clamp_min(small),
                (_CALM * squares[1].median()).clamp_min(small),
            )
        mask = None if self._mask is None else self._mask[1:-1, 1:-1]
        self._curve[offset] = np.stack(
            [_block_means(-(square + calm).log(), mask) for square, calm in zip(squares, self._calm, strict=True)]
        )


def _gradient(image: Tensor) -> Tensor:
    """Return the square of the gradient, by differences of next neighbours, (Y − 2, X − 2)."""
    down = image[2:, 1:-1] - image[1:-1, 1:-1]
    right = image[1:-1, 2:] - image[1:-1, 1:-1]
    if image.is_complex():
        return down.real**2 + down.imag**2 + right.real**2 + right.imag**2
    return down**2 + right**2


def _block_means(values: Tensor, mask: Tensor | None) -> Vector:
    """Return the means over the blocks of a grid, those without any pixel left out: (blocks,)."""
    margin = round(_MARGIN * min(values.shape))
    inner = slice(margin, -margin or None)
    # to the processor, as not every device adds up in double precision
    values = values[inner, inner].cpu()
    weights = torch.ones_like(values) if mask is None else mask[inner, inner].to(values)
    means = []
    for rows, weight_rows in zip(values.tensor_split(_BLOCKS), weights.tensor_split(_BLOCKS), strict=True):
        for part, weight in zip(rows.tensor_split(_BLOCKS, 1), weight_rows.tensor_split(_BLOCKS, 1), strict=True):
            count = float(weight.sum())
            if count > 0:
                means.append(float((part * weight).sum(dtype=torch.float64)) / count)
    return np.array(means)
