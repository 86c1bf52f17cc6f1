"""Settings of the optical models. Does not import torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from napari_diner.settings import Settings

# beyond it, the pupil varies by more than a turn from one frequency to the next
_LARGEST_RAD = 20


def _plausible(values: tuple[float, ...]) -> tuple[float, ...]:
    for value in values:
        if not abs(value) <= _LARGEST_RAD:
            raise ValueError(f"every value must be between -{_LARGEST_RAD} and {_LARGEST_RAD}, not {value:g}")
    return values


ZernikeCoefficients = Annotated[tuple[float, ...], AfterValidator(_plausible), Field(max_length=33)]
"""Coefficients of the Zernike modes from 4 (Noll) on, in rad RMS; see `physics.zernike`."""


class PupilSettings(Settings):
    """Aberrations of the objective: the phase of its pupil."""

    zernike_rad: ZernikeCoefficients = Field(default=(), title="Zernike modes (rad)")
    """RMS phases of Noll's modes from 4 on: defocus, two of astigmatism, two of coma, two of trefoil, spherical …"""


class SurroundSettings(Settings):
    """Surround of the field of view: a periodic continuation, or an unknown."""

    mode: Literal["auto", "none", "unknown"] = Field(default="auto", title="Mode")
    """Beyond the edges: periodic (none), or solved for (unknown); auto: none if the frames continue, else unknown."""
    width_um: float | None = Field(default=None, ge=0, le=1e5, title="Width (µm)")
    """Smallest width on each side; if empty, the reach of most diffraction."""


class PaddingSettings(SurroundSettings):
    """Assumptions about the field beyond the edges of the field of view."""

    mode: Literal["auto", "none", "reflect", "replicate", "unknown"] = Field(  # type: ignore[assignment]
        default="auto", title="Mode"
    )
    """Beyond the edges: periodic (none), mirrored, the edge value, or solved for (unknown); auto: none or unknown."""
    width_um: float | None = Field(default=None, ge=0, le=1e5, title="Width (µm)")
    """Smallest width on each side; if empty, 100 µm, or the reach of most diffraction for an unknown surround."""
    apodise: bool = Field(default=True, title="Apodise")
    """Taper the continuation to zero along a cosine, so that opposite ends meet smoothly."""


class TileSettings(Settings):
    """Computation of wide fields in tiles. The object is still reconstructed as one, without seams."""

    use: Literal["auto", "always", "never"] = Field(default="auto", title="Use")
    """Use tiles if they are faster or one piece does not fit on the graphics card (auto), always, or never."""
    size_px: int = Field(default=512, ge=16, le=2**16, title="Size (pixels)")
    """Width of a tile if tiles are always used; a margin for diffraction from its surroundings is added."""
