"""The command that runs many recordings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from napari_diner.cli.commands import Assignments
from napari_diner.cli.options import assignment
from napari_diner.cli.output import INTERRUPTED, Common
from napari_diner.cli.terminal import Display, Watch, warn
from napari_diner.errors import DinerError
from napari_diner.settings import Values
from napari_diner.tasks.recipe import merge
from napari_diner.wording import duration

if TYPE_CHECKING:
    from napari_diner.execution.batch import Batch
    from napari_diner.execution.item_run import Record

FAILED = 2
"""Exit code if some items have failed: their input cannot be used."""
_MOST_NAMED = 3
_STYLES = {"done": "green", "unchanged": "cyan", "failed": "red", "running": "bold", "waiting": "dim"}


def batch(
    plan: Annotated[Path, Parameter(help="Plan (YAML): where the recordings are, and their recipe.")],
    /,
    *,
    common: Common,
    workers: Annotated[
        int | None,
        Parameter(help="Processes on this machine; default: as many as fit its processors and memory."),
    ] = None,
    threads: Annotated[int | None, Parameter(help="Threads of each process; default: 1.")] = None,
    scheduler: Annotated[
        str, Parameter(help="Address of a Dask scheduler whose workers are used instead, e.g. tcp://host:8786.")
    ] = "",
) -> int:
    """Run a recipe on many recordings; run the command again to continue."""
    from napari_diner.execution.batch import Batch
    from napari_diner.execution.cluster import executor
    from napari_diner.execution.plan import Plan

    run_on = executor(workers, threads, scheduler)
    work = Batch(Plan.load(plan), common.output, overwrite=common.overwrite, executor=run_on)
    _follow(work, common)
    return _code(work)


def watch(
    folder: Annotated[Path, Parameter(help="Where recordings arrive: stacks, or folders of frames.")],
    /,
    *,
    common: Common,
    recipe: Annotated[Path, Parameter(help="Recipe for them (YAML).")],
    set_: Assignments = (),
    idle: Annotated[
        float | None, Parameter(help="Stop after this many seconds without a new file; default: run until Ctrl-C.")
    ] = None,
) -> int:
    """Preview recordings as they arrive in a folder, then run them, newest first."""
    from napari_diner.execution.watch import FolderWatch

    changes: Values = {}
    for text in set_:
        changes = merge(changes, assignment(text))
    work = FolderWatch.of(folder, recipe, common.output, changes, overwrite=common.overwrite)
    _follow(work, common, lambda: idle is None or time.monotonic() - work.last_news < idle)
    return _code(work)


def _code(work: Batch) -> int:
    """Return the exit code."""
    if not work.is_complete:
        return INTERRUPTED
    return FAILED if work.count("failed") else 0


def _follow(work: Batch, common: Common, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Show the progress of a batch until it ends or is interrupted, then its outcome."""
    try:
        with work:
            display: Display[Sequence[Record]] | None = None
            if not common.quiet:
                warn((f"{stray.path} is not an item: {stray.reason}" for stray in work.strays), "note")
                display = _Table(work) if sys.stderr.isatty() else _Lines(work)
            with Watch(display) as watching:
                for changed in work:
                    if not (watching.goes_on(changed) and goes_on()):
                        break
        _print_summary(work, common)
    except DinerError:  # the summary cannot be written, but there may be results
        _print_failures(work)
        raise
    except KeyboardInterrupt:
        if any((work.output / name).is_dir() for name in work.records):
            raise KeyboardInterrupt(f"finished items are in {common.output}") from None
        raise


def _print_summary(work: Batch, common: Common) -> None:
    if not common.quiet:
        for text, names in work.warnings.items():
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            warn([f"{', '.join(names[:_MOST_NAMED])}{more}: {text}"])
    _print_failures(work)
    if not common.quiet:
        print(f"{work.counted()}; see {common.output / 'batch.html'}")


def _print_failures(work: Batch) -> None:
    for record in work.records.values():
        if record.state == "failed":
            print(f"failed: {record.name}: {record.message}", file=sys.stderr)


class _Lines:
    """One line per finished item, for a log file."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def show(self, progress: Sequence[Record]) -> None:
        for record in progress:
            if record.is_over:
                ended = self._batch.count("done", "unchanged", "failed")
                left = self._batch.remaining_s
                more = "" if left is None else f", {duration(left)} left"
                place = f"{ended}/{len(self._batch.records)}"
                print(f"{place} {record.state} {record.name}{more}", file=sys.stderr, flush=True)
            elif record.state == "waiting":  # a new arrival
                print(f"waiting {record.name}: {record.message}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Table:
    """A table of items on a terminal: running, failed, and recently finished ones."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._ended: list[str] = []
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._drawn)
        self._live.start()

    def show(self, progress: Sequence[Record]) -> None:
        self._ended += [record.name for record in progress if record.is_over]

    def close(self) -> None:
        self._live.stop()

    def _drawn(self) -> Group:
        records, left = self._batch.records, self._batch.remaining_s
        rows = max(3, self._console.height - 5)
        running = [record for record in records.values() if record.state == "running"][:rows]
        over = [records[name] for name in reversed(self._ended)]
        failed = [record for record in over if record.state == "failed"]
        others = [record for record in over if record.state != "failed"]
        table = Table("item", "state", "", box=None, pad_edge=False, expand=True)
        waiting = [record for record in records.values() if record.state == "waiting" and record.message]
        for record in [*running, *reversed(waiting), *failed, *others][:rows]:
            remaining = "" if record.remaining_s is None else f", {duration(record.remaining_s)} left"
            what = record.message + remaining if record.message else f"{record.seconds:.1f} s"
            table.add_row(
                Text(record.name, overflow="ellipsis", no_wrap=True),
                Text(record.state, style=_STYLES[record.state]),
                Text(what, overflow="ellipsis", no_wrap=True),
            )
        more = "" if left is None else f", {duration(left)} left"
        return Group(table, Text(f"{self._batch.counted()}{more}", style="bold"))
