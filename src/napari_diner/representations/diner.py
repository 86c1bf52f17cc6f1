"""DINER: a full-resolution table of learnable keys in front of a small network (Xie et al., CVPR 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diner.representations.backbones import build_backbone
from napari_diner.representations.base import Representation
from napari_diner.representations.chunks import in_chunks
from napari_diner.representations.lattice import Lattice
from napari_diner.representations.settings import (
    CompleteDinerSettings,
    RepresentationSettings,
    suitable_lattice,
    suitable_width,
)

# keys per chunk: 64 activations of 8192 keys in float32 take 2 MB, which stays in a core's cache
CHUNK = 8192


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
        self._known: tuple[int, Tensor, Tensor] | None = None

    def forward(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), evaluated as set."""
        return self.lattice() if self.settings.evaluation == "lattice" else self.exact()

    def exact(self) -> Tensor:
        """Return f_θ(HM_i) for every sample, (outputs, *shape), in chunks that fit the cache.

        If gradients are needed, each chunk is recomputed in the backward pass to limit
        the memory of activations.
        """
        values = in_chunks(self.backbone, self.hash_table, chunk_size(self.hash_table), self.backbone)
        return values.T.reshape(self.outputs, *self.shape)

    def sample(self, indices: Tensor) -> Tensor:
        """Return f_θ(HM_i) for the samples with these flat indices, (n,): (n, outputs)."""
        values: Tensor = self.backbone(self.hash_table[indices])
        return values

    def lattice(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), interpolated from a lattice in the space of the keys.

        The network is evaluated on G^d points that cover the keys' bounding box (d: table width, G: lattice size),
        and each sample is interpolated multilinearly. Gradients reach both the network, through the
        lattice, and the keys, through the interpolation's slopes.
        """
        lattice = Lattice.covering(self.hash_table, self.settings.lattice_size)
        return lattice.read(lattice.evaluate(self.backbone), self.hash_table).reshape(self.outputs, *self.shape)

    def lattice_of_keys(self) -> Lattice:
        """Return the lattice that covers the keys, without looking at them if their extent is known."""
        size = self.settings.lattice_size
        if self._known is not None and self._known[0] == self.hash_table._version:
            return Lattice.between(*self._known[1:], size)
        return Lattice.covering(self.hash_table, size)

    def remember_extent(self, low: Tensor, high: Tensor) -> None:
        """Note the least and the greatest of each coordinate of the keys, (d,) each.

        They hold until the keys are assigned or loaded, or until `forget_extent`, which must be called before an
        optimiser changes them: torch counts those changes only in part.
        """
        self._known = (self.hash_table._version, low, high)

    def forget_extent(self) -> None:
        """Forget the extent of the keys, which are about to change."""
        self._known = None


def chunk_size(keys: Tensor) -> int:
    """Return how many keys to evaluate at a time."""
    # a graphics card wants large batches, a processor batches that stay in its cache
    return CHUNK if keys.device.type == "cpu" else 64 * CHUNK


def build(
    shape: tuple[int, ...], outputs: int, settings: RepresentationSettings, generator: torch.Generator | None = None
) -> Diner:
    """Build a DINER with random keys; unset sizes are chosen for the number of axes and keys."""
    width = settings.diner.table_width or suitable_width(shape)
    lattice = suitable_lattice(width, int(torch.Size(shape).numel()), outputs)
    return Diner(shape, outputs, settings.diner.complete(width, lattice), generator)
