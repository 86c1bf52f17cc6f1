"""Base of the docks of all tasks: a layer, settings, a run, its result, and recipes."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import napari
from napari.layers import Image
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QFormLayout, QLayout, QSplitter, QVBoxLayout, QWidget

from napari_diner.errors import DinerError, InputError
from napari_diner.io.arrays import Array
from napari_diner.io.places import unused_folder
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.registry import task
from napari_diner.tasks.result import Result
from napari_diner.tasks.task import Frames
from napari_diner.widgets.dock.background_work import LatestWork
from napari_diner.widgets.dock.field_mark import FieldMark
from napari_diner.widgets.dock.recipe_files import copy_command, save_recipe, unsaved
from napari_diner.widgets.dock.recipe_menu import RecipeMenu
from napari_diner.widgets.dock.remembered import EnteredSettings, last_recipe, remember, without
from napari_diner.widgets.dock.run_panel import RunPanel
from napari_diner.widgets.dock.run_worker import start
from napari_diner.widgets.dock.settings_area import SettingsArea, handle_style, insert
from napari_diner.widgets.dock.tabs import join_tabs, window_sizes
from napari_diner.widgets.dock.typed_numbers import TypedNumbers
from napari_diner.widgets.forms.controls import button, row, wrap_tooltips
from napari_diner.widgets.forms.editors import Editor, add_rows, make_editors, title_of_key, values_of, with_titles
from napari_diner.widgets.forms.layer_choice import LayerChoice
from napari_diner.widgets.forms.recipe_form import RecipeForm, Section
from napari_diner.widgets.layers.layer_metadata import layer_notes
from napari_diner.widgets.layers.layer_source import comes_from_file
from napari_diner.widgets.layers.pixel_size import give_pixel_size, layer_pixel_size_um
from napari_diner.widgets.layers.result_layers import ResultLayers
from napari_diner.widgets.work import breathe, wait_for

RecipeT = TypeVar("RecipeT", bound=Recipe)
_UP = 0.9  # part of a time limit that a run has taken if the limit ended it, and not only one of its stages


class TaskDock(QWidget, Generic[RecipeT]):
    """Settings above, the run panel below, and buttons to keep results and recipes.

    The dock of a task names the task, adds its own widgets with `arrange` at the end of its constructor, and implements
    `summary`, and other methods as needed.

    Parameters
    ----------
    napari_viewer
        The viewer; napari passes it by this name.
    choice
        The widget that chooses the layer.
    own_editors
        The task's own editors, by the field that each of them shows.
    layers
        The layers of the results, if they need more than one for each array.
    """

    task_name: ClassVar[str]
    """Name of the task in the registry."""
    essentials: ClassVar[tuple[str, ...]]
    """Fields that are always visible, with an editor according to their type."""
    elsewhere: ClassVar[tuple[str, ...]] = ()
    """Fields that are edited by widgets other than an `Editor`."""
    none_texts: ClassVar[Mapping[str, str]] = {}
    """Text shown for empty numbers, by field, where None means more than "none"."""
    groups: ClassVar[Mapping[str, Collection[str]]] = {}
    """Titles of sections, with the fields of the recipe shown in each."""

    def __init__(
        self,
        napari_viewer: napari.Viewer,
        choice: LayerChoice,
        own_editors: Mapping[str, Editor] | None = None,
        layers: ResultLayers | None = None,
    ) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.task = task(self.task_name)
        self.recipe_type: type[RecipeT] = self.task.recipe_type
        self.result: Result | None = None
        self.layers = layers or ResultLayers(napari_viewer)
        self.choice = choice
        self.panel = RunPanel(self, self.describe, self.task.title, functools.partial(with_titles, self.recipe_type))
        breathe()
        own_editors = own_editors or {}
        exclude = (self.task.source_field, "input_sha256", *self.essentials, *self.elsewhere, *own_editors)
        self.advanced = RecipeForm(self.recipe_type, exclude, self.groups, self.none_texts)
        self._essentials = make_editors(self.recipe_type, self.essentials, self.none_texts) | dict(own_editors)
        self.editors: dict[str, Editor] = self.advanced.editors | self._essentials
        self.entered = EnteredSettings(self)
        self.mark = FieldMark(self)
        self.typed = TypedNumbers(self)
        self._data_sha256 = ""
        self._placed = False
        # napari may enlarge its window to place the dock
        self._window_sizes = window_sizes()
        self._running_on = self._result_of = self.choice.name
        self.settings = SettingsArea()
        self.checking = self.latest_work()
        breathe()
        self._build()
        breathe()

    def complete_recipe(self, layer: Image) -> RecipeT:
        """Return the recipe for a run on a layer, and prepare the layers for the run.

        Raises
        ------
        DinerError
            If settings are missing, or do not fit the layer.
        """
        return self.recipe()

    def frames(self, layer: Image) -> Frames:
        """Return the arrays that are used in place of files in a run; they must not refer to the dock."""
        raise NotImplementedError

    def summary(self, result: Result) -> str:
        """Summarise the quality of a result and the time it took in a few words."""
        raise NotImplementedError

    def notes(self, layer: Image) -> Mapping[str, object]:
        """Return the fields of the recipe that a layer, or the file behind it, specifies."""
        notes = dict(layer_notes(layer))
        with self.panel.explaining():
            notes["pixel_size_um"] = layer_pixel_size_um(layer) or notes.get("pixel_size_um")
        return notes

    def sections_in_use(self) -> Collection[str]:
        """Return the sections of the recipe that apply to the current choices; others of `sections` are hidden."""
        return self.advanced.sections

    def values(self) -> dict[str, object]:
        """Return the values in the dock as a nested mapping for `Recipe.parse`; see `RecipeForm.values`."""
        values = values_of(self._essentials)
        of_data = {self.task.source_field: self.choice.source, "input_sha256": self._data_sha256}
        return {**self.advanced.values(), **values, **of_data}

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Join other docks of tasks as a tab when shown for the first time."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            # once the main window has placed it
            QTimer.singleShot(0, functools.partial(join_tabs, self, TaskDock, self._window_sizes))
            self._window_sizes = {}

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a width that shows all labels and no more height than a small screen has."""
        return QSize(360, 600)

    def describe(self, error: DinerError) -> str:
        """Return the message of an error, with the titles of the settings that it mentions."""
        return error.describe(lambda key: f'"{title_of_key(self.recipe_type, key)}"')

    def recipe(self) -> RecipeT:
        """Return the recipe with the settings in the dock.

        Raises
        ------
        RecipeError
            If a value is missing, cannot be read, or is out of bounds.
        """
        self.typed.check()
        return self.recipe_type.parse(self.values())

    def recipe_for_files(self) -> RecipeT:
        """Return the recipe for a command that reads the data from files."""
        recipe, layer = self.recipe(), self.choice.layer
        if layer is None:
            return recipe
        if not comes_from_file(layer):
            return recipe.updated({self.task.source_field: None})
        return recipe.updated(self.read_as(layer))

    def attachments(self) -> Mapping[str, Array]:
        """Return the layers that are used in place of other files."""
        return {}

    def read_as(self, layer: Image) -> Mapping[str, str]:
        """Return the settings that give the data of a layer when read from its file."""
        return {}

    def set_recipe(self, recipe: RecipeT) -> None:
        """Show a recipe without changing the layer; a run on data other than the recipe's gives a warning."""
        self.entered.set(recipe)
        self._data_sha256 = recipe.input_sha256
        for name, editor in self._essentials.items():
            editor.set_value(getattr(recipe, name))
        self.advanced.set_values(recipe)

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer specifies, and clear what the previous layer had filled in."""
        self.entered.fill_in(self.notes(layer))

    def of_data(self) -> Collection[str]:
        """Return the keys of settings that belong to the data, and are not kept for others."""
        return self.elsewhere

    def painted_in_layers(self) -> Collection[str]:
        """Return the keys of images beside the data that are in layers only, not in files."""
        return ()

    def run(self) -> None:
        """Start with the settings shown."""
        with self.panel.explaining():
            layer = self.chosen_layer()
            recipe = self.complete_recipe(layer)
            self.layers.forget()
            self._running_on = self.choice.name
            self.panel.start(functools.partial(start, self.task, recipe, self.frames(layer)))
            # without the data: the next ones may be others
            of_data = (self.task.source_field, "input_sha256", *self.painted_in_layers())
            remember(without(recipe, of_data), last_recipe(self.task_name))

    def chosen_layer(self) -> Image:
        """Return the layer that is chosen.

        Raises
        ------
        InputError
            If there is none.
        """
        if self.choice.layer is None:
            noun, kind, cure = self.choice.noun, self.choice.kind, self.choice.cure
            raise InputError(f"There is no {noun}, which is {kind}; {cure}")
        return self.choice.layer

    def show_outcome(self, outcome: object) -> None:
        """Show the outcome of a run."""
        if not isinstance(outcome, Result):
            return
        self.result, self._result_of = outcome, self._running_on
        self.save_button.setEnabled(True)
        self.layers.finish(outcome)
        report = outcome.report
        # a stage that has used its part of the limit leaves the rest to those after it
        is_up = report.get("stopped_by_time_limit") and report["seconds"] > _UP * (outcome.recipe.max_seconds or 0)
        end = "Stopped early" if outcome.partial else "Time is up" if is_up else "Done"
        words = f"{end}: {self.summary(outcome)}"
        self.panel.warn(words, report.get("warnings", ()), report.get("notes", ()))

    def save_results(self) -> None:
        """Ask for a folder, and write the result into a new folder inside it."""
        parent = QFileDialog.getExistingDirectory(self, "Create the results folder in")
        if parent and self.result is not None:
            with self.panel.explaining():
                # another layer may have been chosen in the meantime
                folder = unused_folder(Path(parent), f"{self._result_of}-{self.task.name}")
                recipe = self.result.recipe.updated({"save_as": self.editors["save_as"].value()})
                wait_for("Saving results", functools.partial(replace(self.result, recipe=recipe).save, folder))
                self.panel.say(f"Saved in {folder}")

    def save_recipe(self) -> None:
        """Ask for a file, and write the settings into it."""
        with self.panel.explaining():
            path = save_recipe(self, self.recipe_for_files(), self.attachments())
            if path:
                self.panel.say(f"Recipe saved in {path}")

    def open_recipe(self, path: str | Path) -> None:
        """Show the settings of a recipe; open its data if no layer is chosen."""
        with self.panel.explaining():
            recipe = self.recipe_type.load(path)
            source = getattr(recipe, self.task.source_field)
            self.panel.say(f"Settings loaded from {Path(path).name}")
            if source is not None and self.choice.layer is None:
                self.choice.open_source(source)
            # after the layer, since a layer fills in settings
            self.set_recipe(recipe)
            if self.choice.layer is not None:
                # as the command line takes from the file what a recipe leaves unset
                self.entered.fill_gaps(self.notes(self.choice.layer))

    def copy_command(self) -> None:
        """Copy the equivalent command line to the clipboard."""
        with self.panel.explaining():
            recipe = self.recipe_for_files()
            source = getattr(recipe, self.task.source_field)
            placeholder = f"{self.choice.noun.upper()}.tif"
            copy_command(recipe, source or placeholder, self.output_name)
            hint = "" if source else f"; save the layer to a file and put its name in place of {placeholder}"
            self.panel.say(f"The command is on the clipboard{hint}{unsaved(recipe, self.attachments())}")

    @property
    def output_name(self) -> str:
        """Name of the folder for results."""
        return f"{self.choice.name}-{self.task.name}"

    def arrange(self, *parts: QWidget | QLayout | str) -> None:
        """Insert the widgets of the task between the layer and the advanced settings, and connect to the viewer.

        The order is the same in all docks: recording, preparation, method. Names are those of sections
        of the recipe and of groups.
        """
        foldable = self.advanced.sections | self.advanced.groups
        for part in (self.choice, *parts, self.advanced_section):
            self.settings.add(foldable[part] if isinstance(part, str) else part)
        breathe()
        self.choice.chosen.connect(self._on_layer)
        self.choice.failed.connect(self.panel.complain)
        for editor in self._essentials.values():
            editor.changed.connect(self._show_sections)
        for changed in (*(editor.changed for editor in self._essentials.values()), self.advanced.changed):
            for reaction in (self.panel.checks.expect, self.panel.forget_complaint, self.entered.expect):
                changed.connect(reaction)
        self.panel.checks.follow(self.task, self._inputs, lambda: self.panel.running, self.checking)
        self._show_sections()
        self._prepare(self)
        self.advanced.grown.connect(self._prepare)
        self.viewer.events.theme.connect(self._on_theme)
        self._on_theme()
        recalled = self.entered.recall()
        self._on_layer(self.choice.layer)
        if recalled and not self.panel.status.text():
            self.panel.say("Settings are those of the last session; Recipe › Reset shows the defaults")
        breathe()

    def add_below(self, part: QWidget | QLayout) -> None:
        """Insert a widget or a layout between the run panel and the buttons at the bottom."""
        insert(self._column, self._column.count() - 1, part)

    def rows(self, *names: str) -> QFormLayout:
        """Return a form with the editors of some of the essentials and their labels."""
        return add_rows(QFormLayout(), self.recipe_type, {name: self._essentials[name] for name in names})

    def latest_work(self) -> LatestWork:
        """Return background work that ends with the dock and shows its errors in the status line."""
        work = LatestWork(self)
        work.failed.connect(self.panel.complain)
        self.panel.removal.removed.connect(work.close)
        return work

    def give_pixel_size(self, layer: Image, pixel_size_um: float | None) -> None:
        """Give a layer without a physical size that of the recipe, so that it coincides with the results."""
        if pixel_size_um is not None and give_pixel_size(self.viewer, layer, pixel_size_um):
            self.viewer.reset_view()

    def _build(self) -> None:
        self.advanced_section = Section("Advanced", lambda: self.advanced)
        _ = self.advanced_section.form  # whose numbers count, folded or not
        tip = "Write images, recipe and report of the last run into a new folder"
        self.save_button = button("Save results…", tip, self.save_results)
        self.save_button.setEnabled(False)
        splitter = self._splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.settings)
        splitter.addWidget(self.panel)
        splitter.setStretchFactor(0, 1)
        layout = self._column = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(splitter, 1)
        self.recipe_menu = RecipeMenu(self)
        layout.addLayout(row(self.save_button, self.recipe_menu))
        self.setMinimumWidth(300)
        self.panel.run_requested.connect(self.run)
        self.panel.previewed.connect(self.layers.show)
        self.panel.completed.connect(self.show_outcome)
        self.panel.ended.connect(self.layers.discard)
        self.panel.removal.removed.connect(self.layers.discard)

    def _inputs(self) -> tuple[RecipeT, Frames] | None:
        """Return recipe and arrays for the checks before a run, which read no files but those beside the frames."""
        layer = self.choice.layer
        if layer is None:
            return None
        frames = replace(self.frames(layer), source=None, files=())
        recipe: RecipeT = self.recipe_type.parse(self.values())  # keeps a refusal of a typed number for the run
        return recipe.updated({self.task.source_field: None, "input_sha256": ""}), frames

    def _on_layer(self, layer: Image | None) -> None:
        self.panel.checks.expect()
        self.panel.forget_complaint()
        if layer is not None:
            with self.panel.explaining():
                self.fill_in(layer)

    def _prepare(self, part: QWidget) -> None:
        """Follow the numbers in a part of the dock, and let its tooltips wrap."""
        self.typed.follow(part)
        wrap_tooltips(part)

    def _on_theme(self) -> None:
        self.panel.set_theme(self.viewer.theme)
        self._splitter.setStyleSheet(handle_style(self.viewer.theme))

    def _show_sections(self) -> None:
        in_use = self.sections_in_use()
        for name, section in self.advanced.sections.items():
            section.setVisible(name in in_use)
