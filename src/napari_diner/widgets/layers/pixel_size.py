"""Pixel sizes of layers and units of a viewer's world."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_diner.errors import DinerError, InputError
from napari_diner.io.stacks import probe
from napari_diner.widgets.layers.layer_metadata import add_notes, is_recording, layer_notes
from napari_diner.widgets.layers.layer_units import factor_between, is_length, spacing_um
from napari_diner.widgets.layers.placement import Placement
from napari_diner.widgets.layers.world import combine_units

NOT_SQUARE = 1e-4
"""Relative difference of height and width from which pixels are not square."""
BORROWED = "borrowed_pixel_size"
"""Metadata key of a layer whose pixel size was copied from another one."""


def layer_pixel_size_um(layer: Image) -> float | None:
    """Return the pixel size of an image layer, or of its file, or None if unknown.

    Raises
    ------
    InputError
        If the pixels are not square.
    """
    side = pixel_side(Placement.of(layer), layer.name)
    if all(map(is_length, layer.units[-2:])) and not layer_notes(layer).get(BORROWED):
        return spacing_um(side, layer.units[-1])
    # napari's reader ignores the physical size in the file
    if layer.source.path:
        try:
            return probe(layer.source.path).pixel_size_um
        except DinerError:
            return None
    return None


def pixel_side(placement: Placement, name: str = "the layer") -> float:
    """Return the side of a layer's pixels in the unit of its last axis, regardless of the sign of its scale.

    Raises
    ------
    InputError
        If the pixels are not square.
    """
    height, width = placement.plane().pixel_sizes
    down, across = placement.units[-2:]
    height *= factor_between(down, across)
    if abs(height - width) > NOT_SQUARE * width:
        raise InputError(
            f"The pixels of {name} are not square ({height:g} × {width:g} {across:~P}); resample the layer, or set "
            "its scale if that is wrong"
        )
    return width


def doubts_about(layer: Image, pixel_size_um: float | None) -> tuple[str, ...]:
    """Return warnings about the pixel size of a layer: sentences without a full stop."""
    doubts = []
    if Placement.of(layer).is_skewed:
        doubts.append(f"the pixels of {layer.name} are skewed by its shear or affine map; they are taken as squares")
    own = layer_pixel_size_um(layer)
    if own is not None and pixel_size_um is not None and abs(own - pixel_size_um) > NOT_SQUARE * own:
        doubts.append(
            f"the pixels of {layer.name} are {own:.5g} µm wide according to the layer, but {pixel_size_um:.5g} µm is "
            "used; the result is shown in the size of the layer"
        )
    return tuple(doubts)


def give_pixel_size(viewer: ViewerModel, layer: Image, pixel_size_um: float) -> bool:
    """Give a layer without a physical size a known one, and adapt the viewer's world.

    All layers without a physical size keep their relative positions: a rectangle drawn over pixels of the
    layer stays over them. This does not set the pixel size of other recordings among them.

    Parameters
    ----------
    viewer, layer
        The viewer, and one of its layers.
    pixel_size_um
        Its pixel size.

    Returns
    -------
    bool
        Whether anything was changed.

    Raises
    ------
    InputError
        If the pixels of the layer are not square.
    """
    borrowed = bool(layer_notes(layer).get(BORROWED))
    if not (borrowed or has_no_size(layer)):
        return False
    factor = pixel_size_um / pixel_side(Placement.of(layer), layer.name)
    if borrowed:
        _magnify(layer, factor)
        add_notes(layer, **{BORROWED: False})
        return factor != 1
    for other in [each for each in viewer.layers if has_no_size(each)]:
        _magnify(other, factor)
        other.units = (*other.units[:-2], "um", "um")
        if other is not layer and isinstance(other, Image) and is_recording(other):
            add_notes(other, **{BORROWED: True})
    combine_units(viewer)
    return True


def lay_over(viewer: ViewerModel, image: Layer, stack: Image) -> None:
    """Lay an image of the pixels of a stack, such as a mask, over it, if it still is where napari puts all images.

    Parameters
    ----------
    viewer, image, stack
        The viewer, and two of its layers. An image with a physical size, other pixels or a place of its own stays as
        it is.
    """
    place, shape = Placement.of(image), stack.data.shape
    is_placed = place.pixel_sizes != (1.0, 1.0) or np.any(place.translate) or not has_no_size(image)
    if is_placed or has_no_size(stack) or image.data.shape not in (shape, shape[-2:]):
        return
    of_stack = Placement.of(stack)
    for name, value in (of_stack if image.ndim == stack.ndim else of_stack.plane()).arguments().items():
        setattr(image, name, value)
    combine_units(viewer)


def has_no_size(layer: Layer) -> bool:
    """Return whether the pixels of a layer have no physical size."""
    return layer.ndim >= 2 and not any(is_length(unit) for unit in layer.units[-2:])


def _magnify(layer: Layer, factor: float) -> None:
    """Magnify a layer about the origin of the world, along its last two axes."""
    factors = np.ones(layer.ndim)
    factors[-2:] = factor
    affine = np.array(layer.affine.affine_matrix)
    affine[:-1, -1] *= factors
    layer.scale, layer.translate, layer.affine = layer.scale * factors, layer.translate * factors, affine
