"""Images that are only to be looked at, each in the place of the one before it."""

from __future__ import annotations

import napari
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.widgets.forms.layer_choice import METADATA_KEY
from napari_diner.widgets.layers.result_layers import Arguments, layer_arguments, update_layer


class PreviewLayers:
    """Layers that no dock takes for a recording.

    Parameters
    ----------
    viewer
        Where they are shown.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self.arguments: Arguments = layer_arguments
        """Gives the arguments of the layer for an array."""
        self._layers: dict[str, Image] = {}

    def __contains__(self, name: str) -> bool:
        return self._layers.get(name) in self._viewer.layers

    def show(self, images: tuple[NamedArray, ...]) -> None:
        """Show images; one of the same name as before takes its place."""
        for image in images:
            arguments = self.arguments(image)
            if image.name in self:
                update_layer(self._layers[image.name], arguments)
            else:
                layer = self._layers[image.name] = Image(**arguments, metadata={METADATA_KEY: {"shown_only": True}})
                self._viewer.add_layer(layer)
