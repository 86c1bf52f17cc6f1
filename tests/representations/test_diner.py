"""The DINER: exact and lattice evaluation, their gradients, sizes and seeds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from napari_diner.representations.diner import CHUNK, Diner, suitable_lattice
from napari_diner.representations.diner import build as build_from_settings
from napari_diner.representations.lattice import Lattice
from napari_diner.representations.settings import CompleteDinerSettings, RepresentationSettings

BACKBONES = ["siren", "mlp"]
WIDTHS = [1, 2, 3]


def build(shape: tuple[int, ...] = (9, 11), outputs: int = 1, seed: int = 0, **settings: Any) -> Diner:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    values = {"lattice_size": 12, "hidden_features": 16, "key_range": 0.05} | settings
    return Diner(shape, outputs, CompleteDinerSettings(**values), generator)


def gradients(diner: Diner, values: Tensor) -> list[Tensor]:
    weights = torch.randn(values.shape, dtype=values.dtype, generator=torch.Generator().manual_seed(9))
    return list(torch.autograd.grad((values * weights).sum(), list(diner.parameters())))


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_each_sample_is_the_network_at_its_key(backbone: str, width: int, outputs: int) -> None:
    diner = build((4, 5, 6), outputs, backbone=backbone, table_width=width)
    values = diner.exact()
    assert values.shape == diner.lattice().shape == (outputs, 4, 5, 6)
    index = (1 * 5 + 2) * 6 + 3
    assert torch.allclose(values[:, 1, 2, 3], diner.backbone(diner.hash_table[index]), atol=1e-6)
    assert float(values.detach().std()) > 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_lattice_converges_quadratically(width: int) -> None:
    diner = build((30, 30), 2, table_width=width).double()
    exact = diner.exact().detach()

    def error(size: int) -> float:
        diner.settings = diner.settings.model_copy(update={"lattice_size": size})
        return float((diner.lattice().detach() - exact).square().mean().sqrt())

    errors = [error(size) for size in (9, 17, 33)]  # 8, 16, 32 cells
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)
    assert errors[2] < 1e-2 * float(exact.std())


def test_axes_of_the_lattice_are_not_mixed_up() -> None:
    # a network that is linear in the keys is interpolated without error, whatever its slopes
    diner = build((20, 20), table_width=3, backbone="mlp").double()
    diner.backbone = torch.nn.Sequential(torch.nn.Linear(3, 1)).double()
    with torch.no_grad():
        diner.backbone[0].weight.copy_(torch.tensor([[1.0, 20.0, 300.0]]))
    # as precise as the single-precision axis of the lattice
    assert torch.allclose(diner.lattice(), diner.exact(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradients_in_chunks_are_those_of_one_piece(backbone: str) -> None:
    diner = build((2, CHUNK // 2 + 700), 2, backbone=backbone).double()
    in_chunks = gradients(diner, diner.exact())
    whole = gradients(diner, diner.backbone(diner.hash_table).T.reshape(2, *diner.shape))
    for found, expected in zip(in_chunks, whole, strict=True):
        assert float(expected.abs().max()) > 0
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradients_of_the_lattice_are_its_slopes(backbone: str, width: int) -> None:
    diner = build((3, 7), 2, backbone=backbone, table_width=width, lattice_size=8, hidden_features=4).double()
    with torch.no_grad():
        # the box is held by two samples, since gradients do not follow its growth, and the others stay within cells
        cells = torch.randint(0, 7, (21, width), generator=torch.Generator().manual_seed(1))
        diner.hash_table.copy_(0.1 * (-1 + 2 * (cells + 0.4) / 7))
        diner.hash_table[0], diner.hash_table[1] = -0.1, 0.1
    keys = diner.hash_table.detach()[2:].clone().requires_grad_()
    parameters = {name: value.detach().requires_grad_() for name, value in diner.named_parameters()}

    def values(inner: Tensor, *others: Tensor) -> Tensor:
        table = torch.cat([parameters["hash_table"][:2].detach(), inner])
        replaced = dict(zip(parameters, (table, *others), strict=True))
        return torch.func.functional_call(_Lattice(diner), {f"diner.{name}": v for name, v in replaced.items()})

    assert torch.autograd.gradcheck(values, (keys, *list(parameters.values())[1:]), eps=1e-7, atol=1e-5, rtol=1e-4)


class _Lattice(torch.nn.Module):
    """The lattice evaluation as a module of its own, to be called with other parameters."""

    def __init__(self, diner: Diner) -> None:
        super().__init__()
        self.diner = diner

    def forward(self) -> Tensor:
        return self.diner.lattice()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_equal_keys_have_a_lattice_and_gradients(backbone: str, width: int) -> None:
    diner = build(backbone=backbone, table_width=width, key_range=0.0)
    values = diner.lattice()
    assert torch.allclose(values, diner.exact(), atol=1e-4)
    table, *_ = gradients(diner, values)
    assert bool(torch.isfinite(table).all()) and float(table.abs().max()) > 0
    expected = gradients(diner, diner.exact())[0]
    assert torch.allclose(table, expected, rtol=0, atol=2e-2 * float(expected.abs().max()))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_keys_that_just_started_have_the_right_slopes(backbone: str) -> None:
    settings = CompleteDinerSettings()
    diner = build((40, 40), backbone=backbone, key_range=settings.key_range, lattice_size=settings.lattice_size)
    table = gradients(diner, diner.lattice())[0]
    expected = gradients(diner, diner.exact())[0]
    assert float((table - expected).norm() / expected.norm()) < 0.02


@pytest.mark.parametrize(("evaluation", "method"), [("lattice", "lattice"), ("exact", "exact")])
def test_the_settings_choose_the_evaluation(evaluation: str, method: str) -> None:
    diner = build(evaluation=evaluation)
    values = {"lattice": diner.lattice(), "exact": diner.exact()}
    assert torch.equal(diner(), values[method])
    assert not torch.equal(values["lattice"], values["exact"])


def test_equal_seeds_give_equal_representations() -> None:
    first, second, third = build(seed=3), build(seed=3), build(seed=4)
    assert torch.equal(first.exact(), second.exact())
    assert not torch.equal(first.hash_table, third.hash_table)
    assert not torch.equal(first.backbone[0].weight, third.backbone[0].weight)


def test_keys_start_within_their_range() -> None:
    keys = build((100, 100), key_range=1e-4).hash_table.detach()
    assert 0.99e-4 < float(keys.abs().max()) <= 1e-4
    assert abs(float(keys.mean())) < 5e-6


def test_siren_starts_as_published() -> None:
    first, second = (m for m in build(hidden_features=64, table_width=2).backbone[:3] if hasattr(m, "weight"))
    assert 0.45 < float(first.weight.detach().abs().max()) <= 0.5
    assert 0.95 * (6 / 64) ** 0.5 / 30 < float(second.weight.detach().abs().max()) <= (6 / 64) ** 0.5 / 30


@pytest.mark.parametrize("width", WIDTHS)
def test_parameters_include_the_table(width: int) -> None:
    diner = build((10, 12), 2, table_width=width, hidden_features=64, hidden_layers=2)
    network = (width * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2)
    assert diner.parameter_count() == 120 * width + network


@pytest.mark.parametrize(
    ("shape", "width"), [((50,), 1), ((1, 50), 1), ((9, 11), 2), ((4, 9, 11), 3), ((2, 4, 9, 11), 3)]
)
def test_sizes_that_are_left_open_suit_the_samples(shape: tuple[int, ...], width: int) -> None:
    settings = build_from_settings(shape, 1, RepresentationSettings()).settings
    assert settings.table_width == width
    assert settings.lattice_size == suitable_lattice(width, torch.Size(shape).numel(), 1)
    asked = RepresentationSettings(diner={"table_width": 1, "lattice_size": 77, "hidden_features": 8})
    settings = build_from_settings(shape, 1, asked).settings
    assert (settings.table_width, settings.lattice_size, settings.hidden_features) == (1, 77, 8)


def test_more_keys_get_a_finer_lattice_within_bounds() -> None:
    sizes = [suitable_lattice(2, count, 3) for count in (100, 20_000, 40_000, 10**7)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (32, 96)
    assert sizes[1] == round((20_000 / 6) ** 0.5)
    assert [suitable_lattice(2, count, 1) for count in (100, 20_000, 10**7)] == [32, sizes[1], 64]


@pytest.mark.parametrize("count", [1, 63, 64, 200])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_lattice_covers_all_keys(width: int, count: int) -> None:
    keys = (
        torch.rand(count, width, generator=torch.Generator().manual_seed(count)) * torch.tensor([1.0, 5.0, 0.1])[:width]
    )
    lattice = Lattice.covering(keys, 8)
    low, high = keys.min(0).values, keys.max(0).values
    assert torch.allclose(lattice.centre, (low + high) / 2)
    assert torch.allclose(lattice.half, ((high - low) / 2).clamp_min(1e-3))
    assert torch.isnan(Lattice.covering(keys * torch.nan, 8).centre).all()
