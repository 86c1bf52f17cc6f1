"""The small networks behind a hash table: ReLU MLP and SIREN."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_diner.representations.settings import DinerSettings


class Sine(nn.Module):
    """The activation ``sin(ω x)`` of SIREN (Sitzmann et al., NeurIPS 2020)."""

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        """Return sin(ω x)."""
        return torch.sin(self.omega * x)


def build_backbone(outputs: int, settings: DinerSettings) -> nn.Sequential:
    """Build the network f_θ that turns keys (..., table_width) into values (..., outputs).

    SIREN weights start as in Sec. 3.2 of its paper, uniform within 1/n_in in the first layer and √(6/n_in)/ω in the
    others; those of the MLP as PyTorch does by default. The last layer is linear.

    Parameters
    ----------
    outputs
        Quantities per key.
    settings
        Backbone, sizes, ω.
    """
    widths = [settings.table_width, *[settings.hidden_features] * settings.hidden_layers]
    layers: list[nn.Module] = []
    for index in range(settings.hidden_layers):
        layers.append(nn.Linear(widths[index], widths[index + 1]))
        layers.append(Sine(settings.omega) if settings.backbone == "siren" else nn.ReLU())
    layers.append(nn.Linear(widths[-1], outputs))
    network = nn.Sequential(*layers)
    if settings.backbone == "siren":
        with torch.no_grad():
            for index, linear in enumerate(m for m in network if isinstance(m, nn.Linear)):
                fan_in = linear.in_features
                bound = 1 / fan_in if index == 0 else math.sqrt(6 / fan_in) / settings.omega
                linear.weight.uniform_(-bound, bound)
    return network
