"""DINER: a full-resolution table of learnable keys in front of a small network (Xie et al., CVPR 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_diner.representations.backbones import build_backbone
from napari_diner.representations.base import Representation
from napari_diner.representations.chunks import in_chunks
from napari_diner.representations.settings import (
    CompleteDinerSettings,
    RepresentationSettings,
    suitable_lattice,
    suitable_width,
)

# keys per chunk: 64 activations of 8192 keys in float32 take 2 MB, which stays in a core's cache
CHUNK = 8192
# fewer keys are not worth distributing over threads
_WORTH_SHARING = 4096


class Diner(Representation):
    """The representation f_θ(HM_i) of Eq. 4b: the network f_θ turns sample i's learnable key HM_i into values.

    Parameters
    ----------
    shape, outputs
        See `Representation`.
    settings
        Backbone, sizes, evaluation.
    generator
        Source of the random initial keys; the network draws from torch's global generator.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        settings: CompleteDinerSettings,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(shape, outputs)
        self.settings = settings
        count = int(torch.Size(shape).numel())
        keys = torch.rand(count, settings.table_width, generator=generator) * 2 - 1
        self.hash_table = nn.Parameter(keys * settings.key_range)
        self.backbone = build_backbone(outputs, settings)

    def forward(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), evaluated as the settings say."""
        return self.lattice() if self.settings.evaluation == "lattice" else self.exact()

    def exact(self) -> Tensor:
        """Return f_θ(HM_i) for every sample, (outputs, *shape), in chunks that fit the cache.

        Where gradients are wanted, each chunk is computed anew on the way back, so that the activations of all
        samples are never held at once.
        """
        values = in_chunks(self.backbone, self.hash_table, _chunk_size(self.hash_table), self.backbone)
        return values.T.reshape(self.outputs, *self.shape)

    def sample(self, indices: Tensor) -> Tensor:
        """Return f_θ(HM_i) for the samples with these flat indices, (n,): (n, outputs)."""
        values: Tensor = self.backbone(self.hash_table[indices])
        return values

    def lattice(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), interpolated from a lattice in the space of the keys.

        The network is evaluated on G^d points that cover the keys' bounding box (d: table width, G: lattice size),
        and each sample is read off by multilinear interpolation. Gradients reach both the network, through the
        lattice, and the keys, through the interpolation's slopes.
        """
        lattice = Lattice.covering(self.hash_table, self.settings.lattice_size)
        return lattice.read(lattice.evaluate(self.backbone), self.hash_table).reshape(self.outputs, *self.shape)


@dataclass(frozen=True)
class Lattice:
    """Evenly spaced points in a box of the space of the keys.

    Parameters
    ----------
    centre, half
        Centre of the box and half of its edges, (d,).
    size
        Points along each edge, G.
    """

    centre: Tensor
    half: Tensor
    size: int

    @classmethod
    def covering(cls, keys: Tensor, size: int, margin: float = 0.0) -> Lattice:
        """Return the lattice over the bounding box of keys, (n, d), wider by a fraction `margin` of it on each side."""
        with torch.no_grad():
            columns = [column.aminmax() for column in keys.unbind(1)]
            low, high = (torch.stack(ends) for ends in zip(*columns, strict=True))
            # a box of (nearly) no extent still needs a lattice whose differences are more than rounding
            half = ((high - low) / 2).clamp_min(1e-3) * (1 + 2 * margin)
            return cls((low + high) / 2, half, size)

    @property
    def width(self) -> int:
        """Numbers in each key, d."""
        return len(self.centre)

    def points(self) -> Tensor:
        """Return the points, (G^d, d), the last coordinate of a key first in order."""
        axis = torch.linspace(-1, 1, self.size, device=self.centre.device)
        # grid_sample names the last axis of the lattice first
        mesh = torch.stack(torch.meshgrid(*[axis] * self.width, indexing="ij")[::-1], -1).reshape(-1, self.width)
        return self.centre + self.half * mesh

    def evaluate(self, network: nn.Module) -> Tensor:
        """Return a network's values at the points: (1, outputs, *[G] * max(d, 2)), with one row only for d = 1."""
        values: Tensor = network(self.points()).T
        values = values.reshape(1, values.shape[0], *[self.size] * self.width)
        return values[:, :, None] if self.width == 1 else values

    def read(self, values: Tensor, keys: Tensor) -> Tensor:
        """Return the values at keys, (n, d), by multilinear interpolation between those at the points: (outputs, n)."""
        place = (keys - self.centre) / self.half
        if self.width == 1:
            place = F.pad(place, (0, 1))
        # on a processor grid_sample works on the items of a batch in parallel, so the keys are dealt out to a few
        shares = 2 * torch.get_num_threads() if keys.device.type == "cpu" and len(keys) >= _WORTH_SHARING else 1
        share = -(-len(keys) // shares)
        place = F.pad(place, (0, 0, 0, shares * share - len(keys)))
        where = place.reshape(shares, *[1] * (max(self.width, 2) - 1), share, max(self.width, 2))
        copies = values.expand(shares, *values.shape[1:])
        read = F.grid_sample(copies, where, mode="bilinear", padding_mode="border", align_corners=True)
        return read.reshape(shares, values.shape[1], share).transpose(0, 1).reshape(values.shape[1], -1)[:, : len(keys)]


def _chunk_size(keys: Tensor) -> int:
    # a graphics card wants large batches, a processor batches that stay in its cache
    return CHUNK if keys.device.type == "cpu" else 64 * CHUNK


def build(
    shape: tuple[int, ...], outputs: int, settings: RepresentationSettings, generator: torch.Generator | None = None
) -> Diner:
    """Build a DINER with random keys; sizes that the settings leave open suit the number of axes and keys."""
    width = settings.diner.table_width or suitable_width(shape)
    lattice = suitable_lattice(width, int(torch.Size(shape).numel()))
    return Diner(shape, outputs, settings.diner.complete(width, lattice), generator)
