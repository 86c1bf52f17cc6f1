"""Extended sources with a bandwidth: blur and lines, compared with a direct sum over points and wavelengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import frame_contrast
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.point_source import effective_distance_um, magnification
from napari_diner.physics.lensless.tiles import TiledMultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Padding
from napari_diner.simulate.lensless.source import Lamp
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import complex_noise, relative_error, smooth_noise

OPTICS = Optics(1.2, 0.6)
SHAPE = (64, 72)
LED = Light(200.0, 8000.0, "lens", 0.06)


def specimen(shape: tuple[int, int] = SHAPE, strength: float = 1.0, decay: float = 150.0) -> Tensor:
    return torch.polar(
        torch.exp(0.2 * strength * smooth_noise(shape, 1, decay)), strength * smooth_noise(shape, 2, decay)
    )


@pytest.mark.parametrize("light", [LED, replace(LED, size_um=0.0), replace(LED, bandwidth_um=0.0)])
@pytest.mark.parametrize("optics", [OPTICS, replace(OPTICS, medium_index=1.33, method="fresnel")])
def test_holograms_are_those_of_all_points_and_wavelengths(light: Light, optics: Optics) -> None:
    distance_um = 160.0
    lamp = Lamp(light.size_um / light.distance_um, light.bandwidth_um)
    summed = lamp.intensity(specimen(), optics, distance_um)
    heights = Heights(optics, [distance_um], light=light)
    contrast = summed - summed.mean()

    def error(heights: Heights) -> float:
        difference = MultiHeight(SHAPE, heights, dtype=torch.complex128).intensities(specimen())[0] - summed
        return float(difference.norm() / contrast.norm())

    assert not heights.is_coherent
    assert error(heights) < 1e-3
    assert error(replace(heights, light=Light())) > 50 * error(heights)


def test_a_point_and_a_line_are_one_wave() -> None:
    heights = Heights(OPTICS, [500.0, 700.0])
    assert heights.is_coherent
    # a laser diode, and a fibre far away
    laser = replace(heights, light=Light(5.0, 200_000.0, "sample", 1e-4))
    assert laser.is_coherent
    model = MultiHeight(SHAPE, laser)
    assert model.transfers.shape == (2, *SHAPE)
    assert next(iter(model.propagated(specimen())))[2].shape == SHAPE


def test_the_lines_have_the_mean_and_the_width_of_the_spectrum() -> None:
    wavelengths, weights = np.transpose(LED.lines(OPTICS, [300.0]))
    assert len(weights) > 2 and weights.sum() == pytest.approx(1)
    assert weights @ wavelengths == pytest.approx(0.6)
    assert np.sqrt(weights @ (wavelengths - 0.6) ** 2) == pytest.approx(0.06 / 2.3548, rel=1e-4)
    # fringes of higher order need more of them, unless the source blurs them; the frame that needs most decides
    assert len(LED.lines(OPTICS, [2000.0])) < len(weights) == len(LED.lines(OPTICS, [300.0, 2000.0]))
    point = replace(LED, size_um=0.0)
    assert len(point.lines(OPTICS, [2000.0])) > len(point.lines(OPTICS, [300.0])) > len(point.lines(OPTICS, [20.0]))


@pytest.mark.parametrize("to", ["sample", "sensor"])
def test_the_blur_on_the_sensor_is_that_of_a_pinhole_camera(to: str) -> None:
    source_um, distance_um = 6000.0, 900.0
    light = Light(50.0, source_um, to)  # type: ignore[arg-type]
    to_sample = source_um if to == "sample" else source_um - distance_um
    by = magnification(source_um, distance_um, to)  # type: ignore[arg-type]
    on_sensor = by * light.blur_um(effective_distance_um(distance_um, by))
    assert on_sensor == pytest.approx(50.0 * distance_um / to_sample)


def test_weak_objects_show_the_contrast_of_the_light() -> None:
    model = MultiHeight(SHAPE, Heights(OPTICS, [160.0], light=LED), dtype=torch.complex128)
    field = specimen(strength=1e-4)
    log = torch.log(field)
    C, S = frame_contrast(model, 0)
    expected = torch.fft.ifft2(C * torch.fft.fft2(log.real) + S * torch.fft.fft2(log.imag)).real
    assert relative_error(model.moduli(field)[0] - 1, expected) < 2e-3


def test_tiles_record_what_one_piece_does() -> None:
    shape = (200, 240)
    heights = Heights(OPTICS, [40.0, 90.0], shifts_um=[(0.0, 2.5), (-1.7, 0.0)], light=replace(LED, size_um=400.0))
    space = Padding(shape, "reflect", 20)
    whole = MultiHeight(shape, heights, padding=space, dtype=torch.complex128)
    tiled = TiledMultiHeight(shape, heights, 180, padding=space, dtype=torch.complex128)
    assert tiled.tiles > 1
    field = specimen(shape)
    assert relative_error(tiled.moduli(field), whole.moduli(field)) < 1e-4


@pytest.mark.parametrize("tiles", [False, True])
def test_the_adjoint_is_exact(tiles: bool) -> None:
    shape = (150, 160) if tiles else (20, 24)
    heights = Heights(OPTICS, [40.0, 70.0], gains=[1.0, 0.7], light=replace(LED, bandwidth_um=0.2))
    options = {"padding": Padding(shape, "reflect", 8), "illumination": complex_noise(shape, 5)}
    model = (
        TiledMultiHeight(shape, heights, 130, dtype=torch.complex128, **options)  # type: ignore[arg-type]
        if tiles
        else MultiHeight(shape, heights, dtype=torch.complex128, **options)  # type: ignore[arg-type]
    )
    x = complex_noise(shape, 1)
    parts = {(frame, at[0].start, at[1].start): U for frame, at, U in model.propagated(complex_noise(shape, 2))}
    y = {place: complex_noise(tuple(U.shape), number) for number, (place, U) in enumerate(parts.items())}

    def forward(field: Tensor) -> Tensor:
        return torch.cat([U.flatten() for _, _, U in model.propagated(field)])

    assert len(model.heights.lines) > 1
    back = model.collect(lambda frame, at: y[frame, at[0].start, at[1].start])
    assert_adjoint(forward, lambda _: back, x, torch.cat([part.flatten() for part in y.values()]), 1e-12)
