"""The geometry of light from a point source, compared with propagated waves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_diner.physics.lensless.point_source import effective_distance_um, magnification, real_distance_um
from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import propagate, transfer_function

WAVELENGTH_UM, PIXEL_UM, SIZE = 0.5, 0.5, 768


def test_known_geometries() -> None:
    assert magnification(1000, 1000) == 2
    assert magnification(2000, 1000, "sensor") == 2
    assert effective_distance_um(1000, 2) == 500
    # far away, a point source is parallel light
    assert magnification(1e12, 800) == pytest.approx(1)


@pytest.mark.parametrize(("to", "source"), [("sample", 3000.0), ("sensor", 5000.0)])
def test_the_distance_comes_back_from_the_effective_one(to: str, source: float) -> None:
    effective = effective_distance_um(700, magnification(source, 700, to))  # type: ignore[arg-type]
    assert real_distance_um(effective, source, to) == pytest.approx(700)  # type: ignore[arg-type]


def test_impossible_geometries() -> None:
    with pytest.raises(ValueError, match="must be in front of the sample"):
        magnification(500, 600, "sensor")
    with pytest.raises(ValueError, match="shorter"):
        real_distance_um(600, 500)
    with pytest.raises(ValueError, match="quarter"):
        real_distance_um(600, 2000, "sensor")


def test_fresnel_scaling_theorem() -> None:
    """A spherical wave through a sample makes the pattern of a plane wave, larger by M, fainter by M², at z/M."""
    source, distance = 3000.0, 600.0
    m = magnification(source, distance)
    r = (torch.arange(SIZE, dtype=torch.float64) - SIZE / 2) * PIXEL_UM
    y, x = r[:, None], r[None, :]

    def sample(size: float) -> torch.Tensor:
        """A phase blob beside an absorbing one, wide enough for the paraxial approximation, that fade out."""
        phase = 1.5 * torch.exp(-((y + 10) ** 2 + x**2) / size**2)
        return torch.polar(1 - 0.6 * torch.exp(-(y**2 + (x - 12) ** 2) / size**2), phase)

    def recorded(field: torch.Tensor, z: float) -> torch.Tensor:
        transfer = transfer_function(
            (SIZE, SIZE), Optics(PIXEL_UM, WAVELENGTH_UM, method="fresnel"), z, band_limit=False, dtype=torch.complex128
        )
        return propagate(field, transfer).abs() ** 2

    # the sphere is cut off smoothly, well outside the part that is compared
    window = torch.exp(-(((y**2 + x**2).sqrt() / 120) ** 8))
    sphere = torch.polar(window, math.pi / (WAVELENGTH_UM * source) * (y**2 + x**2))
    cone = recorded(sample(9) * sphere, distance) * m**2
    plane = recorded(sample(9).to(torch.complex128), effective_distance_um(distance, m))
    # at M·r in the cone lies what is at r behind the plane wave
    from scipy import ndimage

    steps = np.arange(-60, 61) / 1.0
    at = SIZE / 2 + np.stack(np.meshgrid(steps, steps, indexing="ij")) * m
    there = ndimage.map_coordinates(cone.numpy(), at, order=5)
    here = plane.numpy()[SIZE // 2 - 60 : SIZE // 2 + 61, SIZE // 2 - 60 : SIZE // 2 + 61]
    assert np.abs(there - here).max() < 0.02 * here.max()
    # and not what is there without the theorem
    without = recorded(sample(9).to(torch.complex128), distance).numpy()
    assert np.abs(there - without[SIZE // 2 - 60 : SIZE // 2 + 61, SIZE // 2 - 60 : SIZE // 2 + 61]).max() > 0.2
