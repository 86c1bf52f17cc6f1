"""Layers that explain a DINER: the learned INR beside the image, with the spectrum of each below."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points

from napari_diner.widgets.fit.insight_run import InsightPictures
from napari_diner.widgets.layers.appearance import Appearance
from napari_diner.widgets.layers.layer_arguments import LayerArguments
from napari_diner.widgets.layers.layer_metadata import DISPLAY_ONLY
from napari_diner.widgets.layers.world import add_layer

GAP = 0.05
"""Space between the pictures, as a fraction of their width."""
POINT_SIZE = 1 / 150
"""Diameter of a mapped coordinate, as a fraction of the picture's width."""
INR_OPACITY = 0.4
"""Opacity of the learned INR, which would otherwise hide the mapped coordinates of the same colours."""


class PictureGrid:
    """Cells beside and below a layer, each as large as the layer along Y and X.

    Parameters
    ----------
    appearance
        Placement of the layer.
    """

    def __init__(self, appearance: Appearance) -> None:
        letters = appearance.axes.removesuffix("S")
        self._size = np.array(appearance.shape[: len(letters)])
        self._placement = appearance.placement

    def place(self, row: int, column: int, shape: tuple[int, ...]) -> LayerArguments:
        """Return the arguments of a layer that make an array of this shape, (Z)YX, fill a cell."""
        size, plane = self._size[-2:], self._placement.plane()
        start = np.array([row, column]) * (size + GAP * size[1])
        placement = plane.refined(start, size / shape[-2:])
        if len(shape) == 3:
            # a third axis is as long as the second, and centred on that of the layer
            width = plane.pixel_sizes[1] * size[1]
            middle = self._placement.to_world((self._size - 1) / 2)[-3] if len(self._size) > 2 else 0.0
            placement = placement.with_depth(middle - width * (1 - 1 / shape[0]) / 2, width / shape[0])
        return placement.arguments()


def show_pictures(viewer: ViewerModel, pictures: InsightPictures, appearance: Appearance) -> list[Layer]:
    """Add the mapped coordinates on the learned INR, and the two spectra."""
    grid = PictureGrid(appearance)
    inr, positions = pictures.learned_inr.data, pictures.positions
    rgb = pictures.learned_inr.axes.endswith("S")
    if positions.shape[1] == 1:
        # keys of one number give a single row: it is repeated, and the keys are spread over the rows
        inr = np.broadcast_to(inr, (inr.shape[1], *inr.shape[1:]))
        rows = np.linspace(0, len(inr) - 1, len(positions))
        positions = np.stack([rows, positions[:, 0]], 1)
    shape = inr.shape[: inr.ndim - rgb]
    place = grid.place(0, 1, shape)
    layers: list[Layer] = [
        Image(
            inr,
            name="learned INR",
            rgb=rgb,
            **({} if rgb else {"contrast_limits": (0, 1)}),
            opacity=INR_OPACITY,
            **_cut(shape),
            **place,
            metadata=DISPLAY_ONLY,
        ),
        Points(
            positions,
            name="mapped coordinates",
            face_color=pictures.colours,
            border_color=pictures.colours,
            border_width=0,
            size=POINT_SIZE * shape[-1],
            **place,
            metadata=DISPLAY_ONLY,
        ),
    ]
    for column, (name, spectrum) in enumerate(
        (("spectrum", pictures.spectrum), ("spectrum of the learned INR", pictures.inr_spectrum))
    ):
        # the few frequencies around zero would leave no contrast for the others
        shown = spectrum[len(spectrum) // 2] if spectrum.ndim == 3 else spectrum
        low, high = np.percentile(shown, (0.5, 99.5))
        layers.append(
            Image(
                spectrum,
                name=name,
                colormap="inferno",
                contrast_limits=(low, max(high, low + 1e-6)),
                **_cut(spectrum.shape),
                **grid.place(1, column, spectrum.shape),
                metadata=DISPLAY_ONLY,
            )
        )
    for layer in layers:
        add_layer(viewer, layer)
    if len(shape) == 3:
        viewer.dims.ndisplay = 3
    return layers


def _cut(shape: tuple[int, ...]) -> LayerArguments:
    """Return arguments that show a cut through the middle of a volume, which would otherwise hide its interior."""
    if len(shape) < 3:
        return {}
    middle = tuple(size // 2 for size in shape)
    return {"depiction": "plane", "plane": {"position": middle, "normal": (1, 0, 0), "thickness": 1}}
