"""The shared run panel, driven with a small reconstruction: gradient descent on a parabola."""

from __future__ import annotations

import functools
import gc
import inspect
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import pytest
from napari._qt.qthreading import wait_for_workers_to_quit
from pytestqt.qtbot import QtBot
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Progress, Result
from napari_diner.widgets.dock.background_work import LatestWork
from napari_diner.widgets.dock.run_panel import RunPanel, share_done, stage_text
from napari_diner.widgets.dock.run_worker import CHECKING, COMPARING, Controls, Doubts, ProgressReport, drive
from napari_diner.widgets.work import Titled, load_torch, wait_for
from napari_diner.wording import duration

TARGET = np.linspace(0, 1, 64).reshape(8, 8)


class Parabola:
    """Find an image by gradient descent on its squared distance."""

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    compares_settings = True

    def __init__(self, steps: int = 20, sleep_s: float = 0.0, error: Exception | None = None) -> None:
        self.steps, self.sleep_s, self.error = steps, sleep_s, error
        self.image = np.zeros((8, 8))
        self.finished = False
        self.released = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()

    def __iter__(self) -> Iterator[Progress]:
        for step in range(1, self.steps + 1):
            time.sleep(self.sleep_s)
            if self.error is not None and step == 3:
                raise self.error
            self.image = self.image - 0.3 * (self.image - TARGET)
            loss = float(np.mean((self.image - TARGET) ** 2))
            preview = (NamedArray("amplitude", self.image, "YX", (1.0, 1.0)),) if step % 5 == 0 else ()
            yield Progress("descent", step, self.steps, {"loss": loss}, step * self.sleep_s, 1.0, preview)
        self.finished = True

    def result(self) -> Result:
        array = NamedArray("amplitude", self.image, "YX", (1.0, 1.0))
        return Result("lensless", (array,), LenslessRecipe(), {}, partial=not self.finished)


class Dock(QWidget):
    """A minimal dock of a task."""

    def __init__(self) -> None:
        super().__init__()
        self.panel = RunPanel(self)
        QVBoxLayout(self).addWidget(self.panel)
        self.results: list[Result] = []
        self.previews: list[Any] = []
        self.panel.completed.connect(self.results.append)
        self.panel.previewed.connect(self.previews.append)


@pytest.fixture
def dock(qtbot: QtBot) -> Dock:
    dock = Dock()
    qtbot.addWidget(dock)
    dock.show()
    return dock


def wait_for_steps(qtbot: QtBot, dock: Dock, steps: int) -> None:
    qtbot.waitUntil(lambda: len(dock.panel.plot.seconds) >= steps, timeout=10_000)


def test_warnings_are_shown_during_a_run(dock: Dock, qtbot: QtBot) -> None:
    parabola = Parabola(steps=1000, sleep_s=0.01)
    parabola.warnings = ("the wavelength is odd", "the stack is small")
    dock.panel.start(lambda: parabola)
    qtbot.waitUntil(lambda: "odd" in dock.panel.status.text(), timeout=5000)
    assert dock.panel.running and dock.panel.status.is_warning
    assert dock.panel.status.text().splitlines()[1] == "Warning: the stack is small."
    dock.panel.cancel()
    qtbot.waitUntil(lambda: not dock.panel.running, timeout=5000)


@pytest.mark.parametrize("steps", [20, 3])
def test_warnings_are_looked_for_after_the_first_picture_or_at_the_end(steps: int) -> None:
    class Doubtful(Parabola):
        @property
        def warnings(self) -> tuple[str, ...]:  # type: ignore[override]
            return (f"the largest value is {self.image.max():.2f}",)

    reports = list(drive(lambda: Doubtful(steps), Controls()))
    place = next(number for number, report in enumerate(reports) if report is COMPARING)
    before = reports[place - 1]
    assert isinstance(before, ProgressReport) and before.progress.iteration == min(steps, 5)
    largest = f"{1 - 0.7 ** min(steps, 5):.2f}"
    assert reports[place + 1] == Doubts((f"the largest value is {largest}",), ())
    assert sum(isinstance(report, Doubts) for report in reports) == 1
    assert reports[-1] is CHECKING


