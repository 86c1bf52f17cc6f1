"""The figures of a preflight: sampling limits and the response to slow changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.preflight import axial_sampling, lateral_sampling, low_frequencies
from napari_diner.physics.idt.transfer import BornModel


def optics(pixel_um: float = 0.1625, spacing_um: float = 0.5, slices: int = 4) -> VolumeGeometry:
    return VolumeGeometry((slices, 256, 256), spacing_um, 0.515, 1.33, pixel_um, 0.65)


def test_lateral_limit() -> None:
    assert lateral_sampling(optics()).limit_um == pytest.approx(0.198, abs=1e-3)
    assert lateral_sampling(optics(0.198)).fine
    assert not lateral_sampling(optics(0.2)).fine


def test_axial_limit_is_that_of_the_transfer_functions() -> None:
    # the largest phase per µm of depth that any frequency in the pupil has, found on a fine grid
    geometry, lit = optics(), Illumination.of([[0.0, 0.5], [0.3, 0.2]])
    u = np.linspace(-0.65, 0.65, 801) / 0.515
    squared = u[:, None] ** 2 + u[None, :] ** 2
    eta = np.sqrt((1.33 / 0.515) ** 2 - squared[squared <= (0.65 / 0.515) ** 2])
    eta_i = np.sqrt((1.33 / 0.515) ** 2 - (lit.apertures**2).sum(1) / 0.515**2)
    highest = np.abs(eta[:, None] - eta_i).max()
    assert axial_sampling(geometry, lit).limit_um == pytest.approx(1 / (2 * highest), rel=1e-3)
    assert axial_sampling(geometry, lit).fine
    assert not axial_sampling(optics(spacing_um=2.5), lit).fine


@pytest.mark.parametrize(("na", "expected"), [(0.3, 0.03), (0.6, 0.8), (0.637, 2.3)])
def test_slow_phase_is_seen_from_the_edge_of_the_pupil_only(na: float, expected: float) -> None:
    found = low_frequencies(optics(), ring(na, 24))
    # the figures were read off a grid of 0.012 /µm, which counts the edges of the band coarsely
    assert found.rms == pytest.approx(expected, rel=0.1)
    eta = np.sqrt(1.33**2 - na**2) / 0.515
    assert found.strongest == pytest.approx((2 * np.pi / 0.515) ** 2 * 0.5 / (4 * np.pi * eta))
    assert found.ratio == found.rms / found.strongest


def test_low_frequencies_are_those_of_the_model() -> None:
    lit = Illumination.of([[[0.62, 0.0], [0.0, 0.6], [-0.3, 0.2]], [[0.0, -0.63]]])
    geometry = optics(slices=2)
    model = BornModel(VolumeGeometry((2, 256, 256), 0.5, 0.515, 1.33, 0.1625, 0.65), lit, dtype=torch.complex128)
    f = torch.hypot(torch.fft.fftfreq(256, 0.1625)[:, None], torch.fft.rfftfreq(256, 0.1625)[None])
    band = (f >= 0.04) & (f <= 0.12)
    squares = torch.stack([model.transfer(frame, [1])[0][0, band].abs() ** 2 for frame in range(2)])
    assert low_frequencies(geometry, lit).rms == pytest.approx(float(squares.mean().sqrt()), rel=0.05)
