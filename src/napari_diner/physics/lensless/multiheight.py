"""Multi-height lensless imaging: one object, its diffraction pattern recorded at several distances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TypedDict

import torch
from torch import Tensor

from napari_diner.physics.elementwise import add_conjugate_product_
from napari_diner.physics.fourier import ifft2
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.sensor import BlurredSensor, Sensor
from napari_diner.physics.padding import Padding
from napari_diner.processors import divided, is_divided

Pixels = tuple[slice, slice]
"""Rows and columns of the sensor."""
Respond = Callable[[int, Pixels, Tensor], Tensor]
"""Maps a frame's number, pixels of the sensor and the field there to a field of the same shape to propagate back."""

_SAME_PIXELS = Sensor()


class ModelOptions(TypedDict, total=False):
    """Optional parameters of a `LenslessModel`."""

    illumination: Tensor | None
    padding: Padding | None
    sensor: Sensor
    dtype: torch.dtype
    device: torch.device | str


class LenslessModel(ABC):
    """The forward model of multi-height lensless imaging, Eq. 5 of the DINER paper extended to real sensors.

    ``I_z = g_z/s · |PSF_z ∗ (P·O)|²``, shifted by (dy, dx)_z: the object O under the illumination P propagates to
    each height z; g_z is the relative brightness of the frame, s the intensity that the data call one. The linear
    part is ``U_z = A_z O = √(g_z/s) · C F⁻¹ H_z F E (P·O)``; E continues the field beyond its edges and C crops it
    (see `Padding`). If the surround is unknown, the object has the pixels of the padded grid, and E is the identity.
    Where pixels of the sensor are larger than those of the object, each records the mean of I_z over those that it
    covers (see `Sensor`). Light that is not coherent (see `Light`) is a sum of waves of M wavelengths, whose
    intensities add up and are blurred by the image of the source; U_z then has the shape (M, Y', X').

    Solvers use `propagated`, `round_trip` and `collect`, which may process the sensor part by part: they name pixels of
    the sensor, and yield or accept the field that `sensor_at` takes: on the part of the object's grid that these cover.

    Parameters
    ----------
    shape
        Pixels (Y, X) of the field of view, in those of the object.
    heights
        Light, distances, shifts and gains of the frames.
    illumination
        Real or complex field P of the illumination at the object's pixels, (Y, X); 1 if None.
    padding
        Continuation of the field beyond its edges; periodic if None.
    sensor
        Size of the pixels of the sensor relative to those of the object.
    dtype, device
        Complex type and device of the fields.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        heights: Heights,
        *,
        illumination: Tensor | None = None,
        padding: Padding | None = None,
        sensor: Sensor = _SAME_PIXELS,
        dtype: torch.dtype = torch.complex64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sensor = sensor
        self.heights, self.frames = heights, heights.frames
        self.padding = padding if padding is not None else Padding(shape)
        self.shape = self.padding.object_shape
        """Pixels (Y, X) of the object."""
        self.field_of_view = self.padding.shape
        """Pixels (Y, X) of the object before the sensor."""
        self.dtype = dtype
        self.device = torch.device(device)
        self.illumination = None if illumination is None else illumination.to(self.device, dtype)

    @property
    def real_dtype(self) -> torch.dtype:
        """The real type of the same precision."""
        return self.dtype.to_real()

    @abstractmethod
    def transfer(self, frame: int) -> Tensor:
        """Return √(g_z/s) · H_z of a height on the padded grid, (Y', X') or (M, Y', X'); see `Heights.transfer`."""

    @abstractmethod
    def sensor_at(self, frame: int, at: Pixels) -> Sensor:
        """Return the sensor of some pixels."""

    @abstractmethod
    def propagated(self, field: Tensor) -> Iterator[tuple[int, Pixels, Tensor]]:
        """Propagate the object's field (Y, X) to all sensor planes; yields frame, pixels and the field U_z there."""

    @abstractmethod
    def round_trip(self, field: Tensor, respond: Respond) -> Tensor:
        """Return ``Σ_z A_z^H respond(A_z O)``, complex, (Y, X), in one pass over the heights.

        Parameters
        ----------
        field
            Complex field O, (Y, X).
        respond
            Called once for each height and part of the sensor, possibly in several threads at a time.
        """

    @abstractmethod
    def collect(self, answer: Callable[[int, Pixels], Tensor]) -> Tensor:
        """Return ``Σ_z A_z^H u_z``, (Y, X), with the fields u_z returned by `answer` for each part of the sensor."""

    @property
    def is_divided(self) -> bool:
        """Whether each thread takes a part of the frames, in memory of its own: so do small ones on a processor."""
        return False

    @property
    def power(self) -> float:
        """Largest power response of all heights together to the object, Σw²."""
        power = sum(self.heights.strength(frame) ** 2 for frame in range(self.frames))
        return power if self.illumination is None else power * float(self.illumination.abs().max()) ** 2

    @property
    def sensor_shape(self) -> tuple[int, int]:
        """Pixels (Y, X) of a frame."""
        return self.field_of_view[0] // self.sensor.binning, self.field_of_view[1] // self.sensor.binning

    def lit(self, field: Tensor) -> Tensor:
        """Return the illuminated object P·O, (Y, X)."""
        return field if self.illumination is None else self.illumination * field

    def lit_adjoint(self, field: Tensor) -> Tensor:
        """Apply the adjoint of `lit`."""
        return field if self.illumination is None else self.illumination.conj() * field

    def fields(self, field: Tensor) -> Tensor:
        """Propagate the object's field O (Y, X) to all sensor planes: U_z within the field of view, (N, Y, X).

        Only for coherent light.

        Parameters
        ----------
        field
            Complex field O, (Y, X).
        """
        fields = torch.empty(self.frames, *self.field_of_view, dtype=field.dtype, device=self.device)
        for frame, at, U in self.propagated(field):
            fields[frame][self.sensor.fine(at)] = U
        return fields

    def adjoint(self, fields: Tensor) -> Tensor:
        """Apply the adjoint of `fields`: propagate fields (N, Y, X) back to the object and add them up, (Y, X)."""
        return self.collect(lambda frame, at: fields[frame][self.sensor.fine(at)])

    def moduli(self, field: Tensor) -> Tensor:
        """Return the recorded amplitudes √I of a complex field O (Y, X), in units of the data, (N, Y, X)."""
        moduli = torch.empty(self.frames, *self.sensor_shape, dtype=self.real_dtype, device=self.device)
        for frame, at, U in self.propagated(field):
            moduli[frame][at] = self.sensor_at(frame, at).modulus(U)
        return moduli

    def intensities(self, field: Tensor) -> Tensor:
        """Return the recorded intensities of a complex field O (Y, X), in units of the data, (N, Y, X)."""
        return self.moduli(field).square_()


