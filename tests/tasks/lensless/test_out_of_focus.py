"""A length common to all distances, and their reverse order, are named by the plane in which the sample is sharp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import napari_diner as nd
from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import transfer_function
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.out_of_focus import out_of_focus
from tests.kit.runs import finished

OPTICS = Optics(1.12, 0.532)
EVEN = (320.0, 410.0, 500.0, 590.0)


def simulated(**settings: Any) -> LenslessSample:
    settings = {"amplitude_min": 1.0, "phase_range_rad": 0.4, "seed": 3, **settings}
    return simulate(LenslessSimulation(height_px=144, width_px=160, distances_um=EVEN, **settings))


def field_of(**settings: Any) -> Tensor:
    sample = simulated(**settings)
    return torch.from_numpy(sample.amplitude * np.exp(1j * sample.phase)).to(torch.complex64)


def moved(field: Tensor, by_um: float) -> Tensor:
    transfer = transfer_function((field.shape[0], field.shape[1]), OPTICS, by_um, band_limit=False)
    return torch.fft.ifft2(torch.fft.fft2(field) * transfer)


@pytest.mark.parametrize("settings", [{}, {"amplitude_min": 0.2}, {"phase_range_rad": 12.0}], ids=str)
def test_a_sample_in_focus_is_not_doubted(settings: dict[str, Any]) -> None:
    for seed in (0, 3):
        assert out_of_focus(field_of(seed=seed, **settings), OPTICS, EVEN) == []


@pytest.mark.parametrize(("by_um", "where"), [(170.0, "closer to"), (-130.0, "farther from")])
def test_a_common_length_is_named(by_um: float, where: str) -> None:
    (text,) = out_of_focus(moved(field_of(), -by_um), OPTICS, EVEN)
    found = text.split("about ")[1].split(" µm")[0]
    assert float(found) == pytest.approx(abs(by_um), rel=0.15)
    assert f"µm {where} the sensor" in text


def test_the_reverse_of_an_even_list_is_named() -> None:
    mirrored = moved(field_of(), EVEN[0] + EVEN[-1]).conj()
    (text,) = out_of_focus(mirrored, OPTICS, EVEN[::-1])
    assert "in reverse order" in text and "320, 410, 500, 590 µm" in text
    # the reverse of an uneven list does not explain the frames, and there is no sample beyond the sensor
    assert out_of_focus(mirrored, OPTICS, (590.0, 560.0, 410.0, 320.0)) == []


def test_small_fields_tell_nothing() -> None:
    assert out_of_focus(moved(field_of(), -170.0)[:120, :120], OPTICS, EVEN) == []


def test_a_run_says_where_the_sample_is_sharp() -> None:
    sample = simulated()
    for away_um, count in ((0.0, 0), (150.0, 1)):
        run = nd.lensless.start(
            sample.frames,
            wavelength_um=sample.wavelength_um,
            pixel_size_um=sample.pixel_size_um,
            distances_um=np.add(EVEN, away_um),
            gauss_newton={"iterations": 4},
        )
        told = [text for text in finished(run, compares_settings=False).report["warnings"] if "much sharper" in text]
        assert len(told) == count


def test_what_another_wavelength_explains_is_not_blamed_on_a_common_length() -> None:
    sample = simulated()
    run = nd.lensless.start(
        sample.frames,
        wavelength_um=1.45 * sample.wavelength_um,
        pixel_size_um=sample.pixel_size_um,
        distances_um=EVEN,
        gauss_newton={"iterations": 2},
    )
    report = finished(run, compares_settings=True).report
    assert any("all distances, or the wavelength" in text for text in report["warnings"])
    assert not any("much sharper" in text for text in report["warnings"])
    assert report["verdict"].startswith("doubtful") and "looks like noise" not in report["verdict"]