def test_cancelling_ends_a_long_comparison_of_settings_and_keeps_the_best(
    dock: Dock, qtbot: QtBot, wait_for_end: Callable[[Any], None]
) -> None:
    class Slow(Parabola):
        @property
        def warnings(self) -> tuple[str, ...]:  # type: ignore[override]
            began = time.monotonic()
            while time.monotonic() - began < 20:
                time.sleep(0.005)
            return ("the wavelength is odd",)

    run = Slow()
    began = time.monotonic()
    dock.panel.start(lambda: run)
    qtbot.waitUntil(lambda: "Comparing" in dock.panel.status.text(), timeout=5000)
    dock.panel.cancel()
    assert "keeping the best" in dock.panel.status.text()
    wait_for_end(dock.panel)
    assert time.monotonic() - began < 10
    assert len(dock.results) == 1
    assert dock.results[0].partial
    assert not run.compares_settings
    assert "Comparing" not in dock.panel.status.text()


def test_a_run_that_fails_at_once_leaves_no_empty_plot(dock: Dock, wait_for_end: Callable[[Any], None]) -> None:
    def fail() -> Parabola:
        raise InputError("Frame 2 is empty; record it again")

    dock.panel.start(fail)
    assert dock.panel.plot.isHidden()
    wait_for_end(dock.panel)
    assert dock.panel.plot.isHidden()
    dock.panel.start(lambda: Parabola())
    assert dock.panel.plot.isHidden()
    wait_for_end(dock.panel)
    assert not dock.panel.plot.isHidden()


def test_a_long_status_scrolls(dock: Dock, qtbot: QtBot) -> None:
    dock.resize(360, 600)
    dock.show()
    dock.panel.say("short")
    short = dock.sizeHint().height()
    dock.panel.warn("Done", [f"the sample is odd in way {number}" for number in range(30)])
    qtbot.waitUntil(lambda: dock.panel.status.height() > 400, timeout=5000)
    assert dock.minimumSizeHint().height() < short + 250
    assert "way 29" in dock.panel.status.text()
    dock.panel.say("")
    assert dock.sizeHint().height() == short


def test_a_run_gives_its_result(dock: Dock, wait_for_end: Callable[[Any], None]) -> None:
    dock.panel.start(Parabola)
    assert not dock.panel.run_button.isEnabled()
    assert dock.panel.cancel_button.isEnabled()
    wait_for_end(dock.panel)
    (result,) = dock.results
    assert not result.partial
    assert dock.previews
    assert len(dock.panel.plot.seconds) == 20
    assert dock.panel.run_button.isEnabled()
    assert not dock.panel.cancel_button.isEnabled()


def test_the_run_ends_after_its_result_is_shown(dock: Dock, qtbot: QtBot, wait_for_end: Callable[[Any], None]) -> None:
    order: list[str] = []

    def show(_: object) -> None:
        qtbot.wait(300)  # drawing layers processes events
        order.append("shown")

    dock.panel.completed.connect(show)
    dock.panel.ended.connect(lambda: order.append("ended"))
    dock.panel.start(Parabola)
    wait_for_end(dock.panel)
    assert order == ["shown", "ended"]


def test_no_step_is_taken_while_it_is_paused(qtbot: QtBot, dock: Dock, wait_for_end: Callable[[Any], None]) -> None:
    run = Parabola(steps=30, sleep_s=0.02)
    dock.panel.start(lambda: run)
    wait_for_steps(qtbot, dock, 2)
    dock.panel.pause_button.click()
    qtbot.waitUntil(lambda: dock.panel.status.text() == "Paused", timeout=5000)
    image = run.image
    qtbot.wait(200)
    assert run.image is image
    assert dock.panel.pause_button.text() == "Resume"
    dock.panel.pause_button.click()
    wait_for_end(dock.panel)
    assert not dock.results[0].partial


@pytest.mark.parametrize("paused", [False, True])
def test_cancelling_keeps_the_best_so_far(
    qtbot: QtBot, dock: Dock, wait_for_end: Callable[[Any], None], paused: bool
) -> None:
    run = Parabola(steps=100_000, sleep_s=0.01)
    dock.panel.start(lambda: run)
    wait_for_steps(qtbot, dock, 2)
    if paused:
        dock.panel.pause_button.click()
    dock.panel.cancel_button.click()
    wait_for_end(dock.panel)
    assert dock.results[0].partial
    assert dock.results[0]["amplitude"].data.max() > 0
    assert run.released.is_set()


class Endless:
    """Computes without reporting progress, as in the preparation of a run or in a long step."""

    def __init__(self) -> None:
        self.began, self.released = threading.Event(), threading.Event()

    def __call__(self) -> Any:
        self.began.set()
        try:
            while True:
                time.sleep(0.01)
        finally:
            self.released.set()


class LongStep(Parabola):
    """A run that never ends a step after the last one."""

    def __iter__(self) -> Iterator[Progress]:
        yield from Parabola.__iter__(self)
        self.endless = Endless()
        self.endless()


