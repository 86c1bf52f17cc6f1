"""Islands without data and broken pixels are detected, and not confused with patterns of light."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.errors import DinerError
from napari_diner.preprocess.no_data import broken_pixels, filled, isolated, no_data_value, outliers
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

PLACES = ([4, 20, 31, 40], [7, 33, 12, 44])
LIGHT = {"wavelength_um": 0.532, "pixel_size_um": 1.12}
DISTANCES = (300.0, 350.0, 420.0, 480.0)


def recording(**settings: Any) -> npt.NDArray[Any]:
    data = nd.sample("lensless", height_px=48, width_px=52, distances_um=DISTANCES, **LIGHT, **settings)
    return np.asarray(data.data.data)


def with_island(frames: npt.NDArray[Any], value: float) -> npt.NDArray[Any]:
    changed = frames.copy()
    changed[1, 5:9, 10:20] = value
    return changed


@pytest.mark.parametrize(
    ("frames", "value"),
    [
        (recording() // 16, 65535),
        (recording().astype(np.float32), -9999.0),
        (recording().astype(np.int32), -32768),
        (recording() / 65535, -3.4e38),
    ],
)
def test_islands_without_data_are_found(frames: npt.NDArray[Any], value: float) -> None:
    assert no_data_value(frames) is None
    assert no_data_value(with_island(frames, value)) == pytest.approx(value)


def test_saturated_light_and_negative_noise_are_data() -> None:
    frames = recording()
    assert no_data_value(np.minimum(frames, 20_000)) is None
    assert no_data_value(np.minimum(frames, 20_000).astype(np.int32) - int(frames.min()) - 1) is None


@pytest.mark.parametrize("settings", [{}, {"noise_sigma": 0.02, "bits": 8}, {"photons": 100.0}, {"drift_px": 3.0}])
def test_broken_pixels_are_found_and_light_is_not_taken_for_them(settings: dict[str, Any]) -> None:
    frames = recording(**settings)
    assert not broken_pixels(frames).any()
    full = np.iinfo(frames.dtype).max
    for number, (row, column) in enumerate(zip(*PLACES, strict=True)):
        frames[:, row, column] = full if number % 2 else 0
    found = broken_pixels(frames)
    assert found[PLACES].sum() >= 2 and found.sum() == found[PLACES].sum()


def test_they_do_not_count_in_a_lensless_run_and_are_filled_for_idt() -> None:
    frames = with_island(recording() // 16, 65535)
    frames[:, 20, 33] = 8000
    job = nd.lensless.start(frames, **LIGHT, distances_um=DISTANCES).job
    assert "40 pixels are without data, as they hold 65535, and are ignored" in job.warnings
    assert "1 pixel is dead or hot and is ignored" in job.warnings
    assert not any("saturated" in text for text in job.all_warnings)

    data = nd.sample("idt", height_px=32, width_px=36, slices=4, frames=6, model="born")
    bright = data.data.data.copy()
    bright[:, 10, 12] = 3.0
    idt = task("idt")
    recipe = data.recipe.updated({"stack": None, "solver": "tikhonov"})
    warnings = idt.start(recipe, Frames(bright)).warnings
    assert any(text.startswith("1 pixel is dead or hot and is filled") for text in warnings)
    np.testing.assert_allclose(
        filled(bright, broken_pixels(bright))[:, 10, 12], data.data.data[:, 10, 12], atol=0.1, rtol=0
    )
    # an island, and one so large that the frames do not look like ratios any more
    large = bright.copy()
    large[:, 4:12, 4:12] = -9999.0
    for frames in (with_island(bright, -9999.0), large):
        with pytest.raises(DinerError, match="hold -9999, far from all other values"):
            idt.start(recipe, Frames(frames))


@pytest.mark.parametrize(
    ("value", "dtype"), [(1e9, "float64"), (-9999, "float32"), (-1e7, "int32"), (65535, "uint16"), (np.inf, "float32")]
)
@pytest.mark.parametrize("place", [(1, 20, 30), (0, 0, 0), (3, 47, 51)])
def test_single_outliers_are_found(value: float, dtype: str, place: tuple[int, int, int]) -> None:
    frames = (recording() // 40).astype(dtype)
    assert not outliers(frames).any()
    frames[place] = value
    assert np.argwhere(outliers(frames)).tolist() == [list(place)]


def test_saturated_pixels_without_bright_neighbours_are_hits_and_bound_no_light() -> None:
    frames = recording() // 2
    level = np.quantile(frames, 0.97)
    clipped = np.round(np.minimum(frames / level, 1) * 3500).astype(np.uint16)
    full = clipped == 3500
    assert full.any() and not isolated(clipped, full).any()
    rng = np.random.default_rng(11)
    places = tuple(rng.integers(2, size, 12) for size in (3, *(side - 3 for side in clipped.shape[1:])))
    dim = clipped[places] < 2000
    places = tuple(part[dim] for part in places)
    clipped[places] = 3500
    found = isolated(clipped, clipped == 3500)
    assert found[places].mean() > 0.8 and found.sum() == found[places].sum()


def test_few_photons_and_bright_spots_are_no_outliers() -> None:
    rng = np.random.default_rng(0)
    for mean in (0.03, 0.5, 5.0):
        assert not outliers(rng.poisson(mean, (3, 200, 300)).astype(np.uint16)).any()
    y, x = np.mgrid[:64, :80]
    spots = 10.0 + sum(1000 * np.exp(-((y - row) ** 2 + (x - 30) ** 2)) for row in (10, 40))
    assert not outliers(rng.poisson(spots)[None]).any()


@pytest.mark.parametrize(("name", "output"), [("lensless", "phase"), ("idt", "n_re")])
@pytest.mark.parametrize("value", [1e6, -9999.0])
def test_one_outlier_changes_next_to_nothing(name: str, output: str, value: float) -> None:
    sizes = {
        "lensless": {"height_px": 48, "width_px": 48},
        "idt": {"height_px": 32, "width_px": 32, "slices": 4, "frames": 8},
    }
    sample = nd.sample(name, **sizes[name])
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"}) | {"device": "cpu"}
    values |= {"gauss_newton": {"iterations": 4, "cg_steps": 10}} if name == "lensless" else {"solver": "tikhonov"}
    frames = np.asarray(sample.data.data, np.float64)
    frames /= 1 if name == "idt" else frames.max()
    good = getattr(nd, name)(frames, **values)
    frames[1, 20, 11] = value
    result = getattr(nd, name)(frames, **values)
    assert any(warning.startswith("1 pixel is far above or below") for warning in result.report["warnings"])
    difference = np.asarray(getattr(result, output)) - np.asarray(getattr(good, output))
    assert np.sqrt(np.mean(difference**2)) < 0.02 * np.std(np.asarray(getattr(good, output)))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_half_precision_holds_numbers_near_its_limit() -> None:
    frames = recording().astype(np.float64) / 65535 * 60000
    frames[2, 9, 14] = 65000
    assert not outliers(frames.astype(np.float16)).any()
