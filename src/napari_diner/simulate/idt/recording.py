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
    """Intensities relative to the light in an empty bright field, I / I_background, float32, (N, Y, X)."""
    illuminations: Vector
    """Direction (NA_y, NA_x) of each frame, (N, 2)."""
    phantom: CellPhantom
    """The specimen."""
    settings: IdtSimulation
    """Parameters of the simulation."""


def simulate(settings: IdtSimulation) -> IdtSample:
    """Simulate a recording of cells.

    The volume is laterally periodic, as in both models. Shot noise is that of `photons` per pixel of the empty field;
    Gaussian noise is added to it. Frames of dark field are exposed longer, and divided by that.

    Raises
    ------
    RecipeError
        If the geometry is impossible, e.g. the first ring is outside the aperture of the objective, or dark field is
        to be simulated by single scattering.
    OutOfMemoryError
        If the volume or the frames do not fit in memory.
    """
    # torch takes seconds to load, and is not needed to import this module
    import torch

    from napari_diner.physics.idt.base import IDTModel
    from napari_diner.physics.idt.contrast import permittivity_contrast
    from napari_diner.physics.idt.dark_field import DarkField
    from napari_diner.physics.idt.extended_source import extended
    from napari_diner.physics.idt.illumination import Illumination, ring
    from napari_diner.physics.idt.ssnp import SSNPModel
    from napari_diner.physics.idt.transfer import BornModel

    shape = (settings.slices, settings.height_px, settings.width_px)
    check_memory(
        (48 * settings.slices + 16 * settings.frames * (1 + len(settings.more_rings_na)) + 200) * shape[1] * shape[2],
        f"Simulating a volume of {shape[0]}×{shape[1]}×{shape[2]} voxels",
    )
    first = ring(settings.ring_na, settings.frames)
    first.check(settings.na, settings.medium_index)
    more = [ring(na, settings.frames) for na in settings.more_rings_na]
    illumination = Illumination(tuple(sources for one in (first, *more) for sources in one.frames))
    dark = list(illumination.dark_field(settings.na))
    geometry = VolumeGeometry(
        shape,
        settings.slice_spacing_um,
        settings.wavelength_um,
        settings.medium_index,
        settings.pixel_size_um,
        settings.na,
        zernike_rad=settings.zernike_rad,
    )
    model: IDTModel
    sources = extended(illumination, settings.source_na, geometry)
    if settings.model == "multislice":
        model = SSNPModel(geometry, sources, dark_field=DarkField.of(dark, len(illumination)))
    else:
        model = BornModel(geometry, sources)
    phantom = cells(
        geometry, peak_phase_rad=settings.peak_phase_rad, absorption=settings.absorption, seed=settings.seed
    )
    contrast = permittivity_contrast(
        torch.from_numpy(phantom.n_re).double(), torch.from_numpy(phantom.n_im).double(), settings.medium_index
    )
    with torch.no_grad():
        frames = model.intensities(contrast.float()).double().numpy()
    random = np.random.default_rng((settings.seed, 1))
    exposure = np.ones((len(frames), 1, 1))
    exposure[dark] = settings.dark_field_exposure
    if settings.photons is not None:
        photons = settings.photons * exposure
        frames = random.poisson(np.clip(frames, 0, None) * photons) / photons
    frames += settings.noise_sigma / exposure * random.standard_normal(frames.shape)
    return IdtSample(frames.astype(np.float32), illumination.apertures, phantom, settings)
