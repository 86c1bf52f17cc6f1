"""The settings of preparation and of focusing, as they stand in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from napari_diner.settings import Settings

Metric = Literal[
    "sparse_gradient",
    "tamura_gradient",
    "gini_gradient",
    "tamura_amplitude",
    "normalised_variance",
    "tenengrad",
    "laplacian",
]


class PreprocessSettings(Settings):
    """What is done to the frames before anything else, in the order of these settings."""

    crop_px: tuple[int, int, int, int] | None = Field(default=None, title="Crop (pixels)")
    """Part of the frames to use: top, left, height, width in pixels of the sensor; empty for all of them."""
    saturation: float | None = Field(default=None, gt=0, title="Saturation level")
    """Pixels that reach this value, in the units of the file (255, 4095, 65535 …), are ignored."""
    dead_pixels: float | None = Field(default=None, ge=3, le=1000, title="Dead pixels beyond (σ)")
    """Ignore pixels that stand out from their neighbours by this many standard deviations, alike in all frames."""
    dark: str | None = Field(default=None, title="Dark frame")
    """Image file recorded without light, one page or one a frame; subtracted."""
    flat: str | None = Field(default=None, title="Flat field")
    """Image file under even light, one page or one a frame: the sensitivity of the pixels; divided out."""
    empty: str | None = Field(default=None, title="Empty field")
    """Image file without the sample, one page or one a frame: the light as it reaches the sensor; divided out."""
    background: Literal["none", "blur", "polynomial"] = Field(default="none", title="Background")
    """Divide each frame by what it is at large: itself, blurred widely, or a polynomial fitted to it."""
    blur_px: float = Field(default=50.0, ge=1, le=1e5, title="Blur width (pixels)")
    """Standard deviation of the Gaussian blur; wider than what must be kept."""
    polynomial_degree: int = Field(default=2, ge=0, le=8, title="Polynomial degree")
    """Degree of the fitted polynomial: 1 for a slope, 2 for a slope and a curvature."""
    upsample: int = Field(default=1, ge=1, le=8, title="Upsampling")
    """Pixels of the reconstruction for each pixel of the sensor, along each axis."""

    @field_validator("crop_px")
    @classmethod
    def _a_rectangle(cls, values: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        if values is not None and (min(values[:2]) < 0 or min(values[2:]) < 8):
            raise ValueError("give top, left, height and width, none of them negative and the sizes 8 or more")
        return values


class FocusSettings(Settings):
    """How the distance between sample and sensor is found."""

    metric: Metric = Field(default="sparse_gradient", title="Sharpness")
    """What counts as sharp: the gradients suit absorbing and transparent samples, the others absorbing ones."""
    near_um: float | None = Field(default=None, gt=0, title="From (µm)")
    """Smallest distance to try; empty for the frame's distance less the search range."""
    far_um: float | None = Field(default=None, gt=0, title="To (µm)")
    """Largest distance to try; empty for the frame's distance and the search range."""
    search_range: float = Field(default=0.15, gt=0, lt=1, title="Search range")
    """How far to search to both sides of the frame's distance, as a part of it."""
    step_um: float | None = Field(default=None, gt=0, title="Step (µm)")
    """First step of the search, refined later; empty for the depth of field of the grid."""
    joint: bool = Field(default=True, title="All frames together")
    """Recover the phase from all frames and refocus the field: free of the twin image that biases single frames."""
    rounds: int = Field(default=60, ge=1, le=10_000, title="Rounds")
    """Rounds of alternating projections to recover that phase."""

    @model_validator(mode="after")
    def _in_order(self) -> FocusSettings:
        if (self.near_um is None) != (self.far_um is None):
            raise ValueError("give both near_um and far_um, or neither")
        if self.near_um is not None and self.far_um is not None and self.near_um >= self.far_um:
            raise ValueError("near_um must be smaller than far_um")
        return self
