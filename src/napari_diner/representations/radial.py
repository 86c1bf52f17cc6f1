"""The representation of DeCAF, which DINER is compared with for volumes (Fig. 10 of the paper)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_diner.errors import RecipeError
from napari_diner.representations.networks import CoordinateNetwork
from napari_diner.representations.settings import RepresentationSettings

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
    axes
        3 for coordinates (z, y, x), 2 for (y, x).
    """

    waves: Tensor

    def __init__(self, directions: int, lateral_frequencies: int, axial_frequencies: int, axes: int = 3) -> None:
        super().__init__()
        angles = math.pi * torch.arange(directions) / directions
        across = torch.stack([torch.zeros_like(angles), angles.sin(), angles.cos()], 1)[:, 3 - axes :]
        along = torch.tensor([[1.0, 0.0, 0.0]])[:, 3 - axes :]
        rows = [2.0**octave * across for octave in range(lateral_frequencies)]
        rows += [2.0**octave * along for octave in range(axial_frequencies)]
        self.register_buffer("waves", math.pi * torch.cat(rows), persistent=False)
        self.features = 2 * len(self.waves)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Return the encoding, (n, features), of coordinates (z, y, x), (n, 3)."""
        phases = coordinates @ self.waves.T
        return torch.cat([phases.sin(), phases.cos()], -1)


class SkipNetwork(nn.Module):
    """Equal hidden layers with leaky ReLU; the input is concatenated again half-way.

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


def build(
    shape: tuple[int, ...], outputs: int, settings: RepresentationSettings, generator: torch.Generator | None = None
) -> CoordinateNetwork:
    """Build DeCAF's representation of an image (Y, X) or a volume (Z, Y, X); it starts at nearly zero.

    Encoding costs as much as the first layer and is done chunk by chunk, as the samples are.

    Raises
    ------
    RecipeError
        If the samples have another number of axes.
    """
    if len(shape) not in (2, 3):
        raise RecipeError(f"DeCAF represents images and volumes, not signals of {len(shape)} axes")
    radial = settings.decaf
    axial = radial.axial_frequencies if len(shape) == 3 else 0
    encoding = RadialEncoding(radial.directions, radial.lateral_frequencies, axial, axes=len(shape))
    network = SkipNetwork(encoding.features, outputs, radial.hidden_layers, radial.hidden_features)
    nn.init.zeros_(network.last.bias)
    with torch.no_grad():
        network.last.weight.mul_(0.01)
    return CoordinateNetwork(shape, outputs, network, encoding)
