"""The line of a dock with the planned memory of a run."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QTimer

from napari_diner.errors import DinerError, OutOfMemoryError
from napari_diner.tasks.memory import MemoryPlan
from napari_diner.widgets.forms.controls import WrappedLabel

_DELAY_MS = 300


class MemoryLine(WrappedLabel):
    """Shows a plan, as a warning if it does not fit; hidden while there is no plan.

    Parameters
    ----------
    describe
        Returns the message of an error.
    """

    def __init__(self, describe: Callable[[DinerError], str] = str) -> None:
        super().__init__()
        self._describe = describe
        self._plan: Callable[[], MemoryPlan | None] = lambda: None
        # not at once: many settings change at a time, and while a number is typed
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.refresh)
        self.hide()

    def follow(self, plan: Callable[[], MemoryPlan | None]) -> None:
        """Use this function to get the plan."""
        self._plan = plan

    def expect(self, *_: object) -> None:
        """Schedule an update after a change."""
        self._timer.start()

    def refresh(self) -> None:
        """Update the plan."""
        try:
            plan = self._plan()
        except DinerError:
            plan = None  # reported by the run
        self.setVisible(plan is not None)
        if plan is None:
            return
        try:
            plan.check()
            self.say(f"Memory: {plan.describe()}")
        except OutOfMemoryError as error:
            self.say(self._describe(error), warning=True)
