"""Parts of data, as selected by an index such as ``data[3, 10:50, ::2]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_diner.errors import InputError

Index = slice | int

HIGHEST_ORDER = 5
"""Highest order of the splines that interpolate between samples."""


@dataclass(frozen=True)
class Region:
    """A part of an array, given by a range of positions along each axis."""

    ranges: tuple[range, ...]
    """Positions along each axis."""
    dropped: tuple[bool, ...]
    """For each axis, whether it was indexed by a number and is dropped."""

    @classmethod
    def of(cls, region: Sequence[Index], shape: Sequence[int]) -> Region:
        """Return the part of an array of this shape that an index selects; omitted axes are complete.

        Raises
        ------
        InputError
            If it lies outside, is empty, or has too many axes.
        """
        if len(region) > len(shape):
            raise InputError(f"The region has {len(region)} axes but the data have {len(shape)}; leave some out")
        indices = [*region, *[slice(None)] * (len(shape) - len(region))]
        ranges = []
        for place, (index, size) in enumerate(zip(indices, shape, strict=True)):
            if isinstance(index, slice):
                if index.step == 0:
                    raise InputError(f"A region cannot go in steps of zero (axis {place}); leave the step out")
                places = range(*index.indices(size))
            else:
                if not -size <= index < size:
                    raise InputError(f"Place {index} of axis {place} is outside; it has {size}, from 0 to {size - 1}")
                places = range(index % size, index % size + 1)
            if not places:
                raise InputError(f"The region holds nothing along axis {place}, which has {size} places")
            ranges.append(places)
        return cls(tuple(ranges), tuple(not isinstance(index, slice) for index in indices))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of positions along each axis, including dropped ones."""
        return tuple(len(places) for places in self.ranges)

    @property
    def box(self) -> tuple[slice, ...]:
        """The smallest box without steps that contains the region."""
        return tuple(slice(min(places), max(places) + 1) for places in self.ranges)

    @property
    def in_box(self) -> tuple[slice, ...]:
        """The region as an index of its box."""
        return tuple(slice(None, None, places.step) for places in self.ranges)

    def without(self, axis: int | None) -> Region:
        """Return the region along all axes but one."""
        keep = [place for place in range(len(self.ranges)) if place != axis]
        return Region(tuple(self.ranges[place] for place in keep), tuple(self.dropped[place] for place in keep))
