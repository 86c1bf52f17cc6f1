"""Planned and actual memory of runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_diner import device
from napari_diner.errors import OutOfMemoryError
from napari_diner.tasks.memory import MemoryPlan
from napari_diner.tasks.registry import tasks
from napari_diner.tasks.task import Frames
from tests.kit.reports import report_of

FRAMES = Frames(np.broadcast_to(np.uint16(7), (8, 512, 512)), "NYX")
VOLUME = Frames(np.broadcast_to(np.float32(7), (8, 512, 512)), "ZYX")
GEOMETRY = {"wavelength_um": 0.5, "pixel_size_um": 1.0, "distances_um": tuple(400.0 + 50 * n for n in range(8))}
SOLVER: dict[str, Any] = {"solver": "diner"}
LIT: dict[str, Any] = {"wavelength_um": 0.5, "pixel_size_um": 0.2, "na": 0.6, "slice_count": 4, "slice_spacing_um": 0.5}


def plan_of(name: str, settings: dict[str, Any], frames: Frames | None = None) -> MemoryPlan:
    task = tasks()[name]
    recipe = task.recipe_type.parse({"task": name, **(GEOMETRY if name == "lensless" else {}), **settings})
    plan = task.plan(recipe, frames or (VOLUME if name == "fit" else FRAMES))
    assert plan is not None
    return plan


@pytest.mark.parametrize(
    ("name", "base", "more"),
    [
        ("lensless", {}, {"uncertainty": {"map": True}}),
        ("idt", {"solver": "voxels"}, {"uncertainty": {"map": True, "samples": 8}}),
        ("lensless", {}, {"calibration": {"z": True}}),
        ("lensless", {"solver": "alternating"}, {"solver": "gauss-newton"}),
        ("lensless", {}, {"padding": {"mode": "unknown"}}),
        ("lensless", {}, {"super_resolution": 2}),
        ("lensless", {"solver": "siren", "start": "flat"}, {"network": {"hidden_features": 1024}}),
        ("lensless", SOLVER, {"diner": {"lattice_size": 700}}),
        ("lensless", {"solver": "decaf"}, {"decaf": {"hidden_features": 208, "hidden_layers": 10}}),
        ("idt", {"solver": "tikhonov"}, {"solver": "voxels"}),
        ("idt", SOLVER, {"diner": {"lattice_size": 90}}),
        ("idt", LIT, {"multislice": {"method": "gauss-newton"}}),
        ("idt", {**LIT, "multislice": {"method": "gauss-newton"}}, {"slice_spacing_um": 1.0}),
        (
            "idt",
            {"solver": "hash-grid", "start": "empty", "hash_grid": {"log2_table_size": 8}},
            {"hash_grid": {"log2_table_size": 24}},
        ),
        ("fit", {}, {"diner": {"lattice_size": 200}}),
        ("fit", {"representation": "hash-grid"}, {"hash_grid": {"log2_table_size": 24}}),
        ("fit", {"representation": "siren"}, {"network": {"hidden_layers": 16}}),
    ],
)
def test_everything_that_costs_memory_is_counted(name: str, base: dict[str, Any], more: dict[str, Any]) -> None:
    assert plan_of(name, {**base, **more}).work > 1.02 * plan_of(name, base).work


@pytest.mark.parametrize("axes", ["ZYX", "CYX"])
def test_channels_share_keys(axes: str) -> None:
    joint, separate = (
        plan_of("fit", {"channels": channels}, Frames(VOLUME.array, axes)).work for channels in ("joint", "separate")
    )
    assert (joint < separate) == (axes == "CYX")


def test_equal_values_share_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch._dynamo", sys)  # counted with the process, not with the run
    bits = [plan_of("fit", {}, Frames(VOLUME.array.astype(kind), "ZYX")).work for kind in (np.uint8, np.uint16)]
    assert bits[0] < bits[1] < plan_of("fit", {}).work / 2


@pytest.mark.parametrize(
    ("name", "settings", "cure"),
    [
        ("lensless", {**SOLVER, "diner": {"lattice_size": 16384}}, r"lower diner\.lattice_size$"),
        ("fit", {"diner": {"lattice_size": 2000}}, r"lower diner\.lattice_size$"),
        ("fit", {}, "crop or bin the frames"),
        ("idt", {"slice_count": 4096}, "lower slice_count"),
    ],
)
def test_too_much_is_refused_with_the_cure_for_the_largest_part(
    name: str, settings: dict[str, Any], cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "available_memory", lambda of=None: 2 * 10**7)
    with pytest.raises(
        OutOfMemoryError, match=rf"needs about [\d.]+ GB but only 0\.0 GB of main memory are free; {cure}"
    ):
        plan_of(name, settings).check()


def test_what_is_loaded_already_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimiser's part of PyTorch counts among what the process holds once it is there."""
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    before = plan_of("fit", {"representation": "pe-mlp"}).work
    monkeypatch.setitem(sys.modules, "torch._dynamo", sys)
    assert before - plan_of("fit", {"representation": "pe-mlp"}).work > 5e7


def test_the_plan_of_a_process_is_near_its_peak(tmp_path: Path) -> None:
    """A process of its own, as the peak of this one is that of all tests before."""
    np.save(tmp_path / "volume.npy", np.random.default_rng(1).integers(0, 2**16, (16, 512, 512), np.uint16))
    words = ["fit", str(tmp_path / "volume.npy"), "-o", str(tmp_path / "out"), "--epochs", "1"]
    start = "from napari_diner.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", start, *words], capture_output=True, text=True, check=True)
    assert "memory: about " in done.stderr and " GB of " in done.stderr
    report = report_of(tmp_path / "out")
    assert 0.7 < report["planned_memory_mb"] / report["peak_memory_mb"] < 1.3
