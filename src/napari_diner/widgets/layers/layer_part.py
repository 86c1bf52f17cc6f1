"""The stack of frames in a layer, or in a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_diner.io.arrays import Array, NamedArray
from napari_diner.tasks.task import Frames
from napari_diner.widgets.layers.layer_arguments import LayerArguments, layer_arguments
from napari_diner.widgets.layers.layer_axes import LETTERS
from napari_diner.widgets.layers.layer_metadata import source_of
from napari_diner.widgets.layers.placement import Placement

FRAMES_FIRST = "NZT"
"""Names of axes that may count frames, most likely first."""
COLOURS = "S"
OTHER_LETTERS = "CTPZ"
"""Letters of axes without names."""


@dataclass(frozen=True)
class StackPlace:
    """Placement of a stack, and of results computed from it."""

    whole: Placement
    """Placement of its layer, with all axes."""
    frames_axis: int | None
    """Axis of the layer that counts the frames, or None."""
    start: tuple[int, ...]
    """The stack's first point in the layer."""
    sizes: tuple[int, ...]
    """Size of the layer along each axis."""
    series_axis: int | None = None
    """Axis of the layer along which stacks are computed one after the other, or None."""

    @property
    def plane(self) -> Placement:
        """Placement of images."""
        return self.whole.plane()

    def arguments(self, array: NamedArray, start: npt.ArrayLike, step: npt.ArrayLike) -> LayerArguments:
        """Return the arguments of a layer that shows an array (Y, X), or (N, Y, X) with the frames of the stack.

        Parameters
        ----------
        array
            The array.
        start
            Where its first pixel begins, in pixels of the stack from the outer corner of its first: rows, columns.
        step
            Its pixels' height and width in pixels of the stack.
        """
        shown = layer_arguments(array)
        if array.data.ndim == 2:
            return {**shown, **self.plane.refined(start, step).arguments()}
        if self.series_axis is not None:
            first, steps = np.zeros(len(self.start)), np.ones(len(self.start))
            first[-2:], steps[-2:] = start, step
            place = self.whole.refined(first, steps)
            return {**shown, **place.arguments(), "data": self._along_series(shown["data"], self.series_axis)}
        first, steps = np.array(self.start, dtype=float), np.ones(len(self.start))
        first[-2:], steps[-2:] = start, step
        # with an axis of length one for each further axis of the layer
        shape = [1] * (len(self.start) - 2) + list(array.data.shape[-2:])
        if self.frames_axis is not None:
            shape[self.frames_axis] = len(array.data)
        return {
            **shown,
            **self.whole.refined(first, steps).arguments(),
            "data": np.reshape(shown["data"], shape),
        }

    def volumes(self, array: NamedArray, depth: Placement) -> LayerArguments:
        """Return the arguments of a layer that shows a series of volumes, one for each stack.

        Slices are along the axis of the frames of the stack.

        Parameters
        ----------
        array
            The volumes, (T, Z, Y, X).
        depth
            Placement of one of them, (Z, Y, X).
        """
        shown = layer_arguments(array)
        if self.series_axis is None or self.frames_axis is None:
            return {**shown, **depth.with_series().arguments()}
        place = self.whole.with_axis(self.frames_axis, depth)
        return {**shown, **place.arguments(), "data": self._along_series(shown["data"], self.series_axis)}

    def _along_series(self, data: Array, series_axis: int) -> Array:
        """Return images (T, Y, X), or stacks (T, N, Y, X), with the axes of the layer.

        They are repeated along axes of the layer that they do not have, without a copy, so that they are shown
        wherever its sliders are.
        """
        sizes = [*self.sizes[:-2], *data.shape[-2:]]
        shape = [1] * (len(sizes) - 2) + list(data.shape[-2:])
        sizes[series_axis] = shape[series_axis] = len(data)
        if data.ndim > 3 and self.frames_axis is not None:
            sizes[self.frames_axis] = shape[self.frames_axis] = data.shape[1]
            data = data if series_axis < self.frames_axis else np.moveaxis(data, 1, 0)
        return np.broadcast_to(data.reshape(shape), sizes)

    def points(self, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return points (n, axes of the arrays above) for positions (n, 3): frame, row, column."""
        points = np.zeros((len(positions), len(self.start)))
        if self.frames_axis is not None:
            points[:, self.frames_axis] = positions[:, 0]
        points[:, -2:] = positions[:, 1:]
        return points


def data_of(layer: Image) -> Array:
    """Return the data of a layer, in full resolution; not yet computed if it is lazy."""
    data: Array = layer.data[0] if layer.multiscale else layer.data
    return data


@dataclass(frozen=True)
class LayerPart:
    """Frames (N, Y, X) in a layer: all along one axis, and a point along each further one."""

    layer: Image
    """The layer."""
    frames_axis: int | None
    """Axis that counts the frames; None for a single image."""
    points: Mapping[int, int | None] = field(default_factory=dict)
    """The point along each further axis of more than one, by the axis; along the colours of a layer, which are the last
    axis of its data, None or nothing for grey that is stored in colours.
    """
    series_axis: int | None = None
    """Axis along which there is a stack at each point, all of them one after the other; None for a single stack."""

    @classmethod
    def of(cls, layer: Image) -> LayerPart:
        """Return the first stack in a layer: frames are along the axis of that name, or the last before Y and X."""
        long = [axis for axis in range(layer.ndim - 2) if layer.data.shape[axis] > 1]
        letters = [LETTERS.get(str(label).lower(), "") for label in layer.axis_labels]
        named = [axis for letter in FRAMES_FIRST for axis in long if letters[axis] == letter]
        unnamed = [axis for axis in long if letters[axis] not in ("C", *FRAMES_FIRST)]
        frames_axis = next(iter([*named[:1], *unnamed[::-1], *long[::-1]]), None)
        return cls(layer, frames_axis, {axis: 0 for axis in long if axis != frames_axis})

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows and columns."""
        *_, rows, columns = shape = self.layer.data.shape[: self.layer.ndim]
        return 1 if self.frames_axis is None else int(shape[self.frames_axis]), int(rows), int(columns)

    @property
    def axes(self) -> str:
        """Letters of the axes of the data; those of frames are N."""
        names = [LETTERS.get(str(label).lower(), "") for label in self.layer.axis_labels[:-2]]
        # a stack may have a single frame
        counting = 0 if self.frames_axis is None and self.layer.ndim == 3 else self.frames_axis
        if counting is not None:
            names[counting] = "N"
        taken = {name for name in names if name and names.count(name) == 1}
        free = iter(letter for letter in OTHER_LETTERS if letter not in taken)
        # more axes than letters are refused with the data
        letters = [name if name in taken else next(free, "?") for name in names]
        return "".join(letters) + "YX" + COLOURS * self.layer.rgb

    @property
    def select(self) -> str:
        """The points in the notation of a recipe: ``"C=1, T=0"``; empty if the layer is a stack."""
        chosen = [f"{self.axes[axis]}={point}" for axis, point in self.points.items() if point is not None]
        chosen += [] if self.series_axis is None else [f"{self.axes[self.series_axis]}=all"]
        return ", ".join(chosen)

    @property
    def read_as(self) -> dict[str, str]:
        """Settings that select this part in a file with the same data; axes of length one may not be stored."""
        if not self.select:
            return {}
        shape = self.layer.data.shape
        long = [axis for place, axis in enumerate(self.axes) if axis in "YX" or shape[place] > 1]
        return {"axes": "".join(long), "select": self.select}

    def frames(self, attachments: Mapping[str, Array] | None = None, warnings: tuple[str, ...] = ()) -> Frames:
        """Return the data for a task, which takes the part given by `select`; nothing is read or computed."""
        return Frames(
            data_of(self.layer),
            self.axes,
            source=source_of(self.layer),
            read_as=self.read_as,
            attachments=attachments or {},
            warnings=warnings,
        )

    def frame(self, number: int) -> Array:
        """Return one frame, (Y, X), or (Y, X, S) of grey stored in colours; not yet computed if it is lazy."""
        index: list[int | slice] = [0] * (self.layer.ndim - 2) + [slice(None)] * 2
        for axis, point in self.points.items():
            if point is not None:
                index[axis : axis + 1] = [point]
        if self.frames_axis is not None:
            index[self.frames_axis] = number
        part: Array = data_of(self.layer)[tuple(index)]
        return part

    @property
    def place(self) -> StackPlace:
        """Placement of the stack."""
        start = [0] * self.layer.ndim
        for axis, point in self.points.items():
            if axis < self.layer.ndim:
                start[axis] = point or 0
        sizes = tuple(int(size) for size in self.layer.data.shape[: self.layer.ndim])
        return StackPlace(Placement.of(self.layer), self.frames_axis, tuple(start), sizes, self.series_axis)
