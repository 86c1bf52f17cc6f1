"""Fields that the settings of several simulations share. Does not import torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Rows = Annotated[int, Field(ge=16, le=16384, title="Height (pixels)", description="Rows of each frame or slice.")]
Columns = Annotated[int, Field(ge=16, le=16384, title="Width (pixels)", description="Columns of each frame or slice.")]
Wavelength = Annotated[
    float, Field(ge=1e-6, le=1000, title="Wavelength (µm)", description="Wavelength of the light in vacuum.")
]
Seed = Annotated[int, Field(ge=0, lt=2**31, title="Seed", description="Seed of all random choices.")]
