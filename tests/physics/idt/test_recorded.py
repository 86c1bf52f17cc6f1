"""Recorded spatial frequencies, compared with what the linear model makes of waves in the volume."""

from __future__ import annotations

import math

import pytest
import torch

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.preflight import axial_sampling
from napari_diner.physics.idt.recorded import axial_reach, recorded_power
from napari_diner.physics.idt.transfer import BornModel

GEOMETRY = VolumeGeometry((40, 8, 64), 0.4, 0.6, 1.4, 0.2, 0.7)
LIGHT = ring(0.4, 12)


def test_waves_beyond_the_reach_leave_no_trace() -> None:
    model = BornModel(GEOMETRY, LIGHT)
    lateral = 4 / (64 * GEOMETRY.pixel_size_um)
    reach = axial_reach(GEOMETRY, LIGHT, torch.tensor([lateral]))
    z = torch.from_numpy(GEOMETRY.slice_positions_um)
    x = torch.arange(64) * GEOMETRY.pixel_size_um

    def response(axial: float) -> float:
        # a Hann window along z, so that the wave has no other frequencies
        window = torch.hann_window(40, periodic=False, dtype=torch.float64)
        wave = (window * torch.cos(2 * math.pi * axial * z))[:, None, None] * torch.cos(2 * math.pi * lateral * x)
        contrast = torch.zeros(2, *GEOMETRY.shape)
        contrast[0] = wave
        return float(model.forward(contrast).square().sum())

    inside, outside = response(0.8 * reach), response(reach + 4 / (40 * 0.4))
    assert outside < 1e-3 * inside


def test_the_power_is_that_of_the_model() -> None:
    frequencies = [1, 3, 6, 9]
    model = BornModel(GEOMETRY, LIGHT)
    lateral = torch.tensor([number / (64 * GEOMETRY.pixel_size_um) for number in frequencies], dtype=torch.float64)
    axial = torch.tensor([0.0, 0.1, 0.3], dtype=torch.float64)
    z = torch.from_numpy(GEOMETRY.slice_positions_um)
    measured = torch.empty(3, 4, dtype=torch.float64)
    places = [int((model.active == number).nonzero()) for number in frequencies]
    for row, k in enumerate(axial):
        matrices = model.matrices(slice(None))[places][..., :40].to(torch.complex128)
        for column in range(4):
            # both waves e^{±ikz}, of phase and absorption: their sum has no interference
            powers = [
                (matrices[column] @ torch.polar(torch.ones(40, dtype=torch.float64), sign * 2 * math.pi * k * z))
                .abs()
                .square()
                .sum()
                for sign in (1, -1)
            ]
            measured[row, column] = sum(powers)
    power = recorded_power(GEOMETRY, LIGHT, lateral, axial)
    # up to interference of the two sidebands; the missing cone is the corner of high axial and low lateral frequency
    assert power[2, 0] < 0.01 * power[0, 0] and measured[2, 0] < 0.01 * measured[0, 1]
    assert power[1, 2] > 0.1 * power[0, 2] and measured[1, 2] > 0.1 * measured[0, 2]


@pytest.mark.parametrize("na", [0.1, 0.69])
def test_the_reach_of_all_frequencies_is_the_sampling_limit(na: float) -> None:
    light = ring(na, 8)
    lateral = torch.linspace(0, (0.7 + na) / 0.6, 200)
    reach = axial_reach(GEOMETRY, light, lateral)
    assert reach == pytest.approx(0.5 / axial_sampling(GEOMETRY, light).limit_um, rel=0.03)
    assert axial_reach(GEOMETRY, light, torch.tensor([1.05 * (0.7 + na) / 0.6])) == 0
