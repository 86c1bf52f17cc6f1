"""Arrays in compressed blocks, from which any part is read without the rest.

Whole numbers of neighbouring samples are alike, and so may be those of a sample, such as its colours. Each block is
predicted from its left neighbours, or from those above as well, and from the number before; the differences are sorted
by the bytes of their numbers and deflated (RFC 1951), whose Huffman codes take bits for each byte as it is rare.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array, DType

Read = Callable[[int, int], bytes]

# samples along the last two axes of a block, or of the only axis; other axes have one
_EDGE, _LINE = 256, 65536
# axes along which differences are taken: 0 is that of the numbers of a sample, others count from the samples' last
_PREDICTIONS: tuple[tuple[int, ...], ...] = ((), (-1,), (-1, -2), (0,), (0, -1), (0, -1, -2))
_LEVEL = 9


@dataclass(frozen=True)
class Blocks:
    """The blocks of an array of whole numbers: samples of one number or more."""

    shape: tuple[int, ...]
    """Samples along each axis, and the numbers of a sample last."""
    dtype: DType
    """Type of the numbers."""

    @property
    def edges(self) -> tuple[int, ...]:
        """Samples along each axis of a block."""
        axes = len(self.shape) - 1
        return (_LINE,) if axes == 1 else (*[1] * (axes - 2), _EDGE, _EDGE)

    @property
    def counts(self) -> tuple[int, ...]:
        """Blocks along each axis of the samples."""
        return tuple(-(-size // edge) for size, edge in zip(self.shape[:-1], self.edges, strict=True))

    @property
    def number(self) -> int:
        """Blocks in all."""
        return math.prod(self.counts)

    def encode(self, array: Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
        """Return the compressed blocks one after the other, and the end of each."""
        parts = [_deflated(array[box]) for box in self._boxes([range(count) for count in self.counts])]
        ends = np.cumsum([len(part) for part in parts], dtype=np.uint64)
        return np.frombuffer(b"".join(parts), np.uint8), ends

    def decode(self, read: Read, ends: npt.NDArray[np.uint64], box: Sequence[slice] = ()) -> Array:
        """Return part of the array; only its blocks are read.

        Parameters
        ----------
        read
            Returns the bytes from a place to another one.
        ends
            The end of each block.
        box
            A slice without step along each of the first axes of the samples; others are complete.

        Raises
        ------
        ValueError
            If the blocks are not those of such an array.
        """
        if ends.shape != (self.number,) or bool((np.diff(ends.astype(np.int64), prepend=0) < 0).any()):
            raise ValueError("its blocks are not in order")
        part = [*box, *[slice(0, size) for size in self.shape[len(box) : -1]]]
        ranges = [range(one.start // edge, -(-one.stop // edge)) for one, edge in zip(part, self.edges, strict=True)]
        out = np.empty((*[one.stop - one.start for one in part], self.shape[-1]), self.dtype)
        for place, whole in zip(itertools.product(*ranges), self._boxes(ranges), strict=True):
            number = int(np.ravel_multi_index(place, self.counts))
            begin = int(ends[number - 1]) if number else 0
            sizes = tuple(one.stop - one.start for one in whole)
            values = _inflated(read(begin, int(ends[number])), (*sizes, self.shape[-1]), self.dtype)
            common = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(part, whole, strict=True)]
            to = tuple(slice(one.start - a.start, one.stop - a.start) for one, a in zip(common, part, strict=True))
            of = tuple(slice(one.start - b.start, one.stop - b.start) for one, b in zip(common, whole, strict=True))
            out[to] = values[of]
        return out

    def _boxes(self, ranges: Sequence[range]) -> Iterator[tuple[slice, ...]]:
        for place in itertools.product(*ranges):
            yield tuple(
                slice(at * edge, min((at + 1) * edge, size))
                for at, edge, size in zip(place, self.edges, self.shape[:-1], strict=True)
            )


def _deflated(block: Array) -> bytes:
    """Return a block of samples by the prediction that leaves least, whose number is the first byte."""
    found = []
    for number, axes in enumerate(_PREDICTIONS):
        if not _is_possible(axes, block.shape):
            continue
        planes = np.moveaxis(block, -1, 0)
        # differences of unsigned numbers wrap round, and so do their sums
        for axis in axes:
            planes = np.diff(planes, axis=axis, prepend=planes.dtype.type(0))
        found.append((number, _by_bytes(planes)))
    # the quickest level tells which is smallest
    number, content = min(found, key=lambda pair: len(zlib.compress(pair[1], 1)))
    return bytes([number]) + zlib.compress(content, _LEVEL)


def _by_bytes(planes: Array) -> bytes:
    """Return the lowest bytes of all numbers, then the next ones."""
    size = planes.dtype.itemsize
    little = np.ascontiguousarray(planes, planes.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(-1, size).T.tobytes()


def _inflated(content: bytes, shape: tuple[int, ...], dtype: DType) -> Array:
    """Return a block of samples; no more is expanded than it has."""
    count, size = math.prod(shape), dtype.itemsize
    decoder = zlib.decompressobj()
    try:
        plain = decoder.decompress(content[1:], count * size + 1)
    except zlib.error:
        raise ValueError("its blocks cannot be expanded") from None
    if len(plain) != count * size or not content or content[0] >= len(_PREDICTIONS):
        raise ValueError("its blocks have another size")
    numbers = np.frombuffer(plain, np.uint8).reshape(size, count).T
    planes = np.ascontiguousarray(numbers).view(dtype.newbyteorder("<")).reshape(shape[-1], *shape[:-1]).astype(dtype)
    axes = _PREDICTIONS[content[0]]
    if not _is_possible(axes, shape):
        raise ValueError("its blocks were predicted along an axis that they do not have")
    for axis in reversed(axes):
        planes = np.cumsum(planes, axis=axis, dtype=dtype)
    return np.moveaxis(planes, 0, -1)


def _is_possible(axes: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Return whether a block, with the numbers of a sample last, has the axes of a prediction."""
    return (0 not in axes or shape[-1] > 1) and sum(axis < 0 for axis in axes) < len(shape)
