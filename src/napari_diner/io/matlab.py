"""Transfer functions of diffraction tomography in MATLAB files of version 7.3.

MATLAB stores arrays column by column, so that (Y, X, Z, N) are kept as (N, Z, X, Y). Complex numbers are pairs named
``real`` and ``imag``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.hdf5 import dataset, is_hdf5, is_in_columns, opened
from napari_diner.io.header import decoding
from napari_diner.io.places import expanded

if TYPE_CHECKING:
    import h5py

NAMES = (("Hreal", "Himag"), ("PTF_4D", "ATF_4D"), ("Hreal_py", "Himag_py"))
"""Variables with transfer functions of the real and the imaginary part in public recordings: illumination from
arbitrary directions, from a ring, and from several directions at once."""


@dataclass(frozen=True)
class MatlabTransfer:
    """Transfer functions in a file, read one frame at a time."""

    path: Path
    """The file."""
    name: str
    """The variable."""
    shape: tuple[int, int, int, int]
    """Its axes as (N, Z, Y, X)."""
    in_columns: bool
    """Whether MATLAB wrote it, with columns before rows."""

    def __getitem__(self, frame: int) -> npt.NDArray[np.complex128]:
        """Return the transfer function of one frame, complex, (Z, Y, X)."""
        with decoding(self.path), opened(self.path) as file:
            values = dataset(file, self.path, self.name)[frame]
            if values.dtype.names is not None:
                values = values["real"] + 1j * values["imag"]
            return np.ascontiguousarray(values.swapaxes(-2, -1) if self.in_columns else values, dtype=np.complex128)

    @property
    def centred(self) -> bool:
        """Whether frequency zero is in the middle instead of at [0, 0], where the response is stronger."""
        first = np.abs(self[0]).sum(0)
        rows, columns = first.shape
        return bool(first[rows // 2, columns // 2] > first[0, 0])


def probe_transfer(source: str | Path) -> tuple[MatlabTransfer, MatlabTransfer] | None:
    """Return the transfer functions of Δε_re and Δε_im in a MATLAB file, without their values; None if missing.

    Raises
    ------
    InputError
        If there is no such file, it is of an older version, or a variable has an impossible shape or type.
    """
    path = expanded(source)
    with decoding(path), path.open("rb") as raw:
        start = raw.read(520)
    if not is_hdf5(path, start):
        older = start.startswith(b"MATLAB 5.0")
        what = "a MATLAB file of a version before 7.3" if older else "not a MATLAB file of version 7.3"
        raise InputError(f"{path} is {what}; save it with save('name.mat', '-v7.3')")
    with decoding(path), opened(path) as file:
        for names in NAMES:
            present = [name for name in names if name in file]
            if len(present) == 1:
                missing = next(name for name in names if name not in file)
                raise InputError(f"{path} holds {present[0]} but no {missing}; save both transfer functions")
            if present:
                first, second = (_probe_transfer(file, path, name) for name in names)
                return first, second
    return None


def _probe_transfer(file: h5py.File, path: Path, name: str) -> MatlabTransfer:
    variable = dataset(file, path, name)
    dtype = variable.dtype
    parts = [dtype[part] for part in dtype.names or ()]
    fine = set(dtype.names) == {"real", "imag"} if dtype.names else dtype.kind in "fc"
    if not fine or any(part.kind != "f" for part in parts):
        raise InputError(f"{name} in {path} holds values of type {dtype}; save it as complex numbers")
    if variable.ndim != 4 or min(variable.shape) < 1:
        raise InputError(
            f"{name} in {path} has the size {_in_matlab(variable.shape)}; transfer functions have four axes: rows, "
            "columns, slices, frames"
        )
    frames, slices, height, width = (int(size) for size in variable.shape)
    in_columns = is_in_columns(file, path)
    return MatlabTransfer(
        path, name, (frames, slices, *((width, height) if in_columns else (height, width))), in_columns
    )


def _in_matlab(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in reversed(shape))
