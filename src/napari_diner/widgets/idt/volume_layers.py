"""The layers of a volume of refractive index: three cuts during a run, then the volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap, ensure_colormap

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.slice_figure import index_limits
from napari_diner.tasks.result import Result
from napari_diner.widgets.idt.volume_view import fill_canvas
from napari_diner.widgets.layers.layer_arguments import SAMPLE_PIXELS, LayerArguments, layer_arguments, thinned
from napari_diner.widgets.layers.layer_part import LayerPart, StackPlace
from napari_diner.widgets.layers.pixel_size import pixel_side
from napari_diner.widgets.layers.result_layers import ResultLayers

GAP = 0.06
"""Between the cuts, as a part of the width of the volume."""
TRANSPARENT, OPAQUE = 0.1, 0.5
"""Fractions of the contrast range below which a volume is transparent, and above which it is opaque."""


def transparent_colormap(name: str) -> Colormap:
    """Return one of napari's colour maps, transparent at its low end.

    Otherwise the medium would hide the object, and the volume would look like a block.
    """
    place = np.linspace(0, 1, 256)
    colours = np.array(ensure_colormap(name).map(place))
    colours[:, 3] = np.clip((place - TRANSPARENT) / (OPAQUE - TRANSPARENT), 0, 1)
    return Colormap(colours, name=f"{name} (clear)")  # a longer name widens the window


def index_style(array: NamedArray, recipe: IdtRecipe) -> LayerArguments:
    """Return the appearance of a volume of the refractive index: the medium is dark and transparent, n_im hidden."""
    is_real = array.name == "n_re"
    return {
        "contrast_limits": index_limits(thinned(array.data), recipe.medium_index if is_real else 0.0),
        "colormap": transparent_colormap("magma" if is_real else "viridis"),
        "visible": is_real,
    }


def volume_arguments(array: NamedArray, recipe: IdtRecipe) -> LayerArguments:
    """Return the arguments of a layer for a volume (Z, Y, X), or a series of them, that does not belong to a stack."""
    place = {"translate": (*[0.0] * (array.data.ndim - 3), first_slice_um(recipe), 0.0, 0.0)}
    return {**layer_arguments(array), **index_style(array, recipe), **place}


class VolumeLayers(ResultLayers):
    """The layers of one run: cuts along xy, xz and yz during the run, then n_re, n_im and the residual.

    Parameters
    ----------
    viewer
        See `ResultLayers`.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(viewer)
        self.arguments = self._arguments
        self.volume: Image | None = None
        """The layer n_re of the last run."""
        self._recipe = IdtRecipe()
        self._stack: StackPlace | None = None
        self._through: tuple[int, int, int] | None = None
        self._limits = (0.0, 1.0)
        self._corners: dict[str, tuple[float, float]] = {}

    def begin(self, recipe: IdtRecipe, stack: StackPlace) -> None:
        """Prepare for a run of a recipe on a stack with this placement, and keep existing layers."""
        self.forget()
        self._recipe, self._stack, self._through = recipe, stack, None

    def show(self, arrays: Iterable[NamedArray]) -> bool:
        """Show cuts through the current volume, side by side, at the point that was densest at first."""
        for array in arrays:
            if array.axes != "ZYX":
                continue
            first = self._through is None
            pieces = self._cut(array)
            values = np.concatenate([piece.data.ravel() for piece in pieces])
            self._limits = index_limits(values, self._recipe.medium_index)
            if not super().show(pieces):
                return False
            if first:
                self._look_at_previews()
        return True

    def finish(self, result: Result) -> list[Image]:
        """Replace the cuts by the volumes and the residual; only n_re is visible."""
        self.discard()
        if isinstance(result.recipe, IdtRecipe):
            self._recipe = result.recipe
        # the last is on top
        layers = super().finish(replace(result, arrays=tuple(reversed(result.arrays))))
        self.volume = next((layer for layer in layers if layer.name.startswith("n_re")), None)
        if self.volume is not None:
            self._viewer.layers.selection.active = self.volume
        return layers

    def _on_updated(self, array: NamedArray, layer: Image) -> None:
        """Show the colour bar of the cuts in the corner that they leave free."""
        if array.name.endswith(" xy") and array.name not in self._with_bar:
            self._with_bar.add(array.name)
            layer.colorbar.position = "bottom_right"
            layer.colorbar.visible = True

    def _arguments(self, array: NamedArray) -> LayerArguments:
        # without a stack, that of one pixel
        stack = self._stack or LayerPart.of(Image(np.zeros((1, 1, 1)))).place
        if array.name == "residual":
            return {**stack.arguments(array, (0, 0), (1, 1)), "visible": False}
        arguments = layer_arguments(array)
        recipe = self._recipe
        pixel = recipe.pixel_size_um or 1.0
        step = np.asarray(array.scale_um) / pixel
        if array.axes.endswith("ZYX"):
            # one micrometre in the unit of the stack
            unit = pixel_side(stack.whole) / pixel
            place = stack.plane.with_depth(first_slice_um(recipe) * unit, array.scale_um[-3] * unit)
            if array.data.ndim > 3:
                return stack.volumes(array, place) | index_style(array, recipe)
            arguments |= index_style(array, recipe)
        else:
            place = stack.plane.refined(self._corners[array.name], step)
            arguments |= {"contrast_limits": self._limits, "colormap": "magma"}
        return {**arguments, **place.arguments()}

    def _cut(self, volume: NamedArray) -> tuple[NamedArray, ...]:
        """Return the cuts xy, xz (below it) and yz (to its right), and note their positions."""
        data, (dz, dy, dx) = volume.data, volume.scale_um
        if self._through is None:
            # of a large volume, every few voxels tell
            step = max(1, round((data.size / SAMPLE_PIXELS) ** (1 / 3)))
            weight = np.abs(data[::step, ::step, ::step] - np.float32(self._recipe.medium_index))
            z, y, x = (step * int(weight.sum(others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
            self._through = z, y, x
            gap = GAP * data.shape[2]
            self._corners = {
                f"{volume.name} xy": (0.0, 0.0),
                f"{volume.name} xz": (data.shape[1] + gap, 0.0),
                f"{volume.name} yz": (0.0, data.shape[2] + gap),
            }
        else:
            z, y, x = self._through
        return (
            NamedArray(f"{volume.name} yz", np.ascontiguousarray(data[:, :, x].T), "YZ", (dy, dz)),
            NamedArray(f"{volume.name} xz", data[:, y], "ZX", (dz, dx)),
            NamedArray(f"{volume.name} xy", data[z], "YX", (dy, dx)),
        )

    def _look_at_previews(self) -> None:
        """Show only the cuts."""
        shown: list[Layer] = list(self.shown.values())
        if not shown:
            return  # the user has removed them
        for layer in self._viewer.layers:
            layer.visible = any(layer is preview for preview in shown)
        self._viewer.dims.ndisplay = 2
        fill_canvas(self._viewer, shown)


def first_slice_um(recipe: IdtRecipe) -> float:
    """Return the position of the first slice of a recipe's volume, by default centred on the plane of focus."""
    if recipe.first_slice_um is not None:
        return recipe.first_slice_um
    return -(recipe.slice_count - 1) / 2 * recipe.slice_spacing_um
