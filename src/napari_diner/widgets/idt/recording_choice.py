"""Choose a recording under oblique illumination: a layer of the viewer, or files that become one."""

from __future__ import annotations

from pathlib import Path

from napari.layers import Image

from napari_diner.device import check_memory
from napari_diner.io.matlab import is_matlab, probe_matlab, read_matlab
from napari_diner.widgets.forms.layer_choice import METADATA_KEY
from napari_diner.widgets.forms.stack_choice import StackChoice


class RecordingChoice(StackChoice):
    """Offers the layers that are stacks, and opens MATLAB files too."""

    tip = "Image layer with one frame for each illumination: axes (frame, y, x)"
    files = "Images and MATLAB files (*.tif *.tiff *.png *.mat)"

    def load(self, source: str) -> Image:
        """Read the frames of a file, a folder or a glob."""
        if not is_matlab(source):
            return super().load(source)
        found = probe_matlab(source)
        info = found.stack
        check_memory(info.nbytes, f"A stack of {info.frames} frames of {info.height}×{info.width} pixels")
        return Image(read_matlab(found), name=Path(source).stem, metadata={METADATA_KEY: {"source": source}})
