"""Results that lie on the layer they came from and look like it, so that the two can be compared by blinking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.transforms import Affine

from napari_diner.io.arrays import NamedArray


@dataclass(frozen=True)
class Appearance:
    """What a layer looks like and where it lies. Holds none of its data.

    Parameters
    ----------
    axes
        Letters of the data's axes in order.
    shape
        Size along each of them.
    placement
        Arguments of a layer that say where it lies: scale, translate, rotate, shear, affine, units, axis labels.
    style
        Arguments of a layer that say how it looks: contrast limits, gamma, colour map.
    """

    axes: str
    shape: tuple[int, ...]
    placement: dict[str, Any]
    style: dict[str, Any]

    @classmethod
    def of(cls, layer: Image, axes: str) -> Appearance:
        """Describe a layer whose data have these axes."""
        placement = {
            name: getattr(layer, name)
            for name in ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
        }
        style = {"contrast_limits": tuple(layer.contrast_limits), "gamma": layer.gamma}
        if not layer.rgb:
            style["colormap"] = layer.colormap
        return cls(axes, tuple(layer.data.shape), placement, style)

    def arguments(self, array: NamedArray) -> dict[str, Any]:
        """Return the arguments of `napari.layers.Image` for an array, its data included.

        An array with fewer axes, or with fewer points along Y and X, is a preview: it gets an axis of one point as
        thick as the whole for each that it lacks, and larger pixels.
        """
        rgb = array.axes.endswith("S")
        letters = self.axes.removesuffix("S")
        present = "".join(axis for axis in letters if axis in array.axes)
        order = [array.axes.index(axis) for axis in present + "S" * rgb]
        data = np.transpose(array.data, order)
        data = np.expand_dims(data, [place for place, axis in enumerate(letters) if axis not in present])
        steps = np.array([-(-whole // part) for whole, part in zip(self.shape, data.shape, strict=False)])
        steps = steps[: len(letters)]
        scale = np.asarray(self.placement["scale"])
        # from the centre of the first pixel of the layer to that of the first, larger one
        offset = Affine(scale=scale, rotate=self.placement["rotate"], shear=self.placement["shear"]).linear_matrix @ (
            (steps - 1) / 2
        )
        return {
            **self.placement,
            **({} if rgb else self.style),
            "data": np.ascontiguousarray(data),
            "name": array.name,
            "rgb": rgb,
            "scale": scale * steps,
            "translate": np.asarray(self.placement["translate"]) + offset,
        }
