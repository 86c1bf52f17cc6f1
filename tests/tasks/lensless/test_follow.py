"""Recordings of a sample that moves: errors do not add up along a series."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import napari_diner as nd
from napari_diner.physics.lensless.contrast_transfer import contrast_power
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.follow import determined
from napari_diner.tasks.task import Frames

DISTANCES_UM = [300.0, 400.0, 500.0]
RECIPE = {
    "wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": DISTANCES_UM, "padding": {"mode": "none"},
}  # fmt: skip


def _moving(size: int, times: int, speed_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return recordings of two layers that move apart, (T, N, Y, X), and their phase, (T, Y, X), by NumPy alone."""
    first, second = (
        {image.name: image.data for image in nd.sample("lensless", height_px=size, width_px=size, seed=seed).truth}
        for seed in (0, 1)
    )
    f = np.fft.fftfreq(size, 1.12)
    axial = np.sqrt(1 / 0.532**2 - f[:, None] ** 2 - f**2) - 1 / 0.532
    frames, phases = [], []
    for moved in range(0, speed_px * times, speed_px):
        amplitude, phase = (
            np.roll(first[name], moved, 0) + np.roll(second[name], -moved, 1) for name in ("amplitude", "phase")
        )
        spectrum = np.fft.fft2(amplitude / 2 * np.exp(1j * phase))
        fields = [np.fft.ifft2(spectrum * np.exp(2j * np.pi * z * axial)) for z in DISTANCES_UM]
        frames.append(np.abs(fields) ** 2)
        phases.append(phase)
    return np.array(frames, np.float32), np.array(phases)


def _error(phase: np.ndarray, truth: np.ndarray) -> float:
    return float(np.std(np.angle(np.exp(1j * (phase - truth)))))


@pytest.mark.parametrize(
    "choice",
    [{"solver": "gauss-newton"}, {"solver": "alternating"}, {"solver": "pixels", "start": "gauss-newton"}],
    ids=lambda choice: choice["solver"],
)
def test_errors_do_not_add_up_along_a_series(choice: dict[str, str]) -> None:
    frames, truth = _moving(32, 7, 2)
    settings = {**RECIPE, **choice, "gradient": {"iterations": 30}}
    series = nd.lensless(Frames(frames, "TNYX"), select="T=all", **settings)
    alone = nd.lensless(Frames(frames[-1], "NYX"), **settings)
    assert _error(series.phase[-1], truth[-1]) < 1.1 * _error(alone.phase, truth[-1]) + 0.01


def test_a_network_that_cannot_hold_its_start_is_told() -> None:
    frames, _ = _moving(32, 1, 1)
    settings = {**RECIPE, "start": "gauss-newton", "gradient": {"iterations": 2}, "network": {"hidden_features": 8}}
    siren, pixels = (nd.lensless(Frames(frames[0], "NYX"), solver=name, **settings) for name in ("siren", "pixels"))
    assert siren.report["start_unexplained"] == pixels.report["start_unexplained"]
    # the data are not to blame
    assert siren.report["warnings"][0].startswith("siren explains the data less well than its start")
    assert not any("dust" in text for text in siren.report["warnings"])
    assert not any("its start" in text for text in pixels.report["warnings"])


def test_only_what_recordings_determine_is_taken_over() -> None:
    model = MultiHeight((48, 48), Heights(Optics(wavelength_um=0.532, pixel_size_um=1.12), DISTANCES_UM))
    power = sum(contrast_power(model))
    unseen = power == 0
    assert unseen.any() and not unseen.all()
    spectrum = torch.randn(48, 48, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    spectrum[0, 0] = 200
    problem = PhaseProblem(model, torch.ones(3, 48, 48))
    kept = torch.fft.fft2(determined(problem, torch.fft.ifft2(spectrum)))
    assert kept[unseen].abs().max() < 1e-3
    clear = power > 0.5 * power.max()
    torch.testing.assert_close(kept[clear], spectrum[clear], rtol=0.03, atol=1e-3)
    torch.testing.assert_close(kept[0, 0], spectrum[0, 0])
