"""Editors for single settings, chosen by the type and the bounds of a field of a recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar, cast, get_args, get_origin

import yaml
from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, QObject, Qt, Signal, SignalInstance
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QWidget

from napari_diner.errors import RecipeError, quoted
from napari_diner.io.texts import parse_yaml
from napari_diner.settings import choices, sections, without_none
from napari_diner.widgets.forms.controls import ShrinkingCombo, remove_margins
from napari_diner.widgets.forms.number_editor import DECIMALS, NumberEditor

UNITS = {"_um": "µm", "_rad": "rad", "_seconds": "s", "_s": "s"}
"""Units by the suffix of a field's name."""
KEY = re.compile(r"\b[a-z]+(?:[._][a-z]+)+\b")
"""Words that can only be keys of fields, as they contain an underscore or a dot."""
MOST_WHOLE = 2**31 - 1
"""Largest absolute value of an integer in an editor."""

ValuesT = TypeVar("ValuesT")


class Editor(Protocol):
    """A widget that shows the value of one field of a recipe."""

    @property
    def changed(self) -> SignalInstance:
        """Emitted when the user, or the program, has changed the value."""

    def value(self) -> object:
        """Return the value in the form of the recipe."""

    def set_value(self, value: object) -> None:
        """Show a value of a recipe."""

    def setEnabled(self, enabled: bool) -> None:  # noqa: N802 (Qt's name)
        """Enable or disable the editor."""


class WheelGuard(QObject):
    """Passes the mouse wheel on to the scroll area, so that scrolling past an editor does not change its value.

    Parameters
    ----------
    editor
        The widget to guard; it reacts to the wheel only while it has the focus.
    """

    def __init__(self, editor: QWidget) -> None:
        super().__init__(editor)
        editor.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        editor.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Ignore wheel events of an editor without the focus."""
        if event is None or event.type() != QEvent.Type.Wheel or not isinstance(watched, QWidget):
            return False
        if not watched.hasFocus():
            event.ignore()
        return not watched.hasFocus()


class _ChoiceEditor(ShrinkingCombo):
    """One of a few words."""

    changed = Signal()

    def __init__(self, choices: Sequence[object]) -> None:
        super().__init__()
        for choice in choices:
            self.addItem(str(choice).replace("_", " "), choice)
        self.currentIndexChanged.connect(self.changed)

    def value(self) -> object:
        return self.currentData()

    def set_value(self, value: object) -> None:
        self.setCurrentIndex(self.findData(value))


class _BoolEditor(QCheckBox):
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.toggled.connect(self.changed)

    def value(self) -> bool:
        return self.isChecked()

    def set_value(self, value: object) -> None:
        self.setChecked(bool(value))


class _TextEditor(QLineEdit):
    """A short text, which may be empty."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.editingFinished.connect(self.changed)

    def value(self) -> object:
        return self.text().strip()

    def set_value(self, value: object) -> None:
        self._show(str(value or ""))

    def _show(self, text: str) -> None:
        """Show the beginning of a text, which may be longer than the field."""
        self.setText(text)
        self.setCursorPosition(0)


class _PathEditor(QWidget):
    """The path of a file, typed or selected; empty for None."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._edit = FileEdit(mode=FileDialogMode.EXISTING_FILE, nullable=True, value=None)
        self._edit.choose_btn.text = "…"
        self._edit.choose_btn.max_width = 30
        self._edit.margins = (0, 0, 0, 0)
        layout = QHBoxLayout(self)
        remove_margins(layout)
        layout.addWidget(self._edit.native)
        # psygnal would keep a reference to a bound signal
        self._edit.changed.connect(self._emit)

    def _emit(self) -> None:
        self.changed.emit()

    def value(self) -> str | None:
        # the text itself, because FileEdit turns an empty one into the path "."
        return self._edit.line_edit.value.strip() or None

    def set_value(self, value: object) -> None:
        self._edit.line_edit.value = str(value or "")


class NumbersEditor(_TextEditor):
    """Numbers, or lists of numbers, separated by commas.

    Parameters
    ----------
    title
        What the numbers are, for messages.
    depth
        1 for numbers, 2 for lists of numbers.
    empty
        The value of an empty text.
    """

    def __init__(self, title: str, depth: int, empty: tuple[()] | None) -> None:
        super().__init__()
        self._title, self._depth, self._empty = title, depth, empty
        self.setPlaceholderText("none")

    def value(self) -> object:
        """Return the numbers.

        Raises
        ------
        RecipeError
            If the text is not a list.
        """
        text = self.text().strip()
        if not text:
            return self._empty
        try:
            values = parse_yaml(f"[{text}]")
        except ValueError:
            raise RecipeError(
                f"{self._title}: {quoted(text)} is not a list; separate the numbers with commas"
            ) from None
        # the user may have typed the outer brackets as well
        nested = isinstance(values, list) and len(values) == 1 and _depth(values) > self._depth
        return values[0] if isinstance(values, list) and nested else values

    def set_value(self, value: object) -> None:
        """Show numbers."""
        self._show(", ".join(map(_number_text, value)) if isinstance(value, Sequence) else "")


class _MappingEditor(_TextEditor):
    """Settings of extensions, as YAML in one line."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.setPlaceholderText("none")

    def value(self) -> object:
        try:
            return parse_yaml(self.text()) or {}
        except ValueError:
            raise RecipeError(
                f"{self._title}: {quoted(self.text())} is not YAML; write {{name: {{key: value}}}}"
            ) from None

    def set_value(self, value: object) -> None:
        flow = yaml.safe_dump(value, default_flow_style=True, width=float("inf")) if value else ""
        self._show(flow.strip())


