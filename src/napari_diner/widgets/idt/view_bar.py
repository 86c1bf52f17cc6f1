"""Buttons for the views of a volume of refractive index."""

from __future__ import annotations

import functools
from pathlib import Path

from napari.layers import Image
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QApplication, QFileDialog, QSizePolicy, QWidget

from napari_diner.errors import InputError
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.forms.controls import button, row
from napari_diner.widgets.forms.number_editor import NumberEditor
from napari_diner.widgets.idt.slider_range import SliderRange
from napari_diner.widgets.idt.volume_layers import VolumeLayers
from napari_diner.widgets.idt.volume_view import (
    isosurface,
    record_turn,
    show_in_3d,
    show_slices,
    surface_layer,
    surface_level,
)
from napari_diner.widgets.layers.world import add_layer
from napari_diner.widgets.work import wait_for


class ViewBar(QWidget):
    """Buttons for a 3D view, slices, a surface, and a movie; enabled while there is a volume.

    Parameters
    ----------
    dock
        The dock.
    layers
        Its layers.
    """

    def __init__(self, dock: TaskDock[IdtRecipe], layers: VolumeLayers) -> None:
        super().__init__()
        self._dock, self._viewer, self._panel, self._layers = dock, dock.viewer, dock.panel, layers
        self._slider = SliderRange(dock.viewer)
        self.buttons = {
            "3D": button("3D", "Show n_re in three dimensions, filling the canvas", self.show_in_3d),
            "slices": button("Slices", "Show n_re slice by slice", self.show_slices),
            "surface": button("Surface", "Show the surface of constant n_re, at the value beside", self.show_surface),
            "movie": button("Movie…", "Save a movie (GIF) of one full turn of the view", self.save_movie),
        }
        self.level = NumberEditor(0.0, 10.0)
        self.level.setToolTip("Refractive index on the surface")
        self.level.setButtonSymbols(NumberEditor.ButtonSymbols.NoButtons)
        # napari's style gives numbers room for two buttons
        self.level.setStyleSheet("QDoubleSpinBox { min-width: 44px; padding: 1px 4px; }")
        self.level.setFixedWidth(64)
        for each in self.buttons.values():
            # as narrow as its text, so that four of them fit the dock
            each.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            each.setMinimumWidth(each.fontMetrics().horizontalAdvance(each.text()) + 12)
        parts: list[QWidget | str] = list(self.buttons.values())
        parts.insert(3, self.level)
        layout = row(*parts)
        layout.setSpacing(4)
        self.setLayout(layout)
        for signal in (self._panel.started, self._panel.ended):
            signal.connect(self._enable)
        self._viewer.layers.events.removed.connect(self._enable)
        self._enable()

    @property
    def volume(self) -> Image | None:
        """The layer n_re of the last run, or None if it was removed."""
        volume = self._layers.volume
        return volume if volume is not None and volume in self._viewer.layers else None

    def show_new_volume(self, *, is_partial: bool) -> None:
        """Show the volume of a run, and suggest an index for its surface.

        Whoever ends a run early wants to go on: that of a partial result is shown slice by slice, as drawing the first
        volume in space takes seconds where no graphics card draws.
        """
        if self.volume is not None:
            # loads scikit-image
            level = wait_for("Finding the surface", functools.partial(surface_level, self.volume.data))
            self.level.set_value(round(level, 4))
        if self.volume is not None:
            show = show_slices if is_partial else show_in_3d
            show(self._viewer, self.volume)
        self._enable()

    def show_in_3d(self) -> None:
        """Show the volume in three dimensions."""
        if self.volume is not None:
            show_in_3d(self._viewer, self.volume)

    def show_slices(self) -> None:
        """Show the volume slice by slice."""
        if self.volume is not None:
            show_slices(self._viewer, self.volume)

    def show_surface(self) -> None:
        """Show the surface on which the index has the value entered."""
        volume, level = self.volume, self.level.value()
        if volume is None or level is None:
            return
        with self._panel.explaining():
            if volume.ndim > 3:
                raise InputError("A surface is that of a single volume; reconstruct one point of the series alone")
            layer = surface_layer(volume, *isosurface(volume.data, level), level)
            if layer.name in self._viewer.layers:
                self._viewer.layers.remove(layer.name)
            add_layer(self._viewer, layer)
            show_in_3d(self._viewer, layer, turn=self._viewer.dims.ndisplay != 3)

    def save_movie(self) -> None:
        """Ask for a file, and save a movie of one full turn of the view."""
        volume, name = self.volume, f"{self._dock.output_name}.gif"
        path, _ = ("", "") if volume is None else QFileDialog.getSaveFileName(self, "Save movie", name, "GIF (*.gif)")
        if volume is None or not path:
            return
        if self._viewer.dims.ndisplay != 3:
            show_in_3d(self._viewer, volume)
        with self._panel.explaining():
            record_turn(self._viewer, Path(path), self._on_picture)
            self._panel.say(f"Movie saved in {path}")

    def _on_picture(self, number: int, count: int) -> None:
        self._panel.say(f"Movie: picture {number} of {count}")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)

    def _enable(self) -> None:
        for widget in (*self.buttons.values(), self.level):
            widget.setEnabled(self.volume is not None and not self._panel.running)
