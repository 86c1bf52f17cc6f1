"""The layers of a run: previews, which its results replace."""

from __future__ import annotations

import napari
from napari.components import ViewerModel
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.regions import DEVIATIONS, UNCERTAINTY
from napari_diner.tasks.result import Result
from napari_diner.widgets.layers.layer_arguments import update_layer
from napari_diner.widgets.layers.preview_layers import PreviewLayers
from napari_diner.widgets.layers.world import add_layer, combine_units, refresh_status, remove_layer
from napari_diner.widgets.work import breathe


class ResultLayers(PreviewLayers):
    """Previews of one run, which turn into its results; a preview that the user removes is not shown again.

    Parameters
    ----------
    viewer
        The viewer that shows them.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(viewer, " (preview)", restore=False)
        self._covered: list[Image] = []
        self._with_bar: set[str] = set()

    def finish(self, result: Result) -> list[Image]:
        """Show a result: previews are updated, and arrays without a preview get new layers."""
        sizes: dict[Image, int] = {}
        previews = self.shown
        self.forget()
        for array in result.arrays:
            if array.name == DEVIATIONS:
                continue
            layer = previews.get(array.name)
            arguments = self.arguments(array)
            if layer is not None and (layer.rgb != arguments["rgb"] or layer.ndim != len(arguments["scale"])):
                # a grey layer cannot become a colour layer, nor an image a series
                remove_layer(self._viewer, layer)
                layer = None
            # docks look at the metadata as soon as a layer is added
            title, metadata = self._title(result, array, layer), metadata_of(result, array)
            if layer is None:
                layer = Image(**(arguments | {"name": title, "metadata": metadata}))
                add_layer(self._viewer, layer)
            else:
                update_layer(layer, arguments)
                layer.name, layer.metadata = title, metadata
            breathe()
            if has_bar(array) and not layer.colorbar.visible:
                layer.colorbar.visible = True
                breathe()
            sizes[layer] = array.data.ndim
        # drawing them processes events, among which may be that of a closed viewer
        layers = [layer for layer in sizes if layer in self._viewer.layers]
        self._hide_bars_below(layers, {layer.metadata["unit"] for layer in layers})
        combine_units(self._viewer)
        # the viewer draws the last layer on top: images over stacks, and the phase, the last image, over all
        for layer in sorted(layers, key=lambda layer: -sizes[layer]):
            self._viewer.layers.move(self._viewer.layers.index(layer), len(self._viewer.layers))
        if layers:
            self._viewer.layers.selection.active = self._viewer.layers[-1]
        refresh_status(self._viewer)
        return layers

    def _on_updated(self, array: NamedArray, layer: Image) -> None:
        """Show the colour bar of a second preview.

        Drawing the first one takes up to a second, which should delay neither the first picture nor the result.
        """
        if has_bar(array) and array.name not in self._with_bar:
            self._with_bar.add(array.name)
            self._covered += self._hide_bars_below([layer], {array.unit})
            layer.colorbar.visible = True

    def discard(self) -> None:
        """Remove the layers; earlier results, which they covered, get their colour bars back."""
        covered = self._covered
        super().discard()
        for layer in covered:
            if layer in self._viewer.layers:
                layer.colorbar.visible = True

    def forget(self) -> None:
        """Start anew, and keep existing layers."""
        super().forget()
        self._covered, self._with_bar = [], set()

    def _hide_bars_below(self, layers: list[Image], units: set[str]) -> list[Image]:
        """Hide the colour bars of earlier results, which the new ones cover; in a grid, each keeps its own.

        Those that were shown are returned.
        """
        if getattr(self._viewer, "canvas", self._viewer).grid.enabled:
            return []
        hidden = []
        for other in self._viewer.layers:
            is_result = "report" in other.metadata and other.metadata.get("unit") in units
            if other not in layers and is_result and other.colorbar.visible:
                other.colorbar.visible = False
                hidden.append(other)
        return hidden

    def _title(self, result: Result, array: NamedArray, layer: Image | None) -> str:
        """Return the name of a layer for an array of a result; partial results and further runs are marked."""
        others = {other.name for other in self._viewer.layers if other is not layer}
        partial = ["partial"] * result.partial
        remarks = partial
        if with_remarks(array.name, partial) in others:
            solver = result.report.get("solver")
            remarks = [*([str(solver)] if solver else []), *partial]
        return with_remarks(array.name, remarks)


def has_bar(array: NamedArray) -> bool:
    """Return whether a colour bar is of use; for images such as amplitudes, the values are not informative."""
    return array.unit != "1" or array.name == "n_re"


def with_remarks(name: str, remarks: list[str]) -> str:
    """Return the name of a layer with remarks behind it: ``"phase (partial)"``."""
    return f"{name} ({', '.join(remarks)})" if remarks else name


def metadata_of(result: Result, array: NamedArray) -> dict[str, object]:
    """Return the metadata of a layer for an array of a result: its origin, and the unit of its values.

    Samples of the noise, which are for sums over regions and no picture, accompany the uncertainty.
    """
    samples = [other.data for other in result.arrays if other.name == DEVIATIONS and array.name == UNCERTAINTY]
    return {
        "recipe": result.recipe.model_dump(mode="json"),
        "report": dict(result.report),
        "unit": array.unit,
        **({DEVIATIONS: samples[0]} if samples else {}),
    }


def show(result: Result) -> None:
    """Open a viewer with the layers of a result; return when the viewer is closed."""
    viewer = napari.Viewer(title=f"napari-diner: {result.task}")
    ResultLayers(viewer).finish(result)
    napari.run()
