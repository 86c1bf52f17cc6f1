"""An interrupted run continues from its own checkpoint as if uninterrupted."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_diner as nd
from napari_diner.cli.app import execute
from napari_diner.errors import InputError
from napari_diner.io.folder import checkpoint_path
from napari_diner.solvers.lensless.noise import NoiseModel
from napari_diner.tasks.checkpoint import Checkpoint
from napari_diner.tasks.packing import pack, unpack
from napari_diner.tasks.python_data import as_frames
from napari_diner.tasks.registry import task
from napari_diner.tasks.run import AnyRun

SAMPLES: dict[str, tuple[str, dict[str, object]]] = {
    "lensless": ("lensless", {"height_px": 32, "width_px": 32, "distances_um": [300, 400, 500]}),
    "idt": ("idt", {"height_px": 16, "width_px": 16, "slices": 4, "frames": 8}),
    "fit": ("image", {"height_px": 24, "width_px": 24}),
}
OFTEN = 1e-9
"""Seconds between checkpoints that come after every step."""

SHORT = {"gauss_newton": {"iterations": 4, "warm_up": 3, "cg_steps": 10}}

# each kind of solver at least once, and a stage in which it is interrupted
CASES: dict[str, tuple[str, dict[str, object], str]] = {
    "projections": ("lensless", {"solver": "alternating", "alternating": {"iterations": 8}}, "alternating"),
    "gauss-newton": ("lensless", SHORT, "gauss-newton"),
    "held-out frame": ("lensless", {**SHORT, "prior": {"total_variation": "held_out"}}, "gauss-newton"),
    "lensless calibration": (
        "lensless",
        {**SHORT, "calibration": {"z": True}, "registration": "shift"},
        "calibration",
    ),
    "uncertainty": ("lensless", {**SHORT, "uncertainty": {"map": True, "samples": 3}}, "uncertainty"),
    "network": ("lensless", {"solver": "siren", "start": "flat", "gradient": {"iterations": 8}}, "siren"),
    "pixels": ("lensless", {"solver": "pixels", "start": "contrast-transfer", "gradient": {"iterations": 8}}, "pixels"),
    "weights": ("idt", {}, "weights"),
    "voxels": ("idt", {}, "voxels"),
    "chords": ("idt", {"model": "multislice", "multislice": {"iterations": 4}}, "voxels"),
    "batches": ("idt", {"solver": "decaf", "model": "multislice", "gradient": {"iterations": 2}}, "decaf"),
    "illumination": ("idt", {"calibration": {"illuminations": "refine", "iterations": 3}}, "refinement"),
    "fit": ("fit", {"epochs": 10}, "diner-siren"),
}  # fmt: skip


def started(name: str, changes: Mapping[str, object], checkpoint: Checkpoint | None = None) -> AnyRun:
    made, settings = SAMPLES[name]
    sample, asked = nd.sample(made, **settings), task(name)
    recipe = sample.recipe.updated({asked.source_field: None, "checkpoint_seconds": OFTEN, **changes})
    return asked.start(recipe, as_frames(sample), checkpoint=checkpoint)


def interrupted(name: str, changes: Mapping[str, object], path: Path, stage: str = "", after: int = 4) -> None:
    """Take a few steps of a stage, and then no more."""
    run = started(name, changes, Checkpoint(path))
    steps = (progress for progress in run if progress.stage == (stage or progress.stage))
    for _ in itertools.islice(steps, after):
        run.checkpoint._due = 0.0  # type: ignore[union-attr]
    run.close()
    assert path.exists()


def finished(run: AnyRun) -> nd.Result:
    with run:
        for _ in run:
            pass
        return run.result()


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_goes_on_gives_the_same_numbers(case: str, tmp_path: Path) -> None:
    name, changes, stage = CASES[case]
    path = tmp_path / "run.checkpoint"
    interrupted(name, changes, path, stage, after=40 if stage in ("gauss-newton", "voxels", "weights") else 4)
    resumed = finished(started(name, changes, Checkpoint(path, resume=True)))
    whole = finished(started(name, changes))
    assert not path.exists()
    for one, other in zip(resumed.arrays, whole.arrays, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    assert [stage["iterations"] for stage in resumed.report["stages"]] == [
        stage["iterations"] for stage in whole.report["stages"]
    ]
    assert len(resumed.report["resumed_after_s"]) == 1


def test_only_an_intact_checkpoint_of_the_same_run_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    interrupted("fit", {"epochs": 12}, path)
    content = path.read_bytes()
    with pytest.raises(InputError, match="other settings \\(epochs\\)"):
        started("fit", {"epochs": 13}, Checkpoint(path, resume=True))
    with pytest.raises(InputError, match="another task"):
        started("lensless", {}, Checkpoint(path, resume=True))
    sample = nd.sample("image", **{**SAMPLES["fit"][1], "width_px": 23})
    recipe = sample.recipe.updated({"image": None, "checkpoint_seconds": OFTEN, "epochs": 12})
    with pytest.raises(InputError, match="other data"):
        task("fit").start(recipe, as_frames(sample), checkpoint=Checkpoint(path, resume=True))
    for length in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="damaged"):
            started("fit", {"epochs": 12}, Checkpoint(path, resume=True))
    for place in (len(content) // 3, len(content) - 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError, match="damaged"):
            started("fit", {"epochs": 12}, Checkpoint(path, resume=True))
    path.write_bytes(content)
    run = started("fit", {"epochs": 12, "max_seconds": 500, "checkpoint_seconds": 60}, Checkpoint(path, resume=True))
    assert "continues from" in run.notes[-1]


@pytest.mark.parametrize("case", ["projections", "fit"])
def test_a_run_that_is_killed_after_its_last_step_is_completed(case: str, tmp_path: Path) -> None:
    """No step is left to be taken then, which is no interruption."""
    name, changes, _ = CASES[case]
    made, settings = SAMPLES[name]
    options = [f"--{key.replace('_', '-')}={str(value).strip('[]')}" for key, value in settings.items()]
    assert execute(["simulate", made, "-o", str(tmp_path / "sample"), "-q", *options]) == 0
    asked, out, path = task(name), tmp_path / "out", tmp_path / "recipe.yaml"
    recipe = asked.recipe_type.load(tmp_path / "sample" / "recipe.yaml")
    path.write_text(recipe.updated({**changes, "checkpoint_seconds": OFTEN}).to_yaml())
    run = asked.start(asked.recipe_type.load(path), checkpoint=Checkpoint(checkpoint_path(out)))
    for _ in run:
        run.checkpoint._due = 0.0
    run.close()
    assert execute(["run", str(path), "-o", str(out), "-q", "--resume"]) == 0
    assert not nd.load(out).partial


def test_without_resume_a_checkpoint_is_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    interrupted("fit", {"epochs": 12}, path)
    assert "resume" in started("fit", {"epochs": 12}, Checkpoint(path)).notes[-1]
    path.unlink()
    assert "no checkpoint" in started("fit", {"epochs": 12}, Checkpoint(path, resume=True)).notes[-1]


def test_a_checkpoint_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = finished(started("fit", {"epochs": 3}, Checkpoint(tmp_path / "file" / "run.checkpoint")))
    assert "could not be written" in result.report["notes"][-1]


def test_no_checkpoints_if_none_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    run = started("fit", {"epochs": 3, "checkpoint_seconds": 0}, Checkpoint(path))
    for _ in run:
        assert not path.exists()


def test_in_a_folder_each_run_has_its_own_until_it_is_ended(tmp_path: Path) -> None:
    for epochs in (12, 13):
        run = started("fit", {"epochs": epochs}, Checkpoint(tmp_path))
        next(run)
        next(run)
        del run  # as after a crash
    assert len([*tmp_path.iterdir()]) == 2
    with started("fit", {"epochs": 12}, Checkpoint(tmp_path)) as run:
        assert "continues from" in run.notes[-1]
        next(run)
    assert len([*tmp_path.iterdir()]) == 1


def test_it_lies_beside_the_folder_of_the_result(tmp_path: Path) -> None:
    assert checkpoint_path(tmp_path / "new" / "out").parent == tmp_path / "new"
    assert checkpoint_path(tmp_path / "out").name == ".napari-diner-out.checkpoint"


def test_states_are_packed_without_loss() -> None:
    generator, random = torch.Generator().manual_seed(3), np.random.default_rng(4)
    state = {
        "field": torch.randn(3, 4, dtype=torch.complex64, generator=generator),
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "one": torch.tensor(2.5, dtype=torch.float64),
        "table": np.arange(6.0).reshape(2, 3)[:, ::2],
        "noise": NoiseModel(0.25, float("inf")),
        "errors": {0.1: 1, 0.2: None},
        "mixed": [("a", 1), float("nan")],
        "generator": generator,
        "random": random,
    }
    arrays: dict[str, np.ndarray] = {}
    back = unpack(pack(state, arrays), arrays, torch.device("cpu"))
    for name in ("field", "flags", "empty", "one"):
        assert torch.equal(back[name], state[name]) and back[name].dtype == state[name].dtype
    np.testing.assert_array_equal(back["table"], state["table"])
    assert back["noise"] == state["noise"] and back["errors"] == state["errors"]
    assert back["mixed"][0] == ("a", 1) and np.isnan(back["mixed"][1])
    assert torch.equal(torch.rand(3, generator=back["generator"]), torch.rand(3, generator=generator))
    assert back["random"].random() == random.random()


@pytest.mark.parametrize(
    "packed",
    [
        {"type": "subprocess:Popen", "items": [["true"]]},
        {"type": "napari_diner.tasks.checkpoint:Path", "items": ["/"]},
        {"array": ["0", "|O", [1]]},
        {"array": ["0", "<f8", [3]]},
    ],
)
def test_nothing_but_states_is_unpacked(packed: object) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        unpack(packed, {"0": np.zeros(8, np.uint8)}, torch.device("cpu"))
