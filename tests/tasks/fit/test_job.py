"""Fitting representations to data: from a recipe to a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.errors import DinerError, InputError
from napari_diner.representations.registry import representations
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.result import Result
from tests.tasks.fit import small_fits
from tests.tasks.fit.small_fits import SMALL_NETWORKS, start

# searches take most of the time of such small fits
QUICK: dict[str, Any] = {"epochs": 60, "training": {"searches": 4}, **SMALL_NETWORKS}


def fit(data: Any, **changes: Any) -> Result:
    return small_fits.fit(FitRecipe.parse(QUICK).updated(changes), data)


def psnr_db(found: npt.NDArray[Any], wanted: npt.NDArray[Any], peak: float) -> float:
    return float(10 * np.log10(peak**2 / np.mean((found.astype(float) - wanted) ** 2)))


@pytest.mark.parametrize(
    ("shape", "axes", "dtype", "channels"),
    [
        ((20, 24), "YX", "uint8", "joint"),
        ((20, 24), "YX", "float32", "joint"),
        ((20, 24, 3), "YXS", "uint8", "joint"),
        ((20, 24, 3), "YXS", "uint8", "separate"),
        ((2, 20, 24), "CYX", "uint16", "joint"),
        ((4, 20, 24), "TYX", "uint16", "joint"),
        ((3, 2, 12, 14), "ZCYX", "uint16", "joint"),
        ((2, 3, 8, 10, 3), "TZYXS", "uint8", "joint"),
        ((1, 30), "YX", "uint8", "joint"),
    ],
)
def test_data_of_every_kind_come_back_in_their_own_form(
    shape: tuple[int, ...], axes: str, dtype: str, channels: str
) -> None:
    grids = np.meshgrid(*[np.linspace(0, 1, size) for size in shape], indexing="ij")
    smooth = sum((place + 1) * grid for place, grid in enumerate(grids)) / 15
    top = {"uint8": 255, "uint16": 4000, "float32": 1.7}[dtype]
    data = (smooth * top).astype(dtype)
    scale = tuple(0.5 + place for place in range(len(shape)))
    result = fit(FitData(data, axes, scale), channels=channels, epochs=150)
    found = result["reconstruction"]
    assert (found.data.shape, found.data.dtype, found.axes, found.scale_um) == (shape, data.dtype, axes, scale)
    assert psnr_db(found.data, data, np.ptp(data).astype(float)) > 30
    assert result.recipe.axes == axes


def test_sixteen_bits_are_not_crushed_to_eight(volume: npt.NDArray[np.uint16]) -> None:
    result = fit(FitData(volume, "ZYX"), bit_exact=True)
    assert np.array_equal(result["reconstruction"].data, volume)
    assert len(np.unique(result["reconstruction"].data)) > 256


@pytest.mark.parametrize("backbone", ["siren", "mlp", "finer"])
def test_bit_exact_is_bit_exact(image: npt.NDArray[np.uint8], backbone: str) -> None:
    result = fit(image, bit_exact=True, diner={"backbone": backbone})
    assert np.array_equal(result["reconstruction"].data, image)
    assert result.report["identical"] == 1
    assert result.report["warnings"] == []


def test_the_report_says_what_was_reached(image: npt.NDArray[np.uint8]) -> None:
    result = fit(FitData(image, "YXS", source_bytes=1000))
    report, found = result.report, result["reconstruction"].data
    # what the network gives before rounding, against what was written
    assert report["psnr_db"] == pytest.approx(psnr_db(found, image, 255), abs=0.2)
    assert report["measurement_psnr_db"] == report["psnr_db"]
    assert report["identical"] == pytest.approx(float(np.mean(found == image)))
    pixels = image.shape[0] * image.shape[1]
    network = (2 * 24 + 24) + (24 * 24 + 24) + (24 * 3 + 3)
    assert report["table_parameters"] == 2 * pixels
    assert report["parameters"] == 2 * pixels + network
    assert report["source_bits_per_pixel"] == pytest.approx(8000 / pixels)
    assert report["bits_per_pixel"] == pytest.approx(8 * report["model_bytes"] / pixels)
    assert report["iterations"] == 60
    assert not result.partial


def test_all_representations(image: npt.NDArray[np.uint8]) -> None:
    reached = {
        kind: fit(image, representation=kind, epochs=300, learning_rate=5e-3).report["psnr_db"]
        for kind in representations()
    }
    assert min(reached.values()) > 15
    assert reached["diner"] > max(reached["siren"], reached["pe-mlp"]) + 5
    assert reached["pixels"] > 100


def test_the_arrangement_of_pixels_does_not_matter() -> None:
    # Proposition 2, for values that share their keys: the table is the same, only the index differs
    rng = np.random.default_rng(0)
    image = rng.integers(0, 6, (24, 30, 3)).astype(np.uint8) * 40
    flat = image.reshape(-1, 3)
    shuffled = rng.permutation(flat).reshape(image.shape)
    ordered = flat[np.lexsort(flat.T)].reshape(image.shape)
    results = [fit(data) for data in (image, shuffled, ordered)]
    for other in results[1:]:
        assert other.report["psnr_db"] == results[0].report["psnr_db"]
        for name, weight in results[0].weights.items():
            if name != "index":
                assert np.array_equal(weight, other.weights[name])


def test_same_seed_same_result(image: npt.NDArray[np.uint8]) -> None:
    first, second, third = fit(image), fit(image), fit(image, seed=1)
    assert np.array_equal(first["reconstruction"].data, second["reconstruction"].data)
    assert not np.array_equal(first["reconstruction"].data, third["reconstruction"].data)


@pytest.mark.parametrize("bits", [8, 16])
def test_fewer_bits_are_smaller_and_their_cost_is_told(image: npt.NDArray[np.uint8], bits: int) -> None:
    full, small = fit(image), fit(image, stored_bits=bits)
    assert small.report["float_psnr_db"] == pytest.approx(full.report["psnr_db"], abs=1e-6)
    assert small.report["psnr_db"] <= small.report["float_psnr_db"] + 1e-3
    assert small.report["bits_per_pixel"] < full.report["bits_per_pixel"]
    # the reconstruction is that of the table as it is stored
    assert psnr_db(small["reconstruction"].data, image, 255) == pytest.approx(small.report["psnr_db"], abs=0.2)


def test_a_run_that_is_stopped_keeps_the_best_so_far(image: npt.NDArray[np.uint8]) -> None:
    with start(FitRecipe.parse(QUICK).updated({"epochs": 1000}), image) as run:
        for progress in run:
            if progress.iteration == 50:
                break
        result = run.result()
        assert result.partial
        assert result.report["iterations"] == 50
        assert result.report["psnr_db"] == pytest.approx(progress.losses["psnr_db"], abs=2)
        # asking for the result has not disturbed the run
        again = next(run)
        assert again.iteration == 51
        assert again.losses["loss"] < 1.2 * progress.losses["loss"]


def test_previews_show_a_plane(volume: npt.NDArray[np.uint16], image: npt.NDArray[np.uint8]) -> None:
    def last_preview(data: FitData, **changes: Any) -> Any:
        recipe = FitRecipe.parse(QUICK).updated({"epochs": 150, **changes})
        with start(recipe, data, preview_interval_s=0.0) as run:
            previews = [progress.preview[0] for progress in run if progress.preview]
        return previews[-1]

    shown = last_preview(FitData(volume, "ZYX", (2.0, 0.5, 0.5)))
    assert (shown.axes, shown.scale_um) == ("YX", (0.5, 0.5))
    assert psnr_db(shown.data, volume[3], float(np.ptp(volume))) > 25
    for kind in ("diner", "hash-grid"):
        colour = last_preview(FitData(image, "YXS"), representation=kind)
        assert colour.axes == "YXS"
        assert psnr_db(colour.data, image, 255) > 20
    channels = last_preview(FitData(np.moveaxis(image, -1, 0), "CYX"))
    assert channels.axes == "CYX"
    assert psnr_db(np.moveaxis(channels.data, 0, -1), image, 255) > 20


def test_there_is_no_preview_of_a_flat_colour(image: npt.NDArray[np.uint8]) -> None:
    for data, has_detail in ((image, True), (np.full_like(image, 7), False)):
        with start(FitRecipe.parse(QUICK).updated({"epochs": 60}), FitData(data, "YXS"), preview_interval_s=0.0) as run:
            previews = [progress.preview for progress in run]
        assert bool(previews[0]) is not has_detail
        for (shown,) in filter(None, previews):
            assert shown.data.std((0, 1)).max() >= 0.05 * data.std((0, 1)).max()
        assert previews[-1]


def test_a_time_limit_is_kept_and_told(image: npt.NDArray[np.uint8]) -> None:
    result = fit(image, epochs=10_000_000, max_seconds=1.0)
    assert result.report["stopped_by_time_limit"]
    assert not result.partial
    # the first use of an optimiser loads parts of torch
    assert 0.5 < result.report["seconds"] < 8


def test_constant_data_are_no_trouble() -> None:
    data = np.full((16, 18), 7, np.uint8)
    result = fit(data, epochs=150)
    assert np.array_equal(result["reconstruction"].data, data)


def test_constant_data_are_named_and_end_soon() -> None:
    data = np.tile(np.array([4, 90, 11], np.uint8), (12, 14, 1))
    result = fit(data, epochs=1_000_000, representation="siren")
    assert result.report["iterations"] == 100
    warning, *others = result.report["warnings"]
    assert not others
    assert "all samples of the data are 4, 90, 11, so that there is nothing to learn" in warning


@pytest.mark.parametrize(
    ("data", "changes", "problem"),
    [
        (np.ones((4, 5, 6), np.uint8), {"axes": "YX"}, "are 2 but the data, 4×5×6, have 3"),
        (np.full((4, 5), np.nan), {}, "not finite"),
        (np.ones((4, 5), complex), {}, "complex128; give amplitude and phase"),
        (np.ones((4, 5), bool), {}, "bool; convert the mask to 8 bits"),
        (np.ones((4, 5), np.int64), {}, "32 bits or less"),
        pytest.param(
            np.ones((4, 5), np.longdouble),
            {},
            "32 bits or less",
            marks=pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no longer here than a double"),
        ),
        (np.ones((0, 5)), {}, "empty"),
        (np.ones(5), {}, "no usual axes"),
        (np.ones((4, 5), np.float32), {"bit_exact": True}, "only integers"),
    ],
)
def test_data_that_cannot_be_used(data: npt.NDArray[Any], changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        start(FitRecipe.parse(QUICK).updated(changes), data)


def test_a_closed_run_holds_nothing_but_the_result_that_was_asked_for(image: npt.NDArray[np.uint8]) -> None:
    run = start(FitRecipe.parse(QUICK), image)
    next(run)
    run.close()
    with pytest.raises(DinerError, match="no result yet"):
        run.result()


def test_the_result_holds_the_placed_keys(image: npt.NDArray[np.uint8]) -> None:
    for unique in (True, False):
        reached = {
            steps: fit(image, epochs=300, learning_rate=5e-3, training={"key_steps": steps, "unique": unique})
            for steps in (0, 6)
        }
        gain = reached[6].report["psnr_db"] - reached[0].report["psnr_db"]
        assert gain > 0.5


def test_a_time_limit_leaves_time_to_place_the_keys(image: npt.NDArray[np.uint8]) -> None:
    report = fit(image, epochs=10_000_000, max_seconds=1.0).report
    assert [stage["name"] for stage in report["stages"]] == ["diner-siren", "placing keys"]
    assert report["stages"][0]["seconds"] < 1.2


def test_what_was_left_open_is_stored_with_the_result(image: npt.NDArray[np.uint8]) -> None:
    result = fit(FitData(image, "YXS", (0.5, 0.5, 1.0)), diner={"lattice_size": None}, representation="diner")
    recipe = result.recipe
    assert isinstance(recipe, FitRecipe)
    assert (recipe.axes, recipe.pixel_size_um, recipe.diner.table_width) == ("YXS", 0.5, 2)
    assert recipe.diner.lattice_size is not None
    assert recipe.learning_rate is not None
    # with everything decided, the same again
    again = fit(FitData(image), **recipe.model_dump(exclude={"axes"}), axes="YXS")
    assert np.array_equal(again["reconstruction"].data, result["reconstruction"].data)


def test_an_offset_changes_nothing() -> None:
    y, x = np.mgrid[:24, :20]
    image = np.rint(90 * (1 + np.sin(x / 3) * np.cos(y / 5)))
    scores = {}
    for dtype, offset in (("uint16", 0), ("uint32", 3_900_000_000), ("int32", -2_000_000_000)):
        result = fit((image + offset).astype(dtype), training={"searches": 20})
        scores[dtype] = result.report["psnr_db"]
        np.testing.assert_allclose(result.reconstruction - float(offset), image, atol=20)
    assert len(set(scores.values())) == 1
