"""Many small stacks: one after the other, by two processes, and on an external cluster of which a worker is killed.

    python benchmarks/batch.py -o results

Forty simulated stacks of six frames of 64×64 pixels are reconstructed by few iterations of Gauss-Newton: the command
``napari-diner batch`` with ``--workers 1`` and ``--workers 2``, and a loop over single runs in one process, to see what
a batch adds to each item. Then the same plan runs on ``dask scheduler`` with two ``dask worker`` of one thread each, on
the loopback interface. When half of the items are done, one worker is killed; all items must be done in the end, and
none computed twice but the one that was running there.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import napari_diner as nd
import output
from napari_diner.execution.batch import Batch
from napari_diner.execution.cluster import executor
from napari_diner.execution.plan import Plan
from napari_diner.io.ometiff import write_array

ITEMS = 40
SETTINGS = {"gauss_newton": {"iterations": 3, "cg_steps": 10}, "device": "cpu"}


def write_stacks(folder: Path) -> Path:
    """Write the stacks and a plan for them; return the plan."""
    (folder / "stacks").mkdir()
    for number in range(ITEMS):
        sample = nd.sample("lensless", height_px=64, width_px=64, seed=number, noise_sigma=0.003)
        write_array(folder / "stacks" / f"{number:02}.tif", sample.data)
    recipe = sample.recipe.updated(
        {
            **SETTINGS,
            "stack": None,
        }
    )
    (folder / "recipe.yaml").write_text(recipe.to_yaml(complete=False), encoding="utf-8")
    plan = folder / "plan.yaml"
    plan.write_text("recipe: recipe.yaml\nitems: stacks/*.tif\n", encoding="utf-8")
    return plan


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall time of some work, and the processor time of this process and those that it waited for."""

    def used() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    began, before = time.perf_counter(), used()
    work()
    return time.perf_counter() - began, used() - before


def command(plan: Path, out: Path, workers: int) -> None:
    """Run the command, from the start of Python to its end."""
    words = [sys.executable, "-m", "napari_diner", "batch", str(plan), "-o", str(out), "-q"]
    subprocess.run([*words, "--workers", str(workers)], check=True)


def loop(plan: Path, out: Path) -> None:
    """Run the stacks one by one in this process."""
    for stack in sorted((plan.parent / "stacks").iterdir()):
        nd.lensless(stack, recipe=plan.parent / "recipe.yaml").save(out / stack.stem)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and two workers, as a user would; yield its address and the workers."""
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    place = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    started = [subprocess.Popen([*dask, "scheduler", *place, "--port", "0", "--scheduler-file", str(file)], **quiet)]
    try:
        while not file.is_file():
            time.sleep(0.1)
        worker = [*dask, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", *place]
        started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in started:
            process.terminate()
            process.wait()


def kill_one_of_two(plan: Path, out: Path, folder: Path) -> dict[str, object]:
    """Run the plan on an external scheduler, kill a worker at half time, and return what became of the items."""
    starts: Counter[str] = Counter()
    killed: list[str] = []
    with cluster(folder) as (address, workers):
        began = time.perf_counter()
        with Batch(Plan.load(plan), out, executor=executor(scheduler=address)) as work:
            for changed in work:
                starts.update(record.name for record in changed if record.message == "reading")
                running = [r.name for r in work.records.values() if r.place == str(workers[0].pid) and not r.is_over]
                if not killed and running and work.count("done") >= ITEMS // 2:
                    workers[0].send_signal(signal.SIGKILL)
                    killed += running
        took = time.perf_counter() - began
    counts = Counter(record.state for record in work.records.values())
    twice = {name: count for name, count in starts.items() if count > 1}
    return {"seconds": took, "states": dict(counts), "running on the killed worker": killed, "begun twice": twice}


def is_alike(one: Path, other: Path) -> bool:
    """Tell whether all files of the items, except for reports, which tell the time, are the same to the last byte."""
    names = {path.relative_to(one) for path in one.glob("stacks/*/*") if path.name != "report.json"}
    return bool(names) and all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for batch.txt and batch.json")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plan = write_stacks(folder)
        nd.lensless(folder / "stacks" / "00.tif", recipe=folder / "recipe.yaml")  # loads what all need
        times = {
            "single runs in a loop, in one process": measured(lambda: loop(plan, folder / "loop")),
            "a batch in the same process": measured(lambda: nd.batch(plan, folder / "batch")),
            "the same again: all unchanged": measured(lambda: nd.batch(plan, folder / "batch")),
            **{
                f"the command with --workers {n}": measured(functools.partial(command, plan, folder / f"{n}", n))
                for n in (1, 2)
            },
        }
        killed = kill_one_of_two(plan, folder / "killed", folder)
        alike = all(is_alike(folder / "batch", folder / name) for name in ("1", "2", "killed"))
    rows = [[name, wall, used, 1e3 * used / ITEMS] for name, (wall, used) in times.items()]
    rows.append(["an external cluster of two workers, one of them killed", killed["seconds"], "", ""])
    text = output.table(["", "seconds", "processor s", "processor ms per item"], rows)
    notes = f"results are the same to the last byte: {alike}\nexternal cluster: {killed}"
    report = {"items": ITEMS, "alike": alike, "killed": killed, "rows": rows}
    output.write(options.output, "batch", f"{text}\n\n{notes}", report)


if __name__ == "__main__":
    main()
