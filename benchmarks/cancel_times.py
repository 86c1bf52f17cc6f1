"""How long after Cancel a run has ended, with its result: the longest time of each part of a run.

    python benchmarks/cancel_times.py [lensless "idt: uncertainty" ...] [--data FOLDER]

Runs are those of the docks, without a window. Each run is first taken without a Cancel, for --seconds at most. Then it
is started again for each moment at which Cancel is pressed: several while it is being prepared and while its settings
are compared with the data, and for each stage as the longest of its steps begins. Printed are the time from Cancel to
the result, the length of the step in the first run, and whether there was a result. Before the first step there is
none.

Data are samples, or, if a FOLDER with recordings is named (default: the environment variable NAPARI_DINER_DATA), these.
Times depend on what else the machine is doing, whose load is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

import napari_diner as nd
from napari_diner.api import as_frames
from napari_diner.tasks.registry import task
from napari_diner.tasks.result import Progress
from napari_diner.tasks.task import Frames
from napari_diner.widgets.dock.failure import Failure
from napari_diner.widgets.dock.run_worker import PREVIEW_INTERVAL_S, Controls, Drivable, drive
from output import table

PREPARING, COMPARING = "preparing", "comparing settings"
MOMENTS = {PREPARING: 6, COMPARING: 4}
DELAY_S = 0.005

SEVERAL = {"distances_um": (1000.0, 1100.0, 1220.0, 1350.0)}
# name: sample and its settings, or the name of a recording; settings of the recipe; whether methods are compared
CASES: dict[str, tuple[str, Mapping[str, object], Mapping[str, object]]] = {
    "lensless": ("lensless", {}, {}),
    "lensless: registration": ("lensless", {}, {"registration": "similarity"}),
    "lensless: deformation": ("lensless", {}, {"registration": "deformation"}),
    "lensless: self-calibration": ("lensless", {}, {"calibration": {"z": True, "shift": True}}),
    "lensless: uncertainty": ("lensless", {}, {"uncertainty": {"map": True}}),
    "lensless: prior": ("lensless", {}, {"prior": {"total_variation": "held_out"}}),
    "lensless: super-resolution": ("lensless", {"binning": 2}, {"super_resolution": 2}),
    "lensless: illumination": ("lensless", {}, {"unknown_illumination": {"solve": True, "finest_um": 100.0}}),
    "lensless: diner": ("lensless", {}, {"solver": "diner"}),
    "lensless: comparison": ("lensless", {}, {}),
    "focus": ("lensless", {}, {}),
    "idt": ("idt", {}, {}),
    "idt: calibration": ("idt", {}, {"calibration": {"illuminations": "circles"}}),
    "idt: multislice": ("idt", {"peak_phase_rad": 2.0}, {"model": "multislice"}),
    "idt: uncertainty": ("idt", {}, {"uncertainty": {"map": True}}),
    "idt: tiles": ("idt", {"height_px": 256, "width_px": 256}, {"tiles": {"use": "always", "size_px": 164}}),
    "idt: diner": ("idt", {}, {"solver": "diner"}),
    "idt: comparison": ("idt", {}, {}),
    "fit": ("image", {}, {}),
    "fit: siren": ("image", {}, {"representation": "siren"}),
    "fit: volume": ("volume", {}, {}),
    "fit: comparison": ("image", {}, {}),
}


@dataclass
class Press:
    """When Cancel is pressed: after a time in a part, or as a step begins."""

    part: str = ""
    """`PREPARING` or `COMPARING`; empty for a step."""
    after_s: float = 0.0
    """Seconds after the part began."""
    step: int = -1
    """Number of the step."""


class Watched:
    """A run whose parts and steps are timed, and that is cancelled once."""

    def __init__(
        self, begin: Callable[[], AbstractContextManager[Drivable]], press: Press | None, limit_s: float
    ) -> None:
        self._begin, self._press, self._limit_s = begin, press, limit_s
        self.controls = Controls()
        self.steps: list[tuple[str, float]] = []
        self.parts: dict[str, float] = {}
        self.pressed_at: float | None = None
        self.ended_at = 0.0
        self.outcome: object = None
        self._began = 0.0

    def cancel(self) -> None:
        """Press Cancel, as the panel of a dock does."""
        self.pressed_at = time.perf_counter()
        if self.steps:
            self.controls.stop()
        else:
            self.controls.discard()

    def go(self) -> Self:
        """Run until the end, the Cancel or the limit."""
        self._began = time.perf_counter()
        thread = threading.Thread(target=self._work)
        thread.start()
        thread.join()
        return self

    def _work(self) -> None:
        steps = drive(self._prepared, self.controls)
        while True:
            try:
                next(steps)
                self.controls.preview_wanted.set()
            except StopIteration as ended:
                self.outcome = ended.value
                break
        self.ended_at = time.perf_counter()

    def _prepared(self) -> Watched:
        self._later(PREPARING)
        self._run = self._begin()
        return self

    def _later(self, part: str) -> None:
        if self._press is not None and self._press.part == part and self.pressed_at is None:
            timer = threading.Timer(self._press.after_s, self.cancel)
            timer.daemon = True
            timer.start()

    def __enter__(self) -> Self:
        self._run.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Progress]:
        steps = iter(self._run)
        for number in range(10**9):
            began = time.perf_counter()
            if self._press is not None and self._press.step == number:
                threading.Timer(DELAY_S, self.cancel).start()
            progress = next(steps, None)
            now = time.perf_counter()
            if progress is None:
                break
            if not self.steps:
                self.parts[PREPARING] = now - self._began
            self.steps.append((progress.stage, now - began))
            if now - self._began > self._limit_s:
                self.controls.stop()
            yield progress

    @property
    def warnings(self) -> Sequence[str]:
        """Those of the run, timed."""
        self._later(COMPARING)
        began = time.perf_counter()
        try:
            return self._run.warnings
        finally:
            self.parts[COMPARING] = time.perf_counter() - began

    @property
    def notes(self) -> Sequence[str]:
        """Those of the run."""
        return self._run.notes

    @property
    def compares_settings(self) -> bool:
        """As of the run."""
        return self._run.compares_settings

    @compares_settings.setter
    def compares_settings(self, value: bool) -> None:
        self._run.compares_settings = value

    def result(self) -> object:
        """Return that of the run."""
        return self._run.result()


def moments(first: Watched) -> Iterator[tuple[str, float, Press]]:
    """Yield the name of a part, its length or that of its longest step in seconds, and when to press Cancel in it."""
    for part, count in MOMENTS.items():
        seconds = first.parts.get(part, 0.0)
        if seconds > 0.05:
            for number in range(count):
                yield part, seconds, Press(part, (number + 0.3) / count * seconds)
    longest: dict[str, int] = {}
    for number, (stage, seconds) in enumerate(first.steps[1:], 1):
        if stage not in longest or seconds > first.steps[longest[stage]][1]:
            longest[stage] = number
    for stage, number in longest.items():
        yield stage, first.steps[number][1], Press(step=number)


def measure(name: str, begin: Callable[[], AbstractContextManager[Drivable]], limit_s: float) -> list[list[Any]]:
    """Return a row for each part of a run: the longest time from Cancel to the end, and what came of it."""
    began = time.perf_counter()
    first = Watched(begin, None, limit_s).go()
    print(f"{name}: first run {time.perf_counter() - began:.0f} s, {len(first.steps)} steps", flush=True)
    if isinstance(first.outcome, Failure):
        raise SystemExit(f"{name}: {first.outcome.error}")
    rows: dict[str, list[Any]] = {}
    for part, seconds, press in moments(first):
        watched = Watched(begin, press, 10 * limit_s).go()
        if watched.pressed_at is None or watched.pressed_at > watched.ended_at:
            continue  # it had ended
        waited = watched.ended_at - watched.pressed_at
        if isinstance(watched.outcome, Failure):
            kept = str(watched.outcome.error)
        else:
            kept = "none" if watched.outcome is None else "kept"
        if part not in rows or waited > rows[part][2]:
            rows[part] = [name, part, waited, seconds, kept]
        print(f"  {part:28} {waited:6.2f} s  {kept}", flush=True)
    return list(rows.values())


def recorded(folder: Path, kind: str) -> tuple[dict[str, object], Frames] | None:
    """Return settings and frames of a recording in a folder that suits a task; None if there is none."""
    if kind == "image":
        places = sorted(folder.glob("images/*.png"))
        return ({}, nd.read(places[0])) if places else None
    if kind == "lensless":
        place = folder / "dnf_fiber"
        if not place.exists():
            return None
        known = json.loads((place / "params.json").read_text())
        chosen: dict[str, object] = {key: known[key] for key in ("wavelength_um", "pixel_size_um")}
        distances = known.get("distances_um") or known["distances_um_computed"]
        return {**chosen, "distances_um": distances}, nd.read(place / "RawImg_*.png")
    place = folder / "idt_algae"
    if kind != "idt" or not place.exists():
        return None
    known = json.loads((place / "params.json").read_text())
    directions = np.array(known["illumination_NA_calibrated"])[:, ::-1]
    return {
        "wavelength_um": known["wavelength_um"],
        "pixel_size_um": known["pixel_um"],
        "na": known["objective_NA"],
        "medium_index": known["n0"],
        "slice_spacing_um": 6.65,
        "slice_count": 25,
        "first_slice_um": -26.6,
        "illuminations": directions.tolist(),
        "dark_field": "leave_out",
    }, nd.read(next(place.glob("*raw*.tif")))


def prepared(name: str, folder: Path | None) -> Callable[[], AbstractContextManager[Drivable]]:
    """Return the function that prepares the run of a case."""
    sample, changes, settings = CASES[name]
    this = task({"image": "fit", "volume": "fit"}.get(sample, sample) if name != "focus" else "focus")
    known = None if folder is None or changes else recorded(folder, sample)
    if known is None:
        data = nd.sample(sample, **changes)
        known = {**data.recipe.model_dump(exclude_unset=True)}, as_frames(data)
    fields = {key: value for key, value in known[0].items() if key in this.recipe_type.model_fields and key != "task"}
    recipe = this.recipe_type.parse({**fields, **settings})
    if name.endswith("comparison"):
        return lambda: this.compare(recipe, known[1], seconds=5.0, preview_interval_s=PREVIEW_INTERVAL_S)
    return lambda: this.start(recipe, known[1], preview_interval_s=PREVIEW_INTERVAL_S)


def main() -> None:
    """Measure the cases that are named, and print the longest time of each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[], help=f"default: all of {', '.join(CASES)}")
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_DINER_DATA"))
    parser.add_argument("--seconds", type=float, default=60.0, help="longest time of the run without Cancel")
    arguments = parser.parse_args()
    rows: list[list[Any]] = []
    print(f"load {os.getloadavg()[0]:.1f}")
    for name in arguments.cases or CASES:
        folder = None if arguments.data is None else Path(arguments.data)
        rows += measure(name, prepared(name, folder), arguments.seconds)
    print(table(("run", "part", "Cancel (s)", "longest step (s)", "result"), rows))
    print(f"longest: {max(row[2] for row in rows):.2f} s, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
