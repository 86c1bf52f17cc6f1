"""What the docks of all tasks have in common: a layer, settings, a run, its result, and recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import napari
from napari.layers import Image
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMenu,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_diner.errors import DinerError, InputError
from napari_diner.tasks.command import command_line
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.run import Result
from napari_diner.widgets.dock.run_panel import RunPanel
from napari_diner.widgets.dock.run_worker import Begin
from napari_diner.widgets.dock.settings_area import SettingsArea
from napari_diner.widgets.forms.editors import WheelGuard, label_of, make_editor
from napari_diner.widgets.forms.layer_choice import LayerChoice
from napari_diner.widgets.forms.recipe_form import RecipeForm, Section
from napari_diner.widgets.layers.result_layers import ResultLayers


class TaskDock(QWidget):
    """Settings above, the run panel below, and buttons to keep results and recipes.

    A task's dock names its recipe in the class, adds its own widgets with `arrange` at the end of its constructor, and
    fills in the methods `prepare` and `summary`, and others where the task has more to say.

    Parameters
    ----------
    napari_viewer
        The viewer.
    choice
        The widget that chooses the layer.
    layers
        What shows the results, if they need more than a layer for each array.
    """

    recipe_type: ClassVar[type[Recipe]]
    """The recipe that the dock shows."""
    source_field: ClassVar[str]
    """Field of the recipe that names the files of the data."""
    essentials: ClassVar[tuple[str, ...]]
    """Fields that are always in sight, with an editor by their type."""
    elsewhere: ClassVar[tuple[str, ...]] = ()
    """Fields that widgets of the task's own look after."""
    groups: ClassVar[Mapping[str, Collection[str]]] = {}
    """Titles, and fields of the recipe that are shown as a section under each."""
    beside_advanced: ClassVar[tuple[str, ...]] = ()
    """Sections of the recipe, and groups, that stand before the advanced settings, not within them."""
    sections_of: ClassVar[Mapping[str, Collection[str]]] = {}
    """For each choice that `choices` may give, the sections of the recipe that matter for it."""

    def __init__(self, napari_viewer: napari.Viewer, choice: LayerChoice, layers: ResultLayers | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._result: Result | None = None
        self._layers = layers or ResultLayers(napari_viewer)
        self._wheel_guard = WheelGuard(self)
        self.choice = choice
        self.panel = RunPanel(self)
        exclude = (self.source_field, *self.essentials, *self.elsewhere)
        self.advanced = RecipeForm(self.recipe_type, exclude, self.groups)
        self._essentials = {name: self._make_editor(name) for name in self.essentials}
        self.settings = SettingsArea()
        self._build()

    def prepare(self, layer: Image) -> Begin:
        """Return what the thread of a run has to do before its first step; it must not refer to the dock.

        Raises
        ------
        DinerError
            If settings are missing, or do not go with the layer.
        """
        raise NotImplementedError

    def summary(self, result: Result) -> str:
        """Say in a few words how good a result is, and what it took."""
        raise NotImplementedError

    def own_values(self) -> dict[str, Any]:
        """Return the values of the fields that the task's own widgets look after."""
        return {}

    def show_own_values(self, recipe: Any) -> None:
        """Show a recipe's values of the fields that the task's own widgets look after."""

    def fill_in(self, layer: Image) -> None:
        """Fill in what a layer tells about itself; it was just chosen."""

    def choices(self) -> set[str]:
        """Return the choices that are made at present, as keys of `sections_of`."""
        return set()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a width that shows all labels and no more height than a small screen has."""
        return QSize(360, 600)

    def recipe(self) -> Any:
        """Return the recipe that the form shows.

        Raises
        ------
        RecipeError
            If a value is missing, cannot be read, or is out of bounds.
        """
        values = self.advanced.values()
        values |= {name: editor.value() for name, editor in self._essentials.items()}
        values |= {**self.own_values(), self.source_field: self.choice.source}
        return self.recipe_type.parse(values)

    def set_recipe(self, recipe: Recipe) -> None:
        """Show a recipe; the choice of the layer stays as it is."""
        for name, editor in self._essentials.items():
            editor.set_value(getattr(recipe, name))
        self.show_own_values(recipe)
        self.advanced.set_values(recipe)

    def run(self) -> None:
        """Start with the settings shown."""
        with self.panel.explaining():
            begin = self.prepare(self.chosen_layer())
            self._layers.forget()
            self.panel.start(begin)

    def chosen_layer(self) -> Image:
        """Return the layer that is chosen.

        Raises
        ------
        InputError
            If there is none.
        """
        if self.choice.layer is None:
            raise InputError(f"There is no {self.choice.noun}; open files, or a sample from the File menu")
        return self.choice.layer

    def take(self, outcome: Any) -> None:
        """Show what a run found."""
        result: Result = outcome
        self._result = result
        self.save_button.setEnabled(True)
        self._layers.finish(result)
        report = result.report
        end = "Time is up" if report.get("stopped_by_time_limit") else "Done"
        # each on a line of its own, and in a colour that is not overlooked
        warnings = [f"\nWarning: {warning}." for warning in report.get("warnings", ())]
        words = f"{'Stopped early' if result.partial else end}: {self.summary(result)}"
        self.panel.say(words + "".join(warnings), error=bool(warnings))

    def save_results(self) -> None:
        """Let the user pick a folder, and write the result into a new folder inside it."""
        parent = QFileDialog.getExistingDirectory(self, "Make a folder for the results in")
        if parent and self._result is not None:
            with self.panel.explaining():
                # imported here for the same reason as the reconstruction: it is not needed to open the dock
                from napari_diner.tasks.saving import save

                folder = unused_folder(Path(parent), self._output_name())
                save(self._result, folder)
                self.panel.say(f"Saved in {folder}")

    def save_recipe(self) -> None:
        """Let the user name a file, and write the settings shown into it."""
        with self.panel.explaining():
            recipe = self.recipe()
            kinds = "Recipe (*.yaml *.yml)"
            path, _ = QFileDialog.getSaveFileName(self, "Save recipe", f"{recipe.task}.yaml", kinds)
            if path:
                try:
                    Path(path).write_text(recipe.to_yaml(), encoding="utf-8")
                except OSError as error:
                    raise DinerError(f"{path} cannot be written ({error.strerror}); choose another place") from None
                self.panel.say(f"Recipe saved in {path}")

    def load_recipe(self) -> None:
        """Let the user pick a recipe, and show its settings."""
        path, _ = QFileDialog.getOpenFileName(self, "Load recipe", "", "Recipe (*.yaml *.yml);;All files (*)")
        if path:
            with self.panel.explaining():
                recipe = self.recipe_type.load(path)
                source = getattr(recipe, self.source_field)
                self.panel.say(f"Settings loaded from {Path(path).name}")
                if source is not None and self.choice.layer is None:
                    self.choice.open_source(source)
                # after the layer, which fills in what it knows itself
                self.set_recipe(recipe)

    def copy_command(self) -> None:
        """Put the command line that does the same as this dock on the clipboard."""
        with self.panel.explaining():
            recipe = self.recipe()
            source = self.choice.source
            clipboard = QGuiApplication.clipboard()
            assert clipboard is not None
            stand_in = f"{self.choice.noun.upper()}.tif"
            clipboard.setText(command_line(recipe, source or stand_in, self._output_name()))
            hint = "" if source else f"; the layer is no file, so save it and put its name in place of {stand_in}"
            self.panel.say(f"The command is on the clipboard{hint}")

    def arrange(self, *parts: QWidget | QLayout) -> None:
        """Put the task's own widgets between the layer and the advanced settings, and take up work."""
        foldable = self.advanced.sections | self.advanced.groups
        beside = (foldable[name] for name in self.beside_advanced)
        for part in (self.choice, *parts, *beside, self.advanced_section):
            self.settings.add(part)
        self.choice.chosen.connect(self._on_layer)
        self.choice.failed.connect(self.panel.complain)
        for editor in self._essentials.values():
            editor.changed.connect(self._show_sections)
        self._show_sections()
        self._viewer.events.theme.connect(self._on_theme)
        self._on_theme()
        self._on_layer(self.choice.layer)

    def add_below(self, *parts: QWidget | QLayout) -> None:
        """Put widgets between the run panel and the buttons at the bottom."""
        for part in parts:
            place = self._column.count() - 1
            if isinstance(part, QLayout):
                self._column.insertLayout(place, part)
            else:
                self._column.insertWidget(place, part)

    def rows(self, *names: str) -> QFormLayout:
        """Return a form with the editors of some of the essentials and their labels."""
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name in names:
            field = self.recipe_type.model_fields[name]
            label = QLabel(label_of(name, field))
            label.setToolTip(field.description or "")
            form.addRow(label, self._essentials[name])
        return form

    def _make_editor(self, name: str) -> Any:
        field = self.recipe_type.model_fields[name]
        editor: Any = make_editor(name, field)
        self._wheel_guard.protect(editor)
        editor.set_value(field.default)
        return editor

    def _build(self) -> None:
        self.advanced_section = Section("Advanced", self.advanced)
        self.save_button = QPushButton("Save results…")
        self.save_button.setToolTip("Write images, recipe and report of the last run into a new folder")
        self.save_button.setEnabled(False)
        self.save_button.clicked.connect(self.save_results)
        self.recipe_button = QPushButton("Recipe")
        self.recipe_button.setToolTip("Save or load all settings, or copy them as a command")
        menu = QMenu(self.recipe_button)
        for text, slot in (
            ("Save recipe…", self.save_recipe),
            ("Load recipe…", self.load_recipe),
            ("Copy as command", self.copy_command),
        ):
            action = menu.addAction(text)
            assert action is not None
            action.triggered.connect(slot)
        self.recipe_button.setMenu(menu)
        buttons = QHBoxLayout()
        for button in (self.save_button, self.recipe_button):
            buttons.addWidget(button, 1)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.settings)
        splitter.addWidget(self.panel)
        splitter.setStretchFactor(0, 1)
        layout = self._column = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(splitter, 1)
        layout.addLayout(buttons)
        self.setMinimumWidth(320)
        self.panel.run_requested.connect(self.run)
        self.panel.previewed.connect(self._layers.preview)
        self.panel.completed.connect(self.take)
        self.panel.ended.connect(self._layers.discard)

    def _output_name(self) -> str:
        return f"{self.choice.name}-{self.recipe_type.model_fields['task'].default}"

    def _on_layer(self, layer: Image | None) -> None:
        if layer is not None:
            with self.panel.explaining():
                self.fill_in(layer)

    def _on_theme(self) -> None:
        self.panel.set_theme(self._viewer.theme)

    def _show_sections(self) -> None:
        """Show the settings that matter for what is chosen, and hide those that matter for something else only."""
        matter = {name for choice in self.choices() for name in self.sections_of.get(choice, ())}
        optional = {name for names in self.sections_of.values() for name in names}
        for name, section in self.advanced.sections.items():
            if name in optional:
                section.setVisible(name in matter)


def unused_folder(parent: Path, name: str) -> Path:
    """Return a folder inside `parent` that does not exist: `name`, or `name-2`, and so on."""
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder
