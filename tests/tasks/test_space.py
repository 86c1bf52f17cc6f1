"""Planned and actual size of results on the disk."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_diner.errors import OutputError
from napari_diner.io.folder import check_space
from napari_diner.tasks.registry import samples
from napari_diner.tasks.task import Frames

USAGE = namedtuple("USAGE", "total used free")
SMALL: dict[str, Any] = {"height_px": 48, "width_px": 48}
SHORT = {"max_seconds": 0.01}
# a time limit would leave the network out
BORN: dict[str, Any] = {"model": "born", "gradient": {"iterations": 2}}


@pytest.mark.parametrize(
    ("sample", "settings"),
    [
        ("lensless", SHORT),
        ("lensless", {**SHORT, "phase_output": {"optical_path": True, "index_difference": 0.03}}),
        ("lensless", {**SHORT, "solver": "diner", "start": "flat", "diner": {"hidden_features": 8}}),
        ("lensless", {**SHORT, "solver": "siren", "start": "flat", "network": {"hidden_features": 8}}),
        ("lensless", {**SHORT, "super_resolution": 2, "preprocess": {"crop_px": (0, 0, 24, 40)}}),
        ("idt", {"solver": "tikhonov"}),
        ("idt", {"solver": "diner", "start": "empty", **BORN, "diner": {"hidden_features": 8}}),
        ("image", {"epochs": 1, "diner": {"hidden_features": 8}}),
        ("image", {"epochs": 1, "representation": "pixels"}),
        ("image", {"epochs": 1, "representation": "siren", "network": {"hidden_features": 8}}),
    ],
)
def test_the_size_of_a_result_is_planned(sample: str, settings: dict[str, Any]) -> None:
    task, entry = samples()[sample]
    made = entry.make(entry.settings(**SMALL))
    frames = Frames(made.data.data, made.data.axes, made.data.scale_um)
    with task.start(made.recipe.updated({task.source_field: None, **settings}), frames) as run:
        for _ in run:
            pass
        assert 0.85 < run.result_bytes / run.result().nbytes < 1.2


def test_a_series_counts_each_recording_and_a_comparison_each_contender() -> None:
    task, entry = samples()["lensless"]
    made = entry.make(entry.settings(**SMALL, distances_um=(300.0, 400.0)))
    recipe = made.recipe.updated({task.source_field: None})
    one = task.start(recipe, Frames(made.data.data, "NYX")).result_bytes
    series = task.start(recipe.updated({"select": "T=all"}), Frames(np.stack([made.data.data] * 3), "TNYX"))
    assert series.result_bytes == 3 * one > 0
    two = task.compare(recipe, Frames(made.data.data, "NYX"), names=["gauss-newton", "alternating"])
    assert two.result_bytes == 3 * one


def test_a_result_must_fit_the_disk_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_space(tmp_path / "not" / "there", 1e3)
    with pytest.raises(OutputError, match=r"needs about .* MB, but only .* MB are free on the disk of .*there; free"):
        check_space(tmp_path / "not" / "there", shutil.disk_usage(tmp_path).free + 1e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: USAGE(0, 0, 0))  # some network file systems
    check_space(tmp_path, 1e9)
