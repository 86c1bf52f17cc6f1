"""The panel to start, pause and cancel a run and follow its progress, shared by the docks of all tasks."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from napari.utils import progress as activity
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_diner.errors import DinerError
from napari_diner.tasks.result import Progress
from napari_diner.widgets.dock.checks_panel import ChecksPanel
from napari_diner.widgets.dock.disposal import RemovalFilter
from napari_diner.widgets.dock.failure import Failure
from napari_diner.widgets.dock.run_worker import (
    CHECKING,
    Begin,
    Controls,
    Doing,
    Doubts,
    Report,
    RunWorker,
    make_worker,
)
from napari_diner.widgets.forms.controls import ShortArea, WrappedLabel, button, remove_margins, row
from napari_diner.widgets.plots.loss_plot import LossPlot
from napari_diner.wording import duration

STATUS_LINES = 10
"""Lines of the status from which on it scrolls."""
BAR_STEPS = 1000
CANCEL_TIP = "Stop and keep the best result so far"
ENDLESS = 10_000_000
"""Number of iterations that stands for as many as the time allows."""


class RunPanel(QWidget):
    """The lower part of a dock: buttons, progress, curve and status line.

    It is independent of the task. On `run_requested` the dock calls `start` with a function that prepares the run; that
    function is called in the thread of the run.

    Parameters
    ----------
    dock
        The widget that napari puts into the dock. When it is removed from the dock, the run ends and
        the widget is destroyed.
    describe
        Returns the message of an error.
    title
        Name of a run in napari's list of activities, and in its question when the user quits during the run.
    with_titles
        Returns a warning or a note with the titles of the settings that it mentions.
    """

    run_requested = Signal()
    """Emitted when the user presses Run."""
    previewed = Signal(object)
    """Images of the current estimate: a tuple of `NamedArray`."""
    completed = Signal(object)
    """The result of a run, marked partial if it was cancelled."""
    started = Signal()
    """Emitted when a run starts."""
    ended = Signal()
    """Emitted when a run has ended, with or without a result."""
    complained = Signal(object)
    """The `DinerError` that is shown."""
    appeased = Signal()
    """Emitted when an error is not about the present settings any more."""

    def __init__(
        self,
        dock: QWidget,
        describe: Callable[[DinerError], str] = str,
        title: str = "Run",
        with_titles: Callable[[str], str] = str,
    ) -> None:
        super().__init__()
        self._title, self._with_titles = title, with_titles
        self._describe = describe
        self._controls: Controls | None = None
        self._worker: RunWorker | None = None
        self._activity: activity | None = None
        self._least_left = math.inf
        self._complaint = ""
        self._has_steps = self._has_returned = self._is_showing = self._is_over = self._is_updating = False
        self.removal = RemovalFilter(dock)
        self.removal.removed.connect(self.abandon)
        self.run_button = button("Run", "Start with the settings above")
        self.run_button.clicked.connect(self.run_requested)
        self.pause_button = button("Pause", "Wait after the current step; the clock stops", self.toggle_pause)
        self.cancel_button = button("Cancel", CANCEL_TIP, self.cancel)
        self.bar = QProgressBar()
        self.bar.setRange(0, BAR_STEPS)
        self.bar.setTextVisible(False)
        self.stage = QLabel()
        self.time = QLabel()
        self.time.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.plot = LossPlot()
        # until there is a curve, leave the space to the settings
        self.plot.hide()
        self.checks = ChecksPanel(describe, with_titles)
        self.status = WrappedLabel(lines=2)
        layout = QVBoxLayout(self)
        remove_margins(layout, 4)
        layout.addLayout(row(self.run_button, self.pause_button, self.cancel_button))
        layout.addWidget(self.checks)
        layout.addWidget(self.bar)
        layout.addLayout(row(self.stage, self.time, stretch=self.stage))
        layout.addWidget(self.plot, 1)
        layout.addWidget(ShortArea(self.status, STATUS_LINES))
        self._show_running(False)

    @property
    def running(self) -> bool:
        """Whether a run is running or paused."""
        return self._worker is not None

    def start(self, begin: Begin, *, curve: bool = True) -> None:
        """Start a run in a thread.

        Parameters
        ----------
        begin
            Prepares the run. It must not refer to the dock, or a closed dock would stay alive until it returns.
        curve
            Whether the run has something to plot; otherwise the curve of the previous run stays.
        """
        if self.running:
            return
        if curve:
            self.plot.clear()
            self.plot.hide()
        self.say("")
        self._least_left = math.inf
        self._has_steps = self._has_returned = self._is_showing = self._is_over = False
        self.checks.suspend()
        self._show_running(True)
        self.stage.setText("Preparing…")
        controls = self._controls = Controls()
        # not a method of this widget, which is partly destroyed by then; and a method, to which PyQt refers weakly: a
        # function that is part of the garbage itself is called after it was cleared, which crashes
        self.destroyed.connect(controls.abandon)
        worker = self._worker = make_worker(self._title, begin, controls)
        # nothing of it in the terminal
        self._activity = activity(total=BAR_STEPS, desc=self._title, file=io.StringIO())
        worker.yielded.connect(self._on_report)
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        worker.start()
        self.started.emit()

    def toggle_pause(self) -> None:
        """Pause the run, or resume it."""
        if self._controls is None or self._controls.stopped:
            return
        if self._controls.paused:
            self._controls.resume()
            self.pause_button.setText("Pause")
            self.say("")
        else:
            self._controls.pause()
            self.pause_button.setText("Resume")
            self.say("Pausing after this step…")

    def cancel(self) -> None:
        """Stop the run, within its step if that takes long; the best estimate so far becomes the result.

        The run ends at once, without a result, if it has not taken a step yet, or if it is cancelled a second time.
        """
        controls = self._controls
        if controls is None:
            return
        self.pause_button.setEnabled(False)
        if controls.stopped or not self._has_steps:
            controls.discard()
            self.cancel_button.setEnabled(False)
            self.say("Stopping…")
        else:
            controls.stop()
            self.cancel_button.setText("Discard")
            self.cancel_button.setToolTip("Stop at once, without a result")
            self.say("Stopping and keeping the best so far…")

    def abandon(self) -> None:
        """Stop the run and discard its result."""
        if self._controls is not None:
            self._controls.abandon()

    def say(self, message: str, *, warning: bool = False) -> None:
        """Show a sentence in the status line."""
        self.status.say(message, warning)

    def complain(self, error: DinerError) -> None:
        """Show an error in the status line."""
        self._complaint = self._with_titles(self._describe(error))
        self.say(self._complaint, warning=True)
        self.complained.emit(error)

    def forget_complaint(self) -> None:
        """Clear an error that has been shown for settings that are others now."""
        if self._complaint and self.status.text() == self._complaint:
            self.say("")
        if self._complaint:
            self._complaint = ""
            self.appeased.emit()

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Show a `DinerError` raised in the block in the status line."""
        try:
            yield
        except DinerError as error:
            self.complain(error)

    def set_theme(self, name: str) -> None:
        """Apply the colours of a napari theme."""
        self.plot.set_theme(name)
        self.status.set_theme(name)

    def warn(self, words: str, warnings: Iterable[str], notes: Iterable[str] = ()) -> None:
        """Show words, and notes and warnings on separate lines, in the colour of warnings if there are any."""
        doubts = [f"Warning: {self._with_titles(warning)}." for warning in warnings]
        lines = [*doubts, *(f"Note: {self._with_titles(note)}." for note in notes)]
        self.say("\n".join([words, *lines] if words else lines), warning=bool(doubts))

    def _on_report(self, report: Report) -> None:
        controls = self._controls
        if controls is None or controls.abandoned:
            return
        if report is CHECKING:
            self.stage.setText(CHECKING.words)
            self.time.clear()
            return
        if isinstance(report, Doing):
            self.say(report.words)
            return
        if isinstance(report, Doubts):
            if not controls.stopped:
                self.warn("", report.warnings, report.notes)
            return
        if report is None:
            if controls.paused:
                self.say("Paused")
            return
        self._has_steps = True
        self.plot.extend(report.points)
        if self.plot.has_line:
            self.plot.show()
        self._show_progress(report.progress)
        # showing either processes events, so the run may have ended meanwhile
        if report.progress.preview and not self._has_returned:
            self.previewed.emit(report.progress.preview)
            controls.preview_wanted.set()

    def _on_returned(self, outcome: object) -> None:
        self._has_returned = True
        self._is_showing = True
        try:
            self._show_outcome(outcome)
        finally:
            self._is_showing = False
        if self._is_over:
            self._on_finished()

    def _show_outcome(self, outcome: object) -> None:
        if self._controls is None or self._controls.abandoned:
            return
        if isinstance(outcome, Failure):
            self.complain(outcome.error)
        elif outcome is None:
            before = "" if self._has_steps else " before the first step"
            self.say(f"Cancelled{before}; there is no result")
        else:
            self.say("")
            with self.explaining():
                self.completed.emit(outcome)

    def _on_finished(self) -> None:
        self._is_over = True
        if self._is_showing:
            return  # showing the outcome processes events, among them this one
        self._worker = self._controls = None
        if self._activity is not None:
            self._activity.close()
            self._activity = None
        self._show_running(False)
        self.ended.emit()

    def _show_running(self, running: bool) -> None:
        self.run_button.setEnabled(not running)
        self.pause_button.setEnabled(running)
        self.cancel_button.setEnabled(running)
        self.pause_button.setText("Pause")
        self.cancel_button.setText("Cancel")
        self.cancel_button.setToolTip(CANCEL_TIP)
        # a busy indicator while the run is being prepared
        self.bar.setRange(0, 0 if running else BAR_STEPS)
        self.bar.setVisible(running)
        self.time.clear()
        self.stage.clear()
        self.stage.setVisible(running)
        self.time.setVisible(running)

    def _show_progress(self, progress: Progress) -> None:
        # a corrected estimate makes the bar wait, but never go back
        before = self.bar.value() if self.bar.maximum() else 0
        done = max(round(BAR_STEPS * share_done(progress)), before)
        self.bar.setRange(0, BAR_STEPS)
        self.bar.setValue(done)
        self.stage.setText(stage_text(progress))
        self.time.setText(duration(progress.elapsed_s) + self._time_left(progress))
        # napari's bar processes events: reports that have come in meanwhile leave it to the next one, or on a busy
        # machine each would be shown within the one before
        if self._activity is not None and not self._is_updating:
            self._is_updating = True
            try:
                self._activity.update(done - self._activity.n)
            finally:
                self._is_updating = False

    def _time_left(self, progress: Progress) -> str:
        """Return the remaining time as text; empty before the last stage, since it would not cover the whole run."""
        if progress.remaining_s is None or progress.part < progress.parts:
            return ""
        self._least_left = min(self._least_left, progress.remaining_s)
        # fewer iterations may be enough
        return f", at most {duration(self._least_left)} left"


def share_done(progress: Progress) -> float:
    """Return the completed part of a run, 0 to 1, assuming that its stages take equally long.

    The part of a stage is that of its iterations, or of its time if a time limit will end it first.
    """
    stage = min(progress.iteration / max(progress.iterations, 1), 1.0) if progress.done is None else progress.done
    if progress.remaining_s is not None and progress.parts == 1:
        stage = progress.elapsed_s / max(progress.elapsed_s + progress.remaining_s, 1e-9)
    return (progress.part - 1 + stage) / progress.parts


def stage_text(progress: Progress) -> str:
    """Return the stage and its iterations: ``"diner-siren 12/3000"``; ``"voxels: preparing"`` before the first."""
    stage = progress.stage
    if stage == f"{progress.contender}: {progress.contender}":
        stage = progress.contender
    if progress.iteration == 0:
        return f"{stage}: preparing"
    # if only the time is limited, the largest number of iterations is meaningless
    most = f"/{progress.iterations}" if progress.iterations < ENDLESS else ""
    return f"{stage} {progress.iteration}{most}"
