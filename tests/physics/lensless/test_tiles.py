"""Tiles: same physics as in one piece, exact adjoint, and no visible borders."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight, Pixels
from napari_diner.physics.lensless.tiles import TiledMultiHeight, fastest_window_px, margin_px
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Padding
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import complex_noise, low_passed, noise

PIXEL_UM, WAVELENGTH_UM = 1.12, 0.532
HEIGHTS = Heights(
    Optics(PIXEL_UM, WAVELENGTH_UM),
    (40.0, 60.0, 90.0),
    shifts_um=((0.3, -0.8), (0.0, 2.5), (-1.7, 0.0)),
    gains=(1.0, 0.8, 1.3),
    intensity_scale=1.7,
)
SHAPE = (200, 240)


def specimen(shape: tuple[int, int], seed: int = 1, highest: float = 1.0) -> Tensor:
    """Texture with phases beyond a radian, down to two pixels or up to a `highest` frequency in cycles a pixel."""
    fine = low_passed(noise((2, *shape), seed), 1 / 0.03)
    fine = fine / fine.std()
    field = torch.polar(torch.exp(0.3 * fine[0]), fine[1])
    fy, fx = (torch.fft.fftfreq(size, dtype=torch.float64) for size in shape)
    band = torch.exp(-(((fy[:, None] ** 2 + fx**2) / highest**2) ** 4))
    return torch.fft.ifft2(torch.fft.fft2(field) * band)


def both(padding: str, shape: tuple[int, int] = SHAPE, **more: Any) -> tuple[MultiHeight, TiledMultiHeight]:
    options: dict[str, Any] = {"padding": Padding(shape, padding, 20), "dtype": torch.complex128, **more}  # type: ignore[arg-type]
    return MultiHeight(shape, HEIGHTS, **options), TiledMultiHeight(shape, HEIGHTS, 180, **options)


@pytest.mark.parametrize("padding", ["none", "reflect", "replicate"])
@pytest.mark.parametrize(("highest", "typical", "largest"), [(0.3, 5e-5, 5e-4), (1.0, 5e-3, 2e-2)])
def test_tiles_see_what_one_piece_sees(padding: str, highest: float, typical: float, largest: float) -> None:
    whole, tiled = both(padding, illumination=0.8 + 0.1j * specimen(SHAPE, 5, 0.1).real)
    assert tiled.tiles >= 4 and max(tiled.window) < min(whole.padding.padded_shape)
    field = specimen(SHAPE, highest=highest)
    difference = (tiled.fields(field) - whole.fields(field)).abs()
    size = float(whole.fields(field).abs().square().mean().sqrt())
    if padding == "replicate":  # edges repeated end what is between in kinks, which are as fine as pixels
        typical, largest = max(typical, 1e-3), max(largest, 2e-2)
    assert float(difference.square().mean().sqrt()) < typical * size
    assert float(difference.max()) < largest * size


@pytest.mark.parametrize("padding", ["none", "reflect", "replicate"])
def test_each_pixel_of_the_sensor_is_in_one_tile(padding: str) -> None:
    _, tiled = both(padding)
    count = torch.zeros(3, *SHAPE)
    for frame, at, U in tiled.propagated(specimen(SHAPE)):
        assert count[frame][at].shape == U.shape
        count[frame][at] += 1
    assert bool((count == 1).all())


@pytest.mark.parametrize("padding", ["none", "reflect", "replicate"])
@pytest.mark.parametrize("shape", [SHAPE, (60, 200)])
def test_the_adjoint_is_exact(padding: str, shape: tuple[int, int]) -> None:
    _, tiled = both(padding, shape, illumination=complex_noise(shape, 7))
    x, y = complex_noise(shape, 1), complex_noise((3, *shape), 2)
    assert_adjoint(tiled.fields, tiled.adjoint, x, y, 1e-12)

    def weigh(frame: int, at: Pixels, U: Tensor) -> Tensor:
        return y[frame][at].real * U

    round_trip = tiled.round_trip(x, weigh)
    torch.testing.assert_close(round_trip, tiled.adjoint(y.real * tiled.fields(x)), rtol=1e-12, atol=1e-12)


def test_windows_as_wide_as_the_field_are_one_piece() -> None:
    options: dict[str, Any] = {"padding": Padding(SHAPE, "reflect", 20), "dtype": torch.complex128}
    whole, tiled = MultiHeight(SHAPE, HEIGHTS, **options), TiledMultiHeight(SHAPE, HEIGHTS, 4000, **options)
    assert tiled.tiles == 1
    field = specimen(SHAPE)
    torch.testing.assert_close(tiled.fields(field), whole.fields(field), rtol=1e-12, atol=1e-12)


def test_transfer_functions_are_those_of_the_whole_grid() -> None:
    whole, tiled = both("reflect")
    for frame in range(3):
        assert torch.equal(whole.transfer(frame), tiled.transfer(frame))


def test_windows_hold_what_diffraction_carries_and_the_shifts() -> None:
    assert margin_px(HEIGHTS) > HEIGHTS.reach_px >= HEIGHTS.spread_px + 2.5 / PIXEL_UM
    # sin θ = λ/2p, z tan θ aside
    assert pytest.approx(90 * 0.2375 / (1 - 0.2375**2) ** 0.5 / PIXEL_UM, abs=1) == HEIGHTS.spread_px
    _, tiled = both("none")
    assert TiledMultiHeight((400, 400), HEIGHTS, 1).window[0] > 2 * margin_px(HEIGHTS)
    assert tiled.window == (180, 180)


def test_wide_fields_are_faster_in_tiles_and_small_ones_are_not() -> None:
    assert fastest_window_px(HEIGHTS, (400, 400)) is None
    assert fastest_window_px(HEIGHTS, (1500, 1500)) is None
    window = fastest_window_px(HEIGHTS, (4096, 4096))
    assert window is not None and 2 * margin_px(HEIGHTS) < window < 1200
    # where light goes farther aside than a window is wide there is nothing to gain
    assert fastest_window_px(Heights(Optics(PIXEL_UM, WAVELENGTH_UM), (5000.0,)), (4096, 4096)) is None
