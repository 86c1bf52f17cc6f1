"""The networks: their activations, sizes and starting parameters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from napari_diner.representations.backbones import Sine, VariablePeriodSine, build_backbone, build_network
from napari_diner.representations.settings import Backbone, CompleteDinerSettings


def linears(network: nn.Sequential) -> list[nn.Linear]:
    return [module for module in network if isinstance(module, nn.Linear)]


def test_finer_is_a_sine_whose_frequency_grows_from_zero() -> None:
    x = torch.linspace(-2, 2, 401, dtype=torch.float64, requires_grad=True)
    y = VariablePeriodSine(3.0)(x)
    assert torch.allclose(y, torch.sin(3 * x * (1 + x.abs())))
    assert torch.allclose(y, -y.flip(0))  # odd, as the sine is
    # its local frequency is ω (2|x| + 1): the derivative divided by the cosine of the phase
    (slope,) = torch.autograd.grad(y.sum(), x)
    phase = 3 * x * (1 + x.abs())
    assert torch.allclose(slope, 3 * (2 * x.abs() + 1) * torch.cos(phase))


def test_near_zero_finer_is_siren() -> None:
    x = torch.linspace(-1e-4, 1e-4, 11, dtype=torch.float64)
    assert torch.allclose(VariablePeriodSine(30.0)(x), Sine(30.0)(x), rtol=2e-4, atol=0)


def test_first_biases_of_finer_start_in_a_wider_range_than_those_of_siren() -> None:
    torch.manual_seed(0)
    finer = linears(build_network("finer", 2, 1, 2, 1000))
    siren = linears(build_network("siren", 2, 1, 2, 1000))
    assert 0.99 < float(finer[0].bias.detach().abs().max()) <= 1
    assert abs(float(finer[0].bias.detach().mean())) < 0.1
    assert float(siren[0].bias.detach().abs().max()) <= 1 / math.sqrt(2)
    # the other layers do not differ
    assert float(finer[1].bias.detach().abs().max()) <= 1 / math.sqrt(1000)


@pytest.mark.parametrize("kind", ["siren", "finer"])
def test_weights_start_as_published_for_sines(kind: Backbone) -> None:
    torch.manual_seed(0)
    first, second, last = linears(build_network(kind, 3, 2, 2, 400, omega=10))
    for linear, bound in ((first, 1 / 3), (second, math.sqrt(6 / 400) / 10), (last, math.sqrt(6 / 400) / 10)):
        assert 0.98 * bound < float(linear.weight.detach().abs().max()) <= bound


@pytest.mark.parametrize("kind", ["siren", "finer"])
def test_activations_of_hidden_layers_keep_their_spread(kind: Backbone) -> None:
    # what that start is for: a pre-activation of ω W x with a spread of about one in every layer
    torch.manual_seed(0)
    network = build_network(kind, 2, 1, 6, 256)
    x = torch.rand(2000, 2) * 2 - 1
    spreads = []
    for module in network[:-1]:
        x = module(x)
        if not isinstance(module, nn.Linear):
            spreads.append(float(x.detach().std()))
    assert all(0.5 < spread < 0.85 for spread in spreads)


@pytest.mark.parametrize("kind", ["siren", "finer", "mlp"])
def test_the_last_layer_is_linear_and_the_sizes_are_as_asked(kind: Backbone) -> None:
    settings = CompleteDinerSettings(backbone=kind, table_width=3, hidden_layers=4, hidden_features=32)
    network = build_backbone(5, settings)
    sizes = [(linear.in_features, linear.out_features) for linear in linears(network)]
    assert sizes == [(3, 32), (32, 32), (32, 32), (32, 32), (32, 5)]
    assert isinstance(network[-1], nn.Linear)
