"""Model files: named arrays and a header of texts in safetensors format, read piece by piece."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from napari_diner.errors import InputError

_TYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
}  # fmt: skip
"""NumPy's types for those of safetensors that a model file may hold."""


class WeightsFile:
    """A model file, of which only what is asked for is read.

    Opening it reads the header; safetensors checks there that names, shapes and types go with the length of the file,
    and nothing in it is ever executed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If it is no safetensors file, or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        with self._explained():
            self._file = safe_open(self.path, framework="numpy")
            self.header: Mapping[str, str] = dict(self._file.metadata() or {})
            self.shapes: dict[str, tuple[int, ...]] = {}
            self.dtypes: dict[str, np.dtype[Any]] = {}
            for name in self._file.keys():  # noqa: SIM118 (it is no mapping)
                entry = self._file.get_slice(name)
                if entry.get_dtype() not in _TYPES:
                    raise InputError(
                        f"{self.path} holds numbers of type {entry.get_dtype()}; it is no model file of ours"
                    )
                self.shapes[name] = tuple(entry.get_shape())
                self.dtypes[name] = np.dtype(_TYPES[entry.get_dtype()])
            self.bytes = self.path.stat().st_size

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return an array, whole."""
        with self._explained():
            array: npt.NDArray[Any] = self._file.get_tensor(name)
            return array

    def read_box(self, name: str, box: Sequence[slice]) -> npt.NDArray[Any]:
        """Return part of an array: the box of slices without steps along its first axes."""
        with self._explained():
            part: npt.NDArray[Any] = self._file.get_slice(name)[tuple(box)]
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
