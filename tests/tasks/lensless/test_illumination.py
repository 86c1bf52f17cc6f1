"""Illuminations that are not even: given with their phase, or solved for with the object."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from napari_diner.errors import InputError, RecipeError
from napari_diner.simulate.lensless.illumination import illumination
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.task import LenslessTask, simulate
from napari_diner.tasks.result import Result
from napari_diner.tasks.sample import SampleData
from tests.tasks.lensless.reconstruction import finished

SIZE = 64


@functools.cache
def sample(positions: int) -> SampleData:
    settings = LenslessSimulation(
        height_px=SIZE, width_px=SIZE, distances_um=(80.0, 110.0), illumination="vignetted",
        lateral_positions=positions, lateral_step_px=9.0,
    )  # fmt: skip
    return simulate(settings)


def solved(positions: int, changes: dict[str, Any], **fields: Any) -> Result:
    one = sample(positions)
    recipe = one.recipe.updated(changes)
    assert isinstance(recipe, LenslessRecipe)
    data = LenslessData(one.data.data, **fields)
    return finished(recipe, data, LenslessTask().truth_of(one), compares_settings=True)


def test_it_is_solved_for_from_an_object_that_moves() -> None:
    result = solved(3, {"unknown_illumination": {"solve": True}})
    assert result.report["truth"]["phase_psnr_db"] > 35
    assert result.report["unexplained"] < 1e-3
    assert not result.report["warnings"]
    images = {image.name: image.data for image in result.arrays}
    amplitude = images["illumination_amplitude"]
    truth = np.abs(illumination("vignetted", (SIZE, SIZE), 0))
    assert np.abs(amplitude / amplitude.mean() - truth / truth.mean()).max() < 0.02
    assert result.report["illumination"]["phase_rms_rad"] == pytest.approx(images["illumination_phase"].std(), rel=1e-2)


def test_it_can_be_given_with_its_phase() -> None:
    light = illumination("vignetted", (SIZE, SIZE), 0)
    amplitude, phase = np.abs(light), np.angle(light)
    both = solved(3, {}, illumination=amplitude, illumination_phase=phase).report
    assert both["truth"]["phase_psnr_db"] > 40
    assert both["unexplained"] < 0.01 * solved(3, {}, illumination=amplitude).report["unexplained"]


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(RecipeError, match="cannot be told apart"):
        LenslessRecipe(unknown_illumination={"solve": True})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="cannot be registered or calibrated"):
        LenslessRecipe(positions_um=((0, 0), (1, 2)), calibration={"z": True})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="illumination has 3×3 pixels"):
        solved(3, {}, illumination_phase=np.zeros((3, 3)))
    one = sample(3)
    line = tuple((0.0, 5.0 * number) for number in range(6))
    recipe = one.recipe.updated({"positions_um": line, "unknown_illumination": {"solve": True}})
    assert any("lie on a line" in text for text in LenslessTask().job(recipe, LenslessData(one.data.data)).all_warnings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("factor", "warned"), [(1.0, False), (180 / np.pi, True)])
def test_a_phase_in_degrees_is_doubted(factor: float, warned: bool) -> None:
    made = simulate(LenslessSimulation(height_px=48, width_px=48, distances_um=(150.0, 210.0, 290.0)))
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    data = LenslessData(made.data.data, illumination_phase=factor * 0.75 * (y**2 + x**2))
    warnings = LenslessTask().job(LenslessRecipe.parse(made.recipe.model_dump()), data).all_warnings
    assert any("not degrees" in text for text in warnings) == warned
