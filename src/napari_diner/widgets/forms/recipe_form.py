"""A form for any recipe, built from the types, bounds, titles and descriptions of its fields."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import cast

from pydantic import BaseModel
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QFormLayout, QSizePolicy, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_diner.settings import sections
from napari_diner.tasks.recipe import merge
from napari_diner.widgets.forms.controls import remove_margins
from napari_diner.widgets.forms.editors import (
    Editor,
    WheelGuard,
    add_rows,
    label_of,
    make_editors,
    values_in,
    values_of,
)

_NO_LIMIT = 2**24 - 1  # Qt's QWIDGETSIZE_MAX


class RecipeForm(QWidget):
    """Editors for the fields of a model, with nested models in collapsible sections.

    The editors of a section are made when it is unfolded, or when they are asked for: a dock has hundreds.

    Parameters
    ----------
    model
        The recipe's class, or that of one of its sections.
    exclude
        Fields to omit, because another widget edits them.
    groups
        Titles of sections, with the fields of the model shown in each.
    none_texts
        Text shown for empty numbers, by field, where None means more than "none".
    """

    changed = Signal()
    grown = Signal(object)
    """The form of a section that was made."""

    def __init__(
        self,
        model: type[BaseModel],
        exclude: Collection[str] = (),
        groups: Mapping[str, Collection[str]] | None = None,
        none_texts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._model = model
        self.sections: dict[str, Section] = {}
        self.groups: dict[str, Section] = {}
        grouped = {name for names in (groups or {}).values() for name in names}
        nested = {name: kind for name, kind in sections(model).items() if name not in exclude}
        plain = [name for name in model.model_fields if name not in {*exclude, *grouped, *nested}]
        self.editors: dict[str, Editor] = make_editors(model, plain, none_texts)
        layout = QVBoxLayout(self)
        remove_margins(layout)
        rows = self._rows = QFormLayout()
        rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        layout.addLayout(add_rows(rows, model, self.editors))
        for editor in self.editors.values():
            editor.changed.connect(self.changed)
        for title, names in (groups or {}).items():
            others = set(model.model_fields) - set(names)
            make = functools.partial(RecipeForm, model, others, none_texts=none_texts)
            self.groups[title] = self._add_section(title, make)
            self.editors |= self.groups[title].form.editors
        for name, kind in nested.items():
            field = model.model_fields[name]
            default = field.get_default(call_default_factory=True)
            start = default if isinstance(default, BaseModel) else kind()
            make = functools.partial(RecipeForm, kind, none_texts=none_texts)
            section = self.sections[name] = self._add_section(field.title or name, make, start)
            section.toggleButton().setToolTip(field.description or "")

    def values(self) -> dict[str, object]:
        """Return the values of all editors as a nested mapping.

        Raises
        ------
        RecipeError
            If a text cannot be read.
        """
        nested = {name: values_in(name, section.values) for name, section in self.sections.items()}
        return values_of(self.editors) | nested

    def every(self) -> Iterator[tuple[str, Editor]]:
        """Yield the key and the editor of each field, those in sections included whose form is made."""
        yield from self.editors.items()
        for name, section in self.sections.items():
            if section.is_made:
                yield from ((f"{name}.{key}", editor) for key, editor in section.form.every())

    def set_values(self, values: Mapping[str, object] | BaseModel) -> None:
        """Show the values of a recipe, or of a mapping that may hold only some of them."""
        for name, value in dict(values).items():
            if name in self.editors:
                self.editors[name].set_value(value)
            elif name in self.sections and isinstance(value, Mapping | BaseModel):
                self.sections[name].set_values(value)

    def exchange(self, key: str, editor: Editor) -> dict[str, Editor]:
        """Put another editor in the place of that of a field; return it by its name, if the field is in no section.

        Parameters
        ----------
        key
            Of the field; with that of its section, such as ``"prior.support"``.
        editor
            A widget.
        """
        section, _, name = key.rpartition(".")
        if section:
            self.sections[section].form.exchange(name, editor)
            return {}
        new = cast(QWidget, editor)
        new.setObjectName(name)
        new.setToolTip(self._model.model_fields[name].description or "")
        WheelGuard(new)
        place, _ = self._rows.getWidgetPosition(cast(QWidget, self.editors[name]))
        self._rows.removeRow(place)
        self._rows.insertRow(place, label_of(self._model, name), new)
        editor.changed.connect(self.changed)
        self.editors[name] = editor
        return {name: editor}

    def _add_section(self, title: str, make: Callable[[], RecipeForm], start: BaseModel | None = None) -> Section:
        section = Section(title, make, start)
        section.changed.connect(self.changed)
        section.made.connect(self._on_made)
        layout = self.layout()
        if layout is not None:
            layout.addWidget(section)
        return section

    def _on_made(self, form: RecipeForm) -> None:
        form.grown.connect(self.grown)
        self.grown.emit(form)


class Section(QCollapsible):
    """A collapsible section with a form that is made when it is needed.

    Parameters
    ----------
    title
        Its title.
    make
        Makes the form.
    start
        The values of the form, if they are not those with which it is made.
    """

    changed = Signal()
    """A value has changed."""
    made = Signal(object)
    """The form, once it is made."""

    def __init__(self, title: str, make: Callable[[], RecipeForm], start: BaseModel | None = None) -> None:
        super().__init__(title, collapsedIcon="▸", expandedIcon="▾")
        self._make = make
        self._form: RecipeForm | None = None
        self._values: Mapping[str, object] = {} if start is None else start.model_dump()
        # an animation would leave the scroll area with the wrong height for a moment
        self.setDuration(0)
        # not limited to the height of rows that do not wrap
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        for part, margins in ((self, (0, 0, 0, 0)), (self.content(), (12, 0, 0, 4))):
            layout = part.layout()
            if layout is not None:
                layout.setContentsMargins(*margins)
                layout.setAlignment(Qt.AlignmentFlag(0))

    @property
    def is_made(self) -> bool:
        """Whether the form is made."""
        return self._form is not None

    @property
    def form(self) -> RecipeForm:
        """The form, which is made by the first access."""
        if self._form is None:
            form = self._form = self._make()
            form.set_values(self._values)
            form.changed.connect(self.changed)
            self.addWidget(form)
            self.made.emit(form)
        return self._form

    def values(self) -> Mapping[str, object]:
        """Return the values; see `RecipeForm.values`."""
        return self._values if self._form is None else self._form.values()

    def set_values(self, values: Mapping[str, object] | BaseModel) -> None:
        """Show values; see `RecipeForm.set_values`."""
        if self._form is not None:
            self._form.set_values(values)
            return
        changes = values.model_dump() if isinstance(values, BaseModel) else values
        merged = merge(self._values, {name: value for name, value in changes.items() if name in self._values})
        if merged != self._values:
            self._values = merged
            self.changed.emit()

    def expand(self, animate: bool = True) -> None:
        """Unfold the section, whose form is made first, to the height that its rows need, which may wrap."""
        _ = self.form
        super().expand(False)
        self.content().setMaximumHeight(_NO_LIMIT)

    def collapse(self, animate: bool = True) -> None:
        """Fold the section."""
        super().collapse(False)

    def eventFilter(self, _: QObject | None, __: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Keep the height: superqt would limit it to that of rows that do not wrap."""
        return False
