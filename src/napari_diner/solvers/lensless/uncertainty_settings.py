"""The settings of uncertainty maps, as they stand in a recipe. Free of torch."""

from __future__ import annotations

from pydantic import Field

from napari_diner.settings import Settings


class UncertaintySettings(Settings):
    """How far amplitude and phase may be off: images of their standard deviations."""

    map: bool = Field(default=False, title="Uncertainty map")
    """Estimate the standard deviation of phase and amplitude at each pixel, once the solver is done."""
    bands: bool = Field(default=False, title="Of each octave")
    """Also keep the standard deviation of the phase in each octave of frequencies, as a stack."""
    samples: int = Field(default=8, ge=1, le=1000, title="Samples")
    """Random noises that are carried through the linearised reconstruction; more make the map smoother."""
    cg_steps: int = Field(default=150, ge=10, le=10_000, title="Inner steps")
    """At most this many conjugate-gradient steps for each sample."""
    noise: float | None = Field(default=None, gt=0, title="Noise of the frames")
    """Standard deviation of the prepared intensities, if it is known; empty to measure it by what is left over."""
