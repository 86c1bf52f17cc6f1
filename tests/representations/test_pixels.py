"""Plain pixels."""

from __future__ import annotations

import torch

from napari_diner.representations.pixels import Pixels


def test_pixels_are_their_parameters() -> None:
    pixels = Pixels((4, 5), 2)
    assert pixels().shape == (2, 4, 5)
    assert pixels.parameter_count() == 40
    assert torch.equal(pixels(), torch.zeros(2, 4, 5))
    with torch.no_grad():
        pixels.values[1, 2, 3] = 7
    assert pixels()[1, 2, 3].item() == pixels.exact()[1, 2, 3].item() == 7


def test_the_gradient_is_that_of_each_value() -> None:
    pixels = Pixels((4, 5), 1)
    weights = torch.arange(20.0).reshape(1, 4, 5)
    (pixels() * weights).sum().backward()
    assert torch.equal(pixels.values.grad, weights)
