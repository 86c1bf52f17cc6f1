"""A form for any recipe, built from the types, bounds, titles and descriptions of its fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_diner.settings import sections
from napari_diner.widgets.forms.controls import remove_margins
from napari_diner.widgets.forms.editors import Editor, WheelGuard, add_rows, label_of, make_editors


class RecipeForm(QWidget):
    """Editors for the fields of a model, with nested models in collapsible sections.

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
            self.groups[title] = self._add_section(title, RecipeForm(model, others, none_texts=none_texts))
            self.editors |= self.groups[title].form.editors
        for name, kind in nested.items():
            field = model.model_fields[name]
            section = self._add_section(field.title or name, RecipeForm(kind, none_texts=none_texts))
            section.toggleButton().setToolTip(field.description or "")
            default = field.get_default(call_default_factory=True)
            if isinstance(default, BaseModel):
                section.form.set_values(default)
            self.sections[name] = section

    def values(self) -> dict[str, object]:
        """Return the values of all editors as a nested mapping.

        Raises
        ------
        RecipeError
            If a text cannot be read.
        """
        values = {name: editor.value() for name, editor in self.editors.items()}
        return values | {name: section.form.values() for name, section in self.sections.items()}

    def set_values(self, values: Mapping[str, object] | BaseModel) -> None:
        """Show the values of a recipe, or of a mapping that may hold only some of them."""
        for name, value in dict(values).items():
            if name in self.editors:
                self.editors[name].set_value(value)
            elif name in self.sections and isinstance(value, Mapping | BaseModel):
                self.sections[name].form.set_values(value)

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

    def _add_section(self, title: str, form: RecipeForm) -> Section:
        section = Section(title, form)
        form.changed.connect(self.changed)
        layout = self.layout()
        if layout is not None:
            layout.addWidget(section)
        return section


class Section(QCollapsible):
    """A collapsible section of a form."""

    def __init__(self, title: str, form: RecipeForm) -> None:
        super().__init__(title, collapsedIcon="▸", expandedIcon="▾")
        self.form = form
        # an animation would leave the scroll area with the wrong height for a moment
        self.setDuration(0)
        for part, margins in ((self, (0, 0, 0, 0)), (self.content(), (12, 0, 0, 4))):
            layout = part.layout()
            if layout is not None:
                layout.setContentsMargins(*margins)
        self.addWidget(form)
