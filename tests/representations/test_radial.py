"""The representation of DeCAF."""

from __future__ import annotations

import pytest
import torch

from napari_diner.errors import RecipeError
from napari_diner.representations.radial import RadialEncoding, SkipNetwork, build
from napari_diner.representations.settings import RadialSettings, RepresentationSettings

SHAPE = (5, 12, 14)
SMALL = RepresentationSettings(
    decaf=RadialSettings(hidden_layers=3, hidden_features=32, directions=4, lateral_frequencies=3, axial_frequencies=2)
)


def test_waves_run_along_the_directions_and_along_z() -> None:
    encoding = RadialEncoding(4, 2, 3)
    assert encoding.features == 2 * (4 * 2 + 3)
    # along y two of the first octave's waves are tilted by 45°, one does not vary
    place = torch.tensor([[0.0, 0.5, 0.0]])
    sines = encoding(place)[0, :4]
    slanted = torch.sin(torch.tensor(torch.pi * 0.5 / 2**0.5))
    assert torch.allclose(sines, torch.stack([torch.tensor(0.0), slanted, torch.tensor(1.0), slanted]), atol=1e-6)
    # z changes the last of them only
    up = encoding(torch.tensor([[0.25, 0.5, 0.0]]))
    waves = encoding.features // 2
    changed = (up - encoding(place))[0].abs() > 1e-6
    assert not changed[:8].any()
    assert not changed[waves : waves + 8].any()
    assert changed[8:waves].any()


def test_what_is_fed_in_is_fed_in_again_half_way() -> None:
    network = SkipNetwork(7, 2, 4, 16)
    assert [layer.in_features for layer in network.hidden] == [7, 16, 16 + 7, 16]
    assert [layer.in_features for layer in SkipNetwork(7, 2, 1, 16).hidden] == [7]
    assert network(torch.randn(3, 7)).shape == (3, 2)


def test_network_learns_a_volume() -> None:
    torch.manual_seed(0)
    network = build(SHAPE, 2, SMALL)
    assert float(network.exact().detach().abs().max()) < 0.05
    z, y, x = torch.meshgrid(*(torch.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    wanted = torch.stack([torch.exp(-3 * (x**2 + y**2 + z**2)), 0.2 * torch.cos(3 * x)])
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        loss = (network() - wanted).square().mean()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.02 * float(wanted.square().mean())
    indices = torch.tensor([0, 100, 839])
    assert torch.allclose(network.sample(indices), network.exact().flatten(1)[:, indices].T, atol=1e-6)


def test_an_image_has_the_waves_in_the_plane_alone() -> None:
    image = build(SHAPE[1:], 1, SMALL)
    volume = build(SHAPE, 1, SMALL)
    inputs = [network.network.hidden[0].in_features for network in (image, volume)]
    assert inputs == [2 * 4 * 3, 2 * (4 * 3 + 2)]
    assert image.exact().shape == (1, *SHAPE[1:])


def test_other_signals_are_refused() -> None:
    with pytest.raises(RecipeError, match="images and volumes"):
        build((30,), 1, SMALL)
