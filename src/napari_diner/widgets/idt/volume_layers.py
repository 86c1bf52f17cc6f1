"""The layers of a volume of refractive index: three cuts through it while a run goes on, then the volume itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap, ensure_colormap

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.slice_figure import index_limits
from napari_diner.tasks.run import Result
from napari_diner.widgets.idt.volume_view import fill_canvas
from napari_diner.widgets.layers.result_layers import ResultLayers, layer_arguments

GAP = 0.06
"""Between the cuts, as a part of the width of the volume."""
CLEAR, OPAQUE = 0.1, 0.5
"""Parts of the range of contrast below which a volume is not seen, and above which it hides what is behind it."""


def clear_colormap(name: str) -> Colormap:
    """Return one of napari's colour maps, transparent at its low end: the medium around an object is not seen.

    A volume would else be shown as the block of voxels that it is.
    """
    place = np.linspace(0, 1, 256)
    colours = np.array(ensure_colormap(name).map(place))
    colours[:, 3] = np.clip((place - CLEAR) / (OPAQUE - CLEAR), 0, 1)
    return Colormap(colours, name=f"{name} on clear")


class VolumeLayers(ResultLayers):
    """The layers of one run: cuts along xy, xz and yz while it goes on, then n_re, n_im and the residual.

    Parameters
    ----------
    viewer
        The viewer that shows them.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(viewer)
        self.arguments = self._arguments
        self.volume: Image | None = None
        """The layer n_re of the last run, as long as it is there."""
        self._recipe = IdtRecipe()
        self._through: tuple[int, int, int] | None = None
        self._limits = (0.0, 1.0)
        self._corners: dict[str, tuple[float, float]] = {}

    def begin(self, recipe: IdtRecipe) -> None:
        """Start anew, for a run of this recipe: what is shown now stays as it is, but out of sight."""
        self.forget()
        self._recipe, self._through = recipe, None

    def preview(self, arrays: Iterable[NamedArray]) -> None:
        """Show cuts through the present volume, side by side, at the place that was the densest at first."""
        for array in arrays:
            if array.axes != "ZYX":
                continue
            first = self._through is None
            pieces = self._cut(array)
            values = np.concatenate([piece.data.ravel() for piece in pieces])
            self._limits = index_limits(values, self._recipe.medium_index)
            super().preview(pieces)
            if first:
                self._look_at_previews()

    def finish(self, result: Result) -> list[Image]:
        """Show the volumes and the residual in place of the cuts; n_re is the one in sight."""
        assert isinstance(result.recipe, IdtRecipe)
        self.discard()
        self._recipe = result.recipe
        # the last is on top
        layers = super().finish(replace(result, arrays=tuple(reversed(result.arrays))))
        self.volume = next((layer for layer in layers if layer.name.startswith("n_re")), None)
        if self.volume is not None:
            self._viewer.layers.selection.active = self.volume
        return layers

    def _arguments(self, array: NamedArray) -> dict[str, Any]:
        arguments = layer_arguments(array)
        recipe = self._recipe
        # napari knows the viewer's unit only if all layers agree, also along an axis that counts frames
        arguments["units"] = ("um",) * len(array.axes)
        if array.axes == "ZYX":
            base = recipe.medium_index if array.name == "n_re" else 0.0
            arguments |= {
                "translate": (first_slice_um(recipe), 0.0, 0.0),
                "contrast_limits": index_limits(array.data, base),
                "colormap": clear_colormap("magma" if array.name == "n_re" else "viridis"),
                "visible": array.name == "n_re",
            }
        elif array.name in self._corners:
            arguments |= {
                "translate": self._corners[array.name],
                "contrast_limits": self._limits,
                "colormap": "magma",
                "axis_labels": ("y", "x"),
            }
        else:
            arguments["visible"] = False
        return arguments

    def _cut(self, volume: NamedArray) -> tuple[NamedArray, ...]:
        """Return the cuts xy, xz (below it) and yz (to its right), and note where they belong."""
        data, (dz, dy, dx) = volume.data, volume.scale_um
        if self._through is None:
            weight = np.abs(data - np.float32(self._recipe.medium_index))
            sums = [weight.sum(tuple(other for other in range(3) if other != axis)) for axis in range(3)]
            self._through = tuple(int(total.argmax()) for total in sums)  # type: ignore[assignment]
            gap = GAP * data.shape[2] * dx
            self._corners = {
                f"{volume.name} xy": (0.0, 0.0),
                f"{volume.name} xz": (data.shape[1] * dy + gap, 0.0),
                f"{volume.name} yz": (0.0, data.shape[2] * dx + gap),
            }
        assert self._through is not None
        z, y, x = self._through
        return (
            NamedArray(f"{volume.name} yz", np.ascontiguousarray(data[:, :, x].T), "YZ", (dy, dz)),
            NamedArray(f"{volume.name} xz", data[:, y], "ZX", (dz, dx)),
            NamedArray(f"{volume.name} xy", data[z], "YX", (dy, dx)),
        )

    def _look_at_previews(self) -> None:
        """Bring all cuts into sight, with nothing else."""
        shown: list[Layer] = list(self._previews.values())
        for layer in self._viewer.layers:
            layer.visible = any(layer is preview for preview in shown)
        self._viewer.dims.ndisplay = 2
        fill_canvas(self._viewer, shown)


def first_slice_um(recipe: IdtRecipe) -> float:
    """Return where the first slice of a recipe's volume is; the volume is centred on the plane in focus by default."""
    if recipe.first_slice_um is not None:
        return recipe.first_slice_um
    return -(recipe.slice_count - 1) / 2 * recipe.slice_spacing_um
