"""Settings of synthetic images, videos and volumes. Does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings
from napari_diner.simulate.settings import Columns, Rows, Seed


class ImageSimulation(Settings):
    """A synthetic image with coarse and fine structure, sharp edges and smooth gradients."""

    height_px: Rows = 256
    width_px: Columns = 256
    bits: Literal[8, 16] = Field(default=8, title="Bits")
    """Bits per value."""
    colours: bool = Field(default=True, title="Colours")
    """Colour (red, green, blue) or grey."""
    seed: Seed = 0


class VideoSimulation(Settings):
    """A synthetic video: a camera pans over a scene with objects moving in front of it."""

    frames: int = Field(default=30, ge=1, le=10_000, title="Frames")
    """Number of frames."""
    height_px: Rows = 135
    width_px: Columns = 240
    seed: Seed = 0


class VolumeSimulation(Settings):
    """A synthetic fluorescence volume: nuclei, vesicles and filaments, with photon noise."""

    slices: int = Field(default=24, ge=1, le=4096, title="Slices")
    """Number of slices."""
    z_step_um: float = Field(default=0.3, ge=0.01, le=10, title="Slice spacing (µm)")
    """Distance between neighbouring slices."""
    height_px: Rows = 128
    width_px: Columns = 128
    pixel_size_um: float = Field(default=0.1, ge=0.01, le=10, title="Pixel size (µm)")
    """Distance between neighbouring pixels."""
    seed: Seed = 0