def test_cancelling_ends_the_preparation_at_once(qtbot: QtBot, dock: Dock, wait_for_end: Callable[[Any], None]) -> None:
    endless = Endless()
    dock.panel.start(endless)
    qtbot.waitUntil(endless.began.is_set, timeout=5000)
    dock.panel.cancel_button.click()
    assert endless.released.wait(5)
    wait_for_end(dock.panel)
    assert dock.panel.status.text() == "Cancelled before the first step; there is no result"
    dock.panel.start(Parabola)
    wait_for_end(dock.panel)
    assert len(dock.results) == 1 and not dock.results[0].partial


def test_a_second_cancel_ends_a_long_step(qtbot: QtBot, dock: Dock, wait_for_end: Callable[[Any], None]) -> None:
    run = LongStep(steps=3)
    dock.panel.start(lambda: run)
    wait_for_steps(qtbot, dock, 1)
    qtbot.waitUntil(lambda: hasattr(run, "endless") and run.endless.began.is_set(), timeout=5000)
    dock.panel.cancel_button.click()
    assert dock.panel.status.text() == "Stopping and keeping the best so far…"
    assert dock.panel.running and dock.panel.cancel_button.text() == "Discard"
    dock.panel.cancel_button.click()
    assert run.endless.released.wait(5)
    wait_for_end(dock.panel)
    assert dock.results == [] and dock.panel.status.text() == "Cancelled; there is no result"
    assert dock.panel.cancel_button.text() == "Cancel"


@pytest.mark.parametrize("quits", [False, True])
def test_closing_the_dock_or_quitting_napari_ends_the_preparation(qtbot: QtBot, quits: bool) -> None:
    running, computing = Endless(), Endless()
    load_torch()  # work of docks begins with it
    outer, dock = QWidget(), Dock()
    qtbot.addWidget(outer)
    QVBoxLayout(outer).addWidget(dock)
    dock.panel.start(running)
    work = LatestWork(dock)
    dock.panel.removal.removed.connect(work.close)
    work.request(computing)
    qtbot.waitUntil(lambda: running.began.is_set() and computing.began.is_set(), timeout=5000)
    if quits:
        wait_for_workers_to_quit(5000)
    else:
        dock.setParent(None)
    assert running.released.wait(5) and computing.released.wait(5)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("Frame 2 is empty; record it again"), "Frame 2 is empty; record it again"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "The memory is full"),
        (MemoryError(), "The memory is full"),
        (RuntimeError("shape mismatch"), "The run failed (RuntimeError: shape mismatch)"),
    ],
)
def test_an_error_is_one_sentence_and_the_next_run_works(
    dock: Dock, wait_for_end: Callable[[Any], None], error: Exception, sentence: str
) -> None:
    dock.panel.start(lambda: Parabola(error=error))
    wait_for_end(dock.panel)
    assert dock.panel.status.text().startswith(sentence)
    assert dock.results == []
    dock.panel.start(Parabola)
    wait_for_end(dock.panel)
    assert len(dock.results) == 1
    assert dock.panel.status.text() == ""


def test_an_error_before_the_first_step(dock: Dock, wait_for_end: Callable[[Any], None]) -> None:
    def begin() -> Parabola:
        raise InputError("There is no file; choose one")

    dock.panel.start(begin)
    wait_for_end(dock.panel)
    assert dock.panel.status.text() == "There is no file; choose one"


@pytest.mark.parametrize("paused", [False, True])
def test_taking_the_dock_away_ends_the_thread(qtbot: QtBot, paused: bool) -> None:
    run = Parabola(steps=100_000, sleep_s=0.01)
    outer, dock = QWidget(), Dock()
    qtbot.addWidget(outer)
    QVBoxLayout(outer).addWidget(dock)
    dock.panel.start(lambda: run)
    wait_for_steps(qtbot, dock, 1)
    if paused:
        dock.panel.pause_button.click()
    dock.setParent(None)
    qtbot.waitUntil(run.released.is_set, timeout=2000)
    qtbot.waitUntil(lambda: not isalive(dock), timeout=2000)
    assert dock.results == []


def test_a_dock_that_moves_is_not_destroyed(qtbot: QtBot, wait_for_end: Callable[[Any], None]) -> None:
    outer, dock = QWidget(), Dock()
    qtbot.addWidget(outer)
    QVBoxLayout(outer).addWidget(dock)
    dock.setParent(None)
    dock.setParent(outer)
    qtbot.wait(50)
    assert isalive(dock)
    dock.panel.start(Parabola)
    wait_for_end(dock.panel)
    assert len(dock.results) == 1


