"""The part of a dock that says before a run what data and settings allow."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt, QTimer

from napari_diner.errors import DinerError
from napari_diner.tasks.preflight import Finding, preflight
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.task import AnyTask, Frames
from napari_diner.widgets.dock.background_work import LatestWork
from napari_diner.widgets.forms.controls import WrappedLabel

_DELAY_MS = 700
_COLOURS = {"good": "#3fa45b", "doubtful": "#d9920f", "bad": "#e0443c"}
_OUTDATED = "#8a8d93"
"""Colour of what is about settings that have changed since, readable on dark and on light."""
_ALWAYS = ("time", "memory")
"""Aspects whose sentence is shown even if it is good."""

Inputs = tuple[Recipe, Frames]


class ChecksPanel(WrappedLabel):
    """A dot for each aspect, green, amber or red, and the sentences of those that are not green.

    It follows data and settings: the checks run in a thread, some time after the last change, and never during a run,
    which hides it until the next change.

    Parameters
    ----------
    describe
        Returns the message of an error.
    with_titles
        Returns a sentence with the titles of the settings that it mentions.
    """

    def __init__(self, describe: Callable[[DinerError], str] = str, with_titles: Callable[[str], str] = str) -> None:
        super().__init__()
        self.lines: Sequence[Finding] = ()
        """What is shown."""
        self._describe, self._with_titles = describe, with_titles
        self._task: AnyTask | None = None
        self._inputs: Callable[[], Inputs | None] = lambda: None
        self._is_running: Callable[[], bool] = lambda: False
        self._work: LatestWork | None = None
        self._checked: object = None
        self.setTextFormat(Qt.TextFormat.RichText)
        # not at once: many settings change at a time, and while a number is typed
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.refresh)
        self.hide()

    def follow(
        self, task: AnyTask, inputs: Callable[[], Inputs | None], is_running: Callable[[], bool], work: LatestWork
    ) -> None:
        """Check a task.

        Parameters
        ----------
        task
            The task.
        inputs
            Returns recipe and arrays, or None if no layer is chosen.
        is_running
            Whether there is a run, during which nothing is checked.
        work
            The thread.
        """
        self._task, self._inputs, self._is_running, self._work = task, inputs, is_running, work
        work.done.connect(self._on_done)

    def expect(self, *_: object) -> None:
        """Schedule the checks after a change."""
        self._timer.start()

    def suspend(self) -> None:
        """Hide until the next change, and end checks in progress: a run says the same, and needs the processor."""
        self._timer.stop()
        if self._work is not None and self._work.busy:
            self._work.drop()
            self._checked = None
        self.hide()

    def refresh(self) -> None:
        """Request the checks, unless they are those of the last time."""
        if self._task is None or self._work is None or self._is_running():
            return
        try:
            inputs = self._inputs()
        except DinerError as error:
            self._checked = None
            self.show_lines([Finding("settings", "bad", self._describe(error).rstrip("."))])
            return
        if inputs is None:
            self._checked = None
            self.show_lines([])
            return
        recipe, frames = inputs
        key = (recipe, id(frames.array), sorted((name, id(image)) for name, image in frames.attachments.items()))
        if key == self._checked:
            self.setVisible(bool(self.lines))
            return
        self._checked = key
        if any(line.level == "bad" for line in self.lines):
            # what was wrong may be right now
            self.lines = []
            self.say("Checking data and settings…")
        elif self.lines:
            # what was right may be wrong now, but other settings move if this changes its height
            self._draw(outdated=True)
        self._work.request(functools.partial(preflight, self._task, recipe, frames, describe=self._describe))

    def _on_done(self, lines: Sequence[Finding]) -> None:
        """Show what was found, unless it is about settings that are others now."""
        if self._timer.isActive():
            self._checked = None  # even if the next settings are the same again
        elif self._work is None or not self._work.waits:
            self.show_lines(lines)

    def show_lines(self, lines: Sequence[Finding]) -> None:
        """Show the results of checks."""
        self.lines = lines = [line._replace(sentence=self._with_titles(line.sentence)) for line in lines]
        self.setVisible(bool(lines))
        self._draw()

    def _draw(self, *, outdated: bool = False) -> None:
        """Show what was found, in grey if it is about other settings."""
        levels: dict[str, str] = {}
        for line in self.lines:
            levels.setdefault(line.aspect, line.level)
        dots = "&nbsp; ".join(
            f"<span style='color:{_OUTDATED if outdated else _COLOURS[level]}'>●</span>&nbsp;"
            f"{html.escape(aspect).replace(' ', '&nbsp;')}"
            for aspect, level in levels.items()
        )
        shown = [line for line in self.lines if line.level != "good" or line.aspect in _ALWAYS]
        text = "<br>".join([dots, *map(_sentence, shown)])
        self.say(f"<span style='color:{_OUTDATED}'>{text}</span>" if outdated else text)
        tip = "Checking data and settings…" if outdated else "<br>".join(map(_sentence, self.lines))
        self.setToolTip(f"<qt>{tip}</qt>")


def _sentence(line: Finding) -> str:
    return f"<b>{html.escape(line.aspect)}</b>: {html.escape(line.sentence)}"
