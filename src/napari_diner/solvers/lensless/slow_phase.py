"""Response of the recorded amplitudes to slowly varying phase on a coarse grid: the second level."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from napari_diner.physics.lensless.multiheight import LenslessModel
from napari_diner.solvers.conjugate_gradients import Operator
from napari_diner.solvers.solver import Resumable

# Distance of the nodes in units of √(λz), the width of the finest ring of a point's pattern at the farthest sensor.
# Faster phase variations have sufficient contrast.
_NODES_APART = 4.0
_SMALLEST_SPACING_PX = 16
# largest number of nodes, whose matrix is factorised in seconds; the grid is coarser for larger fields
_MOST_NODES = 4096
_FEWEST_NODES = 5
# distance beyond which nodes are independent: triangles are two wide, and diffraction adds little
_REACH = 2
_PERIOD = 2 * _REACH + 1
# the matrix is measured again when the loss has fallen by this factor
_CHANGED = 0.9
# addition to the diagonal of the matrix, relative to its mean, since a constant phase has no effect; and number of
# attempts with ten times as much
_FLOOR = 1e-6
_TRIES = 6


@dataclass(frozen=True)
class _Axis:
    """The nodes along one axis, and groups of nodes to measure together."""

    hats: Tensor
    """Triangles about the nodes, (K, size): the phase is their weighted sum."""
    groups: list[list[int]]
    """Nodes that are far enough apart."""
    nearest: list[list[int]]
    """For each group, the node of it that may interact with each node; −1 for none."""

    @property
    def nodes(self) -> int:
        return len(self.hats)


class SlowPhase(Resumable):
    """The normal matrix of slowly varying phase, and its inverse as part of a preconditioner.

    Slowly varying phase has little contrast, ``|S_z|² ~ f⁴``; its main effect is to shift the patterns of finer
    structure, so that its normal matrix ``JᵀJ`` depends on the object. Preconditioners that are diagonal in frequency
    do not describe this, and conjugate gradients need thousands of steps.

    Here the phase is ``φ = Pc``, the sum of c_k h_k with triangles h_k (bilinear interpolation) about the nodes of a
    coarse grid, and the Galerkin matrix ``A = PᵀJᵀJP`` is measured. Only nearby nodes interact, so that
    JᵀJ is applied to many triangles at once, 25 times in all, as sparse derivatives are (Curtis, Powell
    and Reid, IMA J. Appl. Math. 13, 117 (1974)). The correction ``P (A + μ PᵀP)⁻¹ Pᵀ`` is added to another
    preconditioner: a two-level additive Schwarz method (Toselli and Widlund, Domain Decomposition Methods, Springer
    2005, Ch. 2 and 3).

    Parameters
    ----------
    model
        The forward model.
    """

    kept = ("matrix", "_measured_at")

    def __init__(self, model: LenslessModel) -> None:
        shape, heights = model.shape, model.heights
        optics = heights.optics
        resolution_px = math.sqrt(optics.wavelength_in_medium_um * max(heights.distances_um)) / optics.pixel_size_um
        least = math.sqrt(shape[0] * shape[1] / _MOST_NODES)
        spacing = max(_NODES_APART * resolution_px, _SMALLEST_SPACING_PX, least)
        periodic = model.padding.is_identity
        self._axes = tuple(_axis(size, spacing, periodic, model) for size in shape)
        self.matrix = torch.zeros(0)
        """The Galerkin matrix A, float64, (K, K), of the last object measured."""
        self._measured_at = math.inf

    @property
    def nodes(self) -> tuple[int, int]:
        """Nodes along each axis."""
        return self._axes[0].nodes, self._axes[1].nodes

    @property
    def worthwhile(self) -> bool:
        """Whether the field is large enough for phase slower than its finest patterns."""
        return min(self.nodes) >= _FEWEST_NODES

    @property
    def measured(self) -> bool:
        """Whether there is a matrix."""
        return self.matrix.numel() > 0

    def follow(self, normal: Operator, loss: float) -> Iterator[float]:
        """Measure if it pays off and the loss of the object has fallen since; see `measure`."""
        if self.worthwhile and loss < _CHANGED * self._measured_at:
            yield from self.measure(normal)
            self._measured_at = loss

    def measure(self, normal: Operator) -> Iterator[float]:
        """Compute the Galerkin matrix; yields the completed part.

        Parameters
        ----------
        normal
            JᵀJ of an object, for changes of log-amplitude and phase, (Y, X).
        """
        rows, columns = self._axes
        matrix = torch.zeros(*self.nodes, *self.nodes, dtype=torch.float64)
        pairs = list(
            product(zip(rows.groups, rows.nearest, strict=True), zip(columns.groups, columns.nearest, strict=True))
        )
        for number, ((down, near_row), (across, near_column)) in enumerate(pairs, start=1):
            triangles = rows.hats[down].sum(0)[:, None] * columns.hats[across].sum(0)
            answer = normal(torch.complex(torch.zeros_like(triangles), triangles)).imag
            response = (rows.hats @ answer @ columns.hats.T).cpu().double()
            for (row, at_row), (column, at_column) in product(enumerate(near_row), enumerate(near_column)):
                if at_row >= 0 and at_column >= 0:
                    matrix[row, column, at_row, at_column] = response[row, column]
            yield number / len(pairs)
        count = math.prod(self.nodes)
        square = matrix.reshape(count, count)
        self.matrix = (square + square.T) / 2

    def inverse(self, damping: float, scaling: Tensor, curvature: float) -> Operator:
        """Return the correction ``P (A + …)⁻¹ Pᵀ`` for unknowns scaled by `scaling`.

        Parameters
        ----------
        damping
            The damping μ of the scaled unknowns.
        scaling
            Factor from the scaled unknowns to log-amplitude and phase, (Y, X).
        curvature
            The coefficient of the squared gradient of the phase in the priors.

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
        device, dtype = scaling.device, scaling.dtype
        solve = _solver(_factor(self.matrix + added.cpu().double()), device)

        def apply(residual: Tensor) -> Tensor:
            right = rows @ (residual.imag / scaling) @ columns.T
            answer = solve(right.reshape(-1, 1))
            phase = rows.T @ answer.to(device, dtype).reshape(right.shape) @ columns
            return torch.complex(torch.zeros_like(phase), phase / scaling)

        return apply


