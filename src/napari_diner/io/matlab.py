"""Recordings of diffraction tomography, and their transfer functions, in MATLAB files of version 7.3.

Such files are HDF5. MATLAB stores arrays column by column, so their axes are reversed in HDF5: frames (Y, X, N) appear
as (N, X, Y), transfer functions (Y, X, Z, N) as (N, Z, X, Y). Complex numbers are pairs named ``real`` and ``imag``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.header import check_dtype, decoding
from napari_diner.io.stacks import StackInfo

if TYPE_CHECKING:
    import h5py

NAMES = (("I", "Hreal", "Himag"), ("I_Raw", "PTF_4D", "ATF_4D"), ("dat", "Hreal_py", "Himag_py"))
"""Variables of public recordings: frames, and transfer functions of the real and the imaginary part. Illumination
from arbitrary directions, from a ring, and from several directions at once."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
# MATLAB writes a text of this length before the HDF5 signature
_USER_BLOCK = 512


@dataclass(frozen=True)
class MatlabTransfer:
    """Transfer functions in a file, read one frame at a time."""

    path: Path
    """The file."""
    name: str
    """The variable."""
    shape: tuple[int, int, int, int]
    """Its axes as (N, Z, Y, X)."""

    def __getitem__(self, frame: int) -> npt.NDArray[np.complex128]:
        """Return those of one frame, complex, (Z, Y, X)."""
        with decoding(self.path), _opened(self.path) as file:
            values = _variable(file, self.path, self.name)[frame]
            if values.dtype.names is not None:
                values = values["real"] + 1j * values["imag"]
            return np.ascontiguousarray(values.swapaxes(-2, -1), dtype=np.complex128)

    @property
    def centred(self) -> bool:
        """Whether frequency zero is in the middle and not at [0, 0], judged by where the response is stronger."""
        first = np.abs(self[0]).sum(0)
        rows, columns = first.shape
        return bool(first[rows // 2, columns // 2] > first[0, 0])


@dataclass(frozen=True, kw_only=True)
class MatlabFrames(StackInfo):
    """Header of the frames in a file."""

    name: str
    """Name of their variable."""


@dataclass(frozen=True)
class MatlabInfo:
    """Content of a file."""

    path: Path
    """The file."""
    frames: MatlabFrames | None
    """Its frames; None if there are none."""
    transfer: tuple[MatlabTransfer, MatlabTransfer] | None
    """Transfer functions of Δε_re and Δε_im; None if there are none."""

    @property
    def stack(self) -> MatlabFrames:
        """The frames.

        Raises
        ------
        InputError
            If there are none.
        """
        if self.frames is None:
            raise InputError(f"{self.path} holds transfer functions but no frames; name a stack of frames as well")
        return self.frames


def is_matlab(source: str | Path) -> bool:
    """Whether a name is that of a MATLAB file."""
    return Path(source).suffix.lower() == ".mat"


def probe_matlab(source: str | Path) -> MatlabInfo:
    """Read what a MATLAB file announces, without its values.

    Parameters
    ----------
    source
        A file of version 7.3 with variables named as in `NAMES`.

    Raises
    ------
    InputError
        If there is no such file, it is of an older version, holds none of the names, or a variable has an impossible
        shape or type.
    """
    path = Path(source).expanduser()
    with decoding(path), _opened(path) as file:
        for frames_name, *transfer_names in NAMES:
            present = [name for name in transfer_names if name in file]
            if frames_name not in file and not present:
                continue
            if len(present) == 1:
                missing = next(name for name in transfer_names if name not in file)
                raise InputError(f"{path} holds {present[0]} but no {missing}; save both transfer functions")
            frames = _probe_frames(file, path, frames_name) if frames_name in file else None
            transfer = None
            if present:
                first, second = (_probe_transfer(file, path, name) for name in transfer_names)
                transfer = first, second
            return MatlabInfo(path, frames, transfer)
        content = ", ".join(sorted(name for name in file if not name.startswith("#"))[:8]) or "nothing"
    names = "; ".join(", ".join(row) for row in NAMES)
    raise InputError(f"{path} holds {content}, but none of the known variables ({names}); rename them")


def read_matlab(info: MatlabInfo) -> Array:
    """Return the frames that `probe_matlab` announced, (N, Y, X), in the type of the file.

    Raises
    ------
    InputError
        If there are none, or they cannot be decoded.
    """
    frames = info.stack
    with decoding(info.path), _opened(info.path) as file:
        stored = _variable(file, info.path, frames.name)[()]
    values = stored.reshape(frames.frames, frames.width, frames.height).swapaxes(1, 2)
    return np.ascontiguousarray(values, dtype=frames.dtype)


def _opened(path: Path) -> h5py.File:
    with path.open("rb") as file:
        start = file.read(_USER_BLOCK + len(_HDF5))
    if not start.startswith(_HDF5) and start[_USER_BLOCK:] != _HDF5:
        if start.startswith(b"MATLAB 5.0"):
            raise InputError(
                f"{path} is a MATLAB file of a version before 7.3; load it in MATLAB and save it with "
                "save('name.mat', '-v7.3')"
            )
        raise InputError(f"{path} is not a MATLAB file of version 7.3; save it with save('name.mat', '-v7.3')")
    # slow to import, and rarely needed
    import h5py

    return h5py.File(path, "r")


def _variable(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """Return a variable stored in the file itself; links to other files are not followed."""
    import h5py

    link = file.get(name, getlink=True)
    variable = file.get(name) if isinstance(link, h5py.HardLink) else None
    if not isinstance(variable, h5py.Dataset) or variable.is_virtual or variable.external:
        raise InputError(f"{name} in {path} is not an array kept in this file; save the file again in MATLAB")
    return variable


def _probe_frames(file: h5py.File, path: Path, name: str) -> MatlabFrames:
    variable = _variable(file, path, name)
    dtype = check_dtype(path, variable.dtype, "uif")
    # MATLAB drops trailing axes of length one, and other programs may keep some
    shape = tuple(size for size in variable.shape if size != 1)
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(
            f"{name} in {path} has the size {_in_matlab(variable.shape)}; frames have three axes: rows, columns, frames"
        )
    frames, width, height = (int(size) for size in shape)
    return MatlabFrames(frames, height, width, dtype, paths=(path,), name=name)


def _probe_transfer(file: h5py.File, path: Path, name: str) -> MatlabTransfer:
    variable = _variable(file, path, name)
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
    frames, slices, width, height = (int(size) for size in variable.shape)
    return MatlabTransfer(path, name, (frames, slices, height, width))


def _in_matlab(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in reversed(shape))
