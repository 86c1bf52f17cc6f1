"""Layers to check the geometry of the illumination: spectra with circles over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari
import numpy as np
from napari.layers import Image, Layer, Shapes

from napari_diner.io.arrays import NamedArray
from napari_diner.widgets.idt.volume_view import fill_canvas
from napari_diner.widgets.layers.layer_metadata import DISPLAY_ONLY
from napari_diner.widgets.layers.layer_part import LayerPart
from napari_diner.widgets.layers.placement import PARTS
from napari_diner.widgets.layers.world import add_layer

if TYPE_CHECKING:
    from napari_diner.tasks.idt.geometry_preview import Circles

GAP = 0.05
"""Between the frames and their spectra, as a part of the frames' width."""
NOMINAL, CALIBRATED = "#4e9ede", "#7bd66a"
SPECTRA, CIRCLES, CALIBRATED_CIRCLES = "spectra", "circles", "circles (calibrated)"


class GeometryLayers:
    """Spectra to the right of a stack, as large as its frames, with the circles of each frame over them.

    Parameters
    ----------
    viewer
        The viewer that shows them.
    """

    def __init__(self, viewer: napari.components.ViewerModel) -> None:
        self._viewer = viewer
        self._layers: dict[str, Layer] = {}

    def show(self, part: LayerPart, spectra: NamedArray, nominal: Circles, calibrated: Circles | None) -> None:
        """Show the spectra of a stack, with the circles of the nominal and of the calibrated illuminations."""
        self.remove()
        stack, place = part.layer, part.place
        rows, columns = spectra.data.shape[1:]
        # each spectrum is placed beside its frame, so it has the scale of the stack instead of cycles/µm
        arguments = place.arguments(spectra, (0, (1 + GAP) * columns), (1, 1))
        beside = {name: arguments[name] for name in PARTS}
        arguments |= {
            "colormap": "inferno",
            # from the noise level up, as most frequencies contain only noise
            "contrast_limits": tuple(np.percentile(spectra.data[:: 1 + len(spectra.data) // 8], (50, 99.9))),
            "metadata": DISPLAY_ONLY,
        }
        self._add(SPECTRA, Image(**arguments))
        # from cycles/µm to pixels of the spectrum
        steps = np.asarray(spectra.scale_um[1:])
        middle = np.array([rows // 2, columns // 2])
        for name, circles, colour in (
            (CALIBRATED_CIRCLES, calibrated, CALIBRATED),
            (CIRCLES, nominal, NOMINAL),
        ):
            if circles is None:
                continue
            shapes = Shapes(
                [
                    place.points(corners_of(frame, centre / steps + middle, circles.radius / steps))
                    for frame, pair in zip(circles.frames, circles.centres, strict=True)
                    for centre in pair
                ],
                shape_type="ellipse",
                ndim=stack.ndim,
                face_color="transparent",
                opacity=1.0,
                edge_color=colour,
                edge_width=0.008 * columns,
                **beside,
            )
            self._add(name, shapes)
        for layer in self._viewer.layers:
            layer.visible = layer is stack or any(layer is ours for ours in self._layers.values())
        self._viewer.dims.ndisplay = 2
        fill_canvas(self._viewer, [stack, self._layers[SPECTRA]])

    def remove(self) -> None:
        """Remove the remaining layers."""
        for layer in self._layers.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._layers = {}

    def _add(self, name: str, layer: Layer) -> None:
        layer.name = name
        self._layers[name] = layer
        add_layer(self._viewer, layer)


def corners_of(frame: int, centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return the corners of the box around a circle in the plane of a frame, (4, 3), in pixels."""
    (y, x), (height, width) = centre, radii
    corners = [(y - height, x - width), (y - height, x + width), (y + height, x + width), (y + height, x - width)]
    return np.array([(frame, *corner) for corner in corners], dtype=float)
