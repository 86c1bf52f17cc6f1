"""Derived phase images: unwrapped, levelled, optical path and thickness."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from napari_diner.io.arrays import NamedArray
from napari_diner.settings import Settings

Image = npt.NDArray[Any]


class PhaseOutputSettings(Settings):
    """Further images derived from the phase, which itself is not changed."""

    unwrap: bool = Field(default=False, title="Unwrap")
    """Add whole turns so that the phase has no jumps (Herráez et al., 2002): an image unwrapped_phase."""
    remove: Literal["none", "plane", "curvature"] = Field(default="none", title="Remove")
    """Level the unwrapped phase: subtract a fitted slope, or a slope and a curvature."""
    optical_path: bool = Field(default=False, title="Optical path")
    """An image optical_path_um: the phase as a length, φ λ / 2π."""
    index_difference: float | None = Field(default=None, title="Index difference")
    """Refractive index of the sample minus that of the medium: gives an image thickness_um; empty for none."""

    @field_validator("index_difference")
    @classmethod
    def _divisible(cls, difference: float | None) -> float | None:
        if difference is not None and not 1e-9 < abs(difference) < 10:
            raise ValueError("it should be other than zero and below 10, such as 0.03")
        return difference

    @property
    def wanted(self) -> bool:
        """Whether any image is requested."""
        return self.unwrap or self.remove != "none" or self.optical_path or self.index_difference is not None


def unwrap(phase: Image) -> Image:
    """Return a phase without jumps, float32, (Y, X).

    Pixels are sorted by reliability (Herráez et al., Appl. Opt. 41, 7437 (2002)), as implemented in scikit-image. The
    whole turns are chosen so that the median lies within ±π.

    Parameters
    ----------
    phase
        Radians, (Y, X).
    """
    # deferred, since scikit-image takes a second to import and the settings do not need it
    from skimage.restoration import unwrap_phase

    unwrapped = np.asarray(unwrap_phase(phase.astype(np.float64), rng=0))  # type: ignore[no-untyped-call]
    whole: Image = (unwrapped - 2 * np.pi * np.round(np.median(unwrapped) / (2 * np.pi))).astype(np.float32)
    return whole


def levelled(phase: Image, remove: Literal["none", "plane", "curvature"]) -> Image:
    """Subtract a fitted slope, or slope and curvature, including the constant, from an unwrapped phase.

    The fit excludes objects that stand out from the background (see `fit_surface`), which then has a phase of zero.

    Parameters
    ----------
    phase
        Unwrapped, in radians, (Y, X).
    remove
        Surface to subtract.
    """
    if remove == "none":
        return phase
    # deferred, since SciPy's statistics take a second to import and the settings do not need them
    from napari_diner.preprocess.surfaces import fit_surface

    surface = fit_surface(phase, 1 if remove == "plane" else 2).values()
    level: Image = (phase - surface).astype(np.float32)
    return level


def optical_path_um(phase: Image, wavelength_um: float) -> Image:
    """Return the optical path difference φ λ / 2π, in micrometres; λ is that in vacuum."""
    return phase * np.float32(wavelength_um / (2 * np.pi))


def phase_images(phase: NamedArray, settings: PhaseOutputSettings, wavelength_um: float) -> tuple[NamedArray, ...]:
    """Return the images requested in the settings.

    Parameters
    ----------
    phase
        Wrapped, in radians, (Y, X).
    settings, wavelength_um
        Images to derive, and wavelength in vacuum.

    Returns
    -------
    tuple[NamedArray, ...]
        ``unwrapped_phase`` (rad), and if requested ``optical_path_um`` and ``thickness_um`` (µm).
    """
    if not settings.wanted:
        return ()
    level = levelled(unwrap(phase.data), settings.remove)
    made = [NamedArray("unwrapped_phase", level, phase.axes, phase.scale_um, "rad")]
    path = optical_path_um(level, wavelength_um)
    if settings.optical_path:
        made.append(NamedArray("optical_path_um", path, phase.axes, phase.scale_um, "µm"))
    if settings.index_difference is not None:
        thickness = path / np.float32(settings.index_difference)
        made.append(NamedArray("thickness_um", thickness, phase.axes, phase.scale_um, "µm"))
    return tuple(made)
