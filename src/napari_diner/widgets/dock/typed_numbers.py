"""Numbers that were typed but cannot be used: a message and a frame, until they are corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_diner.errors import about
from napari_diner.widgets.forms.number_editor import NumberEditor

if TYPE_CHECKING:
    from napari_diner.widgets.dock.task_dock import TaskDock


class TypedNumbers(QObject):
    """Says which numbers of a dock cannot be used, when the user leaves their field and before a run.

    Parameters
    ----------
    dock
        The dock.
    """

    def __init__(self, dock: TaskDock[Any]) -> None:
        super().__init__(dock)
        self._dock = dock
        self._refusal = ""

    def follow(self, part: QWidget) -> None:
        """Follow the numbers in a part of the dock."""
        for number in part.findChildren(NumberEditor):
            number.refused.connect(self._on_refused)

    def check(self) -> None:
        """Check that every typed number was accepted.

        Raises
        ------
        RecipeError
            If one was rejected; it is raised once for each.
        """
        keys = self._dock.mark.keys()
        for number in self._dock.findChildren(NumberEditor):
            with about(keys.get(id(number))):
                number.check_typed()

    def _on_refused(self, message: str) -> None:
        """Say that a typed number was rejected, and frame it, until it is corrected."""
        panel, mark, number = self._dock.panel, self._dock.mark, self.sender()
        if message or panel.status.text() == self._refusal:
            panel.say(message, warning=bool(message))
        self._refusal = message
        if message and isinstance(number, NumberEditor):
            mark.frame(number)
        elif mark.marked is number:
            mark.clear()
