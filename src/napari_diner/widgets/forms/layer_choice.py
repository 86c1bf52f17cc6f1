"""Choose an image layer of the viewer, or files that become one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import napari
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_diner.errors import DinerError
from napari_diner.io.formats import PATTERNS
from napari_diner.io.names import sorted_by_numbers
from napari_diner.widgets.forms.controls import ShrinkingCombo, menu_button, remove_margins, row
from napari_diner.widgets.layers.canvas import make_canvas_current
from napari_diner.widgets.layers.layer_metadata import source_of
from napari_diner.widgets.work import wait_for


class LayerChoice(QWidget):
    """A list of the image layers that a task accepts, and a button to open files.

    Subclasses define which layers are accepted, and how files become a layer.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are offered.
    """

    chosen = Signal(object)
    """The chosen layer, or None if there is none."""
    failed = Signal(object)
    """The `DinerError` raised while opening files."""

    noun = "image"
    """Noun for a layer in names, tooltips and messages."""
    kind = "an image layer"
    """Description of accepted layers, for messages."""
    tip = "The image layer to work on"
    cure = "open files, or a sample from the File menu"
    """The cure if there is no such layer."""
    files = f"Images ({PATTERNS})"
    """Filter of file dialogs for the files that can be opened."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._announced: Image | None = None
        self.combo = ShrinkingCombo(7)
        self.combo.setToolTip(self.tip)
        slots = {"Files…": self.choose_files, "Folder…": self.choose_folder}
        self.open_button = menu_button("Open", f"Open {self.noun} files", slots)
        layout = QVBoxLayout(self)
        remove_margins(layout)
        layout.addLayout(row(self.noun.capitalize(), self.combo, self.open_button, stretch=self.combo))
        on_layer_list(napari_viewer, self._refresh)
        napari_viewer.layers.events.removing.connect(self._on_removing)
        self._refresh()
        self.combo.currentIndexChanged.connect(self._announce)

    @property
    def layer(self) -> Image | None:
        """The layer that is chosen."""
        layer = self.combo.currentData()
        return layer if isinstance(layer, Image) else None

    @property
    def name(self) -> str:
        """The chosen layer's name as part of a file name."""
        return re.sub(r"[^\w.-]+", "-", self.layer.name).strip("-") if self.layer is not None else self.noun

    @property
    def source(self) -> str | None:
        """File, folder or glob of the chosen layer, or None if it was not read from files."""
        return None if self.layer is None else source_of(self.layer)

    def accepts(self, layer: Image) -> bool:
        """Return whether the task accepts a layer."""
        raise NotImplementedError

    def load(self, source: str) -> Image:
        """Read a file, a folder or a glob.

        Raises
        ------
        DinerError
            If it cannot be used.
        """
        raise NotImplementedError

    def load_many(self, paths: list[Path]) -> Image:
        """Read several files as one layer.

        Raises
        ------
        DinerError
            If they cannot be used, or do not belong together.
        """
        raise NotImplementedError

    def choose_files(self) -> None:
        """Ask for one file with all frames, or a file for each frame."""
        names, _ = QFileDialog.getOpenFileNames(self, f"Open {self.noun} files", "", f"{self.files};;All files (*)")
        if len(names) == 1:
            self.open_source(names[0])
        elif names:
            self._open(lambda: self.load_many([Path(name) for name in sorted_by_numbers(names)]))

    def choose_folder(self) -> None:
        """Ask for a folder with a file for each frame."""
        folder = QFileDialog.getExistingDirectory(self, "Open a folder of frames")
        if folder:
            self.open_source(folder)

    def open_source(self, source: str) -> None:
        """Read a file, a folder or a glob, and choose the new layer."""
        self._open(lambda: self.load(source))

    def _open(self, load: Callable[[], Image]) -> None:
        try:
            layer = wait_for(f"Opening {self.noun} files", load)
        except DinerError as error:
            self.failed.emit(error)
            return
        self._viewer.add_layer(layer)
        self.combo.setCurrentIndex(self.combo.findData(layer))

    def _refresh(self) -> None:
        """Update the list; keep the choice if possible, otherwise take the selected or the newest layer."""
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Image) and self.accepts(layer)]
        preferred = (self._announced, self._viewer.layers.selection.active)
        places = [place for wish in preferred for place, layer in enumerate(layers) if layer is wish]
        chosen = next(iter(places), len(layers) - 1)
        self.combo.blockSignals(True)
        self.combo.clear()
        for layer in layers:
            self.combo.addItem(layer.name, layer)
        self.combo.setCurrentIndex(chosen)
        self.combo.blockSignals(False)
        self._announce()

    def _on_removing(self) -> None:
        make_canvas_current(self)

    def _announce(self) -> None:
        layer = self.layer
        if layer is not self._announced:
            self._announced = layer
            self.chosen.emit(layer)


def on_layer_list(viewer: napari.Viewer, slot: Callable[[], None]) -> None:
    """Call a method whenever the layers of a viewer, their order or their names change."""
    events = viewer.layers.events
    for event in (events.inserted, events.removed, events.reordered, events.renamed):
        event.connect(slot)
