"""Choose a stack of frames: a layer of the viewer, or files that become one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import Signal

from napari_diner.device import check_memory
from napari_diner.io.stacks import StackInfo, probe, read
from napari_diner.widgets.forms.layer_choice import LayerChoice
from napari_diner.widgets.forms.part_choice import PartChoice
from napari_diner.widgets.layers.layer_metadata import METADATA_KEY, is_recording
from napari_diner.widgets.layers.layer_part import LayerPart


class StackChoice(LayerChoice):
    """Offers layers with stacks, except results; of a layer with further axes or colours, a part is chosen.

    Parameters
    ----------
    napari_viewer
        See `LayerChoice`.
    offers_series
        Whether all stacks along a further axis can be chosen.
    """

    part_chosen = Signal()
    """Emitted when another part of the same layer is chosen."""

    noun = "stack"
    kind = "an image layer with three axes (frame, y, x) or more"
    cure = (
        "open files, or a sample from the File menu; to make a stack of layers with one frame each, select them all, "
        "and choose Merge to Stack in the menu of the right mouse button"
    )
    tip = "Image layer with one frame for each height or illumination: axes (frame, y, x)"

    def accepts(self, layer: Image) -> bool:
        """Return whether a layer can be a stack of frames."""
        return layer.ndim >= 3 and is_recording(layer)

    @property
    def part(self) -> LayerPart | None:
        """The stack in the chosen layer, or None if no layer is chosen."""
        return None if self.layer is None else self.part_of(self.layer)

    def part_of(self, layer: Image) -> LayerPart:
        """Return the stack in a layer: the chosen part, or the first one."""
        return self._parts.part(layer)

    def __init__(self, napari_viewer: napari.Viewer, *, offers_series: bool = False) -> None:
        self._parts = PartChoice(offers_series=offers_series)
        super().__init__(napari_viewer)
        layout = self.layout()
        if layout is not None:
            layout.addWidget(self._parts)
        self._parts.changed.connect(self.part_chosen)

    def _announce(self) -> None:
        if self.layer is not None:
            self._parts.show_layer(self.layer)
        super()._announce()

    def load(self, source: str) -> Image:
        """Read the frames of a file, a folder or a glob."""
        info = probe(source)
        return stack_layer(info, lambda: read(info), source)

    def load_many(self, paths: list[Path]) -> Image:
        """Read files with one frame each."""
        info = StackInfo.of(str(paths[0].parent), [str(path) for path in paths], kinds="uif")
        return stack_layer(info, lambda: read(info), None)


def stack_layer(info: StackInfo, load: Callable[[], npt.NDArray[np.generic]], source: str | None) -> Image:
    """Return a layer with the frames of files.

    Parameters
    ----------
    info
        What the files announce.
    load
        Reads the frames; called after a check that they fit the memory.
    source
        File, folder or glob with the same frames, or None.

    Raises
    ------
    DinerError
        If the frames do not fit the memory or cannot be read.
    """
    check_memory(info.nbytes, f"A stack of {'×'.join(map(str, info.stack_shape))} values")
    size = info.pixel_size_um
    return Image(
        load(),
        name=info.paths[0].stem if len(info.paths) == 1 else info.paths[0].parent.name,
        scale=None if size is None else (1, size, size),
        units=None if size is None else ("pixel", "um", "um"),
        axis_labels=("frame", "y", "x"),
        metadata={METADATA_KEY: {"files": info.files, **({"source": source} if source else {})}},
    )
