"""A run seen from a terminal: progress, interruption, and a table at the end."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from napari_diner.tasks.run import Progress

SECONDS_BETWEEN_LINES = 30.0
"""How often progress is told where there is no terminal to draw a bar on."""

SECONDS_BETWEEN_DRAWINGS = 0.1

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Inside its ``with`` block the first Ctrl-C (or SIGTERM) is noted in `asked`, and the second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if sys.stderr.isatty():
            print("\nstopping after this step; press Ctrl-C again to stop at once", file=sys.stderr)


def follow(run: Iterable[Progress], stop: Interruption, *, quiet: bool) -> bool:
    """Iterate a run to its end, or until `stop` was asked for; show how it goes.

    Returns
    -------
    bool
        Whether there is a result: at least one step was taken.
    """
    display = None if quiet else _Bar() if sys.stderr.isatty() else _Lines()
    started = False
    try:
        for progress in run:
            started = True
            if display is not None:
                display.show(progress)
            if stop.asked:
                break
    finally:
        if display is not None:
            display.close()
    return started


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
    """A line now and then, for a log file."""

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


def _figures(progress: Progress) -> str:
    figures = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in progress.losses.items()]
    if progress.remaining_s is not None:
        seconds = progress.remaining_s
        figures.append(f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.0f} min left")
    return ", ".join(figures)


UNITS = {"_db": "dB", "_rad": "rad", "_mb": "MB", "_um": "µm"}
SHOWN = ("solver", "start", "iterations", "seconds", "measurement_psnr_db", "truth", "peak_memory_mb", "warnings")
SHOWN_OF_FIT = (
    *("solver", "iterations", "seconds", "seconds_per_epoch", "psnr_db", "float_psnr_db", "identical"),
    *("bits_per_pixel", "parameters", "peak_memory_mb", "warnings"),
)


def summary(report: Mapping[str, Any], folder: Path) -> str:
    """Return a table of what a report says, for the end of a run."""
    rows: list[tuple[str, str]] = []
    is_fit = report.get("task") == "fit"
    for key in SHOWN_OF_FIT if is_fit else SHOWN:
        value = report.get(key)
        if is_fit and key in _FIGURES_OF_FIT and value is not None:
            rows.append(_FIGURES_OF_FIT[key](report))
        elif isinstance(value, Mapping):
            rows += [_row(name, figure, " (truth)") for name, figure in value.items()]
        elif isinstance(value, list):
            rows += [("note", str(text)) for text in value]
        elif value is not None:
            rows.append(_row(key, value))
    for part, label in (("registration", "registered"), ("calibration", "calibrated")):
        found = (report.get(part) or {}).get("summary")
        if found is not None:
            rows.append((label, found))
    rows += [("note", text) for text in report.get("uncertainty", {}).get("statements", ())]
    if report.get("partial"):
        rows.append(("note", "interrupted: this is the best so far"))
    rows.append(("folder", str(folder)))
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def _row(key: str, value: Any, remark: str = "") -> tuple[str, str]:
    unit = ""
    for suffix, name in UNITS.items():
        if key.endswith(suffix):
            key, unit = key.removesuffix(suffix), f" {name}"
    # errors of an index are far below one
    digits = ".3g" if "rmse" in key else ",.2f"
    shown = f"{value:{digits}}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    return key.replace("_", " ").replace("psnr", "PSNR").replace("rmse", "RMSE") + remark, shown + unit


def _identical(report: Mapping[str, Any]) -> tuple[str, str]:
    # rounded down, so that only what is all equal says so
    return "equal after rounding", f"{math.floor(1e5 * report['identical']) / 1e3:g} %"


def _bits(report: Mapping[str, Any]) -> tuple[str, str]:
    source = report.get("source_bits_per_pixel")
    beside = "" if source is None else f" (source file {source:.2f})"
    return "bits per pixel", f"{report['bits_per_pixel']:.2f}{beside}"


_FIGURES_OF_FIT: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "iterations": lambda report: ("epochs", f"{report['iterations']:,}"),
    "seconds_per_epoch": lambda report: ("seconds per epoch", f"{report['seconds_per_epoch']:.3g}"),
    "float_psnr_db": lambda report: ("PSNR before the table was rounded", f"{report['float_psnr_db']:.2f} dB"),
    "identical": _identical,
    "bits_per_pixel": _bits,
}
