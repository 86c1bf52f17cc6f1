"""Whether a result that is replaced while it is read is read as one: the old or the new one, never parts of both.

One process replaces a result over and over, each time by one with other values and another number of images. A second
one reads it meanwhile, and compares images, parameters and report.

    python benchmarks/readers.py [--seconds 8]

Needs ``os.fork``.
"""

from __future__ import annotations

import argparse
import collections
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.tasks.saving import load, save


def result(version: int) -> Result:
    """Return a result with this value everywhere."""
    names = ("phase", "amplitude", "residual") if version % 2 else ("phase", "amplitude")
    values = np.full((64, 64), version, np.float32)
    arrays = tuple(NamedArray(name, values, "YX", (1.0, 1.0)) for name in names)
    return Result("lensless", arrays, LenslessRecipe(), {"version": version}, {"table": values[0]})


def is_one(read: Result) -> bool:
    """Tell whether all parts of a result are of the same version."""
    version = int(str(read.report["version"]))
    parts = [*(array.data for array in read.arrays), *read.weights.values()]
    return len(parts) == len(result(version).arrays) + 1 and all((part == version).all() for part in parts)


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    end = time.monotonic() + parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        save(result(0), out)
        child = os.fork()
        version = 0
        while not child and time.monotonic() < end:
            save(result(version := version + 1), out, overwrite=True)
        if not child:
            print(f"{version} times replaced", flush=True)
            os._exit(0)
        counts: collections.Counter[str] = collections.Counter()
        while time.monotonic() < end:
            try:
                counts["read as one" if is_one(load(out)) else "mixed"] += 1
            except DinerError as error:
                counts[str(error)] += 1
        os.waitpid(child, 0)
        print(dict(counts))


if __name__ == "__main__":
    main()
