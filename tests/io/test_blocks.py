"""Arrays in compressed blocks."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.io import blocks
from napari_diner.io.blocks import Blocks

SHAPES = [(300, 270, 2), (3, 5, 259, 1), (70_000, 3), (2, 3, 4, 5, 2), (1, 1, 1), (1, 1)]


def numbers(shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    """Numbers that are like their neighbours, near both ends of their type."""
    slopes = sum(grid * (place + 1) for place, grid in enumerate(np.indices(shape)))
    return (slopes + np.random.default_rng(0).integers(0, 3, shape) - 4).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_part_comes_back(shape: tuple[int, ...], dtype: Any) -> None:
    array, form = numbers(shape, dtype), Blocks(shape, np.dtype(dtype))
    content, ends = form.encode(array)
    assert len(ends) == form.number and ends[-1] == len(content)
    read: list[int] = []

    def part(begin: int, end: int) -> bytes:
        read.append(end - begin)
        return content[begin:end].tobytes()

    np.testing.assert_array_equal(form.decode(part, ends), array)
    assert sum(read) == len(content)
    read.clear()
    box = tuple(slice(size // 3, size // 3 + 1 + size // 40) for size in shape[:-1])
    np.testing.assert_array_equal(form.decode(part, ends, box), array[box])
    assert len(read) < max(form.number, 2)


def test_what_neighbours_have_in_common_takes_no_room() -> None:
    smooth = np.add.outer(np.arange(256), np.arange(256))[..., None].astype(np.uint16)
    content, _ = Blocks(smooth.shape, smooth.dtype).encode(smooth)
    assert len(content) < smooth.nbytes / 200


@pytest.mark.parametrize("shape", [(256, 256, 3), (65_536, 3)])
def test_what_the_numbers_of_a_sample_have_in_common_is_stored_once(shape: tuple[int, ...]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, shape[:-1])
    colours, form = np.stack([grey, grey + 9, grey - 1], -1).astype(np.uint8), Blocks(shape, np.dtype(np.uint8))
    content, ends = form.encode(colours)
    alone, _ = Blocks((*shape[:-1], 1), form.dtype).encode(colours[..., :1])
    assert len(content) < 1.02 * len(alone)
    np.testing.assert_array_equal(form.decode(lambda begin, end: content[begin:end].tobytes(), ends), colours)


def damaged(content: npt.NDArray[np.uint8], ends: npt.NDArray[np.uint64]) -> dict[str, tuple[bytes, Any]]:
    whole = content.tobytes()
    return {
        "cut": (whole[:-9], ends),
        "empty": (b"", ends),
        "no prediction": (bytes([9]) + whole[1:], ends),
        "not deflated": (whole[:1] + b"\0" * 40, ends),
        "a bomb": (whole[:1] + zlib.compress(bytes(1 << 26), 9), np.array([1 << 20], np.uint64)),
        "backwards": (whole, np.array([2**63], np.uint64)),
        "more blocks": (whole, np.append(ends, ends)),
    }


@pytest.mark.parametrize("fault", damaged(np.zeros(1, np.uint8), np.zeros(1, np.uint64)))
def test_damaged_blocks_are_refused(fault: str) -> None:
    array = numbers((20, 30, 2), np.uint16)
    form = Blocks(array.shape, array.dtype)
    content, ends = damaged(*form.encode(array))[fault]
    with pytest.raises(ValueError, match="its blocks"):
        form.decode(lambda begin, end: content[begin:end], ends)


def test_of_a_line_there_is_one_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    array = numbers((50, 2), np.uint8)
    form = Blocks(array.shape, array.dtype)
    content, ends = form.encode(array)
    forged = bytes([len(blocks._PREDICTIONS) - 1]) + content.tobytes()[1:]
    with pytest.raises(ValueError, match="along an axis"):
        form.decode(lambda begin, end: forged[begin:end], ends)
