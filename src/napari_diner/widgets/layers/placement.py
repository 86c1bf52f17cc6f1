"""Placement of data in the world, and of results on the data they were computed from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from napari.layers import Layer
from napari.utils.transforms.transform_utils import shear_to_matrix

from napari_diner.widgets.layers.layer_units import factor_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pint import Unit

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """The map from the points of an array to the world, ``x ↦ affine(rotate · shear · diag(scale) · x + translate)``.

    It has the parts that a layer of napari has. The world's axes have units, which differ between layers.
    """

    scale: Numbers
    """Scale along each axis, (n,)."""
    translate: Numbers
    """Translation along each axis, (n,)."""
    rotate: Numbers
    """Rotation, (n, n)."""
    shear: Numbers
    """Shear, (n, n)."""
    affine: Numbers
    """Affine map in homogeneous coordinates, (n + 1, n + 1)."""
    units: tuple[Unit, ...]
    """Of the world's axes."""
    axis_labels: tuple[str, ...]
    """Of the array's axes."""

    @classmethod
    def of(cls, layer: Layer) -> Placement:
        """Return the placement of a layer."""
        return cls(
            np.array(layer.scale, dtype=float),
            np.array(layer.translate, dtype=float),
            np.array(layer.rotate, dtype=float),
            np.asarray(shear_to_matrix(layer.shear, ndim=layer.ndim), dtype=float),
            np.array(layer.affine.affine_matrix, dtype=float),
            tuple(layer.units),
            tuple(layer.axis_labels),
        )

    @property
    def inner(self) -> Numbers:
        """The linear part without the affine map, (n, n)."""
        linear: Numbers = self.rotate @ self.shear @ np.diag(self.scale)
        return linear

    @property
    def matrix(self) -> Numbers:
        """The whole map in homogeneous coordinates, (n + 1, n + 1)."""
        whole: Numbers = self.affine @ _homogeneous(self.inner, self.translate)
        return whole

    @property
    def pixel_sizes(self) -> tuple[float, float]:
        """Spacing of the rows and of the columns in the world, (2,); of skewed pixels, the root of their area."""
        linear = self.matrix[-3:-1, -3:-1]
        if self.is_skewed:
            return (float(abs(np.linalg.det(linear)) ** 0.5),) * 2
        return float(np.linalg.norm(linear[:, 0])), float(np.linalg.norm(linear[:, 1]))

    @property
    def is_skewed(self) -> bool:
        """Whether rows and columns are not at right angles in the world."""
        down, right = self.matrix[-3:-1, -3:-1].T
        return bool(abs(down @ right) > 1e-6 * np.linalg.norm(down) * np.linalg.norm(right))

    def plane(self) -> Placement:
        """Return the placement of an array of the last two axes, Y and X: that of the first plane."""
        inner = replace(
            self,
            scale=self.scale[-2:],
            translate=self.translate[-2:],
            rotate=self.rotate[-2:, -2:],
            shear=self.shear[-2:, -2:],
            affine=np.eye(3),
            units=self.units[-2:],
            axis_labels=self.axis_labels[-2:],
        )
        # the lower right block of a map that mixes the plane with other axes is not the product of the blocks of its
        # parts
        whole = self.matrix[-3:, -3:]
        affine = self.affine[-3:, -3:]
        if not np.allclose(affine @ inner.matrix, whole, rtol=1e-12, atol=0):
            affine = whole @ np.linalg.inv(inner.matrix)
        return replace(inner, affine=affine)

    def refined(self, start: npt.ArrayLike, step: npt.ArrayLike) -> Placement:
        """Return the placement of an array with other pixels.

        Parameters
        ----------
        start
            Corner of its first pixel, in pixels of this array from the corner of its first pixel.
        step
            Size of its pixels along each axis, in pixels of this array.
        """
        steps = np.asarray(step, dtype=float)
        # the origin of an array is the centre of its first pixel
        centre = np.asarray(start, dtype=float) + (steps - 1) / 2
        return replace(self, scale=self.scale * steps, translate=self.translate + self.inner @ centre)

    def with_depth(self, first: float, step: float) -> Placement:
        """Return the placement of a volume with planes like this one, starting at `first` with a spacing of `step`."""
        return Placement(
            np.insert(self.scale, 0, step),
            np.insert(self.translate, 0, first),
            _enlarged(self.rotate),
            _enlarged(self.shear),
            _enlarged(self.affine),
            (self.units[-1], *self.units),
            ("z", *self.axis_labels),
        )

    def with_series(self) -> Placement:
        """Return the placement of a series of arrays like this one, counted by a first axis."""
        return replace(self.with_depth(0.0, 1.0), axis_labels=("t", *self.axis_labels))

    def with_axis(self, axis: int, depth: Placement) -> Placement:
        """Return this placement with one axis replaced by the first axis of another placement."""
        scale, translate, units = self.scale.copy(), self.translate.copy(), list(self.units)
        labels = list(self.axis_labels)
        scale[axis], translate[axis] = depth.scale[0], depth.translate[0]
        units[axis], labels[axis] = depth.units[0], depth.axis_labels[0]
        return replace(self, scale=scale, translate=translate, units=tuple(units), axis_labels=tuple(labels))

    def to_pixels(self, points: npt.ArrayLike, units: Sequence[Unit]) -> Numbers:
        """Return the pixels of the array at points (…, n) of a world with units."""
        factors = [factor_between(theirs, ours) for theirs, ours in zip(units, self.units, strict=True)]
        world = np.asarray(points, dtype=float) * factors
        inverse = np.linalg.inv(self.matrix)
        pixels: Numbers = world @ inverse[:-1, :-1].T + inverse[:-1, -1]
        return pixels

    def to_world(self, pixels: npt.ArrayLike) -> Numbers:
        """Return the positions of pixels (…, n) in the world."""
        matrix = self.matrix
        world: Numbers = np.asarray(pixels, dtype=float) @ matrix[:-1, :-1].T + matrix[:-1, -1]
        return world

    def arguments(self) -> dict[str, object]:
        """Return the arguments of a layer with this placement."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


PARTS = tuple(field.name for field in fields(Placement))
"""Arguments of a layer that determine its placement."""


def _homogeneous(linear: Numbers, translate: Numbers) -> Numbers:
    whole = np.eye(len(linear) + 1)
    whole[:-1, :-1], whole[:-1, -1] = linear, translate
    return whole


def _enlarged(matrix: Numbers) -> Numbers:
    """Return a matrix extended by a first axis that it leaves unchanged."""
    larger = np.eye(len(matrix) + 1)
    larger[1:, 1:] = matrix
    return larger
