"""Simulation of recordings of cells by intensity diffraction tomography."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_diner.device import check_memory
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.simulate.idt.cells import CellPhantom, Vector, Volume, cells
from napari_diner.simulate.idt.settings import IdtSimulation


@dataclass(frozen=True)
class IdtSample:
    """A simulated recording and its specimen."""

    frames: Volume
    """Intensities relative to the empty field, I / I_background, float32, (N, Y, X)."""
    illuminations: Vector
    """Direction (NA_y, NA_x) of each frame, (N, 2)."""
    phantom: CellPhantom
    """The specimen."""
    settings: IdtSimulation
    """Parameters of the simulation."""


def simulate(settings: IdtSimulation) -> IdtSample:
    """Simulate a recording of cells.

    The volume is laterally periodic, as in both models. Shot noise is that of `photons` per pixel of the empty field;
    Gaussian noise is added to it.

    Raises
    ------
    RecipeError
        If the geometry is impossible, e.g. the ring is outside the aperture of the objective.
    OutOfMemoryError
        If the volume or the frames do not fit in memory.
    """
    # torch takes seconds to load, and is not needed to import this module
    import torch

    from napari_diner.physics.idt.contrast import permittivity_contrast
    from napari_diner.physics.idt.extended_source import extended
    from napari_diner.physics.idt.illumination import ring
    from napari_diner.physics.idt.ssnp import SSNPModel
    from napari_diner.physics.idt.transfer import BornModel

    shape = (settings.slices, settings.height_px, settings.width_px)
    check_memory(
        (48 * settings.slices + 16 * settings.frames + 200) * shape[1] * shape[2],
        f"Simulating a volume of {shape[0]}×{shape[1]}×{shape[2]} voxels",
    )
    illumination = ring(settings.ring_na, settings.frames)
    geometry = VolumeGeometry(
        shape,
        settings.slice_spacing_um,
        settings.wavelength_um,
        settings.medium_index,
        settings.pixel_size_um,
        settings.na,
        zernike_rad=settings.zernike_rad,
    )
    model = (SSNPModel if settings.model == "multislice" else BornModel)(
        geometry, extended(illumination, settings.source_na, geometry)
    )
    phantom = cells(
        geometry, peak_phase_rad=settings.peak_phase_rad, absorption=settings.absorption, seed=settings.seed
    )
    contrast = permittivity_contrast(
        torch.from_numpy(phantom.n_re).double(), torch.from_numpy(phantom.n_im).double(), settings.medium_index
    )
    with torch.no_grad():
        frames = model.intensities(contrast.float()).double().numpy()
    random = np.random.default_rng((settings.seed, 1))
    if settings.photons is not None:
        frames = random.poisson(np.clip(frames, 0, None) * settings.photons) / settings.photons
    frames += settings.noise_sigma * random.standard_normal(frames.shape)
    return IdtSample(frames.astype(np.float32), illumination.apertures, phantom, settings)
