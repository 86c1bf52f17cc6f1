"""Seconds from the last file of a recording to its preview and to its result, when a folder is watched.

A microscope is replayed: it writes the frames of a recording one after the other into a new folder, and pauses until
the result is there. ``napari-diner watch`` runs beside it, in a process of its own, as it would during a measurement.

    python benchmarks/watch.py [--size 512] [--times 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

import napari_diner as nd

_FRAME_EVERY_S, _TIMEOUT_S = 0.1, 300.0


def seconds_until(exists: Callable[[], bool], since: float) -> float:
    """Wait until something exists; return the seconds since a time."""
    while not exists():
        if time.monotonic() - since > _TIMEOUT_S:
            raise TimeoutError("nothing arrived")
        time.sleep(0.02)
    return time.monotonic() - since


def main() -> None:
    """Print the median and the longest of the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    sample = nd.sample("lensless", height_px=options.size, width_px=options.size)
    with tempfile.TemporaryDirectory() as place:
        incoming, out, recipe = Path(place, "incoming"), Path(place, "out"), Path(place, "recipe.yaml")
        incoming.mkdir()
        recipe.write_text(sample.recipe.updated({"stack": None}).to_yaml(complete=False))
        command = [sys.executable, "-m", "napari_diner", "watch", str(incoming), "--recipe", str(recipe)]
        with subprocess.Popen([*command, "-o", str(out), "-q"]) as process:
            previews, results = [], []
            # the first recording is not counted: it may be there before the process has warmed up
            for number in range(options.times + 1):
                folder = incoming / f"t{number:03d}"
                folder.mkdir()
                for height, frame in enumerate(sample.data.data):
                    tifffile.imwrite(folder / f"z{height}.tif", np.roll(frame, 5 * number, 1))
                    written = time.monotonic()
                    time.sleep(_FRAME_EVERY_S)
                name = f"{incoming.name}/{folder.name}"
                if number:
                    previews.append(seconds_until((out / "previews" / f"{name}.png").exists, written))
                results.append(seconds_until((out / name / "report.json").exists, written))
            process.terminate()
    for title, values in (("preview", previews), ("result", results[1:])):
        print(f"{title}: median {np.median(values):.2f} s, longest {max(values):.2f} s", flush=True)


if __name__ == "__main__":
    main()
