"""Small recordings in a folder tree, and recipes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

DISTANCES_UM = (300.0, 420.0, 560.0)


def frames(count: int = 3, seed: int = 8, size: int = 24) -> npt.NDArray[np.uint16]:
    """Return intensities of fringes with noise, (N, Y, X)."""
    y, x = np.mgrid[:size, :size]
    noise = np.random.default_rng(seed).normal(0, 0.01, (count, size, size))
    waves = [0.7 + 0.2 * np.sin(x / (3 + k) + (y + seed) / 5) for k in range(count)]
    return (40_000 * (np.stack(waves) + noise)).astype(np.uint16)


def quick(**changes: object) -> dict[str, Any]:
    """Return a recipe that takes a moment."""
    return {
        **{"task": "lensless", "wavelength_um": 0.5, "pixel_size_um": 1.3, "distances_um": list(DISTANCES_UM)},
        **{"padding": {"mode": "none"}, "gauss_newton": {"iterations": 1, "cg_steps": 2, "warm_up": 1}},
        **changes,
    }


def write(path: Path, values: npt.NDArray[Any]) -> Path:
    """Write an array as TIFF; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, photometric="minisblack")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two stacks, a folder of frames, and files that are none."""
    folder = tmp_path / "data"
    write(folder / "day1" / "a.tif", frames(seed=1))
    write(folder / "day1" / "b.tif", frames(seed=2))
    for number, frame in enumerate(frames(seed=3)):
        write(folder / "day2" / "cell" / f"frame{number}.tif", frame)
    (folder / "day1" / "notes.txt").write_text("pH 7")
    write(folder / "day1" / "overview.tif", frames()[0])
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Return the files in a folder by name, except reports, which tell the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "report.json"
    }
