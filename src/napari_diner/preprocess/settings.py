"""Settings of preparation and focusing. Does not import torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from napari_diner.io.stacks import LEAST_SIDE
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


SaturationLevel = Annotated[
    float | None,
    Field(
        gt=0,
        title="Saturation level",
        description="Value, in the units of the file (255, 4095, 65535 …), from which a pixel is saturated; empty to "
        "find it in the frames.",
    ),
]


class PreprocessSettings(Settings):
    """Corrections of the frames, in the order of these settings."""

    crop_px: tuple[int, int, int, int] | None = Field(default=None, title="Crop (pixels)")
    """Part of the frames to use: top, left, height, width in pixels of the sensor; empty for whole frames."""
    saturation: SaturationLevel = None
    saturated: Literal["at_least", "mask", "believe"] = Field(default="at_least", title="Saturated pixels")
    """Meaning of a saturated pixel: a lower bound of the light, nothing, or its value."""
    dead_pixels: float | None = Field(default=None, ge=3, le=1000, title="Dead pixels beyond (σ)")
    """Ignore pixels that deviate from their neighbours by this in all frames; empty for those beyond doubt."""
    dark: str | None = Field(default=None, title="Dark frame")
    """Image file recorded without light, one page or one per frame; subtracted."""
    flat: str | None = Field(default=None, title="Flat field")
    """Image file recorded under uniform light, one page or one per frame: sensitivity of the pixels; divided out."""
    empty: str | None = Field(default=None, title="Empty field")
    """Image file recorded without the sample, one page or one per frame: light at the sensor; divided out."""
    background: Literal["none", "blur", "polynomial"] = Field(default="none", title="Background")
    """Divide each frame by its own background: a wide blur of it, or a polynomial fitted to it."""
    blur_px: float = Field(default=50.0, ge=1, le=1e5, title="Blur width (pixels)")
    """Standard deviation of the Gaussian blur; larger than the structure to preserve."""
    polynomial_degree: int = Field(default=2, ge=0, le=8, title="Polynomial degree")
    """Degree of the fitted polynomial: 1 for a slope, 2 for a slope and a curvature."""
    upsample: int = Field(default=1, ge=1, le=8, title="Upsampling")
    """Pixels of the reconstruction per pixel of the sensor along each axis."""

    @field_validator("crop_px")
    @classmethod
    def _a_rectangle(cls, values: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        if values is not None and (min(values[:2]) < 0 or min(values[2:]) < LEAST_SIDE):
            raise ValueError(f"give top, left, height and width, not negative and with sizes of at least {LEAST_SIDE}")
        return values


class FocusSettings(Settings):
    """Search for the distance between sample and sensor."""

    metric: Metric = Field(default="sparse_gradient", title="Sharpness")
    """Measure of sharpness: the gradients suit absorbing and transparent samples, the others absorbing ones."""
    near_um: float | None = Field(default=None, gt=0, title="From (µm)")
    """Smallest distance to try; empty for the distance of the frame minus the search range."""
    far_um: float | None = Field(default=None, gt=0, title="To (µm)")
    """Largest distance to try; empty for the distance of the frame plus the search range."""
    search_range: float = Field(default=0.15, gt=0, lt=1, title="Search range")
    """Range on both sides of the distance of the frame, as a fraction of it."""
    step_um: float | None = Field(default=None, gt=0, title="Step (µm)")
    """First step of the search, refined later; empty for the depth of field of the pixels."""
    joint: bool = Field(default=True, title="All frames together")
    """Retrieve the phase from all frames and refocus the field, free of the twin image that biases single frames."""
    rounds: int = Field(default=60, ge=1, le=10_000, title="Rounds")
    """Rounds of alternating projections for this phase retrieval."""

    @model_validator(mode="after")
    def _in_order(self) -> FocusSettings:
        if (self.near_um is None) != (self.far_um is None):
            raise ValueError("give both near_um and far_um, or neither")
        if self.near_um is not None and self.far_um is not None and self.near_um >= self.far_um:
            raise ValueError("near_um must be smaller than far_um")
        return self
