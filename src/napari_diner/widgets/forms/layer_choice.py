"""Choose an image layer of the viewer, or files that become one."""

from __future__ import annotations

import re
from pathlib import Path

import napari
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QMenu, QPushButton, QWidget
from tifffile import natural_sorted

from napari_diner.errors import DinerError

METADATA_KEY = "napari-diner"
"""Key of a layer's metadata under which samples and opened files keep what the docks need to know."""


class LayerChoice(QWidget):
    """A list of those of the viewer's image layers that a task can work on, and a button to open files.

    The docks of the tasks say in subclasses which layers they take, and how files become one.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are offered.
    """

    chosen = Signal(object)
    """The layer that was chosen, or None if there is none left."""
    failed = Signal(str)
    """A sentence that says why files could not be opened."""

    noun = "image"
    """What a layer is called in names, tips and messages."""
    tip = "The image layer to work on"
    files = "Images (*.tif *.tiff *.png)"
    """Files that can be opened, as file dialogs take them."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._shown: Image | None = None
        self.combo = QComboBox()
        self.combo.setToolTip(self.tip)
        self.combo.setMinimumContentsLength(10)
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.open_button = QPushButton("Open")
        self.open_button.setToolTip(f"Open {self.noun} data from files")
        menu = QMenu(self.open_button)
        for text, slot in (("Files…", self.choose_files), ("Folder…", self.choose_folder)):
            action = menu.addAction(text)
            assert action is not None
            action.triggered.connect(slot)
        self.open_button.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel(self.noun.capitalize()))
        layout.addWidget(self.combo, 1)
        layout.addWidget(self.open_button)
        events = napari_viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._refresh)
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
        """File, folder or glob that the chosen layer came from, or None if it is no file's."""
        return None if self.layer is None else source_of(self.layer)

    def accepts(self, layer: Image) -> bool:
        """Tell whether the task can work on a layer."""
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
            If they cannot be used, or do not go together.
        """
        raise NotImplementedError

    def choose_files(self) -> None:
        """Let the user pick one file with everything, or a file for each frame."""
        names, _ = QFileDialog.getOpenFileNames(self, f"Open {self.noun} data", "", f"{self.files};;All files (*)")
        if len(names) == 1:
            self.open_source(names[0])
        elif names:
            self._open([Path(name) for name in natural_sorted(names)])

    def choose_folder(self) -> None:
        """Let the user pick a folder with a file for each frame."""
        folder = QFileDialog.getExistingDirectory(self, "Open a folder of frames")
        if folder:
            self.open_source(folder)

    def open_source(self, source: str) -> None:
        """Read a file, a folder or a glob, and choose it."""
        self._open(source)

    def _open(self, source: str | list[Path]) -> None:
        try:
            layer = self.load(source) if isinstance(source, str) else self.load_many(source)
        except DinerError as error:
            self.failed.emit(str(error))
            return
        self._viewer.add_layer(layer)
        self.combo.setCurrentIndex(self.combo.findData(layer))

    def _refresh(self) -> None:
        """List the layers anew; keep the choice if it is still there, and otherwise take the newest."""
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Image) and self.accepts(layer)]
        kept = self._shown if any(layer is self._shown for layer in layers) else None
        self.combo.blockSignals(True)
        self.combo.clear()
        for layer in layers:
            self.combo.addItem(layer.name, layer)
        chosen = kept if kept is not None else (layers[-1] if layers else None)
        index = next((index for index, layer in enumerate(layers) if layer is chosen), -1)
        self.combo.setCurrentIndex(index)
        self.combo.blockSignals(False)
        self._announce()

    def _announce(self) -> None:
        layer = self.layer
        if layer is not self._shown:
            self._shown = layer
            self.chosen.emit(layer)


def source_of(layer: Image) -> str | None:
    """Return the file, folder or glob that a layer came from, or None if it is no file's."""
    source = known_about(layer).get("source") or layer.source.path
    return str(source) if source else None


def known_about(layer: Image) -> dict[str, object]:
    """Return what our samples and our ways to open files have noted about a layer."""
    known = layer.metadata.get(METADATA_KEY, {})
    return known if isinstance(known, dict) else {}
