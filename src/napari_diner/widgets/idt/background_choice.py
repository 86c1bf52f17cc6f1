"""Choose the background that the frames are divided by: their mean, a layer, a file."""

from __future__ import annotations

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog

from napari_diner.tasks.idt.recipe import BACKGROUNDS
from napari_diner.widgets.forms.controls import ShrinkingCombo
from napari_diner.widgets.forms.layer_choice import on_layer_list
from napari_diner.widgets.layers.layer_metadata import is_recording, source_of

TITLES = {
    "mean": "Mean of each frame",
    "blur": "Blur of each frame",
    "ratio": "Already I / background",
    "none": "Already I / background − 1",
}
"""Titles of the words in a recipe; the first is the default."""
FILE = "Image file…"


class BackgroundChoice(ShrinkingCombo):
    """An editor for the field `background` of a recipe: a way to estimate it, an image layer, or an image file.

    Parameters
    ----------
    napari_viewer
        The viewer whose image layers are offered.
    """

    changed = Signal()

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._stack: Image | None = None
        self._path: str | None = None
        self._previous = 0
        on_layer_list(napari_viewer, self._refresh)
        self._refresh()
        self.activated.connect(self._on_activated)

    @property
    def layer(self) -> Image | None:
        """The chosen layer, or None."""
        data = self.currentData()
        return data if isinstance(data, Image) else None

    def value(self) -> str:
        """Return the value for a recipe; for a layer that was not read from a file, its name."""
        if self.layer is not None:
            return source_of(self.layer) or self.layer.name
        return str(self.currentData())

    def set_value(self, value: object) -> None:
        """Show a recipe's value; anything but the known words is the path of an image."""
        if self.layer is not None and value == self.value():
            return
        if value not in BACKGROUNDS:
            self._path = str(value)
        self._refresh(str(value))

    def set_stack(self, stack: Image | None) -> None:
        """Exclude the frames themselves from the list."""
        self._stack = stack
        self._refresh()

    def choose_file(self) -> None:
        """Ask for an image of the empty field."""
        path, _ = QFileDialog.getOpenFileName(self, "Image of the empty field", "", "Images (*.tif *.tiff *.png)")
        if path:
            self.set_value(path)
            self.changed.emit()

    def _refresh(self, chosen: object = None) -> None:
        """Update the list; keep the choice, or take the mean of each frame if it has been removed."""
        # the viewer passes an event
        data = chosen if isinstance(chosen, str) else self.currentData()
        self.blockSignals(True)
        self.clear()
        for word, title in TITLES.items():
            self.addItem(title, word)
        for layer in self._viewer.layers:
            if self._accepts(layer):
                self.addItem(f"Layer: {layer.name}", layer)
        if self._path is not None:
            self.addItem(self._path, self._path)
        self.addItem(FILE, FILE)
        self.setCurrentIndex(max(self.findData(data), 0))
        self._previous = self.currentIndex()
        self.blockSignals(False)

    def _accepts(self, layer: Layer) -> bool:
        if not isinstance(layer, Image) or layer is self._stack or layer.rgb or layer.multiscale:
            return False
        return layer.ndim in (2, 3) and is_recording(layer)

    def _on_activated(self, index: int) -> None:
        if self.itemData(index) == FILE:
            self.setCurrentIndex(self._previous)
            self.choose_file()
            return
        self._previous = index
        self.changed.emit()
