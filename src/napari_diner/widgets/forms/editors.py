"""Editors for single settings, chosen by the type and the bounds of a field in a recipe."""

from __future__ import annotations

import types
from typing import Any, Protocol, Union, get_args, get_origin

import yaml
from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QWidget,
)

from napari_diner.errors import RecipeError
from napari_diner.tasks.recipe import literal_values
from napari_diner.widgets.forms.number_editors import DECIMALS, FloatEditor, IntEditor

UNITS = {"_um": "µm", "_rad": "rad", "_seconds": "s", "_s": "s"}
"""Units by the ending of a field's name."""


class Editor(Protocol):
    """What every editor offers beside being a widget."""

    changed: Any

    def value(self) -> Any:
        """Return the value as a recipe takes it."""

    def set_value(self, value: Any) -> None:
        """Show a value of a recipe."""


class WheelGuard(QObject):
    """Leaves the mouse wheel to the scroll area, so that scrolling past an editor does not change it."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Refuse wheel events of editors that do not have the focus."""
        if (
            event is not None
            and event.type() == QEvent.Type.Wheel
            and isinstance(watched, QWidget)
            and not watched.hasFocus()
        ):
            event.ignore()
            return True
        return False

    def protect(self, widget: QWidget) -> None:
        """Guard one editor."""
        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(self)


class ChoiceEditor(QComboBox):
    """One of a few words."""

    changed = Signal()

    def __init__(self, choices: tuple[Any, ...]) -> None:
        super().__init__()
        for choice in choices:
            self.addItem(str(choice).replace("_", " "), choice)
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.currentIndexChanged.connect(self.changed)

    def value(self) -> Any:
        """Return the chosen word."""
        return self.currentData()

    def set_value(self, value: Any) -> None:
        """Choose a word."""
        self.setCurrentIndex(self.findData(value))


class BoolEditor(QCheckBox):
    """Yes or no."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.toggled.connect(self.changed)

    def value(self) -> bool:
        """Tell whether it is checked."""
        return self.isChecked()

    def set_value(self, value: Any) -> None:
        """Check or clear the box."""
        self.setChecked(bool(value))


class TextEditor(QLineEdit):
    """A short text; it may be empty."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.editingFinished.connect(self.changed)

    def value(self) -> str:
        """Return the text."""
        return self.text().strip()

    def set_value(self, value: Any) -> None:
        """Show a text."""
        self.setText(value or "")


class PathEditor(QWidget):
    """The path of a file, typed or picked; empty for None."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._edit = FileEdit(mode=FileDialogMode.EXISTING_FILE, nullable=True, value=None)
        self._edit.choose_btn.text = "…"
        self._edit.choose_btn.max_width = 30
        self._edit.margins = (0, 0, 0, 0)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit.native)
        self._edit.changed.connect(self._emit)

    def _emit(self) -> None:
        self.changed.emit()

    def value(self) -> str | None:
        """Return the path, or None if there is none."""
        # the text itself, because FileEdit turns an empty one into the path "."
        return self._edit.line_edit.value.strip() or None

    def set_value(self, value: Any) -> None:
        """Show a path."""
        self._edit.line_edit.value = value or ""


class NumbersEditor(QLineEdit):
    """Numbers, or lists of numbers, separated by commas; empty for none.

    Parameters
    ----------
    title
        What the numbers are, for messages.
    depth
        1 for numbers, 2 for lists of numbers.
    empty
        The value that stands for an empty text.
    """

    changed = Signal()

    def __init__(self, title: str, depth: int, empty: Any) -> None:
        super().__init__()
        self._title, self._depth, self._empty = title, depth, empty
        self.setPlaceholderText("none")
        self.editingFinished.connect(self.changed)

    def value(self) -> Any:
        """Return the numbers.

        Raises
        ------
        RecipeError
            If the text is no list.
        """
        text = self.text().strip()
        if not text:
            return self._empty
        try:
            values = yaml.safe_load(f"[{text}]")
        except yaml.YAMLError:
            raise RecipeError(f"{self._title}: {text!r} is no list; separate the numbers by commas") from None
        # the user may have written the outer brackets too
        if len(values) == 1 and _depth(values) > self._depth:
            return values[0]
        return values

    def set_value(self, value: Any) -> None:
        """Show numbers."""
        self.setText(", ".join(_number_text(item) for item in value or ()))


def make_editor(name: str, field: FieldInfo) -> QWidget | None:
    """Return an editor for a field of a recipe, or None for a field that leaves no choice.

    Raises
    ------
    TypeError
        If there is no editor for the field's type.
    """
    annotation, optional = strip_none(field.annotation)
    choices = literal_values(annotation)
    low, high = bounds(field)
    if choices:
        if len(choices) == 1:
            return None
        editor: QWidget = ChoiceEditor(choices)
    elif annotation is bool:
        editor = BoolEditor()
    elif annotation is int:
        editor = IntEditor(int(max(low, -(2**31) + 1)), int(min(high, 2**31 - 1)), "auto" if optional else None)
    elif annotation is float:
        editor = FloatEditor(low, high, unit_of(name), "none" if optional else None)
    elif annotation is str:
        editor = PathEditor() if optional else TextEditor()
    elif get_origin(annotation) is tuple:
        depth = 2 if get_origin(get_args(annotation)[0]) is tuple else 1
        editor = NumbersEditor(label_of(name, field), depth, None if optional else ())
    else:
        raise TypeError(f"{name}: there is no editor for {field.annotation}")
    editor.setObjectName(name)
    editor.setToolTip(field.description or "")
    return editor


def strip_none(annotation: Any) -> tuple[Any, bool]:
    """Split ``X | None`` into X and True; any other type is returned with False."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        if len(members) == 1 and len(get_args(annotation)) == 2:
            return members[0], True
    return annotation, False


def bounds(field: FieldInfo) -> tuple[float, float]:
    """Return the smallest and the largest value that a spin box may show for a field."""
    whole = strip_none(field.annotation)[0] is int
    step = 1 if whole else 10.0**-DECIMALS
    low, high = -1e12, 1e12
    for rule in field.metadata:
        low = max(low, getattr(rule, "ge", low), getattr(rule, "gt", low - step) + step)
        high = min(high, getattr(rule, "le", high), getattr(rule, "lt", high + step) - step)
    return low, high


def unit_of(name: str) -> str:
    """Return the unit that a field's name ends in."""
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def label_of(name: str, field: FieldInfo) -> str:
    """Return a field's title, without the unit where that stands behind the number."""
    title = field.title or name.replace("_", " ").capitalize()
    if strip_none(field.annotation)[0] is not float:
        return title
    return title.removesuffix(f"({unit_of(name)})").strip()


def _depth(values: Any) -> int:
    return 1 + _depth(values[0]) if isinstance(values, list) and values else int(isinstance(values, list))


def _number_text(item: Any) -> str:
    if isinstance(item, list | tuple):
        return f"[{', '.join(_number_text(part) for part in item)}]"
    return f"{item:.10g}"
