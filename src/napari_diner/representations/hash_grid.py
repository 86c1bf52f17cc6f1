"""The multi-resolution hash encoding of InstantNGP (Müller et al., ACM Trans. Graph. 41, 102, 2022)."""

from __future__ import annotations

import math
from itertools import accumulate, product

import torch
from torch import Tensor, nn

from napari_diner.errors import RecipeError
from napari_diner.representations.backbones import build_network
from napari_diner.representations.networks import CoordinateNetwork
from napari_diner.representations.settings import (
    HashGridSettings,
    NetworkSettings,
    RepresentationSettings,
    suitable_width,
)

# π₁ … π₃ of Eq. 4, and the fourth one in their code
_PRIMES = (1, 2_654_435_761, 805_459_861, 3_674_653_429)
_INITIAL_RANGE = 1e-4
_MAX_AXES = len(_PRIMES)


class HashEncoding(nn.Module):
    """Learnable features on grids of growing resolution, interpolated at a coordinate and put side by side.

    Level l has ``N_l = ⌊N₀ bˡ⌋`` points along each axis (N₀: base resolution, b: growth), evenly spaced over the
    signal with both ends included. A level whose points fit the table has an entry for each of them. In one that does
    not, the point (p₁, …, p_d) shares the entry ``(p₁π₁ ⊕ … ⊕ p_dπ_d) mod T`` with others, for large primes π and a
    table of T entries (Eq. 4 of the paper). Along an axis no level has more points than there are samples, as more
    could not be distinguished, and repeated levels are omitted.

    Parameters
    ----------
    shape
        Samples of the signal along each of 1 to 4 axes.
    settings
        Levels, features, table size, resolutions; the table size has to be a number.
    """

    spans: Tensor
    strides: Tensor
    offsets: Tensor
    steps: Tensor

    def __init__(self, shape: tuple[int, ...], settings: HashGridSettings) -> None:
        super().__init__()
        if not 1 <= len(shape) <= _MAX_AXES:
            raise RecipeError(
                f"A hash grid represents signals of at most {_MAX_AXES} axes, not of {len(shape)}; choose another "
                "{field}, or take a part of the data",
                "representation",
            )
        if settings.log2_table_size is None:
            raise ValueError("the size of the hash grid's table has to be known")
        entries = 1 << settings.log2_table_size
        self.resolutions = settings.resolutions(shape)
        sizes = [int(torch.Size(points).numel()) for points in self.resolutions]
        self.dense_levels = sum(size <= entries for size in sizes)
        self.table_size = entries
        self.features = len(sizes) * settings.features

        # plain numbers, so that shapes are available on the meta device, where nothing is allocated
        starts = [0, *accumulate(min(size, entries) for size in sizes)]
        spans = torch.tensor(self.resolutions) - 1
        strides = torch.tensor([[int(torch.Size(points[axis + 1 :]).numel()) for axis in range(len(shape))]
                                for points in self.resolutions])  # fmt: skip
        # corner of a cell along each axis, the last axis fastest; a single point is all corners at once
        bits = torch.tensor(list(product((0, 1), repeat=len(shape))))
        steps = (bits * (strides * (spans > 0))[:, None]).sum(-1)
        self.register_buffer("offsets", torch.tensor(starts[:-1]), persistent=False)
        self.register_buffer("spans", spans.T, persistent=False)
        self.register_buffer("strides", strides.T, persistent=False)
        self.register_buffer("steps", steps, persistent=False)
        self.table = nn.Parameter(torch.empty(starts[-1], settings.features).uniform_(-_INITIAL_RANGE, _INITIAL_RANGE))

    def forward(self, coordinates: Tensor) -> Tensor:
        """Return the features, (n, levels · features), at coordinates, (n, axes) within ±1."""
        entries, weights = self.corners(coordinates)
        features = self.table.index_select(0, entries.flatten()).view(*entries.shape, -1)
        return (features * weights[..., None]).sum(2).flatten(1)

    def corners(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Return the entries of the 2^axes grid points around each coordinate at each level, and their weights.

        Parameters
        ----------
        coordinates
            (n, axes), within ±1; beyond, the features are those of the border.

        Returns
        -------
        entries, weights
            (n, levels, 2^axes) each; the weights, those of d-linear interpolation, add up to one.
        """
        cells: list[Tensor] = []
        weights = torch.ones(1, 1, 1, dtype=coordinates.dtype, device=coordinates.device)
        for column, span in zip(coordinates.unbind(1), self.spans, strict=True):
            place = (column[:, None].clamp(-1, 1) + 1) * (span / 2)
            # the last point belongs to the cell before it; an axis of one point is a cell of its own
            cell = place.detach().floor().minimum((span - 1).clamp_min(0))
            part = place - cell
            weights = (weights[..., None] * torch.stack([1 - part, part], -1)[:, :, None]).flatten(2)
            cells.append(cell.long())
        dense = self._dense([cell[:, : self.dense_levels] for cell in cells])
        hashed = self._hashed([cell[:, self.dense_levels :] for cell in cells])
        return torch.cat([dense, hashed], 1), weights

    def _dense(self, cells: list[Tensor]) -> Tensor:
        levels = slice(None, self.dense_levels)
        first = self.offsets[levels]
        for cell, stride in zip(cells, self.strides[:, levels], strict=True):
            first = first + cell * stride
        return first[..., None] + self.steps[levels]

    def _hashed(self, cells: list[Tensor]) -> Tensor:
        mixed = torch.zeros(1, 1, 1, dtype=torch.long, device=cells[0].device)
        for cell, prime in zip(cells, _PRIMES, strict=False):
            both = torch.stack([cell, cell + 1], -1) * prime
            mixed = (mixed[..., None] ^ both[:, :, None]).flatten(2)
        return self.offsets[self.dense_levels :, None] + (mixed & (self.table_size - 1))


def matched_table_size(shape: tuple[int, ...], settings: HashGridSettings, parameters: int) -> int:
    """Return log2 of the table size for which the encoding has about a number of parameters (Sec. 5.1.3).

    Parameters
    ----------
    shape
        Samples of the signal.
    settings
        The encoding; its table size is ignored.
    parameters
        Target total size of the tables of all levels.
    """
    sizes = [int(torch.Size(points).numel()) for points in settings.resolutions(shape)]

    def departure(log2_size: int) -> float:
        numbers = settings.features * sum(min(size, 1 << log2_size) for size in sizes)
        return abs(math.log(numbers / max(parameters, 1)))

    return min(range(8, 27), key=departure)


class HashGrid(CoordinateNetwork):
    """A hash encoding in front of a small ReLU MLP.

    Parameters
    ----------
    shape, outputs
        See `Representation`.
    network
        Size of the MLP.
    hash_grid
        The encoding, with the size of its table.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, network: NetworkSettings, hash_grid: HashGridSettings
    ) -> None:
        encoding = HashEncoding(shape, hash_grid)
        layers, features = network.hidden_layers, network.hidden_features
        body = build_network("mlp", encoding.features, outputs, layers, features)
        super().__init__(shape, outputs, body, encoding)


def build(
    shape: tuple[int, ...], outputs: int, settings: RepresentationSettings, generator: torch.Generator | None = None
) -> HashGrid:
    """Build a hash grid; by default its tables have as many numbers as DINER's table."""
    grid = settings.hash_grid
    if grid.log2_table_size is None:
        numbers = int(torch.Size(shape).numel()) * (settings.diner.table_width or suitable_width(shape))
        grid = grid.model_copy(update={"log2_table_size": matched_table_size(shape, grid, numbers)})
    return HashGrid(shape, outputs, settings.network, grid)
