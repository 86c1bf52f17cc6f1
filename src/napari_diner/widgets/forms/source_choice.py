"""Choose where an image beside the frames comes from, such as a mask or a dark frame: a layer, a file, or a word."""

from __future__ import annotations

from collections.abc import Mapping

import napari
import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog

from napari_diner.io.arrays import Array
from napari_diner.io.formats import PATTERNS
from napari_diner.widgets.forms.controls import ShrinkingCombo
from napari_diner.widgets.forms.layer_choice import on_layer_list
from napari_diner.widgets.layers.layer_metadata import is_recording, source_of
from napari_diner.widgets.layers.layer_part import LayerPart
from napari_diner.widgets.layers.placement import Placement

FILE = "Image file…"
NONE: Mapping[str, str] = {"": "none"}
"""Words for an image that may be missing."""


class SourceChoice(ShrinkingCombo):
    """An editor for a field of a recipe that names an image: a layer, an image file, or a word.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are offered.
    words
        Titles of the words in a recipe; the first is the default, and an empty one stands for no image.
    is_mask
        Whether labels and shapes are offered, too: what is painted counts.
    """

    changed = Signal()

    def __init__(self, napari_viewer: napari.Viewer, words: Mapping[str, str] = NONE, *, is_mask: bool = False) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._words, self._is_mask = words, is_mask
        self._stack: Image | None = None
        self._path: str | None = None
        self._previous = 0
        on_layer_list(napari_viewer, self._refresh)
        self._refresh()
        self.activated.connect(self._on_activated)

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, or None."""
        data = self.currentData()
        return data if isinstance(data, Layer) else None

    @property
    def is_only_layer(self) -> bool:
        """Whether a layer is chosen that was not read from a file."""
        return self.layer is not None and self._file() is None

    def value(self) -> str | None:
        """Return the value for a recipe; for a layer that was not read from a file, its name."""
        layer = self.layer
        if layer is not None:
            return self._file() or layer.name
        return str(self.currentData()) or None

    def _file(self) -> str | None:
        """Return the file of the layer that is chosen; None if there is none."""
        return source_of(self.layer) if isinstance(self.layer, Image) else None

    def array(self, part: LayerPart) -> Array | None:
        """Return the image in the layer that is chosen, in pixels of the frames; None if no layer is chosen.

        Labels that are painted on one frame count for all. Shapes are filled where they lie over the frames.
        """
        layer = self.layer
        if isinstance(layer, Shapes):
            return _filled(layer, part)
        if isinstance(layer, Labels):
            painted = np.asarray(layer.data) != 0
            pages = painted.reshape(-1, *painted.shape[-2:])
            used = pages.any((1, 2))
            return np.asarray(pages[used.argmax()] if used.sum() <= 1 else painted)
        return None if layer is None else np.asarray(layer.data)

    def set_value(self, value: object) -> None:
        """Show a recipe's value; anything but the known words, and names of layers, is the path of an image."""
        if self.layer is not None and value == self.value():
            return
        text = str(value or "")
        place = self.findText(_of_layer(text))
        if place >= 0:
            self.setCurrentIndex(place)
        else:
            self._path = self._path if text in self._words else text
            self._refresh(text)
        self.changed.emit()

    def set_stack(self, stack: Image | None) -> None:
        """Exclude the frames themselves from the list."""
        self._stack = stack
        self._refresh()

    def choose_file(self) -> None:
        """Ask for an image file."""
        path, _ = QFileDialog.getOpenFileName(self, "Open an image", "", f"Images ({PATTERNS});;All files (*)")
        if path:
            self.set_value(path)

    def _refresh(self, chosen: object = None) -> None:
        """Update the list; keep the choice, or take the first word if it has been removed."""
        # the viewer passes an event
        data = chosen if isinstance(chosen, str) else self.currentData()
        self.blockSignals(True)
        self.clear()
        for word, title in self._words.items():
            self.addItem(title, word)
        for layer in self._viewer.layers:
            if self._accepts(layer):
                self.addItem(_of_layer(layer.name), layer)
        if self._path is not None:
            self.addItem(self._path, self._path)
        self.addItem(FILE, FILE)
        self.setCurrentIndex(max(self.findData(data), 0))
        self._previous = self.currentIndex()
        self.blockSignals(False)

    def _accepts(self, layer: Layer) -> bool:
        if isinstance(layer, Labels | Shapes):
            return self._is_mask and not getattr(layer, "multiscale", False)
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


def _of_layer(name: str) -> str:
    return f"Layer: {name}"


def _filled(shapes: Shapes, part: LayerPart) -> Array:
    """Return which pixels of the frames are inside of shapes, wherever their layers lie in the world, (Y, X)."""
    from_world, plane = Placement.of(shapes), Placement.of(part.layer).plane()
    outlines = [plane.to_pixels(from_world.to_world(data)[:, -2:], shapes.units[-2:]) for data in shapes.data]
    size = part.shape[1:]
    if not outlines:
        return np.zeros(size, bool)
    return np.asarray(Shapes(outlines, shape_type=list(shapes.shape_type)).to_masks(size).any(0))
