"""Watching a folder: a preview of each recording as it arrives, then its result, newest first."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from napari_diner.errors import DinerError, InputError
from napari_diner.execution.batch import Batch, Changes
from napari_diner.execution.item_run import Record, run_item
from napari_diner.execution.items import PREVIEWS, Item, items_of
from napari_diner.execution.plan import Plan
from napari_diner.execution.thumbnail import write_picture
from napari_diner.io.arrays import NamedArray
from napari_diner.io.folder import replaced
from napari_diner.io.formats import IMAGE_SUFFIXES, located
from napari_diner.io.ome_zarr import is_zarr
from napari_diner.io.places import expanded
from napari_diner.io.search import check_extent
from napari_diner.settings import Values
from napari_diner.tasks.registry import task_of
from napari_diner.tasks.task import AnyTask, Frames

_LOOKED_EVERY_S = 0.2
_SETTLED_S = 0.5
_SIDE_PX = 512

Files = Mapping[Path, tuple[int, int, int]]
"""Files with their times of modification and of any change, also of the name, in nanoseconds, and sizes in bytes."""


class FolderWatch(Batch):
    """A batch whose items are still arriving in a folder; it runs until its owner stops iterating.

    A recording is previewed once its files have not changed for half a second: the first picture of its run is written
    into ``previews`` before any other run continues. Then the newest recording without a result is run. One that cannot
    be read, or is not complete, waits until its files change; if they change after a result was saved, it is replaced.
    Recordings that are in the folder at the start are run without a preview.

    Parameters
    ----------
    folder
        Where the recordings arrive: stacks, or folders of frames, as for an entry of a plan.
    plan
        The recipe, with the folder as its only entry.
    output, overwrite
        See `Batch`.
    """

    def __init__(self, folder: Path, plan: Plan, output: str | Path, *, overwrite: bool = False) -> None:
        # the recipe stays that of the start, also if its file is being edited
        fixed = plan.model_copy(update={"recipe": plan.base()[1], "settings": {}})
        super().__init__(fixed, output, overwrite=overwrite, is_growing=True)
        self.folder = folder
        self.last_news = time.monotonic()
        """Time of the last event, on the clock of `time.monotonic`."""
        self._files: Files = {}
        self._since_when: dict[Path, float] = {}
        self._looked_at: dict[str, Files] = {}
        self._to_run: dict[str, int] = {}
        self._own: set[str] = set()
        self._scanned_at = -math.inf

    @classmethod
    def of(
        cls, folder: Path, recipe: Path, output: str | Path, settings: Values | None = None, *, overwrite: bool = False
    ) -> Self:
        """Return the watch of a folder with a recipe in a file, and changes of it.

        Raises
        ------
        DinerError
            If there is no such folder, or the recipe or the output cannot be used.
        """
        place = expanded(folder).absolute()
        if not place.is_dir():
            raise InputError(f"{folder} is not a folder; name the one where recordings arrive")
        check_extent(place)
        plan = Plan(recipe=str(expanded(recipe).absolute()), settings=settings or {}, items=[str(place)])
        return cls(place, plan, output, overwrite=overwrite)

    def picture(self, name: str) -> Path:
        """Return the file of the preview of a recording."""
        return self.output / PREVIEWS / f"{name}.png"

    def _changes(self) -> Changes:
        _warm_up(self.plan.base()[0])
        self.last_news = time.monotonic()
        name = ""
        running: Generator[Record, None, None] | None = None
        try:
            while True:
                for item in self._arrivals():
                    if item.name == name and running is not None:
                        running.close()
                        running = None
                    yield [self._look(item)]
                    self.last_news = time.monotonic()
                if running is None:
                    name, running = self._newest()
                if running is None:
                    time.sleep(_LOOKED_EVERY_S)
                    yield []
                    continue
                record = next(running)
                self.last_news = time.monotonic()
                if record.is_over:
                    running = None
                    self._own |= {name} if record.state == "done" else set()
                yield [record]
        finally:
            if running is not None:
                running.close()

    def _arrivals(self) -> list[Item]:
        """Return the completely written recordings without a current preview, newest first."""
        now = time.monotonic()
        if now - self._scanned_at < _LOOKED_EVERY_S:
            return []
        is_first, self._scanned_at = self._scanned_at == -math.inf, now
        before, self._files = self._files, self._scan()
        changed = [path for path, stat in self._files.items() if before.get(path) != stat]
        self._since_when |= dict.fromkeys(changed, now)
        if changed or len(before) != len(self._files):
            inventory = items_of(self.plan, self.output, is_growing=True)
            self.items, self.strays = inventory.items, inventory.strays
            new = {item.name: Record(item.name, item.source) for item in self.items}
            # what has gone before it was run waits no longer
            old = {name: record for name, record in self.records.items() if name in new or record.state != "waiting"}
            self.records = new | old
        arrived: list[tuple[int, Item]] = []
        for item in self.items:
            files = self._files_of(item)
            if not files or self._looked_at.get(item.name) == files:
                continue
            if is_first or all(now - self._since_when[path] >= _SETTLED_S for path in files):
                newest, *_ = max(files.values())
                self._looked_at[item.name] = files
                self._to_run[item.name] = newest
                arrived.append((newest, item))
        if is_first:
            return []
        return [item for _, item in sorted(arrived, key=lambda pair: pair[0], reverse=True)]

    def _scan(self) -> Files:
        files: dict[Path, tuple[int, int, int]] = {}
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".") and Path(folder, name) != self.output]
            for name in names:
                path = Path(folder, name)
                try:
                    stat = path.stat()
                except OSError:  # it has been removed
                    continue
                files[path] = stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size
        return files

    def _files_of(self, item: Item) -> Files:
        path, _ = located(item.source)
        if path in self._files:
            return {path: self._files[path]}
        if is_zarr(path):
            return {file: stat for file, stat in self._files.items() if path in file.parents}
        return {
            file: stat
            for file, stat in self._files.items()
            if file.parent == path and file.suffix.lower() in IMAGE_SUFFIXES
        }

    def _look(self, item: Item) -> Record:
        """Write the first picture of a recording; return its record, with the reason if there is no picture."""
        record = Record(item.name, item.source)
        try:
            images = first_images(item)
            replaced(self.picture(item.name), functools.partial(write_picture, images, side_px=_SIDE_PX))
        except (DinerError, MemoryError) as error:
            del self._to_run[item.name]
            return replace(record, message=str(error) or "the memory is full")
        # by the clock of this process, as files may have the times of another one
        after = time.monotonic() - max(self._since_when[path] for path in self._looked_at[item.name])
        self._summarise()
        return replace(record, message=f"previewed {after:.1f} s after its last change")

    def _newest(self) -> tuple[str, Generator[Record, None, None] | None]:
        """Return the newest pending recording and its run, if there is one."""
        by_name = {item.name: item for item in self.items}
        self._to_run = {name: when for name, when in self._to_run.items() if name in by_name}
        if not self._to_run:
            return "", None
        name = max(self._to_run, key=self._to_run.__getitem__)
        del self._to_run[name]
        return name, run_item(by_name[name], self.output, overwrite=self.overwrite or name in self._own)


def first_images(item: Item) -> tuple[NamedArray, ...]:
    """Return the first preview of the run of an item.

    Raises
    ------
    DinerError
        If it cannot be run.
    """
    if item.problem:
        raise InputError(item.problem)
    with task_of(item.recipe).start(item.recipe, preview_interval_s=0.0) as run:
        for progress in run:
            if progress.preview:
                return progress.preview
        return run.result().arrays


def _warm_up(task: AnyTask) -> None:
    """Import what a run needs, so that the first recording does not wait for it."""
    for sample in task.samples[:1]:
        data = sample.make(sample.settings())
        with task.start(data.recipe, Frames(data.data.data, data.data.axes, data.data.scale_um)) as run:
            next(run)