def test_destroying_the_dock_ends_the_thread(qtbot: QtBot) -> None:
    run = Parabola(steps=100_000, sleep_s=0.01)
    dock = Dock()
    dock.panel.start(lambda: run)
    wait_for_steps(qtbot, dock, 1)
    dock.deleteLater()
    qtbot.waitUntil(run.released.is_set, timeout=2000)


def test_nothing_keeps_a_closed_panel_alive(qtbot: QtBot, wait_for_end: Callable[[Any], None]) -> None:
    run = Parabola()
    dock = Dock()
    dock.panel.start(functools.partial(lambda run: run, run))
    wait_for_end(dock.panel)
    remains = [weakref.ref(dock), weakref.ref(dock.panel), weakref.ref(dock.panel.plot)]
    dock.deleteLater()
    del dock
    qtbot.wait(50)
    gc.collect()
    assert [remain() for remain in remains] == [None, None, None]


def test_the_plot_follows_the_theme(dock: Dock) -> None:
    for name in ("light", "dark"):
        dock.panel.set_theme(name)
        background = dock.panel.plot.plot.backgroundBrush().color().lightness()
        text = dock.panel.plot.plot.getAxis("left").textPen().color().lightness()
        assert (background > text) == (name == "light")


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (125, "2:05 min"), (3725, "1:02 h")])
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("progress", "text", "share"),
    [
        (Progress("descent", 5, 20, {}, 1.0, None), "descent 5/20", 0.25),
        (Progress("descent", 5, 20, {}, 1.0, 1.0), "descent 5/20", 0.5),
        (Progress("voxels", 0, 40, {}, 1.0, None, done=0.125), "voxels: preparing", 0.125),
        (Progress("siren: siren", 5, 10_000_000, {}, 3.0, 1.0, contender="siren"), "siren 5", 0.75),
        (Progress("siren: placing keys", 5, 6, {}, 3.0, 0.0, contender="siren"), "siren: placing keys 5/6", 1.0),
    ],
)
def test_progress_is_readable_with_and_without_a_time_limit(progress: Progress, text: str, share: float) -> None:
    assert stage_text(progress) == text
    assert share_done(progress) == share


def test_progress_never_goes_back(dock: Dock) -> None:
    panel = dock.panel
    panel.bar.setRange(0, 0)
    stages = ((1, 10, 3.0), (1, 100, 0.1), (2, 1, 60.0), (2, 5, 90.0), (3, 1, 8.0), (3, 2, 40.0))
    shown = []
    for part, iteration, left in stages:
        panel._show_progress(Progress("stage", iteration, 100, {}, 2.0, left, part=part, parts=3))
        shown.append((panel.bar.value(), panel.time.text()))
    values = [value for value, _ in shown]
    assert values == sorted(values) and values[0] == 33
    # the time left is that of the whole run, so it is only known in the last stage, where it may only shrink
    assert [text for _, text in shown] == ["2 s"] * 4 + ["2 s, at most 8 s left"] * 2


def test_napari_knows_a_run_by_its_title() -> None:
    work = Titled("IDT refractive index", drive)
    assert f"Executing {work}" == "Executing IDT refractive index"
    assert inspect.isgeneratorfunction(work)


def test_the_screen_goes_on_while_work_is_waited_for(qtbot: QtBot) -> None:
    ticks: list[int] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(threading.get_ident()))
    timer.start(5)

    def work() -> int:
        time.sleep(0.1)
        return threading.get_ident()

    assert wait_for("Working", work) != threading.get_ident()
    assert len(ticks) > 3 and set(ticks) == {threading.get_ident()}
    with pytest.raises(InputError, match="no such file"):
        wait_for("Working", functools.partial(_fail, InputError("no such file")))
    with pytest.raises(RuntimeError, match="superqt"):
        wait_for("Working", functools.partial(_fail, RuntimeError("superqt would swallow it")))


def _fail(error: Exception) -> None:
    raise error


def test_reports_that_come_while_one_is_shown_do_not_pile_up(dock: Dock) -> None:
    panel, progress = dock.panel, Progress("parabola", 1, 10, {}, 1.0, None, (), done=0.1)

    class Bar:
        n = depth = deepest = 0

        def update(self, more: int) -> None:
            """Process events, as napari's bar does, among which there are reports on a busy machine."""
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
            if self.depth < 20:
                panel._show_progress(progress)
            self.n, self.depth = self.n + more, self.depth - 1

    bar = Bar()
    panel._activity = bar
    panel._show_progress(progress)
    panel._activity = None
    assert bar.deepest == 1 and bar.n > 0
