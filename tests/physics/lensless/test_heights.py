"""Heights: defaults of the frames, and spread of light."""

from __future__ import annotations

import math

import pytest
import torch

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import transfer_function

OPTICS = Optics(1.0, 0.5)


def test_frames_are_equally_bright_and_in_place_by_default() -> None:
    heights = Heights(OPTICS, (100.0, 200.0))
    assert (heights.frames, heights.gain(1), heights.shift_um(1), heights.strength(1)) == (2, 1.0, (0.0, 0.0), 1.0)


def test_the_transfer_function_has_the_gain_the_scale_and_the_shift() -> None:
    heights = Heights(OPTICS, (100.0,), shifts_um=((0.5, -1.0),), gains=(0.8,), intensity_scale=0.2)
    expected = 2 * transfer_function((8, 9), OPTICS, 100.0, shift_um=(0.5, -1.0), dtype=torch.complex128)
    torch.testing.assert_close(heights.transfer(0, (8, 9), torch.complex128), expected)
    torch.testing.assert_close(heights.transfers((8, 9), torch.complex128, torch.device("cpu"))[0], expected)


@pytest.mark.parametrize(("method", "slope"), [("fresnel", 0.25), ("angular_spectrum", 0.25 / math.sqrt(1 - 0.25**2))])
def test_light_spreads_with_the_distance(method: str, slope: float) -> None:
    optics = Optics(1.0, 0.5, method=method)  # type: ignore[arg-type]
    heights = Heights(optics, (100.0, 300.0), shifts_um=((0.0, 0.0), (2.4, -3.6)))
    assert heights.spread_px == math.ceil(300 * slope)
    assert heights.reach_px == heights.spread_px + 4


def test_light_never_spreads_beyond_45_degrees() -> None:
    assert Heights(Optics(0.1, 0.5), (10.0,)).spread_px == pytest.approx(100, abs=1)
