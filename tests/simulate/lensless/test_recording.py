"""Simulated lensless recordings: no clipping, requested noise, and exact reconstruction."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from napari_diner.device import available_memory
from napari_diner.errors import DinerError, OutOfMemoryError, RecipeError
from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings

SMALL: dict[str, Any] = {"height_px": 40, "width_px": 48, "distances_um": (60.0, 85.0, 120.0)}


def small(**settings: Any) -> LenslessSample:
    return simulate(LenslessSimulation(**SMALL | settings))


def model_of(sample: LenslessSample, dtype: torch.dtype = torch.complex128, **optics: Any) -> MultiHeight:
    return MultiHeight(
        (sample.amplitude.shape[0], sample.amplitude.shape[1]),
        Heights(
            Optics(sample.pixel_size_um, sample.wavelength_um, sample.medium_index, sample.propagation),
            sample.distances_um,
            intensity_scale=sample.intensity_scale,
            **optics,
        ),
        dtype=dtype,
    )


def data(sample: LenslessSample) -> npt.NDArray[np.float64]:
    return sample.frames / np.iinfo(sample.frames.dtype).max


def modelled(sample: LenslessSample) -> npt.NDArray[np.float64]:
    field = torch.from_numpy(sample.amplitude * np.exp(1j * sample.phase.astype(np.float64)))
    return model_of(sample).intensities(field).numpy()


@pytest.mark.parametrize("propagation", ["angular_spectrum", "fresnel"])
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_data_are_the_model_over_the_scale(bits: int, dtype: type, propagation: str) -> None:
    sample = small(bits=bits, propagation=propagation, medium_index=1.2)
    assert sample.frames.dtype == dtype and sample.frames.shape == (3, 40, 48)
    assert sample.frames.max() == np.iinfo(dtype).max
    # nothing but rounding to whole numbers, so nothing is clipped
    assert np.abs(data(sample) - modelled(sample)).max() <= 0.5001 / np.iinfo(dtype).max


def test_the_sample_tells_how_it_was_recorded() -> None:
    settings = LenslessSimulation(**SMALL, pixel_size_um=0.9, wavelength_um=0.6, medium_index=1.3)
    sample = simulate(settings)
    for name in ("pixel_size_um", "wavelength_um", "distances_um", "medium_index", "propagation"):
        assert getattr(sample, name) == getattr(settings, name)
    assert sample.amplitude.dtype == sample.phase.dtype == np.float32
    assert sample.amplitude.min() == pytest.approx(settings.amplitude_min)
    assert np.ptp(sample.phase) == pytest.approx(settings.phase_range_rad)


def test_the_defaults_are_those_of_the_demonstration() -> None:
    settings = LenslessSimulation()
    assert (settings.height_px, settings.width_px, len(settings.distances_um)) == (256, 256, 6)
    assert (min(settings.distances_um), max(settings.distances_um)) == (300, 700)


def test_the_seed_fixes_specimen_and_noise() -> None:
    noise = {"photons": 1000.0, "noise_sigma": 0.01}
    first, again, other = small(seed=1, **noise), small(seed=1, **noise), small(seed=2, **noise)
    assert np.array_equal(first.frames, again.frames)
    assert not np.array_equal(first.phase, other.phase)
    # the specimen is the same with and without noise
    assert np.array_equal(first.phase, small(seed=1).phase)


def test_shot_noise_has_the_variance_of_its_photons() -> None:
    photons = 400.0
    sample = small(photons=photons)
    clean = small()
    expected = modelled(clean)  # in units of the brightest pixel without noise
    error = data(sample) * sample.intensity_scale / clean.intensity_scale - expected
    assert np.mean(error**2 / expected) * photons == pytest.approx(1, rel=0.05)
    assert abs(error.mean()) < 4 * np.sqrt(expected.mean() / photons / error.size)
    assert sample.frames.max() == 65535  # the noisy maximum is full scale


def test_read_noise_is_a_fraction_of_full_scale() -> None:
    sample, clean = small(noise_sigma=0.02), small()
    error = data(sample) * sample.intensity_scale / clean.intensity_scale - data(clean)
    assert error.std() == pytest.approx(0.02, rel=0.05)
    assert abs(error.mean()) < 0.002


def test_a_reconstruction_is_exact() -> None:
    sample = small()
    amplitudes = torch.from_numpy(np.sqrt(data(sample))).float()
    problem = PhaseProblem(model_of(sample, dtype=torch.complex64), amplitudes)
    solver = GaussNewton(problem, contrast_transfer_inverse(problem.model, amplitudes), GaussNewtonSettings())
    assert list(solver.steps())
    field = solver.result().to(torch.complex128).numpy()
    error = np.angle(field * np.exp(-1j * sample.phase.astype(np.float64)))
    error = np.angle(np.exp(1j * (error - np.angle(np.exp(1j * error).mean()))))
    assert 20 * np.log10(1.7 / error.std()) > 80
    assert 20 * np.log10(1 / np.sqrt(np.mean((np.abs(field) - sample.amplitude) ** 2))) > 80


@pytest.mark.parametrize("distance_um", [50.0, 150.0, 300.0])
def test_the_band_limit_takes_next_to_nothing(distance_um: float) -> None:
    sample = small(distances_um=(distance_um,))
    field = torch.from_numpy(sample.amplitude * np.exp(1j * sample.phase.astype(np.float64)))
    limited, whole = (model_of(sample, band_limit=limit).fields(field) for limit in (True, False))
    assert float((limited - whole).abs().square().sum() / whole.abs().square().sum()) < 1e-6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distances_um": (100.0, -1.0)}, "between 1e-06 and 1e+09, not -1".replace("+", r"\+")),
        ({"distances_um": ()}, "distances_um"),
        ({"bits": 12}, "8 or 16"),
        ({"amplitude_min": 0.0}, "amplitude_min"),
        ({"photons": -5.0}, "photons"),
        ({"size": 3}, "size"),
    ],
)
def test_settings_out_of_bounds_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        LenslessSimulation(**wrong)


def test_what_does_not_fit_the_memory_is_refused() -> None:
    assert available_memory() < 500 * 2**40
    settings = LenslessSimulation(height_px=16384, width_px=16384, distances_um=(100.0,) * 1000)
    if available_memory() > (12 * 1000 + 200) * 16384**2:
        pytest.skip("this machine has more than three terabytes of memory")
    with pytest.raises(OutOfMemoryError, match="16384×16384"):
        simulate(settings)


def test_settings_load_no_torch() -> None:
    code = "import sys, napari_diner.simulate.lensless.recording; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("propagation", ["angular_spectrum", "fresnel"])
@pytest.mark.parametrize("distance_um", [1e-320, 1e-6, 1e9, 1e308])
@pytest.mark.parametrize("pixel_size_um", [1e-320, 1e-6, 1000])
@pytest.mark.parametrize("wavelength_um", [1e-320, 1e-6, 1000])
def test_extreme_lengths_are_simulated_or_refused(
    wavelength_um: float, pixel_size_um: float, distance_um: float, propagation: str
) -> None:
    lengths = {"wavelength_um": wavelength_um, "pixel_size_um": pixel_size_um, "distances_um": (distance_um,)}
    try:
        sample = small(**lengths, height_px=16, width_px=16, propagation=propagation)
    except DinerError:
        return
    assert 1e-320 not in (*lengths.values(), distance_um)
    assert sample.frames.max() > 0
