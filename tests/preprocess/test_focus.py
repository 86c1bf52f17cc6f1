"""Sharpness, its peak, and the uncertainty of the peak."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import propagate, transfer_function
from napari_diner.preprocess.focus import Curve, Focus, Refocus, peak, search
from napari_diner.preprocess.settings import FocusSettings, Metric
from napari_diner.preprocess.sharpness import block_sums, sharpness

OPTICS = Optics(pixel_size_um=1.0, wavelength_um=0.5)
DISTANCE_UM = 300.0


def discs(size: int = 128) -> torch.Tensor:
    """Return where a few discs lie, 0 to 1 with soft edges."""
    y, x = np.mgrid[:size, :size]
    places = ((40, 40, 9), (85, 55, 6), (50, 95, 12), (100, 100, 5))
    return torch.from_numpy(sum(1 / (1 + np.exp(2 * (np.hypot(y - cy, x - cx) - r))) for cy, cx, r in places))


SAMPLES = {
    "absorbing": (1 - 0.7 * discs()).to(torch.complex128),
    "transparent": torch.polar(torch.ones(128, 128, dtype=torch.float64), 0.8 * discs()),
    "both": torch.polar(1 - 0.3 * discs(), 0.6 * discs()),
}


def at_the_sensor(sample: torch.Tensor, distance_um: float = DISTANCE_UM) -> torch.Tensor:
    transfer = transfer_function(tuple(sample.shape), OPTICS, distance_um, dtype=torch.complex128)
    return propagate(sample, transfer)


def find_focus(field: torch.Tensor, near_um: float, far_um: float, metric: Metric = "sparse_gradient") -> Focus:
    """Run a search to its end."""
    searching = search(field, near_um, far_um, OPTICS, metric)
    while True:
        try:
            next(searching)
        except StopIteration as end:
            return end.value


def focus_curve(field: torch.Tensor, distances_um: list[float], metric: Metric) -> Curve:
    """Return the sharpness at some distances."""
    refocus = Refocus(field, OPTICS)
    return np.array([float(sharpness(refocus.sums(z, metric).sum(0), metric)) for z in distances_um])


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("metric", ["sparse_gradient", "tamura_gradient"])
def test_a_known_field_is_sharpest_where_its_sample_lies(name: str, metric: Metric) -> None:
    found = find_focus(at_the_sensor(SAMPLES[name]), 200, 420, metric)
    assert found.distance_um == pytest.approx(DISTANCE_UM, abs=0.5 * OPTICS.depth_of_field_um)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_intensity_is_sharpest_near_its_sample(name: str) -> None:
    """The twin image of a single intensity displaces the peak, by less than two depths of field."""
    recorded = at_the_sensor(SAMPLES[name]).abs()
    found = find_focus(recorded, 200, 420)
    assert found.distance_um == pytest.approx(DISTANCE_UM, abs=2 * OPTICS.depth_of_field_um)
    assert not found.at_end


@pytest.mark.parametrize("metric", ["tamura_amplitude", "gini_gradient", "tenengrad"])
def test_other_measures_find_an_absorbing_sample(metric: Metric) -> None:
    found = find_focus(at_the_sensor(SAMPLES["absorbing"]), 200, 420, metric)
    assert found.distance_um == pytest.approx(DISTANCE_UM, abs=OPTICS.depth_of_field_um)


def test_variance_and_laplacian_turn_over_for_transparent_samples() -> None:
    """Measures for absorbing samples are smallest where a transparent sample is in focus."""
    field = at_the_sensor(SAMPLES["transparent"])
    for metric in ("normalised_variance", "laplacian"):
        curve = focus_curve(field, [260.0, DISTANCE_UM, 340.0], metric)
        assert curve.argmin() == 1


def test_sharpness_does_not_depend_on_brightness() -> None:
    field = at_the_sensor(SAMPLES["both"])
    for metric in ("sparse_gradient", "normalised_variance", "gini_gradient"):
        np.testing.assert_allclose(
            focus_curve(field, [280.0, 310.0], metric),
            focus_curve(7 * field, [280.0, 310.0], metric),
            rtol=1e-3,
        )


def test_refocusing_gives_the_sample_back() -> None:
    sample = SAMPLES["both"]
    back = Refocus(at_the_sensor(sample), OPTICS).at(DISTANCE_UM)
    inner = slice(16, -16)
    assert float((back - sample)[inner, inner].abs().max()) < 0.05


def test_figures_against_their_definitions() -> None:
    field = at_the_sensor(SAMPLES["both"]).to(torch.complex64)
    gradient = torch.hypot(
        (field[2:, 1:-1] - field[1:-1, 1:-1]).abs(), (field[1:-1, 2:] - field[1:-1, 1:-1]).abs()
    ).double()
    ordered = gradient.flatten().sort().values
    rank = torch.arange(1, len(ordered) + 1)
    intensity = (field.abs() ** 2).double()
    expected = {
        "sparse_gradient": (gradient**4).mean() / (gradient**2).mean() ** 2,
        "tamura_gradient": (gradient.std(correction=0) / gradient.mean()).sqrt(),
        "gini_gradient": 2 * (rank * ordered).sum() / (len(ordered) * ordered.sum())
        - (len(ordered) + 1) / len(ordered),
        "normalised_variance": intensity.var(correction=0) / intensity.mean() ** 2,
    }
    for metric, value in expected.items():
        found = sharpness(block_sums(field, metric).sum(0), metric)  # type: ignore[arg-type]
        assert float(found) == pytest.approx(float(value), rel=2e-3)


def test_the_top_of_a_parabola_between_steps() -> None:
    z = np.arange(0.0, 50, 2)
    assert peak(z, 5 - (z - 23.3) ** 2, 4.0) == pytest.approx(23.3)
    assert peak(z, z, 4.0) == 48  # no top inside


def test_the_uncertainty_covers_the_scatter_of_noisy_recordings() -> None:
    clean = at_the_sensor(SAMPLES["absorbing"]).abs() ** 2
    found = []
    for seed in range(8):
        noise = 0.08 * torch.from_numpy(np.random.default_rng(seed).standard_normal((128, 128)))
        found.append(find_focus((clean + noise).clamp_min(0).sqrt(), 270, 330))
    scatter = np.std([one.distance_um for one in found], ddof=1)
    stated = np.mean([one.uncertainty_um for one in found])
    assert 0.5 * scatter < stated < 20 * scatter


def test_a_range_without_the_sample_is_told() -> None:
    found: Focus = find_focus(at_the_sensor(SAMPLES["absorbing"]), 312, 330)
    assert found.at_end


@pytest.mark.parametrize("values", [{"near_um": 5}, {"near_um": 5, "far_um": 5}])
def test_a_range_has_two_ends_in_order(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="near_um"):
        FocusSettings.model_validate(values)
