"""Amplitude and phase, made into a complex field."""

from __future__ import annotations

import math

import pytest
import torch
from napari_diner.representations.complex_field import ComplexField
from torch import Tensor, nn

from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.settings import DinerSettings

SHAPE = (5, 6)


def holding(values: Tensor) -> Pixels:
    pixels = Pixels(tuple(values.shape[1:]), values.shape[0])
    with torch.no_grad():
        pixels.values.copy_(values)
    return pixels


def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(SHAPE, generator=generator) + 0.2, 4 * torch.rand(SHAPE, generator=generator) - 2


@pytest.mark.parametrize("tables", ["separate", "shared"])
def test_the_targets_make_the_field(tables: str) -> None:
    amplitude, phase = images()
    parts: list[nn.Module] = [Pixels(SHAPE, 2)] if tables == "shared" else [Pixels(SHAPE, 1), Pixels(SHAPE, 1)]
    scales = {"amplitude_scale": 1.7, "phase_scale_rad": 0.6}
    targets = ComplexField(parts, **scales).targets(amplitude, phase)
    assert [target.shape[0] for target in targets] == ([2] if tables == "shared" else [1, 1])
    field = ComplexField([holding(target) for target in targets], **scales)
    assert torch.allclose(field(), torch.polar(amplitude, phase), atol=1e-6)
    assert torch.equal(field(), field.exact())


def test_a_negative_output_is_a_bright_pixel_or_a_phase_of_pi() -> None:
    outputs = torch.tensor([-0.8, 0.3])[:, None, None]
    bright = ComplexField([holding(outputs)])().detach()
    assert float(bright.abs()) == pytest.approx(0.8) and float(bright.angle()) == pytest.approx(0.3)
    turned = ComplexField([holding(outputs)], amplitude_nonnegative=False)().detach()
    assert float(turned.angle()) == pytest.approx(0.3 - math.pi, abs=1e-6)


def test_exact_asks_the_networks_themselves() -> None:
    torch.manual_seed(0)
    diner = Diner(SHAPE, 2, DinerSettings(lattice_size=8, key_range=0.2, hidden_features=8))
    field = ComplexField([diner])
    values = diner.exact()
    assert torch.allclose(field.exact(), torch.polar(values[0].abs(), values[1]), atol=1e-6)
    assert not torch.allclose(field.exact(), field(), atol=1e-6)


def test_parameters_of_all_parts_count() -> None:
    parts: list[nn.Module] = [Pixels(SHAPE, 1), Diner(SHAPE, 1, DinerSettings())]
    assert ComplexField(parts).parameter_count() == 30 + parts[1].parameter_count()
