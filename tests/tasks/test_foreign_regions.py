"""Regions of single frames that do not fit the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.tasks.foreign_regions import Region, foreign_regions, warnings_of_regions
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

Array = npt.NDArray[np.float64]


def noise(shape: tuple[int, int, int], seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def test_a_region_is_found_with_its_frame_and_place() -> None:
    residual = 0.05 * noise((9, 80, 120))
    residual[4, 30:40, 90:120] += 1.0
    (region,) = foreign_regions(residual, noise(residual.shape, 1))
    assert (region.frame, region.rows, region.columns) == (4, (30, 40), (90, 120))
    assert region.excess > 50
    (text,) = warnings_of_regions([region], "mask it")
    assert "frame 5 in rows 31 to 40 and columns 91 to 120" in text
    assert text.endswith("; mask it")


def test_half_of_a_frame_is_a_region() -> None:
    residual = 0.1 * noise((6, 64, 72))
    residual[2, :, :36] = noise((1, 64, 36), 3)[0]
    (region,) = foreign_regions(residual, noise(residual.shape, 1))
    assert (region.frame, region.rows, region.columns) == (2, (0, 64), (0, 36))


def test_noisier_frames_places_that_are_hard_to_explain_and_whole_frames_are_no_regions() -> None:
    residual = 0.05 * noise((8, 64, 64))
    residual *= np.linspace(1, 8, 8)[:, None, None]
    residual[:, 16:40, 20:30] *= 6
    assert foreign_regions(residual, noise(residual.shape, 1)) == []
    foreign = 0.01 * noise((8, 64, 64))
    sparse = np.zeros_like(foreign)
    sparse[:, 16:40, 20:40] = noise((8, 24, 20), 2)
    foreign[3] += sparse[3]
    assert foreign_regions(foreign, sparse) == []
    assert foreign_regions(residual[:3], residual[:3]) == []


def test_a_residual_that_is_small_everywhere_is_not_named() -> None:
    residual = 1e-6 * noise((6, 64, 64))
    residual[1, :16, :16] *= 1e4
    assert foreign_regions(residual, noise(residual.shape, 1)) == []


def test_many_regions_are_counted() -> None:
    regions = [Region(number, (0, 8), (8, 16), 20.0) for number in range(5)]
    (text,) = warnings_of_regions(regions, "mask them")
    assert "frame 3 in rows 1 to 8 and columns 9 to 16; and 2 more;" in text
    assert warnings_of_regions([], "mask them") == []


@pytest.mark.parametrize("name", ["lensless", "idt"])
def test_half_a_frame_of_another_recording_is_named_after_a_run(name: str) -> None:
    (offered,) = task(name).samples
    sizes = {"height_px": 64, "width_px": 64, "slices": 8, "frames": 16, "distances_um": tuple(range(300, 700, 80))}
    known = {key: value for key, value in sizes.items() if key in offered.settings.model_fields}
    made, other = (offered.make(offered.settings(**known, seed=seed)) for seed in (0, 1))
    quick = {"gauss_newton": {"iterations": 8}} if name == "lensless" else {"solver": "tikhonov"}
    recipe = made.recipe.updated({"stack": None, **quick})

    def said(frames: npt.NDArray[np.generic]) -> list[str]:
        with task(name).start(recipe, Frames(frames)) as run:
            for _ in run:
                pass
            return [text for text in run.result().report["warnings"] if text.startswith("some regions do not fit")]

    assert said(made.data.data) == []
    foreign = np.array(made.data.data)
    foreign[3, :, 32:] = other.data.data[3, :, 32:]
    (text,) = said(foreign)
    assert "frame 4 in rows 1 to" in text
    assert "leave_out" in text


def test_cells_that_are_hard_to_explain_in_many_frames_are_no_regions() -> None:
    """As of a sample that scatters strongly: its shadows lie in another place in each frame."""
    residual, trivial = noise((16, 64, 64)), 3 * noise((16, 64, 64), 1)
    for number in range(16):
        row, column = divmod(number, 4)
        residual[number, 16 * row : 16 * row + 8, 16 * column : 16 * column + 8] *= 6
    assert foreign_regions(residual, trivial) == []
    residual[5, 48:56, 32:40] *= 30
    assert [region.frame for region in foreign_regions(residual, trivial)] == [5]
