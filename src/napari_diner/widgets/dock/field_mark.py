"""The frame around the field that an error is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QAbstractItemView, QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QWidget

from napari_diner.errors import DinerError
from napari_diner.widgets.forms.controls import warning_colour
from napari_diner.widgets.forms.recipe_form import RecipeForm, Section

if TYPE_CHECKING:
    from napari_diner.widgets.dock.task_dock import TaskDock

_FRAMED = (QAbstractItemView, QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit)
"""Widgets that can have a frame; of others, the first such part gets it."""
_DELAY_MS = 50


class FieldMark(QObject):
    """Unfolds, scrolls to and frames the field of the last error, until a setting changes or a run starts.

    Parameters
    ----------
    dock
        The dock.
    """

    def __init__(self, dock: TaskDock[Any]) -> None:
        super().__init__(dock)
        self._dock = dock
        self.others: dict[str, Callable[[], QWidget]] = {}
        """Return widgets of fields that the dock shows otherwise than by an editor, by the keys of these fields."""
        self.marked: QWidget | None = None
        """The widget with the frame."""
        self._before = ""
        dock.panel.complained.connect(self.show)
        for signal in (dock.panel.appeased, dock.panel.started):
            signal.connect(self.clear)

    def show(self, error: DinerError) -> None:
        """Mark the field of an error, if it is about one."""
        self.clear()
        field = None if error.field is None else self._field(error.field)
        if field is not None:
            self.frame(field)

    def frame(self, field: QWidget) -> None:
        """Mark a field, instead of the one that is marked."""
        self.clear()
        parent: QWidget | None = field
        while parent is not None and parent is not self._dock:
            if isinstance(parent, Section) and not parent.isExpanded():
                parent.expand()
            parent = parent.parentWidget()
        self.marked = part = _part_with_frame(field)
        if part is not None:
            self._before = part.styleSheet()
            name = part.objectName() or type(part).__name__
            part.setObjectName(name)
            colour = warning_colour(self._dock.viewer.theme)
            # not "#name", as names may have dots in them
            part.setStyleSheet(f'{self._before} *[objectName="{name}"] {{ border: 1px solid {colour}; }}')
        # once the unfolded settings are laid out
        QTimer.singleShot(_DELAY_MS, self._reveal)

    def clear(self) -> None:
        """Remove the frame."""
        if self.marked is not None:
            self.marked.setStyleSheet(self._before)
        self.marked = None

    def _reveal(self) -> None:
        if self.marked is not None:
            self._dock.settings.ensureWidgetVisible(self.marked)

    def keys(self) -> dict[int, str]:
        """Return the key of each field, by the `id` of its widget."""
        others = {key: widget() for key, widget in self.others.items()}
        return {id(each): key for key, each in (*self._dock.advanced.every(), *self._dock.editors.items())} | {
            id(each): key for key, each in others.items()
        }

    def _field(self, key: str) -> QWidget | None:
        if key in self.others:
            return self.others[key]()
        editors = self._dock.editors
        found = editors[key] if key in editors else _editor_in(self._dock.advanced, key)
        return found if isinstance(found, QWidget) else None


def _editor_in(form: RecipeForm, key: str) -> object:
    """Return the editor of a field in a form, or the section if the key is that of one; None if there is neither."""
    name, _, rest = key.partition(".")
    section = form.sections.get(name)
    if section is None:
        return None if rest else form.editors.get(name)
    return _editor_in(section.form, rest) if rest else section


def _part_with_frame(widget: QWidget) -> QWidget | None:
    """Return the part of a widget that can have a frame."""
    if isinstance(widget, Section):
        return widget.toggleButton()
    if isinstance(widget, _FRAMED):
        return widget
    return next((part for kind in _FRAMED for part in widget.findChildren(kind)), None)
