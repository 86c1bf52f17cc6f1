"""Coordinates: order, ends, spacing."""

from __future__ import annotations

import pytest
import torch

from napari_diner.representations.coordinates import coordinates


@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4), (2, 3, 2, 5)])
def test_axes_run_from_minus_one_to_one_in_the_order_of_the_samples(shape: tuple[int, ...]) -> None:
    found = coordinates(torch.arange(torch.Size(shape).numel()), shape)
    axes = [torch.linspace(-1, 1, size) for size in shape]
    expected = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(shape))
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-6)


def test_samples_come_in_any_order() -> None:
    indices = torch.tensor([11, 0, 5, 5])
    assert coordinates(indices, (3, 4)).tolist() == [
        [1, 1], [-1, -1], [0, pytest.approx(-1 / 3)], [0, pytest.approx(-1 / 3)],
    ]  # fmt: skip


def test_the_only_sample_of_an_axis_is_at_its_centre() -> None:
    assert coordinates(torch.arange(3), (1, 3))[:, 0].tolist() == [0, 0, 0]


def test_mirrored_samples_have_mirrored_coordinates_to_the_last_bit() -> None:
    found = coordinates(torch.arange(1199), (1199,))
    assert torch.equal(found, -found.flip(0))
