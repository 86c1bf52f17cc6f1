"""Choose a recording under oblique illumination: a layer of the viewer, or files that become one."""

from __future__ import annotations

from napari.layers import Image

from napari_diner.io.matlab import is_matlab, probe_matlab, read_matlab
from napari_diner.widgets.forms.stack_choice import StackChoice, stack_layer


class RecordingChoice(StackChoice):
    """Offers the layers that are stacks, and opens MATLAB files too."""

    tip = "Image layer with one frame for each illumination: axes (frame, y, x)"
    files = "Images and MATLAB files (*.tif *.tiff *.png *.mat)"

    def load(self, source: str) -> Image:
        """Read the frames of a file, a folder or a glob."""
        if not is_matlab(source):
            return super().load(source)
        file = probe_matlab(source)
        return stack_layer(file.stack, lambda: read_matlab(file), source)
