"""Layers for display only, each updated in place."""

from __future__ import annotations

from collections.abc import Iterable

from napari.components import ViewerModel
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.widgets.layers.layer_arguments import MakeArguments, layer_arguments, update_layer
from napari_diner.widgets.layers.layer_metadata import DISPLAY_ONLY
from napari_diner.widgets.layers.world import add_layer, combine_units, refresh_status, remove_layer
from napari_diner.widgets.work import breathe


class PreviewLayers:
    """A layer for each name of an array; no dock offers them as data.

    Parameters
    ----------
    viewer
        The viewer that shows them.
    suffix
        Appended to the names of the arrays.
    restore
        Whether a layer that the user has removed reappears with the next array of its name.
    """

    def __init__(self, viewer: ViewerModel, suffix: str = "", *, restore: bool = True) -> None:
        self._viewer = viewer
        self._suffix, self._restore = suffix, restore
        self._shown: dict[str, Image] = {}
        self.arguments: MakeArguments = layer_arguments
        """Returns the arguments of the layer for an array; tasks may replace it."""

    @property
    def shown(self) -> dict[str, Image]:
        """The layers that are in the viewer, by the names of their arrays."""
        return {name: layer for name, layer in self._shown.items() if layer in self._viewer.layers}

    def show(self, arrays: Iterable[NamedArray]) -> bool:
        """Show images; each replaces the previous one of the same name.

        Showing one processes events, so the run may end meanwhile: then the others are not shown, and False is
        returned.
        """
        present = self._shown
        for array in arrays:
            if self._shown is not present:
                return False
            arguments = self.arguments(array)
            if array.name in self.shown:
                update_layer(self._shown[array.name], arguments)
                self._on_updated(array, self._shown[array.name])
            elif self._restore or array.name not in self._shown:
                title = {"name": f"{array.name}{self._suffix}", "metadata": DISPLAY_ONLY}
                layer = self._shown[array.name] = Image(**(arguments | title))
                add_layer(self._viewer, layer)
            breathe()
        if self._shown is not present:
            return False
        combine_units(self._viewer)
        return True

    def discard(self) -> None:
        """Remove the layers, for instance the previews of a run without a result."""
        layers = self.shown.values()
        self.forget()
        for layer in layers:
            if layer in self._viewer.layers:
                remove_layer(self._viewer, layer)
                breathe()
        refresh_status(self._viewer)

    def _on_updated(self, array: NamedArray, layer: Image) -> None:
        """Complete a layer that has got another array."""

    def forget(self) -> None:
        """Start anew, and keep existing layers."""
        self._shown = {}
