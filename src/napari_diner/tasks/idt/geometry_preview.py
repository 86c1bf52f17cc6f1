"""Spectra of the frames with the expected circles of the directions of illumination.

If the circles do not bound the bright parts of the spectra, the geometry is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import NamedArray
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.padding import fading
from napari_diner.preprocess.odd_frames import odd_frames
from napari_diner.tasks.idt.data import IdtData, contrast_of, with_file_facts, without
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.left_out import LeftOut

Vector = npt.NDArray[np.float64]

# part of the frame that is faded out at its borders, to avoid a bright cross
_FADED = 0.5
# decades below the strongest frequency that a camera can record
_DECADES = 8.0


@dataclass(frozen=True)
class Circles:
    """The two circles of each source, in cycles/µm, (y, x)."""

    frames: npt.NDArray[np.int64]
    """Frame of each source, (S,)."""
    centres: Vector
    """∓u_i, (S, 2, 2): source, circle, axis."""
    radius: float
    """NA/λ."""

    def outlines(self, points: int = 181) -> Vector:
        """Return closed lines along the circles, (S, 2, points, 2)."""
        angle = np.linspace(0, 2 * np.pi, points)
        ring = self.radius * np.stack([np.sin(angle), np.cos(angle)], 1)
        lines: Vector = self.centres[:, :, None] + ring
        return lines


def spectra(frames: npt.NDArray[np.floating], pixel_size_um: float) -> NamedArray:
    """Return the decimal logarithm of the power spectrum of each frame.

    Parameters
    ----------
    frames
        Real, (N, Y, X).
    pixel_size_um
        Distance between pixels, in the object.

    Returns
    -------
    NamedArray
        float32, (N, Y, X), frequency zero at [Y//2, X//2], scale in cycles/µm; 0 at the strongest of all frames, and
        cut off eight decades below. Pixel [row, column] is at the frequency ``(row − Y//2, column − X//2) · scale``.
    """
    count, rows, columns = frames.shape
    window = fading(rows, columns, _FADED).numpy()
    logs = np.empty((count, rows, columns), np.float32)
    for log, frame in zip(logs, frames, strict=True):
        values = np.fft.fftshift(np.fft.fft2((frame - np.mean(frame, dtype=np.float64)) * window))
        log[...] = 2 * np.log10(np.abs(values) + np.finfo(np.float32).tiny)
    logs = np.maximum(logs - logs.max(), -_DECADES)
    scale = (1.0, 1 / (rows * pixel_size_um), 1 / (columns * pixel_size_um))
    return NamedArray("spectra", logs, "NYX", scale, "log10")


def circles(illumination: Illumination, wavelength_um: float, na: float) -> Circles:
    """Return the circles in which the spectra of the frames of an illumination must lie.

    Parameters
    ----------
    illumination
        Directions (NA_y, NA_x), NA_i = λ u_i.
    wavelength_um, na
        Wavelength in vacuum, and numerical aperture of the objective.
    """
    u = illumination.apertures / wavelength_um
    return Circles(illumination.frame_of_source, np.stack([-u, u], 1), na / wavelength_um)


@dataclass(frozen=True)
class GeometryCheck:
    """Pictures of the geometry before a run."""

    spectra: NamedArray
    """Logarithm of the power spectrum of each frame, (N, Y, X)."""
    circles: Circles
    """The circles of the illuminations."""
    warnings: tuple[str, ...]
    """Warnings about data and optics."""


def check_geometry(recipe: IdtRecipe, data: IdtData) -> GeometryCheck:
    """Return the spectra of the frames of a recording, the circles of its illuminations, and warnings.

    Parameters
    ----------
    recipe
        Description of the recording; transfer functions are ignored.
    data
        The recording.

    Raises
    ------
    RecipeError
        If settings are missing.
    InputError
        If the data cannot be used.
    """
    from napari_diner.tasks.idt.optics import preflight, within_aperture

    recipe = with_file_facts(recipe, data)
    left_out = LeftOut.of(recipe, len(data.frames))
    data = without(data, left_out)
    contrast, warnings = contrast_of(recipe, data)
    warnings += odd_frames(1 + contrast, oblique=True).warnings
    geometry = recipe.geometry((recipe.slice_count, contrast.shape[1], contrast.shape[2]))
    illumination = recipe.illumination(left_out.frames).without(left_out.numbers)
    start, more = within_aperture(recipe, illumination)
    if not (np.hypot(*start.apertures.T) > geometry.na).any():
        # the models do not describe light that does not pass the objective
        more += preflight(geometry, start)
    return GeometryCheck(
        spectra(contrast, geometry.pixel_size_um),
        circles(illumination, geometry.wavelength_um, geometry.na),
        tuple(left_out.counted((*warnings, *more))),
    )
