"""Derived phase images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.errors import RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.phase_output import PhaseOutputSettings, levelled, phase_images, unwrap
from napari_diner.tasks.lensless.recipe import LenslessRecipe

Y, X = np.mgrid[:90, :110] / 100
BUMP = 9 * np.exp(-((Y - 0.5) ** 2 + (X - 0.6) ** 2) / 0.03)


def wrapped(phase: np.ndarray) -> np.ndarray:
    return np.angle(np.exp(1j * phase)).astype(np.float32)


def images(phase: np.ndarray, **settings: object) -> dict[str, NamedArray]:
    made = phase_images(
        NamedArray("phase", wrapped(phase), "YX", (0.5, 0.5), "rad"), PhaseOutputSettings.model_validate(settings), 0.6
    )
    return {array.name: array for array in made}


def test_a_phase_of_many_turns_is_unwrapped() -> None:
    unwrapped = unwrap(wrapped(BUMP + 4 * X))
    difference = unwrapped - (BUMP + 4 * X)
    assert np.ptp(difference) < 1e-5
    assert difference.mean() / (2 * np.pi) == pytest.approx(round(difference.mean() / (2 * np.pi)), abs=1e-5)
    assert abs(np.median(unwrapped)) <= np.pi


@pytest.mark.parametrize(
    ("remove", "surface"), [("plane", 3 - 8 * Y + 5 * X), ("curvature", 3 - 8 * Y + 5 * X + 4 * X**2 - 3 * X * Y)]
)
def test_slope_and_curvature_are_removed_but_not_the_sample(remove: str, surface: np.ndarray) -> None:
    sample = BUMP * (BUMP > 0.5)
    level = levelled((surface + sample).astype(np.float32), remove)  # type: ignore[arg-type]
    np.testing.assert_allclose(level, sample, atol=0.05)


def test_nothing_is_made_unless_asked_for() -> None:
    assert images(BUMP) == {}
    assert set(images(BUMP, unwrap=True)) == {"unwrapped_phase"}


def test_optical_path_and_thickness_are_lengths() -> None:
    made = images(BUMP + 5 * X, remove="plane", optical_path=True, index_difference=0.05)
    assert [(array.name, array.unit, array.scale_um) for array in made.values()] == [
        ("unwrapped_phase", "rad", (0.5, 0.5)),
        ("optical_path_um", "µm", (0.5, 0.5)),
        ("thickness_um", "µm", (0.5, 0.5)),
    ]
    # a phase of 9 rad at 0.6 µm is 0.859 µm of path, 17.2 µm of a material 0.05 above its surroundings
    assert made["optical_path_um"].data.max() == pytest.approx(9 / (2 * np.pi) * 0.6, rel=0.02)
    assert made["thickness_um"].data.max() == pytest.approx(9 / (2 * np.pi) * 0.6 / 0.05, rel=0.02)


def test_an_index_difference_of_zero() -> None:
    with pytest.raises(RecipeError, match="other than zero"):
        PhaseOutputSettings(index_difference=0)
    with pytest.raises(RecipeError, match=r"^phase_output\.index_difference = 0 cannot be used"):
        LenslessRecipe.parse({"phase_output": {"index_difference": 0, "remove": "plane"}})
