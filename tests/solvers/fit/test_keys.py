"""Placement of keys for a fixed network: by search and by second-order steps."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from napari_diner.representations.diner import Diner
from napari_diner.representations.settings import CompleteDinerSettings
from napari_diner.solvers.fit.keys import _Nearest, matching_keys, place_keys, search_keys


def build(width: int, outputs: int, backbone: str = "siren", count: int = 3000) -> Diner:
    torch.manual_seed(0)
    settings = CompleteDinerSettings(table_width=width, backbone=backbone, key_range=0.3)
    return Diner((count,), outputs, settings, torch.Generator().manual_seed(0))


def errors(diner: Diner, targets: Tensor) -> Tensor:
    return (diner.exact().detach() - targets).square().sum(0)


def search(diner: Diner, targets: Tensor) -> Tensor:
    moved = torch.zeros(targets.shape[1], dtype=torch.bool)
    done = list(search_keys(diner, targets, moved))
    assert done[-1] == targets.shape[1]
    return moved


def reachable(diner: Diner) -> Tensor:
    """Values that the network takes at keys other than the present ones."""
    low, high = diner.hash_table.detach().aminmax(dim=0)
    keys = low + (high - low) * torch.rand(diner.hash_table.shape, generator=torch.Generator().manual_seed(5))
    return diner.backbone(keys).detach().T


@pytest.mark.parametrize(("width", "outputs"), [(1, 1), (1, 3), (2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("backbone", ["siren", "mlp"])
def test_a_search_and_a_few_steps_find_values_that_can_be_reached(backbone: str, width: int, outputs: int) -> None:
    diner = build(width, outputs, backbone)
    targets = reachable(diner)
    before = errors(diner, targets)
    moved = search(diner, targets)
    searched = errors(diner, targets)
    assert bool((searched[moved] < before[moved]).all())
    assert torch.equal(searched[~moved], before[~moved])
    list(place_keys(diner, targets, 8))
    placed = errors(diner, targets)
    assert bool((placed <= searched * (1 + 1e-5) + 1e-12).all())
    spread = float(targets.var(1).sum())
    assert float(searched.mean()) < 1e-2 * spread
    # a kinked ReLU network leaves a few keys at a kink
    assert float(placed.quantile(0.95)) < 1e-8 * spread


def test_a_search_finds_the_nearest_of_all_folds() -> None:
    # the value 0.5 is taken far to the right only; downhill from where the keys are leads to the left
    diner = build(1, 1, "mlp", count=2)

    class Folded(torch.nn.Module):
        def forward(self, keys: Tensor) -> Tensor:
            return torch.where(keys < 1, 0.1 * (keys - 1).square(), (keys - 1) / 2)

    diner.backbone = torch.nn.Sequential(Folded())
    with torch.no_grad():
        diner.hash_table.copy_(torch.tensor([[-0.2], [2.5]]))
    targets = torch.tensor([[0.5, 0.75]])
    search(diner, targets)
    assert diner.hash_table.detach().flatten().tolist() == pytest.approx([2.0, 2.5], abs=1e-3)


def test_the_nearest_value_is_found_roughly_for_far_targets_and_precisely_for_near_ones() -> None:
    # a network that has learned little: its values are a curved sheet in a small part of the space of the targets
    random = torch.Generator().manual_seed(3)
    u, v = torch.rand(2, 4000, generator=random)
    sheet = torch.stack([u, v, torch.sin(5 * u) * v], 1) * 0.2
    targets = torch.cat([3 * torch.rand(3, 40_000, generator=random) - 1, sheet[:500].T + 0.001], 1)
    index, square = _Nearest(sheet, targets).to(targets)
    assert torch.allclose((sheet[index] - targets.T).square().sum(1), square)
    exact = torch.from_numpy(cKDTree(sheet.numpy()).query(targets.T.numpy())[0]).float()
    assert bool((square.sqrt() <= 1.5 * exact + 1e-6).all())
    assert bool((square.sqrt()[40_000:] <= 1.1 * exact[40_000:] + 1e-6).all())


def test_placing_reports_how_many_keys_are_done_and_changes_the_network_not_at_all() -> None:
    diner = build(2, 3, count=20_000)
    targets = reachable(diner)
    weights = [parameter.clone() for parameter in diner.backbone.parameters()]
    done = list(place_keys(diner, targets, 1))
    assert done == sorted(set(done))
    assert done[-1] == 20_000
    assert all(torch.equal(a, b) for a, b in zip(weights, diner.backbone.parameters(), strict=True))


def test_each_value_gets_the_key_of_the_nearest_one() -> None:
    keys = torch.tensor([[0.1, 0.0], [0.0, 0.1], [40.0, 0.0]])
    targets = torch.tensor([[0.0, 0.5, 1.0]])
    torch.testing.assert_close(matching_keys(keys, targets, torch.tensor([[0.9, 0.1]])), keys[[2, 0]])
