"""A small weak object and its recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run
from napari_diner.tasks.task import Frames
from tests.kit.runs import finished

MEDIUM = 1.33
SETTINGS: dict[str, Any] = {
    "wavelength_um": 0.515,
    "pixel_size_um": 0.1625,
    "na": 0.65,
    "medium_index": MEDIUM,
    "slice_spacing_um": 0.6,
    "slice_count": 8,
    "ring": {"na": 0.637},
    "background": "none",
}


Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Recording:
    """Frames as g, what they show, and how they were recorded."""

    frames: npt.NDArray[np.float32]
    truth: TrueVolume
    recipe: IdtRecipe


def record(count: int = 12, strength: float = 0.003, noise: float = 0.002) -> Recording:
    """Record two balls of unlike index under a ring of light, by the linear model."""
    z, y, x = np.mgrid[:8, :48, :48].astype(float)
    z, y, x = (z - 3.5) * 0.6, (y - 23.5) * 0.1625, (x - 23.5) * 0.1625
    big = 1 / (1 + np.exp((np.sqrt(z**2 + (y + 0.5) ** 2 + x**2) - 1.4) / 0.1))
    small = 1 / (1 + np.exp((np.sqrt(z**2 + (y - 1.8) ** 2 + (x - 1.5) ** 2) - 0.7) / 0.1))
    n_re = MEDIUM + strength * (big + 1.5 * small)
    n_im = 0.1 * strength * small
    contrast = permittivity_contrast(torch.from_numpy(n_re), torch.from_numpy(n_im), MEDIUM).float()
    model = BornModel(VolumeGeometry((8, 48, 48), 0.6, 0.515, MEDIUM, 0.1625, 0.65), ring(0.637, count))
    frames = model.forward(contrast).numpy()
    frames = frames + noise * np.random.default_rng(0).standard_normal(frames.shape)
    return Recording(frames.astype(np.float32), TrueVolume(n_re, n_im), IdtRecipe.parse(SETTINGS))


def started(
    recipe: IdtRecipe,
    data: Array | IdtData,
    truth: TrueVolume | None = None,
    **attachments: Array,
) -> Run[IdtState]:
    """Start the reconstruction of frames, as a layer has them, or of a whole recording."""
    if isinstance(data, IdtData):
        return Run(IdtJob(IdtRecording(recipe, data, truth)))
    return IdtTask().start(recipe, Frames(data, attachments=attachments), truth=truth)


def reconstructed(
    recipe: IdtRecipe,
    data: Array | IdtData,
    truth: TrueVolume | None = None,
    compares_settings: bool = False,
    **attachments: Array,
) -> Result:
    """Return the result of a whole run, without the comparison of settings, which takes longer unless asked for."""
    return finished(started(recipe, data, truth, **attachments), compares_settings)