class MultiHeight(LenslessModel):
    """The model of a field in one piece; parameters as in `LenslessModel`."""

    @cached_property
    def transfers(self) -> Tensor:
        """√(g_z/s) · H_z of each height on the padded grid, (N, Y', X') or (N, M, Y', X')."""
        return self.heights.transfers(self.padding.padded_shape, self.dtype, self.device)

    def transfer(self, frame: int) -> Tensor:
        """Return √(g_z/s) · H_z of a height on the padded grid; see `LenslessModel.transfer`."""
        return self.transfers[frame]

    @cached_property
    def _sensors(self) -> tuple[Sensor, ...]:
        heights, (top, left) = self.heights, self.padding.before
        if heights.is_coherent:
            return (self.sensor,) * self.frames
        shape = self.padding.padded_shape
        rows, columns = self.field_of_view
        within = slice(top, top + rows), slice(left, left + columns)
        return tuple(
            BlurredSensor(
                self.sensor.binning, blur=heights.blur(frame, shape, self.real_dtype).to(self.device), within=within
            )
            for frame in range(self.frames)
        )

    def sensor_at(self, frame: int, at: Pixels) -> Sensor:
        """Return the sensor of some pixels; see `LenslessModel.sensor_at`."""
        return self._sensors[frame]

    def whole(self, frame: int) -> Sensor:
        """Return the whole sensor for one frame."""
        return self._sensors[frame]

    def by_source(self, frame: int) -> BlurredSensor:
        """Return the derivative of a recorded frame by the square of the source's diameter in µm².

        Raises
        ------
        ValueError
            If the light is coherent.
        """
        sensor = self._sensors[frame]
        if not isinstance(sensor, BlurredSensor):
            raise ValueError("the light is coherent; give the source a size")
        slope = self.heights.blur_slope(frame, self.padding.padded_shape, self.real_dtype)
        return replace(sensor, blur=slope.to(self.device))

    def spectrum(self, field: Tensor) -> Tensor:
        """Return the spectrum of the illuminated and padded object, F E (P·O), (Y', X')."""
        spectrum: Tensor = torch.fft.fft2(self.padding.pad(self.lit(field)))
        return spectrum

    def spectrum_adjoint(self, spectrum: Tensor) -> Tensor:
        """Apply the adjoint of `spectrum`, up to the constant Y'·X' of the transform."""
        return self.lit_adjoint(self.padding.pad_adjoint(ifft2(spectrum)))

    def field(self, spectrum: Tensor, frame: int, work: Tensor | None = None) -> Tensor:
        """Return the field U_z of one frame, (Y, X) or (M, Y', X'), from the object's `spectrum`.

        Parameters
        ----------
        spectrum, frame
            The spectrum and the number of the frame.
        work
            Memory for the spectrum of the field, of its shape: new memory for each of many large fields takes as long
            as their transforms.
        """
        field: Tensor = ifft2(torch.mul(self.transfers[frame], spectrum, out=work))
        return self.padding.crop(field) if self.heights.is_coherent else field

    def add_field_adjoint(self, spectrum: Tensor, field: Tensor, frame: int) -> None:
        """Add the adjoint of `field` to a spectrum, (Y', X'), to be followed by `spectrum_adjoint`."""
        if self.heights.is_coherent:
            add_conjugate_product_(spectrum, self.transfers[frame], torch.fft.fft2(self.padding.crop_adjoint(field)))
        else:
            spectrum += (self.transfers[frame].conj() * torch.fft.fft2(field)).sum(0)

    @property
    def _whole(self) -> Pixels:
        return slice(0, self.sensor_shape[0]), slice(0, self.sensor_shape[1])

    def propagated(self, field: Tensor) -> Iterator[tuple[int, Pixels, Tensor]]:
        """Propagate the object's field (Y, X) to one sensor plane after another."""
        spectrum = self.spectrum(field)
        # the gradient of a product needs it
        work = None if spectrum.requires_grad else torch.empty_like(self.transfers[0])
        for frame in range(self.frames):
            yield frame, self._whole, self.field(spectrum, frame, work)

    def round_trip(self, field: Tensor, respond: Respond) -> Tensor:
        """Return ``Σ_z A_z^H respond(A_z O)``; see `LenslessModel.round_trip`."""
        spectrum, transfers = self.spectrum(field), self.transfers

        def of(frames: range) -> Tensor:
            back, work = torch.zeros_like(spectrum), torch.empty_like(transfers[0])
            for frame in frames:
                self.add_field_adjoint(back, respond(frame, self._whole, self.field(spectrum, frame, work)), frame)
            return back

        return self.spectrum_adjoint(self.summed(of))

    @property
    def is_divided(self) -> bool:
        """See `LenslessModel.is_divided`."""
        return is_divided(self.padding.padded_shape, self.device.type)

    def summed(self, of: Callable[[range], Tensor]) -> Tensor:
        """Return the sum over all frames of what a function returns for some of them; see `is_divided`."""
        total, *others = divided(self.frames, of) if self.is_divided else [of(range(self.frames))]
        for other in others:
            total += other
        return total

    def collect(self, answer: Callable[[int, Pixels], Tensor]) -> Tensor:
        """Return ``Σ_z A_z^H u_z``; see `LenslessModel.collect`."""
        back = torch.zeros(self.padding.padded_shape, dtype=self.dtype, device=self.device)
        for frame in range(self.frames):
            self.add_field_adjoint(back, answer(frame, self._whole), frame)
        return self.spectrum_adjoint(back)