def _axis(size: int, spacing: float, periodic: bool, model: LenslessModel) -> _Axis:
    """Place nodes along one axis."""
    if periodic:
        count = max(round(size / spacing), 1)
        if count > _PERIOD:  # so that groups stay separate across the periodic edge
            count = _PERIOD * round(count / _PERIOD)
        apart = size / count
    else:
        count = max(round((size - 1) / spacing) + 1, 2)
        apart = (size - 1) / (count - 1)
    away = torch.arange(size, dtype=torch.float64) - torch.arange(count, dtype=torch.float64)[:, None] * apart
    if periodic:
        away = torch.remainder(away + size / 2, size) - size / 2
    hats = (1 - away.abs() / apart).clamp_min(0).to(model.device, model.real_dtype)
    groups = [list(range(first, count, _PERIOD)) for first in range(min(count, _PERIOD))]
    nearest = [[_nearest(node, group, count, periodic) for node in range(count)] for group in groups]
    return _Axis(hats, groups, nearest)


def _nearest(node: int, group: list[int], count: int, periodic: bool) -> int:
    """Return the node of a group that may interact with a node, or −1."""
    if count <= _PERIOD:
        return group[0]

    def distance(other: int) -> int:
        apart = abs(node - other)
        return min(apart, count - apart) if periodic else apart

    best = min(group, key=distance)
    return best if distance(best) <= _REACH else -1


def _solver(factor: Tensor, device: torch.device) -> Operator:
    """Return the solution for right-hand sides, (K, 1), with a Cholesky factor; on CUDA without leaving the card."""
    if device.type == "cuda":
        inverse = torch.cholesky_inverse(factor).to(device)
        return lambda right: inverse @ right.double()
    return lambda right: torch.cholesky_solve(right.cpu().double(), factor)


def _factor(matrix: Tensor) -> Tensor:
    """Return the Cholesky factor of a matrix, with enough added to its diagonal to make it positive."""
    floor = _FLOOR * float(matrix.diagonal().mean())
    identity = torch.eye(len(matrix), dtype=matrix.dtype)
    for _ in range(_TRIES):
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(matrix + floor * identity)
        if not failed:
            break
        floor *= 10
    return factor
