"""A series that ends early keeps the recordings before the one that cannot be used, through every door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.cli.app import execute
from napari_diner.errors import DinerError, InputError, OutOfMemoryError
from napari_diner.tasks.checkpoint import Checkpoint
from napari_diner.tasks.fit.job import FitJob
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from napari_diner.widgets.dock.run_worker import Controls, drive, start

RECIPE: dict[str, Any] = {
    "wavelength_um": 0.532,
    "pixel_size_um": 1.12,
    "distances_um": [300, 400, 500],
    "padding": {"mode": "none"},
    "solver": "alternating",
    "alternating": {"iterations": 6},
    "axes": "TNYX",
    "select": "T=all",
}
FIT: dict[str, Any] = {"representation": "pixels", "epochs": 3, "select": "T=all"}


def recordings(bad: int | None, value: float = np.nan) -> np.ndarray:
    """Return three recordings, (T, N, Y, X), of which one may have a frame of a single value."""
    sample = nd.sample("lensless", height_px=24, width_px=24, distances_um=[300, 400, 500])
    frames = np.stack([np.roll(sample.data.data, number, 2) for number in range(3)]).astype(np.float32)
    if bad is not None:
        frames[bad, 1] = value
    return frames


def settings() -> dict[str, Any]:
    """Return the recipe of an array that names its own axes."""
    return {name: value for name, value in RECIPE.items() if name != "axes"}


def files(folder: Path, bad: int = 2) -> Path:
    """Write recordings and their recipe; return the recipe."""
    np.save(folder / "series.npy", recordings(bad))
    path = folder / "recipe.yaml"
    path.write_text(task("lensless").recipe_type.parse({**RECIPE, "stack": "series.npy"}).to_yaml())
    return path


@pytest.mark.parametrize("bad", [1, 2])
@pytest.mark.parametrize(("value", "problem"), [(np.nan, "not finite"), (0.0, "all zero")])
def test_in_python(bad: int, value: float, problem: str) -> None:
    frames = Frames(recordings(bad, value), "TNYX")
    with pytest.warns(UserWarning, match=f"T = {bad}: .*{problem}.*; the result so far is partial"):
        result = nd.lensless(frames, **settings())
    assert result.partial and isinstance(result.problem, InputError)
    assert result.phase.shape == (bad, 24, 24) and result.report["series"]["done"] == bad
    assert result.report["warnings"][0] == str(result.problem)
    good = nd.lensless(Frames(np.asarray(frames)[:bad], "TNYX"), **settings())
    np.testing.assert_array_equal(result.phase, good.phase)


def test_a_first_recording_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(InputError, match="Frame 2 holds values that are not finite"):
        nd.lensless(Frames(recordings(0), "TNYX"), **settings())


def test_in_a_dock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipe = task("lensless").recipe_type.parse(settings())
    frames = Frames(recordings(2), "TNYX")
    steps = drive(lambda: start(task("lensless"), recipe, frames), Controls())
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    result = end.value.value
    assert isinstance(result, nd.Result) and result.partial and result.phase.shape[0] == 2
    assert "T = 2" in result.report["warnings"][0]


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, out = files(tmp_path), tmp_path / "out"
    assert execute(["run", str(recipe), "-o", str(out), "-q"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "T = 2: Frame 2 holds values that are not finite" in line
    assert line.endswith(f"; the result so far is saved in {out}")
    saved = nd.load(out)
    assert saved.partial and saved.phase.shape[0] == 2


def test_it_replaces_no_complete_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, out = files(tmp_path), tmp_path / "out"
    nd.lensless(Frames(recordings(None)[0], "NYX"), **{**settings(), "select": ""}).save(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert execute(["run", str(recipe), "-o", str(out), "-q", "--overwrite"]) == 2
    assert f"the result so far is saved in {tmp_path / 'out-2'}" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert nd.load(tmp_path / "out-2").partial


def test_in_a_batch(tmp_path: Path) -> None:
    recipe, out = files(tmp_path), tmp_path / "out"
    plan = {"recipe": str(recipe), "items": [str(tmp_path / "series.npy")]}
    for _ in range(2):  # what has ended early is begun again
        (record,) = nd.batch(plan, out).records.values()
        assert record.state == "failed"
        assert "T = 2: Frame 2" in record.message and "the result so far is saved in" in record.message
        assert nd.load(out / record.name).phase.shape[0] == 2
    np.save(tmp_path / "series.npy", recordings(None))
    (record,) = nd.batch(plan, out).records.values()
    assert record.state == "done" and not nd.load(out / record.name).partial


def test_after_it_was_resumed(tmp_path: Path) -> None:
    recipe = task("lensless").recipe_type.parse({**settings(), "checkpoint_seconds": 1e-9})
    path, frames = tmp_path / "run.checkpoint", Frames(recordings(2), "TNYX")
    run = task("lensless").start(recipe, frames, checkpoint=Checkpoint(path))
    for progress in run:
        run.checkpoint._due = 0.0
        if progress.stage.startswith("recording 2"):
            break
    run.close()
    with task("lensless").start(recipe, frames, checkpoint=Checkpoint(path, resume=True)) as run:
        for _ in run:
            pass
        result = run.result()
    assert result.partial and result.phase.shape[0] == 2
    assert path.exists(), "the checkpoint of a run that has not finished is kept"


def failing(error: Exception, recording: int) -> Callable[..., Iterator[object]]:
    """Return stages of which those of one recording fail."""
    stages, calls = FitJob.later_stages, []

    def changed(job: FitJob) -> object:
        calls.append(job.recipe.select)
        if job.recipe.select == f"T={recording}":
            raise error
        return stages(job)

    return changed


@pytest.mark.parametrize(
    ("error", "kept"),
    [(MemoryError(), OutOfMemoryError), (RuntimeError("CUDA out of memory"), OutOfMemoryError)],
    ids=["memory", "card"],
)
def test_the_memory_is_full(error: Exception, kept: type[DinerError], monkeypatch: pytest.MonkeyPatch) -> None:
    video = nd.sample("video", height_px=16, width_px=16, frames=3).data.data
    monkeypatch.setattr(FitJob, "later_stages", failing(error, 2))
    with pytest.warns(
        UserWarning, match=r"The machine ran out of memory; crop the data, or choose .* needs less\b(?!.*device)"
    ):
        result = nd.fit(Frames(video, "TYXS"), **{**FIT, "device": "cpu"})
    assert isinstance(result.problem, kept) and result["reconstruction"].data.shape[0] == 2


def test_a_recording_that_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    video = nd.sample("video", height_px=16, width_px=16, frames=3).data.data
    outcome = FitJob.outcome

    for bad in (1, 2):

        def diverging(job: FitJob, *others: Any, bad: int = bad) -> Any:
            answer = outcome(job, *others)
            if job.recipe.select == f"T={bad}":
                answer.weights[next(iter(answer.weights))][...] = np.nan
            return answer

        monkeypatch.setattr(FitJob, "outcome", diverging)
        with pytest.warns(UserWarning, match=f"T = {bad}: .* are not finite"):
            result = nd.fit(Frames(video, "TYXS"), **FIT)
        assert result.partial and result["reconstruction"].data.shape[0] == bad
