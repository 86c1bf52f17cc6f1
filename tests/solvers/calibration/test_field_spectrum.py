"""Frequencies to compare geometries at."""

import torch

from napari_diner.solvers.calibration.field_spectrum import FieldSpectrum


def test_half_of_the_frequencies_are_the_lowest_and_half_the_strongest() -> None:
    x = torch.arange(32) / 32
    wave = torch.cos(2 * torch.pi * 9 * x)[None, None, :].repeat(2, 24, 1)
    field = FieldSpectrum(wave + 1e-3 * torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(0)))
    places, low = field.chosen(10, 0.0, 0.4)
    fy, fx = field.frequencies(places, 0.5)
    radius = torch.hypot(fy, fx) * 0.5
    assert low == 5 and radius[:low].max() < 2 / 24 and radius.min() > 0
    assert (fy[low], fx[low]) == (0, 9 / 16)
    assert torch.allclose(field.at(places)[low].real, torch.tensor(24 * 16.0), rtol=1e-2)


def test_no_frequency_is_chosen_from_an_empty_range() -> None:
    places, low = FieldSpectrum(torch.randn(2, 8, 8)).chosen(10, 0.4, 0.1)
    assert len(places) == low == 0
