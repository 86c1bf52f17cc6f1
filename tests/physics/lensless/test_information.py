"""Information of heights on the phase, compared with least squares at each frequency."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_diner.physics.bands import Band, band_mask, octaves
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.information import band_information, best_extra_height, phase_information
from napari_diner.physics.optics import Optics

WAVELENGTH_UM = 0.5
OPTICS = Optics(1.0, WAVELENGTH_UM)


def test_the_octaves_cover_every_frequency_once() -> None:
    bands = octaves((64, 100), 1.5)
    fy, fx = np.fft.fftfreq(64, 1.5)[:, None], np.fft.fftfreq(100, 1.5)[None, :]
    frequency = torch.from_numpy(np.hypot(fy, fx))
    count = sum(band_mask(band, frequency).to(torch.int) for band in bands)
    assert count[0, 0] == 0  # a constant belongs to none
    count[0, 0] = 1
    assert (count == 1).all()
    assert bands[-1].low == 0 and bands[-1].high >= 2 / 150


def test_information_is_the_inverse_variance_of_least_squares() -> None:
    distances, gains, f = (200.0, 330.0, 470.0), (1.0, 0.6, 1.3), 0.04
    cutoff = 1 / WAVELENGTH_UM
    chi = np.array([2 * math.pi * z * (math.sqrt(cutoff**2 - f**2) - cutoff) for z in distances])
    rows = np.sqrt(gains)[:, None] * np.stack([np.cos(chi), np.sin(chi)], 1)
    variance = np.linalg.inv(rows.T @ rows)[1, 1]
    told = phase_information(torch.tensor([f]), Heights(OPTICS, distances, gains=gains))
    assert float(told) == pytest.approx(1 / variance, rel=1e-6)


def test_a_single_height_tells_nothing_and_many_tell_half_their_number() -> None:
    frequency = torch.linspace(0.05, 0.2, 500)
    assert phase_information(frequency, Heights(OPTICS, [300.0])).max() < 1e-9
    many = phase_information(frequency, Heights(OPTICS, np.linspace(300, 900, 40).tolist()))
    assert float(many.mean()) == pytest.approx(20, rel=0.05)


def test_the_height_proposed_fills_the_gap() -> None:
    """Two heights answer alike where ``πλ(z₂ − z₁)f²`` is a whole π; the height proposed answers otherwise there."""
    heights = Heights(Optics(1.0, WAVELENGTH_UM, method="fresnel"), (400.0, 600.0))
    blind = 1 / math.sqrt(WAVELENGTH_UM * 200)
    band = Band(0.97 * blind, 1.03 * blind)
    before = band_information([band], 0.001, heights)[0]
    best, then = best_extra_height([500.0, 600.0, 800.0], [band], 0.001, heights)
    assert best == 500  # 600 and 800 answer as the others do
    assert before < 0.01 and then > 0.5


def test_slow_changes_ask_for_a_long_distance() -> None:
    bands = octaves((256, 256), 1.0)
    best, _ = best_extra_height([100.0, 400.0, 900.0], bands, 1 / 256, Heights(OPTICS, (200.0, 250.0)))
    assert best == 900
