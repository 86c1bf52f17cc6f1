"""How the step of a DINER fit and its memory grow with the number of samples.

    python benchmarks/growth.py -o results [--sizes 100,316,1000,3162]

Noise of 16 bits, each pixel with its own key, settings by default. Each size is a process of its own, whose peak memory
is given without that of a process that has imported everything and fitted a tiny image. A step is the shortest of
several, its processor time of all threads together.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from output import table, write

_TINY = 32
_STEPS = 12
HEADER = ("samples", "s a step", "ns a sample", "peak (MB)", "bytes a sample")


def measure(size: int) -> dict[str, float]:
    """Return the seconds of a step, and the peak memory of this process in bytes."""
    from steps import descent

    image = np.random.default_rng(0).integers(0, 65_536, (size, size)).astype(np.uint16)
    solver, seconds = descent(image, "YX", False, "siren"), []
    steps = solver.steps()
    for _ in range(_STEPS):
        began = time.process_time()
        next(steps)
        seconds.append(time.process_time() - began)
    return {"step": min(seconds), "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def apart(size: int) -> dict[str, float]:
    """Return the figures of a process of its own."""
    command = [sys.executable, __file__, "--measure", str(size), "-o", "."]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,316,1000,3162", help="pixels across the images")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for growth.txt and .json")
    arguments = parser.parse_args()
    if arguments.measure is not None:
        print(json.dumps(measure(arguments.measure)))
        return
    empty = apart(_TINY)["peak"]
    rows: list[list[object]] = []
    for size in map(int, arguments.sizes.split(",")):
        found, samples = apart(size), size**2
        more = found["peak"] - empty
        rows.append(
            [samples, found["step"], 1e9 * found["step"] / samples, round(found["peak"] / 1e6), round(more / samples)]
        )
        print(*rows[-1], flush=True)
    write(arguments.output, "growth", table(HEADER, rows), {"header": HEADER, "rows": rows})


if __name__ == "__main__":
    main()
