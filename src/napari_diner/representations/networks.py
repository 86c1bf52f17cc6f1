"""Networks of coordinates, for comparison with DINER (Eq. 4a of the paper)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_diner.representations.backbones import build_network
from napari_diner.representations.base import Representation
from napari_diner.representations.chunks import in_chunks
from napari_diner.representations.coordinates import coordinates
from napari_diner.representations.memory import samples_at_once
from napari_diner.representations.settings import RepresentationSettings

# samples per chunk
_CHUNK_ON_CARD = 1 << 20


class CoordinateNetwork(Representation):
    """The representation f_θ(x): a function of the sample's coordinates, which is also defined between the samples.

    Parameters
    ----------
    shape, outputs
        See `Representation`.
    network
        Turns encoded coordinates, (n, features), into values, (n, outputs).
    encoding
        Encodes coordinates, (n, axes) within ±1 on the samples, for the network; None for the coordinates
        themselves.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, network: nn.Module, encoding: nn.Module | None = None
    ) -> None:
        super().__init__(shape, outputs)
        self.encoding = nn.Identity() if encoding is None else encoding
        self.network = network
        self._widest = max((len(weights) for weights in network.parameters() if weights.ndim == 2), default=1)

    def at(self, coordinates: Tensor) -> Tensor:
        """Return the values at coordinates, (n, axes) with each within ±1: (n, outputs)."""
        encoded = self.encoding(coordinates)
        return torch.cat([self.network(part) for part in encoded.split(self._chunk_size(encoded.device))])

    def sample(self, indices: Tensor) -> Tensor:
        """Return the values of the samples with these flat indices, (n,): (n, outputs)."""
        return self.at(coordinates(indices, self.shape).to(next(self.parameters()).dtype))

    def forward(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape)."""
        return self.exact()

    def exact(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), chunk by chunk.

        If gradients are needed, each chunk is recomputed in the backward pass to limit
        the memory of activations.
        """
        device = next(self.parameters()).device
        indices = torch.arange(int(torch.Size(self.shape).numel()), device=device)
        values = in_chunks(self.sample, indices, self._chunk_size(device), self)
        return values.T.reshape(self.outputs, *self.shape)

    def _chunk_size(self, device: torch.device) -> int:
        return samples_at_once(self._widest) if device.type == "cpu" else _CHUNK_ON_CARD


class PositionalEncoding(nn.Module):
    """The encoding γ(x) = (x, sin 2⁰πx, …, sin 2ᴸ⁻¹πx, cos 2⁰πx, …, cos 2ᴸ⁻¹πx) of each coordinate.

    Eq. 4 of Mildenhall et al., ECCV 2020, and the coordinate itself, as in their code.

    Parameters
    ----------
    axes
        Coordinates.
    frequencies
        Octaves, L.
    """

    factors: Tensor

    def __init__(self, axes: int, frequencies: int) -> None:
        super().__init__()
        self.features = axes * (1 + 2 * frequencies)
        self.register_buffer("factors", math.pi * 2.0 ** torch.arange(frequencies), persistent=False)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Return the encoding, (n, axes · (1 + 2L)), of coordinates, (n, axes)."""
        phases = (coordinates[..., None] * self.factors).flatten(1)
        return torch.cat([coordinates, phases.sin(), phases.cos()], -1)


def build_siren(
    shape: tuple[int, ...], outputs: int, settings: RepresentationSettings, generator: torch.Generator | None = None
) -> CoordinateNetwork:
    """Build a SIREN of the coordinates (Sitzmann et al., NeurIPS 2020)."""
    size = settings.network
    body = build_network("siren", len(shape), outputs, size.hidden_layers, size.hidden_features, size.omega)
    return CoordinateNetwork(shape, outputs, body)


def build_pe_mlp(
    shape: tuple[int, ...], outputs: int, settings: RepresentationSettings, generator: torch.Generator | None = None
) -> CoordinateNetwork:
    """Build a ReLU MLP of the positional encoding of the coordinates (Mildenhall et al., ECCV 2020)."""
    encoder, size = PositionalEncoding(len(shape), settings.encoding.frequencies), settings.network
    body = build_network("mlp", encoder.features, outputs, size.hidden_layers, size.hidden_features)
    return CoordinateNetwork(shape, outputs, body, encoder)
