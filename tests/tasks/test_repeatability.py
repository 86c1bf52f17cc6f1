"""The same recipe, seed and number of threads write the same bytes, whatever the clock says and previews show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

LENSLESS: dict[str, object] = {"wavelength_um": 0.5, "pixel_size_um": 1.3, "distances_um": (300.0, 420.0, 560.0)}
IDT: dict[str, object] = {
    "wavelength_um": 0.5, "pixel_size_um": 0.2, "na": 0.6, "medium_index": 1.33, "slice_count": 5, "ring": {"na": 0.58},
}  # fmt: skip


def frames(count: int) -> npt.NDArray[Any]:
    y, x = np.mgrid[:40, :36]
    noise = np.random.default_rng(8).normal(0, 0.01, (count, 40, 36))
    waves = [0.7 + 0.2 * np.sin(x / (3 + k) + y / 5) for k in range(count)]
    return (40_000 * (np.stack(waves) + noise)).astype(np.uint16)


@pytest.mark.parametrize(
    ("name", "count", "changes"),
    [
        ("fit", 2, {"epochs": 30}),
        ("fit", 2, {"epochs": 6, "representation": "hash-grid"}),
        ("fit", 2, {"epochs": 6, "representation": "siren"}),
        ("lensless", 3, {**LENSLESS, "gauss_newton": {"iterations": 4}}),
        ("lensless", 3, {**LENSLESS, "solver": "diner", "start": "flat", "gradient": {"iterations": 15}}),
        ("focus", 3, {**LENSLESS, "rounds": 5}),
        ("idt", 8, {**IDT, "solver": "tikhonov"}),
        ("idt", 8, {**IDT, "solver": "voxels", "model": "born", "iterations": 5, "regularization": {"tv": 1e-3}}),
    ],
)
def test_runs_can_be_repeated_to_the_last_byte(
    name: str, count: int, changes: dict[str, object], tmp_path: Path
) -> None:
    recipe = task(name).recipe_type.parse({"task": name, **changes})
    contents = []
    for number, interval in enumerate((None, 0.0)):
        with task(name).start(recipe, Frames(frames(count)), preview_interval_s=interval) as run:
            for _ in run:
                if interval is not None and name == "fit":
                    run.result()  # asking for the best so far changes nothing, either
            result = run.result()
        assert result.report["threads"] == [torch.get_num_threads()]
        folder = tmp_path / str(number)
        result.save(folder)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir() if path.name != "report.json"})
    assert contents[0].keys() == contents[1].keys()
    assert [key for key in contents[0] if contents[0][key] != contents[1][key]] == []
