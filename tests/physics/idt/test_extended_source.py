"""Sources of finite size: quadrature over a disc of directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner.physics.idt.extended_source import circles_needed, disc, extended, nodes_of
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, Source, ring
from napari_diner.physics.idt.transfer import BornModel, born_amplitude, source_blur

GEOMETRY = VolumeGeometry((9, 32, 32), 0.7, 0.488, 1.34, 0.17, 0.6)


@pytest.mark.parametrize("circles", [1, 2, 4])
def test_the_quadrature_is_exact_for_polynomials(circles: int) -> None:
    y, x, weights = disc(circles).T
    assert len(y) == nodes_of(circles)
    # the mean of y^2a x^2b over the unit disc is Γ(a+½) Γ(b+½) / (π Γ(a+b+2))
    means = {(0, 0): 1.0, (2, 0): 1 / 4, (2, 2): 1 / 24, (4, 0): 1 / 8, (0, 6): 5 / 64, (1, 2): 0.0, (3, 3): 0.0}
    for (up, across), mean in means.items():
        if up + across < 4 * circles:
            assert (weights * y**up * x**across).sum() == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("source_na", [0.015, 0.05, 0.09])
def test_transfer_functions_are_those_of_many_points(source_na: float) -> None:
    # evenly spread points, as an independent sum
    count = 900
    place = np.arange(count) + 0.5
    radius, turn = source_na * np.sqrt(place / count), np.pi * (1 + 5**0.5) * place
    offsets = list(zip((radius * np.sin(turn)).tolist(), (radius * np.cos(turn)).tolist(), strict=True))
    middles = ring(0.45, 3, offset_deg=20)
    many = Illumination(tuple(tuple(Source(s.na_y + y, s.na_x + x) for y, x in offsets) for (s,) in middles.frames))
    wanted, found, point = (
        BornModel(GEOMETRY, illumination).transfer(1)[0]
        for illumination in (many, extended(middles, source_na, GEOMETRY), middles)
    )
    assert (found - wanted).norm() < 0.05 * wanted.norm()
    assert (found - wanted).norm() < 0.2 * (point - wanted).norm()


def test_the_blur_of_a_source_is_that_of_its_points() -> None:
    source, source_na = (0.1, -0.4), 0.08
    fy, fx = torch.tensor([0.3, -0.8, -1.1]).double(), torch.tensor([0.5, 0.9, 0.7]).double()
    z_um = torch.linspace(-7, 7, 7).double()

    def scattered(y: float, x: float) -> torch.Tensor:
        _, delta, _ = born_amplitude(fy, fx, (source[0] + y, source[1] + x), GEOMETRY)
        return torch.polar(torch.ones_like(z_um), -2 * torch.pi * delta[:, None] * z_um)

    mean = sum(weight * scattered(y, x) for y, x, weight in (disc(6) * (source_na, source_na, 1)).tolist())
    blur = source_blur(fy, fx, source, GEOMETRY, source_na, z_um)
    assert isinstance(mean, torch.Tensor)
    torch.testing.assert_close(blur, (mean / scattered(0.0, 0.0)).real, atol=0.05, rtol=0)
    assert blur.min() < 0.7  # it matters


def test_light_outside_the_aperture_is_no_background() -> None:
    at_the_edge = Illumination.of([[0.0, 0.6], [0.3, 0.0]])
    edge, middle = extended(at_the_edge, 0.05, GEOMETRY).frames
    assert max(source.na for source in edge) <= 0.6 * (1 + 1e-9)
    assert len(edge) < len(middle) == nodes_of(circles_needed(GEOMETRY, 0.05))
    assert extended(at_the_edge, 0.0, GEOMETRY) is at_the_edge
