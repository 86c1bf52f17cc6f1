"""Settings of uncertainty maps in a recipe. Does not import torch."""

from __future__ import annotations

from pydantic import Field

from napari_diner.settings import Settings


class UncertaintySettings(Settings):
    """Uncertainty of amplitude and phase: images of their standard deviations."""

    map: bool = Field(default=False, title="Uncertainty map")
    """Estimate the standard deviation of phase and amplitude at each pixel, once the solver has finished."""
    bands: bool = Field(default=False, title="By size of detail")
    """Also keep the standard deviation of the phase in each octave of frequencies, as a stack."""
    samples: int = Field(default=8, ge=1, le=1000, title="Samples")
    """Random noise realisations propagated through the linearised reconstruction; more make the map smoother."""
    cg_steps: int = Field(default=150, ge=10, le=10_000, title="Inner steps")
    """Maximum number of conjugate-gradient steps for each sample."""
    noise: float | None = Field(default=None, gt=0, title="Noise of the frames")
    """Standard deviation of the prepared intensities, if known; empty to estimate it from the residual."""
