"""A saved fit in another sampling, evaluated region by region where it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.device import check_memory
from napari_diner.errors import InputError
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.recipe import CHANNEL_AXES
from napari_diner.tasks.fit.region import Region

# samples beyond a region on which its values depend: the neighbours, and for splines of higher order those that their
# filter reaches to the precision of single numbers
_REACH, _REACH_OF_SPLINES = 1, 24


@dataclass(frozen=True)
class Sampling:
    """The samples of a rendering: a part of the data, evenly divided along each axis.

    Parameters
    ----------
    layout
        The form of the data.
    part
        The part.
    counts
        Number of samples along each axis of the data.
    """

    layout: Layout
    part: Region
    counts: tuple[int, ...]

    @classmethod
    def of(cls, layout: Layout, part: Region, zoom: float | Sequence[float]) -> Sampling:
        """Return the samples for a zoom, see `napari_diner.tasks.fit.model.FitModel.rendering`.

        Raises
        ------
        InputError
            If the zoom cannot be used.
        """
        kept = [place for place, dropped in enumerate(part.dropped) if not dropped]
        factors = dict(zip(kept, _factors(zoom, "".join(layout.axes[place] for place in kept)), strict=True))
        counts = [
            max(1, round(len(places) * factors.get(place, 1.0))) if factors.get(place, 1.0) != 1 else len(places)
            for place, places in enumerate(part.ranges)
        ]
        return cls(layout, part, tuple(counts))

    @property
    def kept(self) -> list[int]:
        """The axes of the data that the rendering has."""
        return [place for place, dropped in enumerate(self.part.dropped) if not dropped]

    @property
    def scale_um(self) -> tuple[float, ...]:
        """Spacing along each axis of the rendering in micrometres; 1.0 along axes that are not lengths."""
        ranges = self.part.ranges
        return tuple(
            self.layout.scale_um[place] * abs(ranges[place].step) * len(ranges[place]) / self.counts[place]
            for place in self.kept
        )

    @property
    def is_of_data(self) -> bool:
        """Whether the samples are those of the data."""
        return self.counts == self.part.shape

    def subset(self, box: Sequence[slice]) -> Region:
        """Return the samples of the data in a box, for samples that are those of the data."""
        ranges = tuple(places[along] for places, along in zip(self.part.ranges, box, strict=True))
        return Region(ranges, self.part.dropped)

    def centres(self, place: int, along: slice) -> npt.NDArray[np.float64]:
        """Return positions along an axis, in samples of the data; none outside the centres of the outermost."""
        places, count = self.part.ranges[place], self.counts[place]
        inside = (np.arange(count)[along] + 0.5) * len(places) / count - 0.5
        return np.asarray(places.start + places.step * inside.clip(0, len(places) - 1))

    def interpolated(self, evaluate: Callable[[Region], Array], box: Sequence[slice], order: int) -> Array:
        """Return values in a box of the rendering, interpolated from those of the samples of the data around it."""
        reach = _REACH if order < 2 else _REACH_OF_SPLINES
        ranges, factors, offsets, shape = [], [], [], []
        for places, count, along in zip(self.part.ranges, self.counts, box, strict=True):
            factor = len(places) / count
            first, last = (factor * (place + 0.5) - 0.5 for place in (along.start, along.stop - 1))
            margin = 0 if count == len(places) else reach
            low = max(math.floor(first) - margin, 0)
            ranges.append(places[low : min(math.ceil(last) + margin, len(places) - 1) + 1])
            factors.append(factor)
            offsets.append(first - low)
            shape.append(along.stop - along.start)
        samples = evaluate(Region(tuple(ranges), self.part.dropped))
        factors, offsets, shape = ([values[place] for place in self.kept] for values in (factors, offsets, shape))
        exact = np.float32 if samples.dtype.itemsize <= 2 or samples.dtype == np.float32 else np.float64
        check_memory(2 * (samples.size + math.prod(shape)) * np.dtype(exact).itemsize, "The rendering")
        fine = ndimage.affine_transform(
            samples.astype(exact), np.array(factors), offsets, tuple(shape), order=order, mode="nearest"
        )
        # rounded and clipped like outputs without interpolation
        return replace(self.layout, low=0.0, high=1.0).to_values(fine)


class Rendering:
    """Values that are computed where they are read: like an array, for slices without steps.

    Parameters
    ----------
    sampling
        The samples.
    values
        Returns the values in a box, given by a slice along each axis of the data.
    """

    def __init__(self, sampling: Sampling, values: Callable[[Sequence[slice]], Array]) -> None:
        self.sampling, self._values = sampling, values
        self.axes = "".join(sampling.layout.axes[place] for place in sampling.kept)
        """Letters of the axes."""
        self.scale_um = sampling.scale_um
        """Spacing along each axis in micrometres; 1.0 along axes that are not lengths."""
        self.shape = tuple(sampling.counts[place] for place in sampling.kept)
        """Number of values along each axis."""
        self.dtype = np.dtype(sampling.layout.dtype)
        """Type of the values."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of all values in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, region: tuple[slice, ...]) -> Array:
        box = [slice(0, count) for count in self.sampling.counts]
        for place, along in zip(self.sampling.kept, region, strict=False):
            start, stop, step = along.indices(self.sampling.counts[place])
            if step != 1 or stop <= start:
                raise IndexError("a rendering is read by slices without steps that are not empty")
            box[place] = slice(start, stop)
        return self._values(box)


def _factors(zoom: float | Sequence[float], axes: str) -> list[float]:
    """Return the zoom along each axis of a part."""
    lengths = [axis for axis in axes if axis not in CHANNEL_AXES]
    if not isinstance(zoom, Sequence):
        factors = {axis: float(zoom) for axis in lengths if axis in "YX"}
    elif len(zoom) == len(lengths):
        factors = dict(zip(lengths, map(float, zoom), strict=True))
    else:
        raise InputError(f"The zoom has {len(zoom)} numbers; give one, or one for each of the axes {''.join(lengths)}")
    if any(not 1e-3 <= factor <= 1e3 for factor in factors.values()):
        raise InputError("A zoom must lie between 0.001 and 1000; choose another one")
    return [factors.get(axis, 1.0) for axis in axes]
