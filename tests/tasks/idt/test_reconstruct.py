"""From frames under oblique illumination to a volume of refractive index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_diner.errors import DinerError, InputError, RecipeError
from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.tasks.idt import outcome, time_left
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.result import Result
from tests.tasks.idt.small_recordings import Recording, reconstructed, record, started


def run(recording: Recording, compares_settings: bool = False, **changes: Any) -> Result:
    return reconstructed(recording.recipe.updated(changes), recording.frames, recording.truth, compares_settings)


def test_priors_beat_the_closed_form_and_that_beats_nothing(recording: Recording) -> None:
    closed = run(recording, solver="tikhonov").report
    voxels = run(recording, solver="voxels").report
    assert closed["truth"]["n_re_rmse"] < 0.8 * closed["truth"]["n_re_rmse_zero"]
    assert voxels["truth"]["n_re_rmse"] < 0.75 * closed["truth"]["n_re_rmse"]
    assert voxels["truth"]["n_re_correlation"] > 0.9
    # the noise is not explained, and little else is left
    assert voxels["residual_rms"] == pytest.approx(0.002, rel=0.3)


def test_the_choice_of_the_weight_is_near_the_best(recording: Recording) -> None:
    chosen = run(recording, solver="tikhonov").report
    alpha = chosen["regularization"]["tikhonov"]
    assert chosen["choices"]["tikhonov"]["value"] == alpha
    errors = [
        run(recording, solver="tikhonov", regularization={"tikhonov": alpha * factor}).report["truth"]["n_re_rmse"]
        for factor in (0.03, 0.1, 0.3, 3, 10, 30)
    ]
    assert chosen["truth"]["n_re_rmse"] < 1.15 * min(errors)


def test_volumes_have_scale_and_sense(recording: Recording) -> None:
    result = run(recording, solver="voxels")
    for name in ("n_re", "n_im"):
        assert result[name].axes == "ZYX"
        assert result[name].scale_um == (0.6, 0.1625, 0.1625)
        assert result[name].data.dtype == np.float32
    assert result["n_re"].data.min() >= 1.33 - 1e-6
    assert result["n_im"].data.min() >= -1e-7
    assert result["residual"].data.shape == recording.frames.shape
    z, y, x = np.unravel_index(result["n_re"].data.argmax(), result["n_re"].data.shape)
    # in the denser of the two balls
    assert (z - 3.5) ** 2 * 0.36 + ((y - 23.5) * 0.1625 - 1.8) ** 2 + ((x - 23.5) * 0.1625 - 1.5) ** 2 < 1


@pytest.mark.parametrize("background", ["ratio", "mean", "image", "coarse"])
def test_backgrounds_of_all_kinds(recording: Recording, background: str) -> None:
    frames = 1 + recording.frames
    empty: np.ndarray[Any, Any] | None = None
    kind = background
    if background in ("image", "coarse"):
        y, x = np.mgrid[:48, :48] / 48
        light = 900 + 200 * x - 100 * y
        frames = (100 + frames * light).astype(np.float32)
        empty = 100 + (light if background == "image" else light.reshape(12, 4, 12, 4).mean((1, 3)))
        kind = "/somewhere/empty.tif"
    elif background == "mean":
        frames = frames * np.linspace(0.5, 2, len(frames), dtype=np.float32)[:, None, None]
    recipe = recording.recipe.updated({"background": kind, "solver": "tikhonov", "background_offset": 0.0})
    if empty is not None:
        recipe = recipe.updated({"background_offset": 100.0})
    attachments = {} if empty is None else {"background": empty}
    found = reconstructed(recipe, frames, recording.truth, **attachments).report["truth"]["n_re_rmse"]
    known = run(recording, solver="tikhonov").report["truth"]["n_re_rmse"]
    assert found == pytest.approx(known, rel=0.1)


def test_a_thick_sample_brings_a_warning() -> None:
    strong = record(strength=0.06, noise=0.0)
    warnings = run(strong, solver="tikhonov").report["warnings"]
    assert any("more than single scattering describes" in warning for warning in warnings)


def test_optics_that_lose_something_are_told(recording: Recording) -> None:
    optics: dict[str, Any] = {"pixel_size_um": 0.25, "slice_spacing_um": 3.0, "ring": {"na": 0.3}}
    coarse = run(recording, compares_settings=True, solver="tikhonov", **optics)
    text = " ".join(coarse.report["warnings"])
    assert "0.25 µm is coarser than λ/(4 NA) = 0.198 µm" in text
    assert "slice spacing of 3 µm is above the axial Nyquist limit of" in text
    assert "hardly visible" in text
    assert run(recording, compares_settings=True, solver="tikhonov").report["warnings"] == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ring": {"na": 0.7}}, "outside the objective's NA of 0.65"),
        ({"ring": {"na": None}, "illuminations": [[0.1, 0.2]]}, "1 illuminations but the stack has 12 frames"),
        ({"ring": {"na": None}}, "illuminations are missing"),
        ({"wavelength_um": None}, "wavelength is missing"),
        ({"na": 1.4}, "not below the medium's index"),
        # the direction outside the NA may be right
        ({"wavelength_um": 515.0, "ring": {"na": 0.7}}, "wavelength of 515 µm is outside the usual"),
    ],
)
def test_recipes_that_cannot_be(recording: Recording, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        started(recording.recipe.updated(changes), recording.frames)


def test_frames_that_cannot_be_used(recording: Recording) -> None:
    broken = recording.frames.copy()
    broken[3, 5, 5] = np.nan
    with pytest.raises(InputError, match="Frame 4 holds values that are not finite"):
        started(recording.recipe, broken)
    with pytest.raises(InputError, match="not above zero"):
        started(recording.recipe.updated({"background": "mean"}), -1 - recording.frames)
    with pytest.raises(InputError, match="Frame 1 is 3 in all pixels"):
        started(recording.recipe, np.full_like(recording.frames, 3))


def test_diner_starts_from_voxels_and_does_no_worse(recording: Recording) -> None:
    voxels = run(recording, iterations=20).report
    result = run(recording, solver="diner", gradient={"iterations": 15}, diner={"lattice_size": 16})
    report = result.report
    assert [stage["name"] for stage in report["stages"]] == ["closed form", "weights", "start: voxels", "diner"]
    assert report["truth"]["n_re_rmse"] < 1.1 * voxels["truth"]["n_re_rmse"]
    assert report["regularization"]["tv"] == voxels["regularization"]["tv"]
    # three numbers a voxel, and the network
    assert report["parameters"] > 3 * result["n_re"].data.size
    assert result.weights["hash_table"].shape == (result["n_re"].data.size, 3)
    assert result["n_re"].data.min() >= 1.33 - 1e-6


@pytest.mark.parametrize("solver", ["siren", "hash-grid", "pixels"])
def test_every_representation_starts_from_voxels_and_does_about_as_well(recording: Recording, solver: str) -> None:
    # few steps, and a network just large enough
    changes: dict[str, Any] = {
        "regularization": {"tv": 2e-3}, "gradient": {"iterations": 8}, "network": {"hidden_features": 32},
    }  # fmt: skip
    voxels = run(recording, iterations=20, regularization={"tv": 2e-3}).report
    result = run(recording, solver=solver, **changes)
    report = result.report
    stages = [stage["name"] for stage in report["stages"]]
    values = [] if solver == "pixels" else [f"{solver}: values"]
    assert stages == ["closed form", "start: voxels", *values, solver]
    assert report["truth"]["n_re_rmse"] < 1.4 * voxels["truth"]["n_re_rmse"]
    assert report["truth"]["n_re_rmse"] < 0.5 * report["truth"]["n_re_rmse_zero"]
    assert report["parameters"] == sum(value.size for value in result.weights.values())


@pytest.mark.parametrize("solver", ["diner", "siren"])
def test_representation_may_start_from_an_empty_volume(recording: Recording, solver: str) -> None:
    changes = {"gradient": {"iterations": 60, "schedule": "constant"}, "regularization": {"tv": 2e-3}}
    with started(
        recording.recipe.updated({**changes, "solver": solver, "start": "empty"}), recording.frames, recording.truth
    ) as work:
        losses = [progress.losses["loss"] for progress in work if progress.stage == solver]
        report = work.result().report
    assert [stage["name"] for stage in report["stages"]] == ["closed form", solver]
    # at first the data are not explained at all
    pixels = recording.frames.size
    assert losses[0] == pytest.approx(pixels * report["data_rms"] ** 2 / 2, rel=0.1)
    assert report["residual_rms"] < 0.8 * report["data_rms"]


def test_keys_of_a_single_number_cannot_hold_two_values() -> None:
    with pytest.raises(RecipeError, match=r"set diner\.table_width to 2 or 3"):
        IdtRecipe.parse({"solver": "diner", "diner": {"table_width": 1}})


def test_decaf_explains_part_of_the_data(recording: Recording) -> None:
    changes = {
        "gradient": {"iterations": 60, "learning_rate": 5e-3}, "regularization": {"tv": 2e-3}, "start": "empty",
    }  # fmt: skip
    report = run(recording, solver="decaf", **changes).report
    assert report["residual_rms"] < 0.8 * report["data_rms"]
    assert report["parameters"] < 50_000


def record_strong() -> Recording:
    """Record a ball of 1.5 rad by the multi-slice model."""
    weak = record(strength=0.03, noise=0.0)
    truth = weak.truth
    assert truth.n_im is not None
    model = SSNPModel(VolumeGeometry((8, 48, 48), 0.6, 0.515, 1.33, 0.1625, 0.65), ring(0.637, 12))
    contrast = permittivity_contrast(torch.from_numpy(truth.n_re), torch.from_numpy(truth.n_im), 1.33)
    frames = model.forward(contrast.float()).numpy() + 0.003 * np.random.default_rng(0).standard_normal((12, 48, 48))
    return Recording(frames.astype(np.float32), truth, weak.recipe)


@pytest.fixture(scope="module")
def strong() -> Recording:
    """A recording of a strong object."""
    return record_strong()


def test_strong_sample_gets_the_multi_slice_model_unasked(strong: Recording) -> None:
    closed = run(strong, solver="tikhonov").report
    assert any("more than single scattering describes" in warning for warning in closed["warnings"])
    report = run(strong, compares_settings=True).report
    assert report["model"] == "multislice"
    assert report["warnings"] == []
    assert report["truth"]["n_re_rmse"] < 0.5 * closed["truth"]["n_re_rmse"]
    assert report["residual_rms"] < 3 * 0.003
    # and not if it is told otherwise
    born = run(strong, model="born").report
    assert born["model"] == "born"
    assert any("more than single scattering describes" in warning for warning in born["warnings"])
    assert born["truth"]["n_re_rmse"] > report["truth"]["n_re_rmse"]


def test_multiple_scattering_that_would_take_hours_is_left_out_unless_asked_for(
    strong: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_left, "AFFORDABLE_S", 1e-3)
    report = run(strong, regularization={"tv": 0.05}).report
    assert report["model"] == "born"
    assert any("set model to multislice to include it" in warning for warning in report["warnings"])


@pytest.mark.parametrize("solver", ["voxels", "diner"])
def test_a_limit_without_time_for_the_solver_keeps_the_closed_form(strong: Recording, solver: str) -> None:
    closed = run(strong, model="born", solver="tikhonov", max_seconds=1e-6).report
    for model, cause in (("auto", "the time limit is 0 s"), ("multislice", "")):
        report = run(strong, solver=solver, model=model, max_seconds=1e-6).report
        assert report["model"] == "born" and not report["partial"]
        assert report["unexplained"] == pytest.approx(closed["unexplained"], rel=1e-4)
        late = f"no time was left for {solver}; the volume is that of the stages before it, such as the closed form"
        assert not any("what it started from" in warning for warning in report["warnings"])
        assert all(any(words in warning for warning in report["warnings"]) for words in (late, cause))


def test_diner_under_the_multi_slice_model_holds_what_voxels_found(strong: Recording) -> None:
    changes = {"regularization": {"tv": 0.05}, "multislice": {"iterations": 8, "descent_iterations": 2}}
    voxels = run(strong, **changes).report
    with started(strong.recipe.updated({**changes, "solver": "diner"}), strong.frames, strong.truth) as work:
        for _ in work:
            work.result()  # whenever it is asked for
        report = work.result().report
    assert report["truth"]["n_re_rmse"] < 1.1 * voxels["truth"]["n_re_rmse"]


@pytest.mark.parametrize(("solver", "limit"), [("voxels", 0.1), ("diner", 1.5)])
def test_time_limit_ends_the_run_with_the_best_so_far(recording: Recording, solver: str, limit: float) -> None:
    report = run(recording, solver=solver, max_seconds=limit, gradient={"iterations": 10_000}).report
    assert report["stopped_by_time_limit"]
    assert not report["partial"]
    assert report["iterations"] < 10_000
    assert report["truth"]["n_re_rmse"] < report["truth"]["n_re_rmse_zero"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": "multislice", "solver": "tikhonov"}, "closed form is for the linear model"),
        ({"model": "multislice", "dispersion": "legacy"}, "computes its own waves"),
    ],
)
def test_models_that_a_solver_cannot_have(recording: Recording, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        recording.recipe.updated(changes)


def test_cancelled_run_gives_a_partial_result(recording: Recording) -> None:
    with started(recording.recipe, recording.frames) as work:
        with pytest.raises(DinerError, match="no result yet"):
            work.result()
        stages = []
        for progress in work:
            stages.append(progress.stage)
            if stages.count("voxels") == 3:
                break
        result = work.result()
    assert result.partial
    assert result.report["iterations"] == 3


def test_a_run_stopped_after_the_closed_form_reports_single_scattering(strong: Recording) -> None:
    with started(strong.recipe.updated({"model": "multislice"}), strong.frames) as work:
        next(work)
        report = work.result().report
    closed = run(strong, model="born", solver="tikhonov").report
    assert report["model"] == "born" and report["unexplained"] == pytest.approx(closed["unexplained"], rel=1e-4)
    assert any("more than single scattering describes" in warning for warning in report["warnings"])


def test_a_large_run_that_is_cancelled_is_scored_by_some_frames(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(recording.recipe, recording.frames) as work:
        next(progress for progress in work if progress.stage == "voxels")
        whole = work.result().report
        monkeypatch.setattr(outcome, "_SCORING_S", 0.0)
        result = work.result()
        for _ in work:
            pass
        finished = work.result()
    report = result.report
    assert report["scored_frames"] == 4
    assert any("4 of" in warning for warning in report["warnings"])
    assert report["unexplained"] == pytest.approx(whole["unexplained"], rel=0.5)
    assert [array.name for array in result.arrays] == ["n_re", "n_im"]
    assert "scored_frames" not in finished.report
