"""Outputs of representations, and the corresponding physical quantities."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.settings import CompleteDinerSettings
from napari_diner.representations.unknown import ComplexField, Scaled, Unknown, Values

SHAPE = (5, 6)


def pixels(*outputs: int) -> list[Representation]:
    return [Pixels(SHAPE, count) for count in outputs]


def hold(unknown: Unknown, estimate: Tensor) -> Unknown:
    """Give each part, which are pixels, what it has to return for an estimate."""
    with torch.no_grad():
        for part, values in zip(unknown.parts, unknown.targets(estimate), strict=True):
            assert isinstance(part, Pixels)
            part.values.copy_(values)
    return unknown


def field() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.polar(torch.rand(SHAPE, generator=generator) + 0.2, 4 * torch.rand(SHAPE, generator=generator) - 2)


@pytest.mark.parametrize("outputs", [(1, 1), (2,)])
def test_targets_make_the_field(outputs: tuple[int, ...]) -> None:
    unknown = ComplexField(pixels(*outputs), amplitude_scale=1.7, phase_scale_rad=0.6)
    assert [target.shape[0] for target in unknown.targets(field())] == list(outputs)
    hold(unknown, field())
    assert torch.allclose(unknown(), field(), atol=1e-6)
    assert torch.equal(unknown(), unknown.exact())


def test_targets_make_scaled_quantities_and_plain_values() -> None:
    values = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))
    scaled = Scaled(pixels(2)[0], torch.tensor([0.1, 20.0]))
    assert torch.allclose(hold(scaled, values)(), values)
    assert torch.allclose(scaled.parts[0]()[1], values[1] / 20)
    assert torch.equal(hold(Values(pixels(2)[0]), values).exact(), values)


@pytest.mark.parametrize(
    ("nonnegative", "modulus", "angle"), [(True, 0.8, 0.3), (False, 0.8, 0.3 - math.pi)], ids=["bright", "turned"]
)
def test_a_negative_output_is_a_bright_pixel_or_a_phase_of_pi(nonnegative: bool, modulus: float, angle: float) -> None:
    unknown = ComplexField(pixels(2), amplitude_nonnegative=nonnegative)
    value = unknown.compose(torch.tensor([-0.8, 0.3])[:, None, None])
    assert float(value.abs()) == pytest.approx(modulus)
    assert float(value.angle()) == pytest.approx(angle, abs=1e-6)


def test_exact_evaluates_the_networks_themselves() -> None:
    torch.manual_seed(0)
    diner = Diner(SHAPE, 2, CompleteDinerSettings(lattice_size=8, key_range=0.2, hidden_features=8))
    unknown = ComplexField([diner])
    values = diner.exact()
    assert torch.allclose(unknown.exact(), torch.polar(values[0].abs(), values[1]), atol=1e-6)
    assert not torch.allclose(unknown.exact(), unknown(), atol=1e-6)


def test_parameters_of_all_parts_count_and_are_saved_by_name() -> None:
    parts: list[Representation] = [*pixels(1), Diner(SHAPE, 1, CompleteDinerSettings())]
    unknown = ComplexField(parts)
    assert unknown.parameter_count() == 30 + parts[1].parameter_count()
    state = unknown.state()
    assert {name.partition(".")[0] for name in state} == {"amplitude", "phase"}
    assert "field.values" in Scaled(pixels(1)[0], torch.ones(1)).state()


def test_a_state_is_a_copy() -> None:
    unknown = Values(pixels(1)[0])
    state = unknown.state()
    with torch.no_grad():
        unknown.parts[0].values.fill_(7.0)
    assert float(state["field.values"].max()) == 0
    unknown.load_state_dict(state)
    assert float(unknown().detach().max()) == 0
