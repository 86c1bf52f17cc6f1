"""The dock for multi-height lensless phase retrieval."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_diner.errors import DinerError, InputError, RecipeError
from napari_diner.tasks.command import command_line
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.reconstruction import Result
from napari_diner.widgets.distances_table import DistancesTable
from napari_diner.widgets.editors import WheelGuard, label_of, make_editor
from napari_diner.widgets.layers import ResultLayers
from napari_diner.widgets.lengths import layer_pixel_size_um, set_pixel_size_um
from napari_diner.widgets.lensless_run import begin
from napari_diner.widgets.recipe_form import RecipeForm, Section
from napari_diner.widgets.run_panel import RunPanel, duration
from napari_diner.widgets.stack_choice import METADATA_KEY, StackChoice

ESSENTIALS = ("wavelength_um", "pixel_size_um", "distances_um", "solver", "start")
SETTINGS_OF = {
    "gauss-newton": {"gauss_newton"},
    "alternating": {"alternating"},
    "diner": {"gradient", "diner"},
    "pixels": {"gradient"},
}
"""Sections of the recipe that matter for each solver."""


class LenslessWidget(QWidget):
    """Choose a stack, say how it was recorded, run, and get amplitude, phase and residual as layers.

    Parameters
    ----------
    napari_viewer
        The viewer; napari hands it over by this name.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._result: Result | None = None
        self._filled_in: dict[str, Any] = {}
        self._layers = ResultLayers(napari_viewer)
        self._wheel_guard = WheelGuard(self)
        self.stack = StackChoice(napari_viewer)
        self.stack.chosen.connect(self._on_layer)
        self.distances = DistancesTable()
        self.advanced = RecipeForm(LenslessRecipe, exclude=("stack", *ESSENTIALS))
        self.panel = RunPanel(self)
        self.stack.failed.connect(self.panel.complain)
        self.distances.failed.connect(self.panel.complain)
        self._essentials = self._make_essentials()
        self._fillable: dict[str, Any] = {
            "wavelength_um": self._essentials["wavelength_um"],
            "pixel_size_um": self._essentials["pixel_size_um"],
            "distances_um": self.distances,
            "intensity_scale": self.advanced.editors["intensity_scale"],
        }
        self._build()
        self.panel.run_requested.connect(self.run)
        self.panel.previewed.connect(self._layers.preview)
        self.panel.completed.connect(self._on_completed)
        self.panel.ended.connect(self._layers.discard)
        for name in ("solver", "start"):
            self._essentials[name].changed.connect(self._show_sections)
        self._show_sections()
        napari_viewer.events.theme.connect(self._on_theme)
        self._on_theme()
        self._on_layer(self.stack.layer)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a width that shows all labels and no more height than a small screen has."""
        return QSize(360, 600)

    def recipe(self) -> LenslessRecipe:
        """Return the recipe that the form shows.

        Raises
        ------
        RecipeError
            If a value is missing, cannot be read, or is out of bounds.
        """
        values = self.advanced.values()
        values |= {name: editor.value() for name, editor in self._essentials.items()}
        values |= {"distances_um": self.distances.value(), "stack": self.stack.source}
        return LenslessRecipe.parse(values)

    def set_recipe(self, recipe: LenslessRecipe) -> None:
        """Show a recipe; the choice of the layer stays as it is."""
        for name, editor in self._essentials.items():
            editor.set_value(getattr(recipe, name))
        self._filled_in = {}
        self.distances.set_value(recipe.distances_um)
        self.advanced.set_values(recipe)

    def run(self) -> None:
        """Start with the settings shown."""
        with self.panel.explaining():
            layer = self.stack.layer
            if layer is None:
                raise InputError("There is no stack; open files, or a sample from the File menu")
            recipe = self._complete_recipe(layer)
            assert recipe.pixel_size_um is not None
            if set_pixel_size_um(layer, recipe.pixel_size_um):
                self._viewer.reset_view()
            self._layers.forget()
            self.panel.start(functools.partial(begin, recipe, layer.data))

    def save_results(self) -> None:
        """Let the user pick a folder, and write the result into a new folder inside it."""
        parent = QFileDialog.getExistingDirectory(self, "Make a folder for the results in")
        if parent and self._result is not None:
            with self.panel.explaining():
                # imported here for the same reason as the reconstruction: it is not needed to open the dock
                from napari_diner.tasks.saving import save

                folder = unused_folder(Path(parent), f"{self.stack.name}-lensless")
                save(self._result, folder)
                self.panel.say(f"Saved in {folder}")

    def save_recipe(self) -> None:
        """Let the user name a file, and write the settings shown into it."""
        with self.panel.explaining():
            text = self.recipe().to_yaml()
            path, _ = QFileDialog.getSaveFileName(self, "Save recipe", "lensless.yaml", "Recipe (*.yaml *.yml)")
            if path:
                try:
                    Path(path).write_text(text, encoding="utf-8")
                except OSError as error:
                    raise DinerError(f"{path} cannot be written ({error.strerror}); choose another place") from None
                self.panel.say(f"Recipe saved in {path}")

    def load_recipe(self) -> None:
        """Let the user pick a recipe, and show its settings."""
        path, _ = QFileDialog.getOpenFileName(self, "Load recipe", "", "Recipe (*.yaml *.yml);;All files (*)")
        if path:
            with self.panel.explaining():
                recipe = LenslessRecipe.load(path)
                self.set_recipe(recipe)
                self.panel.say(f"Settings loaded from {Path(path).name}")
                if recipe.stack is not None and self.stack.layer is None:
                    self.stack.open_source(recipe.stack)

    def copy_command(self) -> None:
        """Put the command line that does the same as this dock on the clipboard."""
        with self.panel.explaining():
            recipe = self.recipe()
            clipboard = QGuiApplication.clipboard()
            assert clipboard is not None
            clipboard.setText(command_line(recipe, recipe.stack or "STACK.tif", f"{self.stack.name}-lensless"))
            hint = "" if recipe.stack else "; the layer is no file, so save it and put its name in place of STACK.tif"
            self.panel.say(f"The command is on the clipboard{hint}")

    def _complete_recipe(self, layer: Image) -> LenslessRecipe:
        recipe = self.recipe()
        # said before check_complete says it, which speaks of options of the command line
        if recipe.wavelength_um is None:
            raise RecipeError("The wavelength is missing; type it in above")
        if recipe.pixel_size_um is None:
            raise RecipeError("The pixel size is missing, and the layer does not tell it; type it in above")
        if not recipe.distances_um:
            raise RecipeError("The distances are missing; give one for each frame in the table")
        recipe.check_complete(layer.data.shape[0])
        return recipe

    def _make_essentials(self) -> dict[str, Any]:
        editors: dict[str, Any] = {}
        for name in ESSENTIALS:
            if name != "distances_um":
                editor = make_editor(name, LenslessRecipe.model_fields[name])
                assert editor is not None
                self._wheel_guard.protect(editor)
                editors[name] = editor
                editors[name].set_value(LenslessRecipe.model_fields[name].default)
        return editors

    def _row(self, name: str, form: QFormLayout) -> None:
        field = LenslessRecipe.model_fields[name]
        label = QLabel(label_of(name, field))
        label.setToolTip(field.description or "")
        form.addRow(label, self._essentials[name])

    def _build(self) -> None:
        optics, solving = QFormLayout(), QFormLayout()
        for form in (optics, solving):
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._row("wavelength_um", optics)
        self._row("pixel_size_um", optics)
        self._row("solver", solving)
        self._row("start", solving)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.stack)
        column.addLayout(optics)
        column.addWidget(self.distances)
        column.addLayout(solving)
        self.advanced_section = Section("Advanced", self.advanced)
        column.addWidget(self.advanced_section)
        column.addStretch(1)
        self.advanced_section.toggled.connect(self._on_advanced_toggled)
        scroll = self._scroll = QScrollArea()
        scroll.setWidget(content)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
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
        bottom = QHBoxLayout()
        bottom.addWidget(self.save_button, 1)
        bottom.addWidget(self.recipe_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(scroll)
        splitter.addWidget(self.panel)
        splitter.setStretchFactor(0, 1)
        layout.addWidget(splitter, 1)
        layout.addLayout(bottom)
        self.setMinimumWidth(320)

    def _on_layer(self, layer: Image | None) -> None:
        """Fill in what the chosen layer tells about its recording."""
        if layer is None:
            return
        self.distances.set_frames(layer.data.shape[0])
        known = {name: value for name, value in layer.metadata.get(METADATA_KEY, {}).items() if name in self._fillable}
        with self.panel.explaining():
            pixel_size = layer_pixel_size_um(layer)
            if pixel_size is not None:
                known["pixel_size_um"] = pixel_size
        for name, editor in self._fillable.items():
            if name in known:
                editor.set_value(known[name])
                self._filled_in[name] = editor.value()
            elif name in self._filled_in and editor.value() == self._filled_in.pop(name):
                # what the layer before told, and the user left as it was, says nothing about this one
                editor.set_value(LenslessRecipe.model_fields[name].default)

    def _on_advanced_toggled(self, unfolded: bool) -> None:
        """Scroll to the settings that were unfolded, as soon as the scroll area has taken their height."""
        bar = self._scroll.verticalScrollBar()
        assert bar is not None
        if unfolded:
            bar.rangeChanged.connect(self._scroll_to_advanced)
            # later changes of the height have other causes
            QTimer.singleShot(1000, self._stop_scrolling)

    def _scroll_to_advanced(self) -> None:
        bar = self._scroll.verticalScrollBar()
        assert bar is not None
        bar.setValue(self.advanced_section.y())

    def _stop_scrolling(self) -> None:
        bar = self._scroll.verticalScrollBar()
        assert bar is not None
        # refused where it was not connected any more: unfolded twice within the second
        with contextlib.suppress(TypeError):
            bar.rangeChanged.disconnect(self._scroll_to_advanced)

    def _on_completed(self, result: Result) -> None:
        self._result = result
        self.save_button.setEnabled(True)
        self._layers.finish(result)
        report = result.report
        end = "Time is up" if report.get("stopped_by_time_limit") else "Done"
        warnings = "".join(f"; {warning}" for warning in report.get("warnings", ()))
        self.panel.say(
            f"{'Stopped early' if result.partial else end}: explains the frames to "
            f"{report['measurement_psnr_db']:.1f} dB PSNR, {report['iterations']} iterations, "
            f"{duration(report['seconds'])}{warnings}"
        )

    def _on_theme(self) -> None:
        self.panel.set_theme(self._viewer.theme)

    def _show_sections(self) -> None:
        """Show the settings of the solvers that take part, and hide the others'."""
        start = self._essentials["start"].value()
        solver = self._essentials["solver"].value()
        if start == "auto" and solver == "diner":
            start = "gauss-newton"
        relevant = SETTINGS_OF.get(solver, set()) | SETTINGS_OF.get(start, set())
        for name, section in self.advanced.sections.items():
            if any(name in names for names in SETTINGS_OF.values()):
                section.setVisible(name in relevant)


def unused_folder(parent: Path, name: str) -> Path:
    """Return a folder inside `parent` that does not exist: `name`, or `name-2`, and so on."""
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder
