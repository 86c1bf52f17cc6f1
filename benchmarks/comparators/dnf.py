"""DNF: amplitude and phase as two networks of coordinates (Zhu et al., Opt. Express 30, 18168 (2022)).

Written from the paper and its published settings: positional encoding with 20 octaves, eight ReLU layers of 256 with
the encoding once more before the fifth, a linear layer of 256, a ReLU layer of 128, and a sigmoid; one such network for
the amplitude and one for the phase, which it scales to half a turn; Adam with a step of 5e-4.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_diner.representations.coordinates import coordinates
from napari_diner.representations.networks import CoordinateNetwork, PositionalEncoding
from napari_diner.representations.registry import RepresentationEntry, register

OCTAVES, LAYERS, WIDTH, LEARNING_RATE = 20, 8, 256, 5e-4


class Field(nn.Module):
    """One of the two networks: encoded coordinates, (n, features), to a value between 0 and 1, (n, 1)."""

    def __init__(self, features: int, width: int = WIDTH) -> None:
        super().__init__()
        self.before = self._layers(features, width)
        self.after = self._layers(features + width, width)
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1), nn.Sigmoid()
        )

    @staticmethod
    def _layers(inputs: int, width: int) -> nn.Sequential:
        sizes = [inputs, *[width] * (LAYERS // 2)]
        return nn.Sequential(*(part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())))

    def forward(self, encoded: Tensor) -> Tensor:
        """Return the values of encoded coordinates."""
        values: Tensor = self.head(self.after(torch.cat([encoded, self.before(encoded)], -1)))
        return values


class Pair(nn.Module):
    """Amplitude and phase, (n, 2), in units of the largest amplitude and of half a turn."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.fields = nn.ModuleList(Field(features, width) for _ in range(2))

    def forward(self, encoded: Tensor) -> Tensor:
        """Return both values of encoded coordinates."""
        return torch.cat([field(encoded) for field in self.fields], -1)


class DNF(CoordinateNetwork):
    """Amplitude and phase of the samples, (2, Y, X); `scale` is the range of each."""

    scale: Tensor
    encoded: Tensor

    def __init__(self, shape: tuple[int, ...], scale: tuple[float, float], width: int = WIDTH) -> None:
        encoding = PositionalEncoding(len(shape), OCTAVES)
        super().__init__(shape, 2, Pair(encoding.features, width), encoding)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        everywhere = coordinates(torch.arange(torch.Size(shape).numel()), shape)
        self.register_buffer("encoded", encoding(everywhere), persistent=False)

    def forward(self) -> Tensor:
        """Return the values of all samples at once: the recomputation that saves memory takes a third more time."""
        return (self.network(self.encoded) * self.scale).T.reshape(2, *self.shape)

    def exact(self) -> Tensor:
        """Return the same."""
        return self()

    def at(self, coordinates: Tensor) -> Tensor:
        """Return the values at coordinates, (n, axes): (n, 2)."""
        return super().at(coordinates) * self.scale


def register_dnf(mean_intensity: float, width: int = WIDTH) -> None:
    """Make ``dnf`` a solver of lensless recordings of this mean, of objects with amplitudes up to one."""
    # representations return amplitudes in units of the root of the mean intensity
    scale = (mean_intensity**-0.5, math.pi)
    register(
        RepresentationEntry(
            "dnf",
            "DNF: two networks of coordinates",
            lambda shape, outputs, settings, generator: DNF(shape, scale, width),
            learning_rate=LEARNING_RATE,
        )
    )
