"""Small networks: ReLU MLP, SIREN and FINER, behind a hash table or fed with coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_diner.representations.settings import Backbone, CompleteDinerSettings

# k of FINER: half the range of the first layer's biases, which PyTorch starts within 1/√n_in
_FINER_BIAS = 1.0


class Sine(nn.Module):
    """The activation ``sin(ω x)`` of SIREN (Sitzmann et al., NeurIPS 2020)."""

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        """Return sin(ω x)."""
        return torch.sin(self.omega * x)


class VariablePeriodSine(nn.Module):
    """The activation ``sin(ω (|x| + 1) x)`` of FINER (Liu et al., CVPR 2024, arXiv:2312.02434).

    Its local frequency, ω (2|x| + 1), grows away from zero, so that a neuron's bias chooses its frequency. The
    published code keeps the factor |x| + 1 constant in the gradient. Here the derivative is exact, as needed for
    second-order steps.
    """

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        """Return sin(ω (|x| + 1) x)."""
        return torch.sin(self.omega * (x.abs() + 1) * x)


def build_backbone(outputs: int, settings: CompleteDinerSettings) -> nn.Sequential:
    """Build the network f_θ that turns keys (..., table_width) into values (..., outputs).

    Parameters
    ----------
    outputs
        Quantities per key.
    settings
        Backbone, sizes, ω.
    """
    return build_network(
        settings.backbone,
        settings.table_width,
        outputs,
        settings.hidden_layers,
        settings.hidden_features,
        settings.omega,
    )


def build_network(
    kind: Backbone, inputs: int, outputs: int, hidden_layers: int, hidden_features: int, omega: float = 30.0
) -> nn.Sequential:
    """Build a network from (..., inputs) to (..., outputs) with equal hidden layers; the last layer is linear.

    The weights of SIREN and FINER start as in Sec. 3.2 of the former's paper, uniform within 1/n_in in the first layer
    and √(6/n_in)/ω in the others; those of the MLP as PyTorch does by default. The first biases of FINER start
    uniformly within ±1, the k that its published code has for ω = 30 (the more, the higher the frequencies); all
    others as PyTorch does by default.

    Parameters
    ----------
    kind
        Activations: sines (``"siren"``), sines of variable period (``"finer"``), or ReLU (``"mlp"``).
    inputs, outputs
        Numbers in, numbers out.
    hidden_layers, hidden_features
        Layers, and neurons in each.
    omega
        Frequency factor ω of the sines.
    """
    activations: dict[Backbone, Callable[[], nn.Module]] = {
        "siren": lambda: Sine(omega),
        "finer": lambda: VariablePeriodSine(omega),
        "mlp": nn.ReLU,
    }
    widths = [inputs, *[hidden_features] * hidden_layers]
    layers: list[nn.Module] = []
    for index in range(hidden_layers):
        layers.append(nn.Linear(widths[index], widths[index + 1]))
        layers.append(activations[kind]())
    layers.append(nn.Linear(widths[-1], outputs))
    network = nn.Sequential(*layers)
    if kind != "mlp":
        with torch.no_grad():
            for index, linear in enumerate(m for m in network if isinstance(m, nn.Linear)):
                fan_in = linear.in_features
                bound = 1 / fan_in if index == 0 else math.sqrt(6 / fan_in) / omega
                linear.weight.uniform_(-bound, bound)
                if kind == "finer" and index == 0:
                    linear.bias.uniform_(-_FINER_BIAS, _FINER_BIAS)
    return network
