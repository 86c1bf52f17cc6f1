"""DINER: a full-resolution table of learnable keys in front of a small network (Xie et al., CVPR 2023)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_diner.representations.backbones import build_backbone
from napari_diner.representations.base import Representation
from napari_diner.representations.settings import DinerSettings

# keys per chunk: 64 activations of 8192 keys in float32 take 2 MB, which stays in a core's cache
CHUNK = 8192


class Diner(Representation):
    """The representation f_θ(HM_i) of Eq. 4b: the network f_θ turns sample i's learnable key HM_i into values.

    Parameters
    ----------
    shape
        Samples of the signal, e.g. (Y, X).
    outputs
        Quantities per sample.
    settings
        Backbone, sizes, evaluation.
    generator
        Source of the random initial keys; the network draws from torch's global generator.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, settings: DinerSettings, generator: torch.Generator | None = None
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
        parameters = self.backbone.parameters()
        values: Tensor = _InChunks.apply(self.backbone, self.hash_table, *parameters)  # type: ignore[no-untyped-call]
        return values.T.reshape(self.outputs, *self.shape)

    def lattice(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), interpolated from a lattice in the space of the keys.

        The network is evaluated on G^d points that cover the keys' bounding box (d: table width, G: lattice size),
        and each sample is read off by multilinear interpolation. Gradients reach both the network, through the
        lattice, and the keys, through the interpolation's slopes.
        """
        width, size = self.settings.table_width, self.settings.lattice_size
        with torch.no_grad():
            columns = [column.aminmax() for column in self.hash_table.unbind(1)]
            low, high = (torch.stack(ends) for ends in zip(*columns, strict=True))
            centre = (low + high) / 2
            # a box of (nearly) no extent still needs a lattice whose differences are more than rounding
            half = ((high - low) / 2).clamp_min(1e-3)
        axis = torch.linspace(-1, 1, size, device=low.device)
        # grid_sample names the last axis of the lattice first, and needs at least two axes
        mesh = torch.stack(torch.meshgrid(*[axis] * width, indexing="ij")[::-1], -1).reshape(-1, width)
        values = self.backbone(centre + half * mesh).T.reshape(1, self.outputs, *[size] * width)
        position = (self.hash_table - centre) / half
        if width == 1:
            values = values[:, :, None]
            position = F.pad(position, (0, 1))
        where = position.reshape(1, *[1] * (max(width, 2) - 1), -1, max(width, 2))
        sampled = F.grid_sample(values, where, mode="bilinear", padding_mode="border", align_corners=True)
        return sampled.reshape(self.outputs, *self.shape)


class _InChunks(torch.autograd.Function):
    """A network applied to many keys, chunk by chunk; its activations live no longer than their chunk."""

    @staticmethod
    def forward(ctx: Any, network: nn.Module, keys: Tensor, *parameters: Tensor) -> Tensor:
        """Return the network's values, (keys, outputs)."""
        ctx.network = network
        ctx.save_for_backward(keys, *parameters)
        return torch.cat([network(chunk) for chunk in keys.split(_chunk_size(keys))])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Compute each chunk anew, and bring its gradient back to its keys and to the parameters."""
        keys, *parameters = ctx.saved_tensors
        size = _chunk_size(keys)
        key_gradients = torch.empty_like(keys)
        sums = [torch.zeros_like(parameter) for parameter in parameters]
        chunks = zip(keys.split(size), grad_outputs[0].split(size), key_gradients.split(size), strict=True)
        for chunk, gradient, key_gradient in chunks:
            with torch.enable_grad():
                inputs = chunk.detach().requires_grad_()
                values = ctx.network(inputs)
            found = torch.autograd.grad(values, (inputs, *parameters), gradient)
            key_gradient.copy_(found[0])
            for total, part in zip(sums, found[1:], strict=True):
                total += part
        return None, key_gradients, *sums


def _chunk_size(keys: Tensor) -> int:
    # a graphics card wants large batches, a processor batches that stay in its cache
    return CHUNK if keys.device.type == "cpu" else 64 * CHUNK
