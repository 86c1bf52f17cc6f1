"""Networks of coordinates: sampling, chunks, gradients, encoding."""

from __future__ import annotations

import pytest
import torch

from napari_diner.representations import networks
from napari_diner.representations.coordinates import coordinates
from napari_diner.representations.hash_grid import HashGrid
from napari_diner.representations.networks import CoordinateNetwork, PositionalEncoding, build_pe_mlp, build_siren
from napari_diner.representations.settings import HashGridSettings, NetworkSettings, RepresentationSettings

KINDS = ["siren", "pe-mlp", "hash-grid"]
SMALL = RepresentationSettings(network=NetworkSettings(hidden_features=16), encoding={"frequencies": 4})


def build(kind: str, shape: tuple[int, ...] = (9, 11), outputs: int = 2) -> CoordinateNetwork:
    torch.manual_seed(0)
    if kind == "siren":
        return build_siren(shape, outputs, SMALL)
    if kind == "pe-mlp":
        return build_pe_mlp(shape, outputs, SMALL)
    grid = HashGrid(shape, outputs, SMALL.network, HashGridSettings(log2_table_size=8, base_resolution=4, levels=5))
    with torch.no_grad():
        grid.encoding.table.mul_(1e4)  # so that the features matter from the start
    return grid


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(30,), (9, 11), (1, 8, 5), (2, 3, 4, 5)])
def test_all_samples_are_the_network_at_their_coordinates(kind: str, shape: tuple[int, ...]) -> None:
    network = build(kind, shape)
    with torch.no_grad():
        values = network.exact()
        count = torch.Size(shape).numel()
        assert values.shape == network().shape == (2, *shape)
        indices = torch.randperm(count)[:17]
        assert torch.allclose(values.flatten(1)[:, indices].T, network.sample(indices), atol=1e-6)
        assert torch.allclose(values.flatten(1).T, network.at(coordinates(torch.arange(count), shape)), atol=1e-6)
    assert float(values.std()) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_change_neither_values_nor_gradients(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(kind).double()
    weights = torch.randn(2, 9, 11, dtype=torch.float64)

    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad((network.exact() * weights).sum(), list(network.parameters())))

    whole, values = gradients(), network.exact().detach()
    monkeypatch.setattr(networks, "samples_at_once", lambda features: 10)
    assert torch.allclose(network.exact(), values)
    for found, expected in zip(gradients(), whole, strict=True):
        assert float(expected.abs().max()) > 0
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wanted", [True, False])
def test_activations_of_one_chunk_are_held_at_once(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "samples_at_once", lambda features: 64)
    network = build_siren((80, 80), 1, RepresentationSettings())
    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.set_grad_enabled(wanted), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.exact()
    # 6400 samples with 64 activations each in two layers would be 819 200 numbers
    assert sum(kept) < 20_000


@pytest.mark.parametrize("features", [64, 256, 1024])
def test_activations_of_wide_networks_take_no_more_memory(features: int) -> None:
    settings = RepresentationSettings(network=NetworkSettings(hidden_features=features))
    network = build_siren((160, 160), 1, settings)
    sizes: list[int] = []
    for layer in network.network.modules():
        layer.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.numel()))
    with torch.no_grad():
        network.exact()
    assert 2**19 <= max(sizes) <= 2**20


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_has_gradients_for_every_layer(kind: str) -> None:
    network = build(kind)
    network.sample(torch.arange(99)).square().sum().backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in network.parameters())


def test_the_encoding_is_octaves_of_sines_and_cosines() -> None:
    encoding = PositionalEncoding(2, 3)
    x = torch.tensor([[0.3, -0.7]])
    (features,) = encoding(x)
    assert encoding.features == len(features) == 14
    expected = [0.3, -0.7]
    for function in (torch.sin, torch.cos):
        expected += [float(function(torch.tensor(torch.pi * 2**k * p))) for p in (0.3, -0.7) for k in range(3)]
    assert features.tolist() == pytest.approx(expected, abs=1e-5)


def test_without_frequencies_the_network_sees_the_coordinates() -> None:
    encoding = PositionalEncoding(3, 0)
    x = torch.rand(5, 3)
    assert torch.equal(encoding(x), x) and encoding.features == 3


@pytest.mark.parametrize("kind", KINDS)
def test_only_learnable_numbers_are_saved(kind: str) -> None:
    network = build(kind)
    assert set(network.state_dict()) == {name for name, _ in network.named_parameters()}
    other = build(kind)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.exact(), network.exact())


def test_sizes_are_those_of_the_paper() -> None:
    # 2 × 64 with two coordinates and three colours
    network = build_siren((10, 10), 3, RepresentationSettings())
    assert network.parameter_count() == (2 * 64 + 64) + (64 * 64 + 64) + (64 * 3 + 3)
