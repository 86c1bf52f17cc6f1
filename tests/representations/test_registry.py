"""The registry: requirements of every registered representation."""

from __future__ import annotations

import pytest
import torch

from napari_diner.errors import RecipeError
from napari_diner.representations.base import Representation
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.registry import (
    RepresentationEntry,
    build,
    register,
    representation,
    representations,
)
from napari_diner.representations.settings import RepresentationSettings
from napari_diner.representations.unknown import Values
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import AdamSettings

SHAPES = [(9, 11), (3, 8, 10)]
NAMES = [*representations()]
SMALL = RepresentationSettings(
    network={"hidden_features": 24},
    diner={"hidden_features": 24, "lattice_size": 16},
    hash_grid={"levels": 4, "base_resolution": 4},
    decaf={"hidden_features": 24, "hidden_layers": 2},
)


def made(name: str, shape: tuple[int, ...], outputs: int = 2, seed: int = 0) -> Representation:
    torch.manual_seed(seed)
    return build(name, shape, outputs, SMALL, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_samples_are_parts_of_all_values(name: str, shape: tuple[int, ...]) -> None:
    unknown = made(name, shape)
    with torch.no_grad():
        values = unknown.exact()
        assert values.shape == unknown().shape == (2, *shape)
        indices = torch.tensor([0, 5, torch.Size(shape).numel() - 1])
        assert torch.allclose(unknown.sample(indices), values.flatten(1)[:, indices].T, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_values(name: str) -> None:
    first, second = (made(name, SHAPES[0]).exact().detach() for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_the_registered_learning_rate_learns(name: str) -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 18), torch.linspace(-1, 1, 22), indexing="ij")
    targets = torch.stack([0.5 + 0.4 * torch.sin(3 * x) * y, torch.exp(-3 * (x**2 + y**2))])
    unknown = made(name, tuple(y.shape))
    # pixels have a value each to move from zero, a step at a time
    steps = 2500 if name == "pixels" else 300
    settings = AdamSettings(iterations=steps, learning_rate=representation(name).learning_rate, patience=None)
    descent = AdamDescent(ValueProblem(targets.flatten(1)), Values(unknown), settings)
    list(descent.steps())
    error = (unknown.exact().detach() - targets).square().mean()
    assert float(error) < 0.03 * float(targets.var())


@pytest.mark.parametrize("name", NAMES)
def test_every_section_that_is_named_exists(name: str) -> None:
    assert set(representation(name).sections) <= set(RepresentationSettings.model_fields)


def test_an_unknown_name_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(RecipeError, match="did you mean 'siren'"):
        build("sirens", (4, 5), 1, SMALL)


def test_what_is_registered_later_can_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_diner.representations import registry

    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    register(RepresentationEntry("mine", "Pixels again", "napari_diner.representations.pixels:build"))
    assert isinstance(build("mine", (4, 5), 3, SMALL), Pixels)
