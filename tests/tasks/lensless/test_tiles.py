"""Wide fields in tiles: same result as in one piece, and no visible borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.tiles import TiledMultiHeight
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData, prepare
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.truth import Truth, phase_error
from napari_diner.tasks.result import Result
from tests.tasks.lensless.reconstruction import finished

OPTICS: dict[str, Any] = {
    "wavelength_um": 0.532,
    "pixel_size_um": 1.67,
    "distances_um": (25.0, 35.0, 48.0, 62.0),
}
IN_TILES = {"tiles": {"use": "always", "size_px": 40}}
QUICK = {"iterations": 2, "cg_steps": 20, "warm_up": 10}


@pytest.fixture(scope="module")
def sample() -> LenslessSample:
    return simulate(LenslessSimulation(height_px=160, width_px=128, noise_sigma=0.005, **OPTICS))


@pytest.fixture
def recipe(sample: LenslessSample) -> LenslessRecipe:
    return LenslessRecipe.parse({**OPTICS, "intensity_scale": sample.intensity_scale})


def run(recipe: LenslessRecipe, sample: LenslessSample, compares_settings: bool = False) -> Result:
    truth = Truth(sample.amplitude, sample.phase)
    return finished(recipe, LenslessData(sample.frames), truth, compares_settings=compares_settings)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"padding": {"mode": "reflect", "width_um": 40}},
        {"solver": "alternating", "alternating": {"iterations": 60}},
        {"solver": "pixels", "start": "flat", "gradient": {"iterations": 60, "learning_rate": 0.02}},
        {"solver": "diner", "start": "flat", "gradient": {"iterations": 20}, "diner": {"lattice_size": 24}},
        {"prior": {"total_variation": "noise"}, "noise": {"weighting": "found"}},
    ],
    ids=["plain", "padded", "alternating", "pixels", "diner", "priors"],
)
def test_tiles_find_what_one_piece_finds(
    recipe: LenslessRecipe, sample: LenslessSample, changes: dict[str, Any]
) -> None:
    short: dict[str, Any] = {"gauss_newton": QUICK, **changes}
    whole = run(recipe.updated({**short, "tiles": {"use": "never"}}), sample)
    tiled = run(recipe.updated({**short, **IN_TILES}), sample, compares_settings="solver" not in changes)
    assert "tiles" not in whole.report
    assert tiled.report["tiles"]["rows"] == [0, 40, 80, 120, 160]
    assert tiled.report["loss"] == pytest.approx(whole.report["loss"], rel=0.03)
    difference = phase_error(tiled["phase"].data, whole["phase"].data)
    assert difference.std() < 0.5 * whole.report["truth"]["phase_rmse_rad"]
    np.testing.assert_allclose(tiled["residual"].data, whole["residual"].data, atol=0.05)


def test_no_border_of_a_tile_shows(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    found = run(recipe.updated({**IN_TILES, "gauss_newton": {"iterations": 4, "cg_steps": 30}}), sample)
    error = phase_error(found["phase"].data, sample.phase)
    for axis, name in enumerate(("rows", "columns")):
        across = np.sqrt(np.mean(np.square(np.diff(error, axis=axis)), axis=1 - axis))
        borders = np.array(found.report["tiles"][name][1:-1]) - 1
        elsewhere = np.delete(across, borders)
        assert len(borders) >= 2
        assert across[borders].max() < elsewhere.mean() + 4 * elsewhere.std()


def test_uncertainty_is_estimated_in_tiles(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    wanted = {"uncertainty": {"map": True, "samples": 1, "cg_steps": 20}, "gauss_newton": QUICK}
    whole, tiled = (
        run(recipe.updated({**wanted, **tiles}), sample) for tiles in ({"tiles": {"use": "never"}}, IN_TILES)
    )
    ratio = tiled["uncertainty"].data.mean() / whole["uncertainty"].data.mean()
    assert ratio == pytest.approx(1, rel=0.05)


def test_tiles_are_taken_where_they_are_of_use(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    builder = ModelBuilder(None, torch.device("cpu"))
    prepared = prepare(recipe, LenslessData(sample.frames))
    assert isinstance(builder.problem(Setup.of(recipe), prepared).model, MultiHeight)
    amplitudes = np.ones((4, 2600, 2600), np.float32)
    wide = PreparedFrames(amplitudes, None, 1.0, 1.0, (1.0,) * 4, ())
    model = builder.problem(Setup.of(recipe.updated({"padding": {"mode": "none"}})), wide).model
    assert isinstance(model, TiledMultiHeight)
    assert model.tiles > 1
