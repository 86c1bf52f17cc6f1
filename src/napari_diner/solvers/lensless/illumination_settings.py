"""Settings of an unknown illumination. Does not import torch."""

from __future__ import annotations

from pydantic import Field

from napari_diner.settings import Settings


class IlluminationSettings(Settings):
    """Estimate of the illumination together with the object, if it is not known."""

    solve: bool = Field(default=False, title="Solve for the illumination")
    """Estimate amplitude and phase of the illumination, best from frames between which the object moves."""
    finest_um: float = Field(default=0.0, ge=0, le=1e6, title="Finest detail (µm)")
    """Period of the finest detail of the illumination; 0 for any, which needs an object that moves."""
    iterations: int = Field(default=15, ge=1, le=1000, title="Iterations")
    """Maximum number of Gauss-Newton steps of object and illumination together."""
    cg_steps: int = Field(default=30, ge=1, le=1000, title="Inner steps")
    """Conjugate-gradient steps in each of them."""
