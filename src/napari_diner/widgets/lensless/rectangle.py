"""A rectangle drawn in a Shapes layer, in pixels of an image."""

from __future__ import annotations

from dataclasses import dataclass

import napari
import numpy as np
from napari.layers import Image, Shapes

from napari_diner.errors import InputError
from napari_diner.io.stacks import LEAST_SIDE
from napari_diner.widgets.layers.placement import Placement
from napari_diner.widgets.layers.world import add_layer

NAME = "part to use"
TURNED_PX = 0.5
"""Largest distance between the corners of an outline and of its bounding box if the outline is that box."""


@dataclass(frozen=True)
class DrawnPart:
    """The part of an image that a drawn shape covers."""

    part: tuple[int, int, int, int]
    """Top, left, height and width in pixels."""
    is_box: bool
    """Whether the bounding box is larger than the shape, which is rotated or not a rectangle."""
    is_cut: bool
    """Whether it extends beyond the image."""

    @property
    def described(self) -> str:
        """Description of the used part: a sentence without a full stop."""
        top, left, height, width = self.part
        remarks = ["the box around the shape"] * self.is_box + ["cut at the edge of the frames"] * self.is_cut
        which = f" ({', '.join(remarks)})" if remarks else ""
        return f"Rows {top} to {top + height - 1} and columns {left} to {left + width - 1}{which} are used"


def drawn_part(viewer: napari.Viewer, image: Image) -> DrawnPart:
    """Return the pixels of an image that a drawn shape covers.

    The shape is the selected one of the active Shapes layer, or the last one in the topmost Shapes layer that is not
    empty. Layers may have other units and placements: the position of the shape in the world counts.

    Parameters
    ----------
    viewer
        The viewer with the Shapes layer.
    image
        The image whose pixels are returned.

    Raises
    ------
    InputError
        If there is no shape, or it covers no pixel of the image, or too few.
    """
    active = viewer.layers.selection.active
    layers = [layer for layer in reversed(viewer.layers) if isinstance(layer, Shapes) and len(layer.data)]
    if isinstance(active, Shapes) and len(active.data):
        layers.insert(0, active)
    if not layers:
        raise InputError(f'There is no rectangle yet; draw one in the layer "{NAME}", then press the button again')
    shapes = layers[0]
    chosen = max(shapes.selected_data, default=len(shapes.data) - 1)
    world = Placement.of(shapes).to_world(shapes.data[chosen])[:, -2:]
    corners = Placement.of(image).plane().to_pixels(world, shapes.units[-2:])
    size = np.asarray(image.data.shape[-2:])
    first, last = corners.min(axis=0), corners.max(axis=0)
    # pixel i reaches from i - 1/2 to i + 1/2
    low, high = (np.clip(np.round(edge + 0.5).astype(int), 0, size) for edge in (first, last))
    if (high - low).min() < 1:
        raise InputError(f"The rectangle covers no pixel of {image.name}; draw it over the image")
    (top, left), (height, width) = low.tolist(), (high - low).tolist()
    if min(height, width) < LEAST_SIDE:
        raise InputError(
            f"The rectangle covers only {height}×{width} pixels of {image.name}; draw it over at least "
            f"{LEAST_SIDE}×{LEAST_SIDE}"
        )
    return DrawnPart(
        part=(top, left, height, width),
        is_box=bool((np.minimum(corners - first, last - corners) > TURNED_PX).any()),
        is_cut=bool((first < -1).any() or (last > size).any()),
    )


def offer_rectangle(viewer: napari.Viewer, image: Image) -> None:
    """Add a Shapes layer with its rectangle tool active over an image, unless something is drawn already."""
    if any(isinstance(layer, Shapes) and len(layer.data) for layer in viewer.layers):
        return
    empty = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    if empty:
        layer = empty[-1]
    else:
        place = Placement.of(image).plane().arguments()
        layer = Shapes(name=NAME, ndim=2, **place, face_color="transparent", edge_color="yellow")
        add_layer(viewer, layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"
