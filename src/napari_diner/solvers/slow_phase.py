"""How the recorded amplitudes answer to slowly varying phase, on a coarse grid of their own: the second level."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from napari_diner.physics.multiheight import LenslessModel
from napari_diner.physics.padding import fast_size
from napari_diner.solvers.conjugate_gradients import Operator

# Distance of the nodes in units of √(λz), the width of the finest ring of a point's pattern at the farthest sensor.
# Phase that varies within less is seen well by its contrast alone.
_NODES_APART = 6.0
_SMALLEST_SPACING_PX = 16
# so many nodes give a matrix that is factorised in seconds; the grid is coarser for larger fields
_MOST_NODES = 4096
_FEWEST_NODES = 4
# the matrix is measured again when the loss has fallen below this part of what it was then
_CHANGED = 0.98
# light that goes farther aside is faint, and this is for a preconditioner
_MOST_SPREAD_PX = 128
# what is added to the diagonal of the matrix, relative to its mean: a constant phase is seen by nobody
_FLOOR = 1e-6


class _Axis(NamedTuple):
    """The nodes along one axis."""

    hats: Tensor
    """Triangles about the nodes, (K, size): the phase is their weighted sum."""
    starts: list[int]
    """First padded pixel of the window of each node; may lie before zero where the grid is periodic."""
    patches: Tensor
    """The triangles in their windows, on the padded grid, (K, Q)."""
    pixels: Tensor
    """Which padded pixels each window covers, (K, Q)."""


class SlowPhase:
    """The normal matrix of slowly varying phase, computed exactly, and its inverse as part of a preconditioner.

    Phase that varies slowly leaves little contrast, ``|S_z|² ~ f⁴``; mostly it is seen since it shifts the patterns of
    finer structure, so that its normal matrix ``JᵀJ`` depends on what the object is and where. No preconditioner that
    is diagonal in frequency knows that, and conjugate gradients need thousands of steps.

    Here the phase is ``φ = Σ_k c_k h_k`` with triangles h_k (bilinear interpolation) about the nodes of a coarse grid.
    The response ``J(i h_k)`` of the amplitudes at all heights to each of them is local, as wide as a triangle and the
    spread of diffraction. It is computed in a window around the node, and the scalar products of all pairs are the
    Galerkin matrix ``A = PᵀJᵀJP``. The correction ``P (A + μ PᵀP)⁻¹ Pᵀ`` is added to another preconditioner: a
    two-level additive Schwarz method (Toselli and Widlund, Domain Decomposition Methods, Springer 2005, Ch. 2 and 3).

    Parameters
    ----------
    model
        The forward model.
    """

    def __init__(self, model: LenslessModel) -> None:
        self.model = model
        shape, heights = model.shape, model.heights
        resolution_px = math.sqrt(heights.wavelength_in_medium_um * max(heights.distances_um)) / heights.pixel_size_um
        least = math.sqrt(shape[0] * shape[1] / _MOST_NODES)
        spacing = max(_NODES_APART * resolution_px, _SMALLEST_SPACING_PX, least)
        spread = min(heights.spread_px, _MOST_SPREAD_PX)
        self._axes = tuple(_axis(model, axis, spacing, spread) for axis in (0, 1))
        self.nodes = (len(self._axes[0].starts), len(self._axes[1].starts))
        """Nodes along each axis."""
        window = (self._axes[0].patches.shape[1], self._axes[1].patches.shape[1])
        self._transfers = heights.transfers(window, model.dtype, model.device)
        self.matrix = torch.zeros(0)
        """The Galerkin matrix A, float64, (K, K), of the last object measured."""
        self._measured_at = math.inf

    @property
    def worthwhile(self) -> bool:
        """Whether the field is so large that there are slower phases than those of its finest patterns.

        Not with larger pixels of the sensor: the windows would have to keep to them.
        """
        return min(self.nodes) >= _FEWEST_NODES and self.model.sensor.binning == 1

    @property
    def measured(self) -> bool:
        """Whether there is a matrix."""
        return self.matrix.numel() > 0

    def follow(self, field: Tensor, directions: Tensor, loss: float) -> None:
        """Measure if it is worthwhile and the loss of the object has fallen since; see `measure`."""
        if self.worthwhile and loss < _CHANGED * self._measured_at:
            self.measure(field, directions)
            self._measured_at = loss

    def measure(self, field: Tensor, directions: Tensor) -> None:
        """Compute the Galerkin matrix at an object.

        Parameters
        ----------
        field
            Complex field O, (Y, X).
        directions
            D of the field at every height (see `Sensor`), times the root of what each amplitude counts, (N, Y, X).
        """
        model = self.model
        lit = model.padding.pad(model.lit(field))
        meetings = [
            [_meeting(axis.starts, one, axis.patches.shape[1], period) for one in range(len(axis.starts))]
            for axis, period in zip(self._axes, model.padding.padded_shape, strict=True)
        ]
        matrix = torch.zeros(*self.nodes, *self.nodes, dtype=torch.float64)
        responses: dict[int, Tensor] = {}
        for row, met in enumerate(meetings[0]):
            for other, offset in met:
                if other > row:
                    continue
                for needed in (row, other):
                    if needed not in responses:
                        responses[needed] = self._responses(needed, lit, directions)
                products = self._products(responses[row], responses[other], offset, meetings[1])
                matrix[row, :, other] += products.tril() if other == row else products
            # those beyond the reach of the next row go; a few are needed again where a periodic field closes
            soon = {other for other, _ in meetings[0][row + 1]} if row + 1 < len(meetings[0]) else set()
            responses = {number: values for number, values in responses.items() if number in soon}
        lower = matrix.reshape(self.nodes[0] * self.nodes[1], -1).tril()
        self.matrix = lower + lower.tril(-1).T

    def _responses(self, row: int, lit: Tensor, directions: Tensor) -> Tensor:
        """Return how all heights answer to the triangles of one row of nodes, each in its window: (K, N, Q, Q)."""
        rows, columns = self._axes
        model = self.model
        top, left = model.padding.before
        inside_y, at_y = _inside(rows.pixels[row] - top, model.shape[0])
        responses = []
        for column in range(len(columns.starts)):
            window = lit[rows.pixels[row]][:, columns.pixels[column]]
            hat = rows.patches[row][:, None] * columns.patches[column]
            spectrum = torch.fft.fft2(1j * hat * window)
            inside_x, at_x = _inside(columns.pixels[column] - left, model.shape[1])
            seen = inside_y[:, None] * inside_x
            U = torch.fft.ifft2(self._transfers * spectrum)
            toward = directions[:, at_y][:, :, at_x]
            responses.append((U.real * toward.real + U.imag * toward.imag) * seen)
        return torch.stack(responses)

    def _products(self, ones: Tensor, others: Tensor, offset: int, meetings: list[list[tuple[int, int]]]) -> Tensor:
        """Return the scalar products of two rows of responses, whose windows are `offset` pixels apart: (K, K)."""
        mine, theirs = _overlap(offset, ones.shape[2])
        products = torch.zeros(len(meetings), len(meetings), dtype=torch.float64)
        for column, met in enumerate(meetings):
            for beside, aside in met:
                here, there = _overlap(aside, ones.shape[3])
                product = ones[column, :, mine, here] * others[beside, :, theirs, there]
                products[column, beside] += float(product.sum())
        return products

    def inverse(self, damping: float, scaling: Tensor, curvature: float) -> Operator:
        """Return the correction ``P (A + …)⁻¹ Pᵀ`` for unknowns scaled by `scaling`.

        Parameters
        ----------
        damping
            The damping μ of the scaled unknowns.
        scaling
            What the scaled unknowns are multiplied with to give log-amplitude and phase, (Y, X).
        curvature
            The coefficient of the squared gradient of the phase that priors add.

        Returns
        -------
        Operator
            From a complex residual (Y, X) to a complex correction, of the imaginary part alone.
        """
        rows, columns = (axis.hats for axis in self._axes)
        mass = (1 / scaling.square()).mean()
        gram = [hats @ hats.T for hats in (rows, columns)]
        steep = [torch.diff(hats, dim=1) @ torch.diff(hats, dim=1).T for hats in (rows, columns)]
        added = damping * mass * torch.kron(*gram)
        if curvature:
            added = added + curvature * (torch.kron(steep[0], gram[1]) + torch.kron(gram[0], steep[1]))
        matrix = self.matrix + added.double().cpu()
        matrix.diagonal().add_(_FLOOR * matrix.diagonal().mean())
        factor = torch.linalg.cholesky(matrix)
        device, dtype = scaling.device, scaling.dtype

        def apply(residual: Tensor) -> Tensor:
            right = rows @ (residual.imag / scaling) @ columns.T
            answer = torch.cholesky_solve(right.double().cpu().reshape(-1, 1), factor)
            phase = rows.T @ answer.to(device, dtype).reshape(right.shape) @ columns
            return torch.complex(torch.zeros_like(phase), phase / scaling)

        return apply


def _axis(model: LenslessModel, axis: int, spacing: float, spread: int) -> _Axis:
    """Place nodes along one axis."""
    padding, size = model.padding, model.shape[axis]
    padded = padding.padded_shape[axis]
    if padding.is_identity:
        count = max(round(size / spacing), 1)
        apart = size / count
        centres = torch.arange(count, dtype=torch.float64) * apart
        away = torch.arange(size, dtype=torch.float64) - centres[:, None]
        away = torch.remainder(away + size / 2, size) - size / 2
    else:
        count = max(round((size - 1) / spacing) + 1, 2)
        apart = (size - 1) / (count - 1)
        centres = torch.arange(count, dtype=torch.float64) * apart
        away = torch.arange(size, dtype=torch.float64) - centres[:, None]
    hats = (1 - away.abs() / apart).clamp_min(0).to(model.device, model.real_dtype)
    half = math.ceil(apart) + spread
    length = min(fast_size(2 * half + 1), padded)
    starts = [padding.before[axis] + int(centre) - length // 2 for centre in centres.round()]
    if length == padded:
        starts = [0] * count
    pixels = torch.stack([torch.remainder(torch.arange(start, start + length), padded) for start in starts])
    pixels = pixels.to(model.device)
    # what is continued beyond the edge fades within the reach of diffraction: cut off by the window, it would shine on
    # its other side
    position = torch.arange(padded, device=model.device) - padding.before[axis]
    beyond = torch.maximum(-position, position - (size - 1)).clamp(0, spread + 1)
    fading = 0.5 * (1 + torch.cos(torch.pi * beyond / (spread + 1))).to(hats.dtype)
    patches = padding.continued(hats, axis, 1) * fading
    return _Axis(hats, starts, patches.gather(1, pixels), pixels)


def _inside(pixels: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return which pixels lie within the field of view, as ones and zeros, and where to read them."""
    at = pixels.clamp(0, size - 1)
    return (at == pixels).to(torch.float32), at


def _meeting(starts: list[int], one: int, length: int, period: int) -> list[tuple[int, int]]:
    """Return which windows overlap a window, and by how many pixels they begin later, periodically."""
    found = []
    for other, start in enumerate(starts):
        for turn in (0,) if length == period else (-period, 0, period):
            offset = start + turn - starts[one]
            if abs(offset) < length:
                found.append((other, offset))
    return found


def _overlap(offset: int, length: int) -> tuple[slice, slice]:
    """Return where a window, and one that begins `offset` pixels later, show the same pixels."""
    return slice(max(offset, 0), length + min(offset, 0)), slice(max(-offset, 0), length - max(offset, 0))
