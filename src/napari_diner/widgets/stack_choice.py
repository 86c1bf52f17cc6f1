"""Choose a stack of frames: a layer of the viewer, or files that become one."""

from __future__ import annotations

import re
from pathlib import Path

import napari
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QMenu, QPushButton, QWidget

from napari_diner.device import check_memory
from napari_diner.errors import DinerError
from napari_diner.io.stacks import StackInfo, natural_key, probe, read

METADATA_KEY = "napari-diner"
"""Key of a layer's metadata under which samples and opened files keep what the docks need to know."""


class StackChoice(QWidget):
    """A list of the viewer's image layers that are stacks, and a button to open files.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are offered.
    """

    chosen = Signal(object)
    """The layer that was chosen, or None if there is no stack left."""
    failed = Signal(str)
    """A sentence that says why files could not be opened."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._shown: Image | None = None
        self.combo = QComboBox()
        self.combo.setToolTip("Image layer with one frame for each height: axes (frame, y, x)")
        self.combo.setMinimumContentsLength(10)
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.open_button = QPushButton("Open")
        self.open_button.setToolTip("Open a stack from files")
        menu = QMenu(self.open_button)
        for text, slot in (("Files…", self.choose_files), ("Folder…", self.choose_folder)):
            action = menu.addAction(text)
            assert action is not None
            action.triggered.connect(slot)
        self.open_button.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Stack"))
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
        return re.sub(r"[^\w.-]+", "-", self.layer.name).strip("-") if self.layer is not None else "stack"

    @property
    def source(self) -> str | None:
        """File, folder or glob that the chosen layer came from, or None if it is no file's."""
        if self.layer is None:
            return None
        source = self.layer.metadata.get(METADATA_KEY, {}).get("source") or self.layer.source.path
        return str(source) if source else None

    def choose_files(self) -> None:
        """Let the user pick one file with all frames, or a file for each frame."""
        names, _ = QFileDialog.getOpenFileNames(self, "Open a stack", "", "Images (*.tif *.tiff *.png);;All files (*)")
        if len(names) == 1:
            self.open_source(names[0])
        elif names:
            self._open_many(sorted(map(Path, names), key=lambda path: natural_key(path.name)))

    def choose_folder(self) -> None:
        """Let the user pick a folder with a file for each frame."""
        folder = QFileDialog.getExistingDirectory(self, "Open a folder of frames")
        if folder:
            self.open_source(folder)

    def open_source(self, source: str) -> None:
        """Read a file, a folder or a glob, and choose it."""
        try:
            self._add(probe(source), source)
        except DinerError as error:
            self.failed.emit(str(error))

    def _open_many(self, paths: list[Path]) -> None:
        try:
            infos = [probe(path) for path in paths]
            first = infos[0]
            for path, info in zip(paths, infos, strict=True):
                if (info.shape, info.dtype) != ((1, first.height, first.width), first.dtype):
                    raise DinerError(
                        f"{path.name} holds {info.frames}×{info.height}×{info.width} values of type {info.dtype}, "
                        f"which does not go with {paths[0].name}; choose files with one frame each and of one size"
                    )
            size = first.pixel_size_um
            self._add(StackInfo(tuple(paths), len(paths), first.height, first.width, first.dtype, size), None)
        except DinerError as error:
            self.failed.emit(str(error))

    def _add(self, info: StackInfo, source: str | None) -> None:
        check_memory(info.nbytes, f"A stack of {info.frames} frames of {info.height}×{info.width} pixels")
        frames = read(info)
        size = info.pixel_size_um
        layer = Image(
            frames,
            name=info.paths[0].stem if len(info.paths) == 1 else info.paths[0].parent.name,
            scale=None if size is None else (1, size, size),
            units=None if size is None else ("pixel", "um", "um"),
            metadata={METADATA_KEY: {"source": source}} if source else {},
        )
        self._viewer.add_layer(layer)
        self.combo.setCurrentIndex(self.combo.findData(layer))

    def _refresh(self) -> None:
        """List the stacks anew; keep the choice if it is still there, and otherwise take the newest."""
        stacks = [layer for layer in self._viewer.layers if is_stack(layer)]
        kept = self._shown if any(layer is self._shown for layer in stacks) else None
        self.combo.blockSignals(True)
        self.combo.clear()
        for layer in stacks:
            self.combo.addItem(layer.name, layer)
        chosen = kept if kept is not None else (stacks[-1] if stacks else None)
        index = next((index for index, layer in enumerate(stacks) if layer is chosen), -1)
        self.combo.setCurrentIndex(index)
        self.combo.blockSignals(False)
        self._announce()

    def _announce(self) -> None:
        layer = self.layer
        if layer is not self._shown:
            self._shown = layer
            self.chosen.emit(layer)


def is_stack(layer: object) -> bool:
    """Tell whether a layer can be a stack of frames: grey, of one resolution, three axes, and no result of ours."""
    return (
        isinstance(layer, Image)
        and not layer.rgb
        and not layer.multiscale
        and layer.ndim == 3
        and "report" not in layer.metadata
    )
