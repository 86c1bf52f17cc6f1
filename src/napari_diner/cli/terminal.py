"""A run on a terminal: progress, interruption, tables."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Generic, Protocol, Self, TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from napari_diner.io.exchange import interruptions
from napari_diner.tasks.report import Row
from napari_diner.tasks.result import Progress
from napari_diner.wording import duration

SECONDS_BETWEEN_LINES = 30.0
"""Time between lines of progress if there is no terminal for a progress bar."""

SECONDS_BETWEEN_DRAWINGS = 0.1


Shown = TypeVar("Shown", contravariant=True)


class Display(Protocol[Shown]):
    """The display of progress on a terminal."""

    def show(self, progress: Shown) -> None:
        """Show the progress."""

    def close(self) -> None:
        """Remove the display."""


class Watch(Generic[Shown]):
    """Show the progress of a run; the first Ctrl-C ends the run, the second stops it at once.

    Other `interruptions` count as Ctrl-C.

    Parameters
    ----------
    display
        How to show the progress; not at all if None.

    Examples
    --------
    >>> with Watch(progress_display()) as watch:
    ...     for progress in run:
    ...         if not watch.goes_on(progress):
    ...             break
    """

    def __init__(self, display: Display[Shown] | None) -> None:
        self.stopped = False
        """Whether the run was asked to end early."""
        self.started = False
        """Whether it has taken a step, so that there is a result."""
        self._display = display

    def goes_on(self, progress: Shown) -> bool:
        """Show progress; return whether the run should continue."""
        self.started = True
        if self._display is not None:
            self._display.show(progress)
        return not self.stopped

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in interruptions()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def clear(self) -> None:
        """Remove the progress bar."""
        if self._display is not None:
            self._display.close()

    def end(self) -> None:
        """Remove the progress bar after the last step.

        Raises
        ------
        KeyboardInterrupt
            If the run was stopped before its first step, so that there is no result.
        """
        if not self.started:
            raise KeyboardInterrupt
        self.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True
        if sys.stderr.isatty():
            print("\nstopping after this step; press Ctrl-C again to stop at once", file=sys.stderr)


def progress_display(*, quiet: bool = False) -> Display[Progress] | None:
    """Return the display of a run: a bar on a terminal, otherwise occasional lines; None if quiet."""
    return None if quiet else _Bar() if sys.stderr.isatty() else _Lines()


class _Bar:
    """A progress bar on a terminal."""

    def __init__(self) -> None:
        from tqdm import tqdm

        form = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"
        self._bar = tqdm(total=1, file=sys.stderr, bar_format=form, dynamic_ncols=True, leave=False)
        self._drawn = 0.0

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._drawn < SECONDS_BETWEEN_DRAWINGS:
            return
        self._drawn = now
        self._bar.desc = progress.stage
        self._bar.total, self._bar.n = progress.iterations, progress.iteration
        self._bar.set_postfix_str(_figures(progress))  # and draw

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """Occasional lines, for a log file."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            line = f"{progress.stage} {progress.iteration}/{progress.iterations}, {_figures(progress)}"
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


@contextmanager
def doing(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done: on a terminal in one line, which is removed at the end."""
    if quiet:
        yield lambda what: None
    elif sys.stderr.isatty():
        with Console(stderr=True).status("") as status:
            yield lambda what: status.update(Text(what))
    else:
        yield lambda what: print(f"{what} …", file=sys.stderr, flush=True)


def _figures(progress: Progress) -> str:
    figures = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in progress.losses.items()]
    if progress.remaining_s is not None:
        figures.append(f"{duration(progress.remaining_s)} left")
    return ", ".join(figures)


def warn(warnings: Iterable[str], kind: str = "warning") -> None:
    """Show warnings or notes about a run before it starts."""
    for warning in warnings:
        print(f"{kind}: {warning}", file=sys.stderr, flush=True)


def unprintable(error: OSError) -> str:
    """Return the beginning of a message about standard output that cannot be written."""
    return f"The output of this command cannot be printed ({error.strerror or type(error).__name__})"


def print_rows(rows: Iterable[Row]) -> None:
    """Print labels and values in two columns."""
    table = Table.grid(padding=(0, 2))
    for label, value in rows:
        table.add_row(Text(label), Text(value))
    print(_rendered(table))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table with headings; see `table_text`."""
    print(table_text(headings, rows))


def table_text(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with headings as text; all columns but the first are aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return _rendered(table)


def _rendered(table: Table) -> str:
    """Return a table as text, as wide as the terminal, or as wide as needed if there is none."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000, color_system=None)
    # nothing is written to standard output, which may be full, not even an empty text as by `Console.capture`
    lines = console.render_lines(table, pad=False)
    return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines).rstrip()
