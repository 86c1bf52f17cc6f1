"""A batch: the items of a plan, computed one after the other or by several workers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from napari_diner.errors import OutputError
from napari_diner.execution.item_run import Record, State, run_item, saved, version_of
from napari_diner.execution.items import Item, items_of
from napari_diner.execution.plan import Plan
from napari_diner.execution.sizing import result_bytes
from napari_diner.execution.summary import counted, is_batch, write_summary
from napari_diner.io.folder import check_space, reserved
from napari_diner.io.places import local_path
from napari_diner.tasks.recipe import input_files

Changes = Generator[Sequence[Record], None, None]
"""Records as they change, possibly none; close it to stop."""
Executor = Callable[[Sequence[Item], Path, bool], Changes]
"""Runs items into an output folder; the flag allows replacing results."""

_SUMMARY_EVERY_S = 10.0
_REMOVED = "its result was removed before the batch ended; run the batch again"


class Batch:
    """A run of all items of a plan, iterated by its owner like a `napari_diner.tasks.run.Run`.

    Each iteration yields the records that have changed, possibly none. To cancel, stop iterating and leave the ``with``
    block: finished items are kept, others are discarded. The output folder receives a folder for each item, and
    ``batch.json``, ``batch.csv`` and ``batch.html``. Items that are complete, from the same data with the same
    recipe, are left unchanged, so that a cancelled batch can be continued.

    Parameters
    ----------
    plan
        The recordings, and the recipe for them.
    output
        A new folder, an empty one, or that of an earlier batch.
    overwrite
        Whether results of other data or other recipes in it are replaced; otherwise these items fail.
    executor
        Where items are computed; one after the other in this process if None.
    is_growing
        Whether recordings are still arriving.

    Raises
    ------
    DinerError
        If the plan or the folder cannot be used, or the results do not fit the disk.

    Examples
    --------
    >>> with Batch(Plan.load("plan.yaml"), "results") as batch:
    ...     for changed in batch:
    ...         print(batch.count("done"), "of", len(batch.records))
    """

    def __init__(
        self,
        plan: Plan,
        output: str | Path,
        *,
        overwrite: bool = False,
        executor: Executor | None = None,
        is_growing: bool = False,
    ) -> None:
        self.plan, self.overwrite = plan, overwrite
        self.output = local_path(output)
        self.items, self.strays = (
            (inventory := items_of(plan, self.output, is_growing=is_growing)).items,
            inventory.strays,
        )
        self.records = {item.name: Record(item.name, item.source) for item in self.items}
        self._executor = executor or one_after_the_other
        self._context = ExitStack()
        self._began = time.monotonic()
        self._before: dict[str, tuple[int, ...] | None] = {}
        self._written = -math.inf

    def count(self, *states: State) -> int:
        """Return how many items are in one of these states."""
        return sum(record.state in states for record in self.records.values())

    def counted(self) -> str:
        """Return in words how many items are in each state, e.g. ``"38 done, 2 failed"``."""
        return counted(list(self.records.values()))

    @property
    def is_complete(self) -> bool:
        """Whether all items have ended."""
        return all(record.is_over for record in self.records.values())

    @property
    def remaining_s(self) -> float | None:
        """Estimated remaining seconds, from the time of the items so far; None if unknown."""
        computed, left = self.count("done", "failed"), self.count("waiting", "running")
        return None if not (computed and left) else left * (time.monotonic() - self._began) / computed

    @property
    def warnings(self) -> Mapping[str, Sequence[str]]:
        """Warnings, each with the items that it is about."""
        named: dict[str, list[str]] = {}
        for record in self.records.values():
            for warning in record.warnings:
                named.setdefault(warning, []).append(record.name)
        return named

    def __enter__(self) -> Self:
        try:
            if self.output.is_dir() and not is_batch(self.output):
                foreign = next((entry.name for entry in self.output.iterdir() if not entry.name.startswith(".")), "")
                if foreign:
                    raise OutputError(
                        f"The output folder {self.output} exists and is not that of a batch (it has {foreign}); choose "
                        "another one"
                    )
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The output folder {self.output} cannot be written ({error.strerror}); choose another one"
            ) from None
        check_space(self.output, result_bytes(self.items, self.output), "The results of all items need")
        inputs = {path for item in self.items for path in input_files(item.recipe)}
        self._context.enter_context(reserved(self.output, overwrite=True, inputs=inputs))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._context:
            for item in self.items:
                record = self.records[item.name]
                if record.state in ("done", "unchanged") and version_of(item, self.output) is None:
                    self.records[item.name] = replace(record, state="failed", message=_REMOVED)
                elif not record.is_over:
                    # results that a worker saved without reporting them count as done; the rest was cancelled
                    given_up = record if record.state == "waiting" else Record(item.name, item.source)
                    is_begun = item.name in self._before
                    found = saved(item, self.output, self._before[item.name]) if is_begun else None
                    self.records[item.name] = found or given_up
            if self._written > -math.inf:
                self._summarise(is_over=True)

    def __iter__(self) -> Iterator[Sequence[Record]]:
        self._began = time.monotonic()
        self._look_before()
        self._summarise()
        changes = self._changes()
        try:
            for changed in changes:
                self._look_before()
                self.records |= {record.name: record for record in changed}
                if any(record.is_over for record in changed) and time.monotonic() - self._written > _SUMMARY_EVERY_S:
                    self._summarise()
                yield changed
        finally:
            changes.close()

    def _look_before(self) -> None:
        """Remember the earlier results of items that are new: clocks do not tell what was saved since."""
        for item in self.items:
            if item.name not in self._before:
                self._before[item.name] = version_of(item, self.output)

    def _changes(self) -> Changes:
        """Run the items; yield records as they change, possibly none."""
        return self._executor(self.items, self.output, self.overwrite)

    def _summarise(self, *, is_over: bool = False) -> None:
        """Write the summaries; once items have been run, a failure matters only at the end."""
        try:
            write_summary(self.output, list(self.records.values()), self.strays, is_over=is_over)
        except OutputError:
            if is_over or self._written == -math.inf:
                raise
        self._written = time.monotonic()


def one_after_the_other(items: Sequence[Item], output: Path, overwrite: bool) -> Changes:
    """Run items in this process; see `Executor`."""
    for item in items:
        for record in run_item(item, output, overwrite=overwrite):
            yield [record]
