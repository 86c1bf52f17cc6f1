"""Layers that show a DINER's inside: the network's picture beside the image, and below each its spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points

from napari_diner.widgets.fit.insight_run import Pictures
from napari_diner.widgets.forms.layer_choice import METADATA_KEY
from napari_diner.widgets.layers.appearance import Appearance

GAP = 0.05
"""Between the pictures, as a part of their width."""
POINT_SIZE = 1 / 150
"""Diameter of a mapped coordinate, as a part of the picture's width."""
INR_OPACITY = 0.4
"""At its full brightness the learned INR would hide the mapped coordinates, which have its colours."""


class Tiles:
    """Places beside and below a layer, each as large as that along Y and X.

    Parameters
    ----------
    appearance
        Where the layer lies.
    """

    def __init__(self, appearance: Appearance) -> None:
        letters = appearance.axes.removesuffix("S")
        scale = np.abs(np.asarray(appearance.placement["scale"], dtype=float))
        self._corner = np.asarray(appearance.placement["translate"], dtype=float) - scale / 2
        self._extent = np.array(appearance.shape[: len(letters)]) * scale
        self._units = appearance.placement["units"]

    def place(self, row: int, column: int, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return scale, position and units with which something of this shape, (Z)YX, fills a tile."""
        gap = GAP * self._extent[-1]
        extent = list(self._extent[-2:])
        corner = [self._corner[-2] + row * (extent[0] + gap), self._corner[-1] + column * (extent[1] + gap)]
        if len(shape) == 3:
            # a third axis is centred on that of the layer
            middle = self._corner[-3] + self._extent[-3] / 2 if len(self._extent) > 2 else 0.0
            extent.insert(0, extent[1])
            corner.insert(0, middle - extent[1] / 2)
        scale = np.array(extent) / np.array(shape, dtype=float)
        units = self._units[-len(shape) :]
        return {
            "scale": scale,
            "translate": np.array(corner) + scale / 2,
            "units": units if len(units) == len(shape) else (units[-1], *units),
        }


def show_pictures(viewer: ViewerModel, pictures: Pictures, appearance: Appearance) -> list[Layer]:
    """Add the layers: mapped coordinates on the learned INR, and the two spectra."""
    tiles = Tiles(appearance)
    inr, positions = pictures.learned_inr.data, pictures.positions
    rgb = pictures.learned_inr.axes.endswith("S")
    metadata = {"metadata": {METADATA_KEY: {"shown_only": True}}}
    if positions.shape[1] == 1:
        # keys of one number have a single row: it is repeated, and the keys stand below each other
        inr = np.broadcast_to(inr, (inr.shape[1], *inr.shape[1:]))
        rows = np.linspace(0, len(inr) - 1, len(positions))
        positions = np.stack([rows, positions[:, 0]], 1)
    shape = inr.shape[: inr.ndim - rgb]
    place = tiles.place(0, 1, shape)
    layers: list[Layer] = [
        Image(
            inr,
            name="learned INR",
            rgb=rgb,
            **({} if rgb else {"contrast_limits": (0, 1)}),
            opacity=INR_OPACITY,
            **_cut(shape),
            **place,
            **metadata,
        ),
        Points(
            positions,
            name="mapped coordinates",
            face_color=pictures.colours,
            border_color=pictures.colours,
            border_width=0,
            size=POINT_SIZE * shape[-1],
            **place,
            **metadata,
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
                **tiles.place(1, column, spectrum.shape),
                **metadata,
            )
        )
    for layer in layers:
        viewer.add_layer(layer)
    if len(shape) == 3:
        viewer.dims.ndisplay = 3
    return layers


def _cut(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return arguments that show a volume by a cut through its middle: whole, it would hide what is inside it."""
    if len(shape) < 3:
        return {}
    middle = tuple(size // 2 for size in shape)
    return {"depiction": "plane", "plane": {"position": middle, "normal": (1, 0, 0), "thickness": 1}}