def make_editor(name: str, field: FieldInfo, none_text: str | None = None) -> Editor | None:
    """Return an editor for a field of a recipe that shows its default, or None for a field with a single value.

    Parameters
    ----------
    name, field
        The field.
    none_text
        Text shown for an empty number, if None means more than "none".

    Raises
    ------
    TypeError
        If there is no editor for the field's type.
    """
    annotation = without_none(field.annotation)
    optional = annotation is not field.annotation
    words = choices(field)
    if len(words) == 1:
        return None
    editor: _ChoiceEditor | _BoolEditor | _TextEditor | _PathEditor | NumberEditor
    if words:
        editor = _ChoiceEditor(words)
    elif annotation is bool:
        editor = _BoolEditor()
    elif annotation in (int, float):
        none = (none_text or ("auto" if annotation is int else "none")) if optional else None
        editor = NumberEditor(*bounds(field), _unit(name), none, whole=annotation is int, title=title_of(name, field))
    elif annotation is str:
        editor = _PathEditor() if optional else _TextEditor()
    elif get_origin(annotation) is dict:
        editor = _MappingEditor(title_of(name, field))
    elif get_origin(annotation) is tuple:
        depth = 2 if get_origin(get_args(annotation)[0]) is tuple else 1
        editor = NumbersEditor(title_of(name, field), depth, None if optional else ())
    else:
        raise TypeError(f"{name}: there is no editor for {field.annotation}")
    editor.setObjectName(name)
    editor.setToolTip(field.description or "")
    editor.set_value(field.get_default(call_default_factory=True))
    WheelGuard(editor)
    return editor


def make_editors(
    model: type[BaseModel], names: Sequence[str], none_texts: Mapping[str, str] | None = None
) -> dict[str, Editor]:
    """Return the editors of the fields of a model that can be changed, by name; see `make_editor`."""
    editors = {name: make_editor(name, model.model_fields[name], (none_texts or {}).get(name)) for name in names}
    return {name: editor for name, editor in editors.items() if editor is not None}


def values_of(editors: Mapping[str, Editor]) -> dict[str, object]:
    """Return the values of editors by the names of their fields.

    Raises
    ------
    RecipeError
        If a text cannot be read; it says in which field.
    """
    return {name: values_in(name, editor.value) for name, editor in editors.items()}


def values_in(name: str, read: Callable[[], ValuesT]) -> ValuesT:
    """Return what `read` does, with the name of the field or section put before the field of an error."""
    try:
        return read()
    except RecipeError as error:
        field = name if error.field in (None, name) else f"{name}.{error.field}"
        raise RecipeError(error.message, field) from None


def add_rows(form: QFormLayout, model: type[BaseModel], editors: Mapping[str, Editor]) -> QFormLayout:
    """Append a row with title and editor for each of some fields of a model to a form, and return the form."""
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    # in a dock that is narrow, as on a screen at 150 %, nothing is cut off
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    for name, editor in editors.items():
        form.addRow(label_of(model, name), cast(QWidget, editor))
    return form


def label_of(model: type[BaseModel], name: str) -> QLabel:
    """Return a label with the title of a field of a model, and its description as tooltip."""
    field = model.model_fields[name]
    label = QLabel(title_of(name, field))
    label.setToolTip(field.description or "")
    return label


def bounds(field: FieldInfo) -> tuple[float, float]:
    """Return the limits of a spin box for a field."""
    whole = without_none(field.annotation) is int
    step = 1.0 if whole else 10.0**-DECIMALS
    high = float(MOST_WHOLE) if whole else 1e12
    low = -high
    for rule in field.metadata:
        low = max(low, getattr(rule, "ge", low), getattr(rule, "gt", low - step) + step)
        high = min(high, getattr(rule, "le", high), getattr(rule, "lt", high + step) - step)
    return low, high


def title_of(name: str, field: FieldInfo) -> str:
    """Return a field's title, without the unit if the editor shows it after the number."""
    title = field.title or name.replace("_", " ").capitalize()
    return title.removesuffix(f"({_unit(name)})").strip() if without_none(field.annotation) is float else title


def title_of_key(model: type[BaseModel], key: str) -> str:
    """Return the title of a field by its key, e.g. ``"Steps (Gauss-Newton)"``; the key if there is no such field."""
    section, _, rest = key.partition(".")
    field = model.model_fields.get(section)
    if field is None:
        return key
    if not rest:
        return title_of(section, field)
    nested = sections(model).get(section)
    if nested is None:  # such as the name of a file
        return key
    return f"{title_of_key(nested, rest)} ({title_of(section, field)})"


def with_titles(model: type[BaseModel], sentence: str) -> str:
    """Return a sentence with the titles of the fields whose keys it mentions, such as ``padding.mode``.

    What a field is to be set to, as in ``set dark_field to leave_out``, is a value, even if a field has that name; what
    is in single quotes stands in a file, or was typed.
    """

    def title(match: re.Match[str]) -> str:
        if sentence[: match.start()].endswith((" to ", "'")):
            return match[0]
        shown = title_of_key(model, match[0])
        return match[0] if shown == match[0] else f'"{shown}"'

    return KEY.sub(title, sentence)


def _unit(name: str) -> str:
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def _depth(values: object) -> int:
    return 1 + _depth(values[0]) if isinstance(values, list) and values else int(isinstance(values, list))


def _number_text(item: object) -> str:
    return f"[{', '.join(map(_number_text, item))}]" if isinstance(item, list | tuple) else f"{item:.10g}"
