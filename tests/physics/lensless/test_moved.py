"""An object that moves in its illumination: adjoint, and both descriptions of the same frames."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.lensless.moved import MovedMultiHeight, displaced
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Padding
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import complex_noise, relative_error

SHAPE, OPTICS, DISTANCES = (12, 14), Optics(1.5, 0.5), (30.0, 45.0, 60.0)
PLACES = [(0.0, 0.0), (4.5, -3.0), (-3.0, 6.0)]
APART = [(-dy, -dx) for dy, dx in PLACES]


def fields() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.exp(0.3 * complex_noise(SHAPE, 1)), torch.exp(0.3 * complex_noise(SHAPE, 2))


@pytest.mark.parametrize("padding", ["none", "reflect", "unknown"])
def test_adjoint(padding: Literal["none", "reflect", "unknown"]) -> None:
    space = Padding(SHAPE, padding, 0 if padding == "none" else 3)
    shape = space.object_shape
    lights = displaced(torch.exp(0.3 * complex_noise(shape, 1)), APART, OPTICS.pixel_size_um)
    heights = Heights(OPTICS, DISTANCES, shifts_um=PLACES)
    model = MovedMultiHeight(SHAPE, heights, lights, padding=space, dtype=torch.complex128)
    assert_adjoint(model.fields, model.adjoint, complex_noise(shape, 4), complex_noise((3, *SHAPE), 5))
    # one pass over the heights is the same as two
    field = complex_noise(shape, 3)
    assert relative_error(model.round_trip(field, lambda frame, at, U: U), model.adjoint(model.fields(field))) < 1e-12


@pytest.mark.parametrize("light", [Light(), Light(60.0, 1000.0, "lens", 0.1)])
def test_a_moving_object_and_a_moving_illumination_give_the_same_frames(light: Light) -> None:
    body, P = fields()
    still = Heights(OPTICS, DISTANCES, light=light)
    moving = Heights(OPTICS, DISTANCES, shifts_um=PLACES, light=light)
    of_object = MovedMultiHeight(
        SHAPE, moving, displaced(P, APART, OPTICS.pixel_size_um), dtype=torch.complex128
    ).intensities(body)
    of_light = MovedMultiHeight(
        SHAPE, still, displaced(body, PLACES, OPTICS.pixel_size_um), dtype=torch.complex128
    ).intensities(P)
    plain = MultiHeight(SHAPE, still, dtype=torch.complex128)
    expected = torch.stack(
        [plain.intensities(P * one)[n] for n, one in enumerate(displaced(body, PLACES, OPTICS.pixel_size_um))]
    )
    assert relative_error(of_light, expected) < 1e-12
    assert relative_error(of_object, expected) < 1e-12
