"""The representation of DeCAF, which DINER is compared with for volumes (Fig. 10 of the paper)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_diner.representations.networks import CoordinateNetwork

_SLOPE = 0.2


class RadialEncoding(nn.Module):
    """Waves along a few directions in the plane, and along z.

    γ(z, y, x) = (sin 2ˡπ(y sin θ_j + x cos θ_j), cos …, sin 2ˡπz, cos …): the radial encoding of y and x with
    directions θ_j that are evenly spaced over half a turn, and the positional encoding of z (Liu et al., Nat. Mach.
    Intell. 4, 781 (2022)).

    Parameters
    ----------
    directions
        Number of directions θ_j.
    lateral_frequencies, axial_frequencies
        Octaves in the plane and along z.
    """

    waves: Tensor

    def __init__(self, directions: int, lateral_frequencies: int, axial_frequencies: int) -> None:
        super().__init__()
        angles = math.pi * torch.arange(directions) / directions
        across = torch.stack([torch.zeros_like(angles), angles.sin(), angles.cos()], 1)
        along = torch.tensor([[1.0, 0.0, 0.0]])
        rows = [2.0**octave * across for octave in range(lateral_frequencies)]
        rows += [2.0**octave * along for octave in range(axial_frequencies)]
        self.register_buffer("waves", math.pi * torch.cat(rows), persistent=False)
        self.features = 2 * len(self.waves)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Return the encoding, (n, features), of coordinates (z, y, x), (n, 3)."""
        phases = coordinates @ self.waves.T
        return torch.cat([phases.sin(), phases.cos()], -1)


class SkipNetwork(nn.Module):
    """Equal hidden layers with leaky ReLU; what is fed in is fed in once more half-way.

    Parameters
    ----------
    inputs, outputs
        Numbers in, numbers out.
    hidden_layers, hidden_features
        Layers, and neurons in each.
    """

    def __init__(self, inputs: int, outputs: int, hidden_layers: int, hidden_features: int) -> None:
        super().__init__()
        self.skip = hidden_layers // 2
        widths = [inputs, *[hidden_features] * (hidden_layers - 1)]
        if self.skip:
            widths[self.skip] += inputs
        self.hidden = nn.ModuleList(nn.Linear(width, hidden_features) for width in widths)
        self.last = nn.Linear(hidden_features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the values (..., outputs)."""
        values = x
        for place, layer in enumerate(self.hidden):
            if place and place == self.skip:
                values = torch.cat([values, x], -1)
            values = nn.functional.leaky_relu(layer(values), _SLOPE)
        last: Tensor = self.last(values)
        return last


class RadialNetwork(CoordinateNetwork):
    """A network of the encoded coordinates of a volume.

    Encoding costs as much as the first layer and is done chunk by chunk, as the samples are.

    Parameters
    ----------
    shape
        Voxels (Z, Y, X).
    outputs
        Quantities per voxel.
    encoding
        Turns coordinates into what the network is fed.
    hidden_layers, hidden_features
        Size of the network.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        outputs: int,
        encoding: RadialEncoding,
        hidden_layers: int,
        hidden_features: int,
    ) -> None:
        network = SkipNetwork(encoding.features, outputs, hidden_layers, hidden_features)
        super().__init__(shape, outputs, network, encoding)
        # an empty volume to begin with
        nn.init.zeros_(network.last.bias)
        with torch.no_grad():
            network.last.weight.mul_(0.01)
