"""Starting values: a representation of an image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.registry import build, representation, representations
from napari_diner.representations.settings import CompleteDinerSettings, RepresentationSettings
from napari_diner.representations.unknown import ComplexField, Values
from napari_diner.solvers.starting_values import StartingValues, fit_values, holds_values
from tests.solvers.lensless.small_problems import smooth

SHAPE = (32, 40)


def images(outputs: int) -> Tensor:
    """Images of unlike ranges and offsets, one of them noise."""
    noise = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    return torch.stack([0.3 + 0.7 * noise, 1.7 * smooth(2).float() - 3])[:outputs]


def psnr_db(found: Tensor, wanted: Tensor) -> float:
    return min(
        float(10 * torch.log10((b.max() - b.min()) ** 2 / (a - b).double().square().mean()))
        for a, b in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize(("width", "outputs"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("backbone", ["siren", "mlp"])
def test_a_diner_takes_the_values(backbone: str, width: int, outputs: int) -> None:
    torch.manual_seed(0)
    settings = CompleteDinerSettings(backbone=backbone, table_width=width, lattice_size=24 if width == 3 else 96)
    diner = Diner(SHAPE, outputs, settings)
    wanted = images(outputs)
    assert psnr_db(diner.exact().detach(), wanted) < 20
    fit_values(diner, wanted, torch.Generator().manual_seed(0))
    assert psnr_db(diner.exact().detach(), wanted) > 60
    # and its lattice is near enough to go on from
    assert psnr_db(diner.lattice().detach(), wanted) > 35


def test_pixels_take_the_values() -> None:
    pixels = Pixels(SHAPE, 2)
    fit_values(pixels, images(2))
    assert torch.equal(pixels.exact().detach(), images(2))


@pytest.mark.parametrize("contrast", [0.0, 1e-5, 1e-3, 1e3])
@pytest.mark.parametrize("backbone", ["siren", "mlp"])
def test_neither_offset_nor_contrast_matters(backbone: str, contrast: float) -> None:
    torch.manual_seed(0)
    diner = Diner(SHAPE, 1, CompleteDinerSettings(backbone=backbone, hidden_features=32))
    wanted = 0.8 + contrast * images(1)
    fit_values(diner, wanted, torch.Generator().manual_seed(0))
    assert float((diner.exact().detach() - wanted).abs().max()) < 1e-3 * contrast + 1e-6


def test_the_same_seed_gives_the_same_network() -> None:
    tables = []
    for _ in range(2):
        torch.manual_seed(0)
        diner = Diner(SHAPE, 1, CompleteDinerSettings(hidden_features=24))
        fit_values(diner, images(1), torch.Generator().manual_seed(5))
        tables.append(diner.hash_table.detach().clone())
    assert torch.equal(*tables)


def test_keys_narrower_than_the_values_are_refused() -> None:
    diner = Diner(SHAPE, 2, CompleteDinerSettings(table_width=1))
    with pytest.raises(ValueError, match="as wide as"):
        fit_values(diner, images(2))


def test_networks_of_coordinates_are_refused() -> None:
    with pytest.raises(ValueError, match="only pixels"):
        fit_values(build("siren", SHAPE, 1, RepresentationSettings()), images(1))


@pytest.mark.parametrize("name", [*representations()])
def test_an_unknown_of_any_representation_starts_near_an_estimate(name: str) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    # smooth ones: what a network of coordinates can follow in a short time
    estimate = torch.polar(1 - 0.5 * smooth(1).float(), 1.5 * smooth(2).float())
    unknown = ComplexField([build(name, SHAPE, 2, RepresentationSettings(), generator)])
    solver = StartingValues(unknown, estimate, representation(name).learning_rate, generator)
    steps = list(solver.steps())
    assert steps[-1].done == 1
    assert solver.result() is unknown
    error = (unknown.exact().detach() - estimate).abs().square().mean()
    exact = holds_values(unknown.parts[0])
    assert exact == (name in ("diner", "pixels"))
    assert float(error) < (1e-8 if exact else 5e-3)


def test_each_part_is_given_its_own_values() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    estimate = torch.polar(0.5 + smooth(1).float(), smooth(2).float())
    parts = [build(name, SHAPE, 1, RepresentationSettings(), generator) for name in ("pixels", "siren")]
    steps = list(StartingValues(ComplexField(parts), estimate, 2e-3, generator).steps())
    assert {step.iterations for step in steps} == {2}
    assert torch.allclose(parts[0].exact()[0], estimate.abs())
    assert psnr_db(parts[1].exact().detach(), estimate.angle()[None]) > 25


def test_keys_too_narrow_to_hold_the_values_are_trained() -> None:
    torch.manual_seed(0)
    diner = Diner(SHAPE, 2, CompleteDinerSettings(table_width=1, lattice_size=256))
    assert not holds_values(diner)
    values = images(2)
    before = float((diner.exact().detach() - values).square().mean())
    list(StartingValues(Values(diner), values, 1e-3, torch.Generator().manual_seed(0)).steps())
    assert float((diner.exact().detach() - values).square().mean()) < 0.2 * before
