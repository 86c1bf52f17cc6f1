"""A volume of several gigabytes written and viewed: peak memory and seconds of each.

    python benchmarks/large_volume.py -o results [--gigabytes 6]

A fit of a small volume of random blobs is rendered to OME-Zarr by ``napari-diner render``, so finely sampled that the
rendering has that size. Then the folder is opened in napari's viewer model, and the values of slices across it are read
at the resolution that a screen would show, and in part at full resolution. Each is a process of its own, whose peak
memory includes Python and all libraries.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

import napari_diner as nd
from napari_diner.device import peak_memory_mb
from napari_diner.tasks.saving import save
from napari_diner.tasks.task import Frames

_SHAPE = (24, 96, 96)
_SCREEN_PX, _SLICES = 1024, 20


def blobs() -> npt.NDArray[np.float32]:
    """Return a smooth random volume."""
    from scipy import ndimage

    noise = np.random.default_rng(0).normal(size=_SHAPE)
    return np.asarray(ndimage.gaussian_filter(noise, 3), np.float32)


def peak_of(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process; return its peak memory in GB."""
    peak = 0.0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss / 1e9)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    return peak


def view(folder: Path, answers: Any) -> None:
    """Open the folder as napari does, go through its slices, and return the figures."""
    import torch
    from napari.components import ViewerModel

    from napari_diner.widgets.layers.result_reader import read_results

    began = time.perf_counter()
    viewer = ViewerModel()
    for data, arguments, _ in read_results(str(folder)):
        viewer.add_image(data, **arguments)
    (layer,) = viewer.layers
    opened = time.perf_counter() - began
    # one level for each resolution if the volume is large
    levels = layer.data if layer.multiscale else [layer.data]
    began = time.perf_counter()
    shown = next((level for level in levels if max(level.shape[1:]) <= _SCREEN_PX), levels[-1])
    for place in np.linspace(0, shown.shape[0] - 1, _SLICES).astype(int):
        np.asarray(shown[place])
    whole = time.perf_counter() - began
    began = time.perf_counter()
    rows, columns = (slice(size // 2, size // 2 + _SCREEN_PX // 2) for size in levels[0].shape[1:])
    for place in np.linspace(0, levels[0].shape[0] - 1, _SLICES).astype(int):
        np.asarray(levels[0][place, rows, columns])
    part = time.perf_counter() - began
    answers.put(
        {
            "opened_s": opened,
            "whole_slice_s": whole / _SLICES,
            "fine_part_s": part / _SLICES,
            "peak_gb": peak_memory_mb(torch.device("cpu")) / 1e3,
        }
    )


def main() -> int:
    """Write and view the volume; print and save the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for large_volume.txt and .json")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    zoom = (arguments.gigabytes * 1e9 / (4 * np.prod(_SHAPE))) ** (1 / 3)
    with tempfile.TemporaryDirectory(dir=arguments.output) as place:
        folder = Path(place)
        save(nd.fit(Frames(blobs(), "ZYX", (0.5, 0.2, 0.2)), epochs=200, seed=0), folder / "fit")
        command = [
            sys.executable,
            "-m",
            "napari_diner",
            "render",
            str(folder / "fit"),
            "-q",
            "--zoom",
            f"{zoom},{zoom},{zoom}",
        ]
        began = time.perf_counter()
        with subprocess.Popen([*command, "-o", str(folder / "fine.ome.zarr")]) as process:
            written_gb = peak_of(process)
        if process.returncode:
            return process.returncode
        written_s = time.perf_counter() - began
        size = sum(file.stat().st_size for file in folder.glob("fine.ome.zarr/**/*") if file.is_file()) / 1e9
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        reader = context.Process(target=view, args=(folder / "fine.ome.zarr", answers))
        reader.start()
        viewed = answers.get(timeout=600)
        reader.join()
    rows = {
        "volume_gb": arguments.gigabytes,
        "folder_gb": size,
        "written_s": written_s,
        "written_peak_gb": written_gb,
        **viewed,
    }
    lines = [f"{name:<18}{value:8.2f}" for name, value in rows.items()]
    print("\n".join(lines))
    (arguments.output / "large_volume.txt").write_text("\n".join(lines) + "\n")
    (arguments.output / "large_volume.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
