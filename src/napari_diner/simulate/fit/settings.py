"""Settings of synthetic images, videos and volumes. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings
from napari_diner.simulate.settings import Columns, Rows, Seed


class ImageSimulation(Settings):
    """An image to draw, with coarse and fine structure, sharp edges and smooth gradients."""

    height_px: Rows = 256
    width_px: Columns = 256
    bits: Literal[8, 16] = Field(default=8, title="Bits")
    """Bits of each number."""
    colours: bool = Field(default=True, title="Colours")
    """Red, green and blue, or grey."""
    seed: Seed = 0


class VideoSimulation(Settings):
    """A video to draw: a camera that pans over a scene, with something moving in front of it."""

    frames: int = Field(default=30, ge=1, le=10_000, title="Frames")
    """Points of time."""
    height_px: Rows = 135
    width_px: Columns = 240
    seed: Seed = 0


class VolumeSimulation(Settings):
    """A volume to draw, as a fluorescence microscope records it: nuclei, vesicles and filaments, with photon noise."""

    slices: int = Field(default=24, ge=1, le=4096, title="Slices")
    """Points along Z."""
    height_px: Rows = 128
    width_px: Columns = 128
    pixel_size_um: float = Field(default=0.1, ge=0.01, le=10, title="Pixel size (µm)")
    """Distance between neighbouring pixels."""
    z_step_um: float = Field(default=0.3, ge=0.01, le=10, title="Slice spacing (µm)")
    """Distance between neighbouring slices."""
    seed: Seed = 0
