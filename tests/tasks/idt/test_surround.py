"""An unknown surround of a volume: choice and benefit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.physics.padding import Padding
from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import TotalVariation, VolumePriors
from napari_diner.tasks.idt import crop
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.memory import plan
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.surround import width_px
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.surround import repeat
from tests.tasks.idt.small_recordings import MEDIUM, SETTINGS, Array, Recording, reconstructed

INSIDE = np.s_[..., 24:72, 28:72]
QUICK: dict[str, Any] = {"regularization": {"tv": 5e-3}, "iterations": 25}


@pytest.fixture(scope="module")
def wide() -> Recording:
    """Beads all over a periodic field, of which the camera sees the middle."""
    random = np.random.default_rng(3)
    z, y, x = np.mgrid[:8, :96, :96].astype(float)
    beads = np.zeros(z.shape)
    for _ in range(45):
        place, radius = random.uniform((1.5, 0, 0), (6.5, 96, 96)), random.uniform(0.5, 1.1)
        dy, dx = ((axis - centre + 48) % 96 - 48 for axis, centre in ((y, place[1]), (x, place[2])))
        distance = np.sqrt(((z - place[0]) * 0.6) ** 2 + (dy**2 + dx**2) * 0.1625**2)
        beads = np.maximum(beads, random.uniform(0.5, 1) / (1 + np.exp((distance - radius) / 0.08)))
    n_re = MEDIUM + 0.004 * beads
    contrast = permittivity_contrast(torch.from_numpy(n_re), torch.zeros(n_re.shape, dtype=torch.float64), MEDIUM)
    model = BornModel(VolumeGeometry((8, 96, 96), 0.6, 0.515, MEDIUM, 0.1625, 0.65), ring(0.637, 12))
    frames = model.forward(contrast.float()).numpy() + 0.003 * random.standard_normal((12, 96, 96))
    return Recording(frames.astype(np.float32), TrueVolume(n_re, np.zeros_like(n_re)), IdtRecipe.parse(SETTINGS))


def part(recording: Recording) -> Array:
    return np.ascontiguousarray(recording.frames[INSIDE])


def likeness(volume: Array, recording: Recording) -> float:
    """Correlation with the truth in the part."""
    return float(np.corrcoef(volume.ravel(), recording.truth.n_re[INSIDE].ravel())[0, 1])


@pytest.mark.parametrize(("solver", "gain", "lack"), [("tikhonov", 0.03, 0.03), ("voxels", 0.15, 0.1)])
def test_a_part_is_nearly_as_good_as_the_middle_of_the_whole(
    wide: Recording, solver: str, gain: float, lack: float
) -> None:
    recipe = wide.recipe.updated({**QUICK, "solver": solver, "model": "born"})
    whole = likeness(reconstructed(recipe, wide.frames)["n_re"].data[INSIDE], wide)
    results = {
        mode: reconstructed(recipe.updated({"padding": {"mode": mode}}), part(wide)) for mode in ("none", "auto")
    }
    plain, padded = (likeness(result["n_re"].data, wide) for result in results.values())
    assert padded > plain + gain
    assert padded > whole - lack
    # files have the pixels of the frames, and the report tells of the others
    result = results["auto"]
    assert result["n_re"].data.shape == (8, 48, 44)
    assert result["residual"].data.shape == (12, 48, 44)
    assert result.weights["contrast"].shape == (2, 8, 48, 44)
    (before, _), (rows, _) = result.report["surround"]["before_px"], result.report["surround"]["object_px"]
    assert rows >= 48 + 2 * before > 48 + 30
    assert result.recipe.padding.mode == "unknown"  # type: ignore[attr-defined]
    assert result.report["unexplained"] < 0.3 * results["none"].report["unexplained"]


def test_it_is_chosen_where_frames_do_not_repeat(wide: Recording) -> None:
    settings = wide.recipe.updated({"solver": "tikhonov", "model": "born"})
    for frames, mode in ((wide.frames, "none"), (part(wide), "unknown")):
        job = IdtJob(IdtRecording(settings, IdtData(frames)))
        assert (job.recipe.padding.mode, job.warnings) == (mode, ())
    periodic = settings.updated({"padding": {"mode": "none"}})
    (warning,) = IdtJob(IdtRecording(periodic, IdtData(part(wide)))).warnings
    assert "set padding.mode to auto" in warning
    assert IdtJob(IdtRecording(periodic, IdtData(wide.frames))).warnings == ()


@pytest.mark.parametrize("model", ["born", "multislice"])
def test_simulated_samples_repeat(model: str) -> None:
    sample = simulate(
        IdtSimulation(height_px=72, width_px=96, frames=4, slices=6, seed=2, model=model)  # type: ignore[arg-type]
    )
    contrast = sample.frames - 1
    assert repeat(contrast)
    assert not repeat(contrast[:, 20:60])


@pytest.mark.parametrize("changes", [{"solver": "diner", "gradient": {"iterations": 2}}, {"model": "multislice"}])
def test_other_solvers_explain_a_part_with_it(wide: Recording, changes: dict[str, Any]) -> None:
    quick = {"diner": {"lattice_size": 8}, "multislice": {"iterations": 2, "steps_per_slice": 2}}
    recipe = wide.recipe.updated({**QUICK, **quick, **changes, "iterations": 15, "padding": {"width_um": 1.5}})
    result = reconstructed(recipe, part(wide)[..., :28, :28])
    assert result["n_re"].data.shape == (8, 28, 28)
    assert result.report["unexplained"] < 0.1
    if changes.get("solver") == "diner":
        rows, columns = result.report["surround"]["object_px"]
        assert result.weights["hash_table"].shape == (8 * rows * columns, 3)


def test_directions_are_calibrated_by_frames_that_fade_out(wide: Recording) -> None:
    recipe = wide.recipe.updated({"solver": "tikhonov", "calibration": {"illuminations": "refine", "iterations": 1}})
    result = reconstructed(recipe, part(wide))
    assert "surround" in result.report
    # a frequency step of so few pixels is 0.07
    assert result.report["calibration"]["rms_shift_na"] < 0.04
    assert result.report["unexplained"] < 0.1


def test_weights_of_a_wide_field_are_chosen_on_a_part_with_a_surround_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crop, "_ENOUGH", 4 * 96**2)
    padding = Padding((130, 140), "unknown", 20)

    def build(rows: int, columns: int) -> BornModel:
        return BornModel(VolumeGeometry((4, rows, columns), 0.5, 0.515, 1.33, 0.1625, 0.65), ring(0.637, 3))

    model = build(*padding.padded_shape)
    volume = torch.zeros(2, 4, *padding.padded_shape)
    volume[0, 1:3, 100:130, 110:150] = 1e-3
    data = padding.crop(model.forward(volume))
    problem = VolumeProblem(model, data, VolumePriors(), TotalVariation(), padding=padding)
    smaller, contrast = crop.cropped(problem, volume, build)
    assert smaller.data.shape == (3, 96, 96)
    assert smaller.model.shape[1] >= 96 + 40
    # the object is where its data are
    assert float(contrast.sum()) == pytest.approx(float(volume.sum()), rel=0.2)
    left = smaller.residual(contrast, None)
    assert float(left.norm()) < 0.3 * float(smaller.data.norm())


def test_width_is_the_reach_of_the_light_or_the_one_that_is_set() -> None:
    recipe = IdtRecipe.parse({**SETTINGS, "padding": {"mode": "unknown"}})
    geometry = recipe.geometry((8, 40, 40))
    # the faces are 2.4 µm away, and light of NA 0.65 leaves the axis by tan 29.3° of it
    assert geometry.reach_um == pytest.approx(2.4 * np.tan(np.arcsin(0.65 / 1.33)))
    assert width_px(recipe, geometry) == np.ceil((geometry.reach_um + 4 * 0.515 / 0.65) / 0.1625)
    assert width_px(recipe.updated({"padding": {"width_um": 1.0}}), geometry) == 7
    assert width_px(recipe.updated({"padding": {"mode": "none"}}), geometry) == 0
    # a volume away from focus is blurred by more
    assert recipe.updated({"first_slice_um": 8.0}).geometry((8, 40, 40)).reach_um > 3 * geometry.reach_um


def test_memory_is_that_of_the_padded_volume() -> None:
    recipe = IdtRecipe.parse(SETTINGS)
    needed = {
        mode: plan(recipe.updated({"padding": {"mode": mode}}), (12, 64, 64)).work for mode in ("none", "unknown")
    }
    width = width_px(recipe.updated({"padding": {"mode": "unknown"}}), recipe.geometry((8, 64, 64)))
    assert needed["unknown"] == pytest.approx(needed["none"] * (1 + 2 * width / 64) ** 2, rel=1e-3)


def test_given_transfer_functions_have_no_surround(wide: Recording) -> None:
    with pytest.raises(RecipeError, match="leave one of them out"):
        wide.recipe.updated({"padding": {"mode": "unknown"}, "transfer_functions": "a.mat"})


def test_detail_that_the_penalty_holds_back_is_no_doubt_about_directions(wide: Recording) -> None:
    frames = part(wide)
    angles = 2 * np.pi * np.arange(12) / 12
    for turned, about_directions in ((0.0, False), (np.pi / 2, True), (-0.45, True)):
        directions = [[0.637 * np.sin(angle), 0.637 * np.cos(angle)] for angle in (angles + turned).tolist()]
        recipe = wide.recipe.updated(
            {
                "ring": {"na": None}, "illuminations": directions, "solver": "tikhonov",
                "regularization": {"tikhonov": 300.0},
            }
        )  # fmt: skip
        warnings = reconstructed(recipe, frames).report["warnings"]
        assert any("check the directions" in text for text in warnings) == about_directions, turned
        assert any("the weight of the closed form" in text for text in warnings) != about_directions
