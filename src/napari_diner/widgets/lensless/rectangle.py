"""A rectangle drawn in a Shapes layer, in pixels of an image."""

from __future__ import annotations

import napari
import numpy as np
from napari.layers import Image, Shapes

from napari_diner.errors import InputError

NAME = "crop region"


def drawn_rectangle(viewer: napari.Viewer, image: Image) -> tuple[int, int, int, int]:
    """Return the pixels of an image that a drawn rectangle covers.

    The rectangle is the selected one of the active Shapes layer, or the last one in the topmost Shapes layer that is
    not empty.

    Parameters
    ----------
    viewer
        The viewer with the Shapes layer.
    image
        The image whose pixels are returned.

    Returns
    -------
    tuple of int
        Top, left, height and width.

    Raises
    ------
    InputError
        If there is no rectangle, or it covers no pixel of the image.
    """
    active = viewer.layers.selection.active
    layers = [layer for layer in reversed(viewer.layers) if isinstance(layer, Shapes) and len(layer.data)]
    if isinstance(active, Shapes) and len(active.data):
        layers.insert(0, active)
    if not layers:
        raise InputError(f'There is no rectangle yet; draw one in the layer "{NAME}", then press the button again')
    shapes = layers[0]
    chosen = max(shapes.selected_data, default=len(shapes.data) - 1)
    corners = np.asarray([_position(shapes, corner, image) for corner in shapes.data[chosen]])
    size = np.asarray(_plane(image))
    # pixel i reaches from i - 1/2 to i + 1/2
    low = np.clip(np.round(corners.min(axis=0) + 0.5).astype(int), 0, size)
    high = np.clip(np.round(corners.max(axis=0) + 0.5).astype(int), 0, size)
    if (high - low).min() < 1:
        raise InputError(f"The rectangle covers no pixel of {image.name}; draw it over the image")
    (top, left), (height, width) = low.tolist(), (high - low).tolist()
    return top, left, height, width


def offer_rectangle(viewer: napari.Viewer, image: Image) -> None:
    """Add a Shapes layer with its rectangle tool active over an image, unless something is drawn already."""
    if any(isinstance(layer, Shapes) and len(layer.data) for layer in viewer.layers):
        return
    empty = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    if empty:
        layer = empty[-1]
    else:
        layer = Shapes(
            name=NAME,
            ndim=2,
            scale=image.scale[-2:],
            translate=image.translate[-2:],
            units=image.units[-2:],
            face_color="transparent",
            edge_color="yellow",
        )
        viewer.add_layer(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"


def _plane(image: Image) -> tuple[int, int]:
    height, width = image.data.shape[-2:]
    return int(height), int(width)


def _position(shapes: Shapes, corner: np.ndarray, image: Image) -> np.ndarray:
    """Return where a corner lies in the image, in pixels (y, x)."""
    world = np.asarray(shapes.data_to_world(corner))
    # world coordinates of layers agree in their last axes
    padded = np.zeros(image.ndim)
    count = min(image.ndim, len(world))
    padded[-count:] = world[-count:]
    return np.asarray(image.world_to_data(padded))[-2:]
