"""Results with the placement and look of the layer they came from, for comparison by blinking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.widgets.layers.layer_arguments import LayerArguments, drawable, shown
from napari_diner.widgets.layers.placement import Placement


@dataclass(frozen=True)
class Appearance:
    """Look and placement of a layer, without its data."""

    axes: str
    """Letters of the data's axes in order."""
    shape: tuple[int, ...]
    """Size along each of them."""
    placement: Placement
    """Placement of the layer."""
    style: LayerArguments
    """Arguments of a layer that determine its look: contrast limits, gamma, colour map."""

    @classmethod
    def of(cls, layer: Image, axes: str) -> Appearance:
        """Describe a layer whose data have these axes."""
        style: LayerArguments = {"contrast_limits": drawable(*layer.contrast_limits), "gamma": layer.gamma}
        if not layer.rgb:
            style["colormap"] = layer.colormap
        return cls(axes, tuple(layer.data.shape), Placement.of(layer), style)

    def arguments(self, array: NamedArray) -> LayerArguments:
        """Return the arguments of `napari.layers.Image` for an array, including the data.

        An array with fewer axes, or with fewer points along Y and X, is a preview: it gets an axis of one point,
        as thick as the whole, for each missing axis, and larger pixels.
        """
        rgb = array.axes.endswith("S")
        letters = self.axes.removesuffix("S")
        present = "".join(axis for axis in letters if axis in array.axes)
        data = np.transpose(array.data, [array.axes.index(axis) for axis in present + "S" * rgb])
        data = np.expand_dims(data, [place for place, axis in enumerate(letters) if axis not in present])
        steps = np.array([-(-whole // part) for whole, part in zip(self.shape, data.shape, strict=False)])
        steps = steps[: len(letters)]
        return {
            **self.placement.refined(np.zeros(len(steps)), steps).arguments(),
            **({} if rgb else self.style),
            "data": shown(data),
            "name": array.name,
            "rgb": rgb,
        }
