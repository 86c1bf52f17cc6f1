"""Model files: named arrays and a header of texts in safetensors format, read on demand."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType
from napari_diner.io.places import expanded

_LONGEST_HEADER = 2**24
_TYPES: dict[str, type[np.number]] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
}  # fmt: skip
"""NumPy's types for the safetensors types allowed in model files."""


def write_weights(path: Path, weights: Mapping[str, npt.NDArray[np.generic]], metadata: Mapping[str, str]) -> None:
    """Write a model file without copies of its arrays, with the same bytes for the same values.

    The functions of safetensors copy all arrays several times, write the header in random order, or make the file
    readable only by its owner.

    Parameters
    ----------
    path
        The file.
    weights
        Arrays by name.
    metadata
        Header.
    """
    names = {np.dtype(kind): name for name, kind in _TYPES.items()}
    # numbers begin at multiples of their size
    order = sorted(weights, key=lambda name: (-weights[name].dtype.itemsize, name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for name in order:
        array = weights[name]
        end = begin + array.dtype.itemsize * math.prod(array.shape)
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            _write(file, weights[name])


def _write(file: BinaryIO, array: npt.NDArray[np.generic]) -> None:
    """Write the numbers of an array, by parts if they are scattered, such as those of a cropped volume."""
    if array.ndim > 2 and not array.flags.c_contiguous:
        for part in array:
            _write(file, part)
    else:
        file.write(np.ascontiguousarray(array).data)


class WeightsFile:
    """A model file that is read on demand.

    Opening it reads the header; safetensors checks its names, shapes and types against the length of the file.
    Nothing in it is ever executed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If it is not a safetensors file, or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = expanded(path)
        with self._explained():
            if self.path.exists() and not (self.path.is_file() and self.path.stat().st_size):
                raise OSError("it is not an ordinary file" if not self.path.is_file() else "it is empty")
            with self.path.open("rb") as file:
                if int.from_bytes(file.read(8), "little") > _LONGEST_HEADER:
                    raise OSError("its header is too long")
            self._file = safe_open(self.path, framework="numpy")
            self.header: Mapping[str, str] = dict(self._file.metadata() or {})
            self.shapes: dict[str, tuple[int, ...]] = {}
            self.dtypes: dict[str, DType] = {}
            for name in self._file.keys():  # noqa: SIM118 (it is not a mapping)
                entry = self._file.get_slice(name)
                if entry.get_dtype() not in _TYPES:
                    raise InputError(
                        f"{self.path} holds numbers of type {entry.get_dtype()}; it is not a model file of napari-diner"
                    )
                self.shapes[name] = tuple(entry.get_shape())
                self.dtypes[name] = np.dtype(_TYPES[entry.get_dtype()])
            self.bytes = self.path.stat().st_size

    def read(self, name: str) -> Array:
        """Return an array."""
        with self._explained():
            array: Array = self._file.get_tensor(name)
            return array

    def read_box(self, name: str, box: Sequence[slice]) -> Array:
        """Return part of an array: the box of slices, without steps, along its first axes."""
        with self._explained():
            part: Array = self._file.get_slice(name)[tuple(box)]
            return part

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise InputError(f"{self.path} does not exist; check the path") from None
        except (OSError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(f"{self.path} cannot be read as a model file ({reason}); it may be damaged") from None
