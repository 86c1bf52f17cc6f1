"""A form for any recipe, built from the types, bounds, titles and descriptions of its fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_diner.tasks.recipe import sections
from napari_diner.widgets.forms.editors import WheelGuard, label_of, make_editor


class RecipeForm(QWidget):
    """Editors for the fields of a model, with its nested models in sections that are folded away.

    Parameters
    ----------
    model
        The recipe's class, or that of one of its sections.
    exclude
        Fields that the form leaves out, because another widget looks after them.
    groups
        Titles, and fields of the model itself that are shown as a section under each.
    """

    changed = Signal()

    def __init__(
        self,
        model: type[BaseModel],
        exclude: Collection[str] = (),
        groups: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        super().__init__()
        self.editors: dict[str, Any] = {}
        self.sections: dict[str, Section] = {}
        self.groups: dict[str, Section] = {}
        self._wheel_guard = WheelGuard(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._rows = QFormLayout()
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        layout.addLayout(self._rows)
        nested = sections(model)
        for title, names in (groups or {}).items():
            section = Section(title, RecipeForm(model, exclude=set(model.model_fields) - set(names)))
            section.form.changed.connect(self.changed)
            self.editors |= section.form.editors
            self.groups[title] = section
            layout.addWidget(section)
        for name, field in model.model_fields.items():
            if name in exclude or name in self.editors:
                continue
            if name in nested:
                section = Section(field.title or name, RecipeForm(nested[name]))
                section.toggleButton().setToolTip(field.description or "")
                section.form.changed.connect(self.changed)
                self.sections[name] = section
                layout.addWidget(section)
                continue
            editor = make_editor(name, field)
            if editor is None:
                continue
            editor.changed.connect(self.changed)  # type: ignore[attr-defined]
            self._wheel_guard.protect(editor)
            label = QLabel(label_of(name, field))
            label.setToolTip(field.description or "")
            self._rows.addRow(label, editor)
            self.editors[name] = editor
        self.set_values(
            {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
        )

    def values(self) -> dict[str, Any]:
        """Return the values of all editors as a nested mapping for `Recipe.parse`.

        Raises
        ------
        RecipeError
            If a text cannot be read.
        """
        values = {name: editor.value() for name, editor in self.editors.items()}
        return values | {name: section.form.values() for name, section in self.sections.items()}

    def set_values(self, values: Mapping[str, Any] | BaseModel) -> None:
        """Show the values of a recipe, or of a mapping that may hold only some of them."""
        if isinstance(values, BaseModel):
            values = dict(values)
        for name, value in values.items():
            if name in self.editors:
                self.editors[name].set_value(value)
            elif name in self.sections:
                self.sections[name].form.set_values(value)


class Section(QCollapsible):
    """A titled part of a form that can be folded away; it starts folded."""

    def __init__(self, title: str, form: RecipeForm) -> None:
        super().__init__(title, collapsedIcon="▸", expandedIcon="▾")
        self.form = form
        # an animation would leave the scroll area with the wrong height while the user already reads
        self.setDuration(0)
        for part, margins in ((self, (0, 0, 0, 0)), (self.content(), (12, 0, 0, 4))):
            layout = part.layout()
            assert layout is not None
            layout.setContentsMargins(*margins)
        self.addWidget(form)
