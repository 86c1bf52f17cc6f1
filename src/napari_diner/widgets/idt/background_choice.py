"""Choose what the frames are divided by: their mean, a layer, a file."""

from __future__ import annotations

from typing import Any

import napari
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_diner.tasks.idt.recipe import BACKGROUNDS
from napari_diner.widgets.forms.layer_choice import known_about, source_of

WORDS = {
    "mean": "Mean of each frame",
    "blur": "Blur of each frame",
    "ratio": "Already I / background",
    "none": "Already I / background − 1",
}
FILE = "Image file…"


class BackgroundChoice(QComboBox):
    """The field `background` of a recipe: a way to find it, an image layer, or an image file.

    Parameters
    ----------
    napari_viewer
        The viewer whose image layers are offered.
    """

    changed = Signal()

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        assert set(WORDS) == set(BACKGROUNDS)
        self._viewer = napari_viewer
        self._stack: Image | None = None
        self._path: str | None = None
        self._before = 0
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        events = napari_viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._refresh)
        self._refresh()
        self.activated.connect(self._on_activated)

    @property
    def layer(self) -> Image | None:
        """The layer that is chosen, if it is one."""
        data = self.currentData()
        return data if isinstance(data, Image) else None

    def value(self) -> str:
        """Return what a recipe takes; for a layer that is no file's, its name."""
        if self.layer is not None:
            return source_of(self.layer) or self.layer.name
        return str(self.currentData())

    def set_value(self, value: str) -> None:
        """Show a recipe's value; a word that is none of ours is the path of an image."""
        if self.layer is not None and value == self.value():
            return
        if value not in BACKGROUNDS:
            self._path = value
        self._refresh(value)

    def set_stack(self, stack: Image | None) -> None:
        """Leave the frames themselves out of the list."""
        self._stack = stack
        self._refresh()

    def choose_file(self) -> None:
        """Let the user pick an image of the empty field."""
        path, _ = QFileDialog.getOpenFileName(self, "Image of the empty field", "", "Images (*.tif *.tiff *.png)")
        if path:
            self.set_value(path)
            self.changed.emit()

    def _refresh(self, chosen: Any = None) -> None:
        """List anew; keep what was chosen, or the mean of each frame if that is gone."""
        wanted = chosen if isinstance(chosen, str) else self.currentData()
        self.blockSignals(True)
        self.clear()
        for word, text in WORDS.items():
            self.addItem(text, word)
        for layer in self._viewer.layers:
            if self._accepts(layer):
                self.addItem(f"Layer: {layer.name}", layer)
        if self._path is not None:
            self.addItem(self._path, self._path)
        self.addItem(FILE, FILE)
        self.setCurrentIndex(max(self.findData(wanted), 0))
        self._before = self.currentIndex()
        self.blockSignals(False)

    def _accepts(self, layer: Any) -> bool:
        if not isinstance(layer, Image) or layer is self._stack or layer.rgb or layer.multiscale:
            return False
        return layer.ndim in (2, 3) and "report" not in layer.metadata and not known_about(layer).get("shown_only")

    def _on_activated(self, index: int) -> None:
        if self.itemData(index) == FILE:
            self.setCurrentIndex(self._before)
            self.choose_file()
            return
        self._before = index
        self.changed.emit()
