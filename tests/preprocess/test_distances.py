"""The test of distances by the linear theory of weak objects, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.physics.optics import Optics
from napari_diner.preprocess.distances import DistanceFit, reversed_order

LIGHT = Optics(1.4, 0.633)
UNEVEN = (260.0, 310.0, 350.0, 420.0, 455.0)
EVEN = (260.0, 320.0, 380.0, 440.0)


def fit(distances: tuple[float, ...], **settings: float) -> DistanceFit:
    data = nd.sample(
        "lensless", height_px=112, width_px=100, wavelength_um=LIGHT.wavelength_um, distances_um=distances,
        pixel_size_um=LIGHT.pixel_size_um, **settings,
    )  # fmt: skip
    shifts = data.recipe.shifts_um
    return DistanceFit(np.sqrt(data.data.data.astype(np.float32)), LIGHT, shifts, repeats=True)


def test_no_other_order_fits_better_than_the_right_one() -> None:
    best, order = fit(UNEVEN).best_order(UNEVEN)
    assert order.tolist() == list(UNEVEN) and best < -0.5


def test_exchanges_are_those_of_the_whole_misfit() -> None:
    exact = fit(UNEVEN)
    for misfit, distances in exact.exchanges(np.array(UNEVEN)):
        assert misfit == pytest.approx(exact.misfit(distances), abs=1e-4)


@pytest.mark.parametrize("order", [(0, 3, 2, 1, 4), (1, 2, 3, 4, 0), (4, 3, 2, 1, 0), (2, 0, 4, 1, 3)])
def test_any_order_is_put_right(order: tuple[int, ...]) -> None:
    given = [UNEVEN[number] for number in order]
    assert fit(UNEVEN, noise_sigma=0.005).best_order(given)[1].tolist() == list(UNEVEN)


@pytest.mark.parametrize(("frame", "factor"), [(0, 0.82), (3, 1.16), (4, 10.0), (2, 1.04)])
def test_a_single_wrong_distance_shows(frame: int, factor: float) -> None:
    given = list(UNEVEN)
    given[frame] *= factor
    exact = fit(UNEVEN, noise_sigma=0.003)
    misfit, found, by = exact.best_single(given)
    assert found == frame and by * given[frame] == pytest.approx(UNEVEN[frame], rel=0.02)
    given[frame] *= by
    assert misfit == pytest.approx(exact.misfit(given), abs=1e-3)


def test_shifts_are_taken_into_account() -> None:
    assert fit(UNEVEN, drift_px=3.0).misfit(UNEVEN) == pytest.approx(fit(UNEVEN).misfit(UNEVEN), abs=0.2)


@pytest.mark.parametrize("factor", [0.9, 1.12])
def test_a_common_factor_shows(factor: float) -> None:
    found = fit(UNEVEN, phase_range_rad=0.5, amplitude_min=0.8).scales([factor * z for z in UNEVEN], 1)[0]
    assert found == pytest.approx(1 / factor, abs=0.04)


def test_a_common_length_and_an_even_list_in_reverse_do_not_show() -> None:
    weak = fit(EVEN, phase_range_rad=0.5, amplitude_min=0.8)
    right = weak.misfit(EVEN)
    assert weak.misfit([z + 90 for z in EVEN]) == pytest.approx(right, abs=1e-3)
    assert weak.misfit(reversed_order(EVEN)) == pytest.approx(right, abs=1e-3)
    assert weak.misfit([z + 40 * (n == 1) for n, z in enumerate(EVEN)]) > right + 0.5


def test_two_frames_and_flat_ones_tell_nothing() -> None:
    assert not fit(EVEN[:2]).is_usable
    assert not DistanceFit(np.ones((4, 40, 40)), LIGHT).is_usable
