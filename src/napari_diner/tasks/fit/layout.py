"""Conversion between data of any axes and type and samples with values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.fit.recipe import CHANNEL_AXES

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """The form of the data of a representation.

    A sample is a point of all axes but that of the channels; its values, one a channel, are the outputs of the
    representation. If channels are kept separate, or there are none, every number of the data is a sample of its own.
    """

    axes: str
    """Letters of the data's axes in order; ``"C"`` are channels and ``"S"`` colours."""
    shape: tuple[int, ...]
    """Size along each axis."""
    dtype: str
    """NumPy name of the data's type, e.g. ``"uint16"``."""
    scale_um: tuple[float, ...]
    """Spacing along each axis in micrometres; 1.0 along axes that are not lengths."""
    low: float
    """Value of the data for an output of zero."""
    high: float
    """Value of the data for an output of one."""
    separate: bool = False
    """Whether channels are samples of their own."""

    @property
    def channel(self) -> int | None:
        """Position of the axis whose points are outputs of one sample, or None if there is none."""
        if self.separate:
            return None
        return next((place for place, axis in enumerate(self.axes) if axis in CHANNEL_AXES), None)

    @property
    def outputs(self) -> int:
        """Numbers that each sample has."""
        return 1 if self.channel is None else self.shape[self.channel]

    @property
    def sample_axes(self) -> str:
        """Letters of the axes that count samples."""
        return "".join(axis for place, axis in enumerate(self.axes) if place != self.channel)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Samples along each of the sample axes."""
        return tuple(size for place, size in enumerate(self.shape) if place != self.channel)

    @property
    def pixels(self) -> int:
        """Points of the data, regardless of channels."""
        sizes = [size for axis, size in zip(self.axes, self.shape, strict=True) if axis not in CHANNEL_AXES]
        return int(np.prod(sizes, dtype=np.int64))

    @property
    def peak(self) -> float:
        """The peak of a PSNR: the range of the data, regardless of their type."""
        return self.high - self.low

    def to_samples(self, data: Array) -> Array:
        """Return data with the channels last, (*sample_shape, outputs), in the type of the data; no copy is made."""
        return data[..., None] if self.channel is None else np.moveaxis(data, self.channel, -1)

    def from_samples(self, samples: Array) -> Array:
        """Return samples, (*region, outputs), as data with the channels where they were."""
        return samples[..., 0] if self.channel is None else np.moveaxis(samples, -1, self.channel)

    def to_outputs(self, values: Array) -> npt.NDArray[np.float32]:
        """Return values of the data as outputs of a representation: float32, 0 for `low`, 1 for `high`."""
        outputs = np.empty(values.shape, np.float32)
        for part, place in zip(values, outputs, strict=True):
            place[...] = self.normalised(part)
        return outputs

    def normalised(self, values: Array) -> npt.NDArray[np.float64]:
        """Return values of the data as 0 for `low` and 1 for `high`, in double precision, which large offsets need."""
        normalised: npt.NDArray[np.float64] = (values - np.float64(self.low)) / (self.high - self.low or 1.0)
        return normalised

    def to_values(self, outputs: npt.NDArray[np.float32]) -> Array:
        """Return outputs of a representation as values of the data: rounded and clipped if those are integers."""
        values = outputs.astype(np.float64) * (self.high - self.low) + self.low
        dtype = np.dtype(self.dtype)
        if dtype.kind in "ui":
            limits = np.iinfo(dtype)
            return np.rint(values).clip(limits.min, limits.max).astype(dtype)
        # outputs exceed the range a little, which may be the full range of the type
        return values.clip(np.finfo(dtype).min, np.finfo(dtype).max).astype(dtype)

    def to_header(self) -> dict[str, str]:
        """Return the layout as text entries for the header of a model file."""
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in vars(self).items()}

    @classmethod
    def from_header(cls, header: Mapping[str, str]) -> Layout:
        """Read a layout from the header of a model file.

        Raises
        ------
        ValueError, KeyError, TypeError
            If an entry is missing or damaged.
        """
        layout = cls(
            axes=header["axes"],
            shape=tuple(int(size) for size in json.loads(header["shape"])),
            dtype=np.dtype(header["dtype"]).name,
            scale_um=tuple(float(spacing) for spacing in json.loads(header["scale_um"])),
            low=float(json.loads(header["low"])),
            high=float(json.loads(header["high"])),
            separate=bool(json.loads(header["separate"])),
        )
        if not len(layout.axes) == len(layout.shape) == len(layout.scale_um) or min(layout.shape, default=0) < 1:
            raise ValueError("the axes do not match the shape")
        if np.dtype(layout.dtype).kind not in "uif":
            raise ValueError(f"data of type {layout.dtype}")
        return layout
