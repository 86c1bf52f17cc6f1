"""Samples that move between the heights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

import napari_diner as nd
from napari_diner.errors import RecipeError
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

DISTANCES_UM = [300.0, 380.0, 460.0, 540.0, 620.0]
RECIPE = {"wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": DISTANCES_UM, "registration": "deformation"}
SIZE = 64


def recorded(motion_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Return frames, (N, Y, X), of a sample with parts that are displaced at each height, (N, 2, Y, X)."""
    truth = {array.name: array.data for array in nd.sample("lensless", height_px=SIZE, width_px=SIZE).truth}
    model = MultiHeight((SIZE, SIZE), Heights(Optics(pixel_size_um=1.12, wavelength_um=0.532), DISTANCES_UM))
    random, frames, flows = np.random.default_rng(2), [], []
    for number in range(len(DISTANCES_UM)):
        flow = ndimage.gaussian_filter(random.normal(size=(2, SIZE, SIZE)), (0, 12, 12), mode="wrap")
        flow *= motion_px * (number != 2) / np.abs(flow).max()
        amplitude, phase = (
            ndimage.map_coordinates(truth[name], np.indices((SIZE, SIZE)) + flow, order=3, mode="grid-wrap")
            for name in ("amplitude", "phase")
        )
        field = torch.from_numpy((amplitude * np.exp(1j * phase)).astype(np.complex64))
        frames.append(model.fields(field)[number].abs().square().numpy())
        flows.append(flow)
    return np.stack(frames), np.stack(flows)


@pytest.mark.parametrize("motion_px", [0.0, 2.0])
def test_deformations_are_followed(motion_px: float) -> None:
    frames, flows = recorded(motion_px)
    lensless = task("lensless")
    recipe = lensless.recipe_type.parse({**RECIPE, "padding": {"mode": "none"}})
    job = lensless.job(recipe, lensless.assemble(recipe, Frames(frames, "NYX")))
    (stage,) = (stage for stage in job.stages() if stage.name == "deformation")
    solver = stage.solver(job.begin(), Budget())
    losses = [step.loss for step in solver.steps()]
    # unwarping takes the opposite displacement, at first order
    true = solver._observable(-flows)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    error, size = (float(np.sqrt(np.mean(values[inner] ** 2))) for values in (solver._flows - true, true))
    if motion_px:
        assert losses[-1] < 0.5 * losses[0]
        assert error < 0.7 * size
    else:
        assert error < 0.15


def test_the_deformation_is_reported_and_the_frames_are_explained_better() -> None:
    frames, _ = recorded(2.0)
    settings = {**RECIPE, "padding": {"mode": "none"}, "solver": "alternating", "alternating": {"iterations": 30}}
    followed = nd.lensless(Frames(frames, "NYX"), **settings)
    ignored = nd.lensless(Frames(frames, "NYX"), **{**settings, "registration": "off"})
    assert followed.report["unexplained"] < 0.6 * ignored.report["unexplained"]
    registration = followed.report["registration"]
    assert registration["mode"] == "deformation" and "deformed by up to" in registration["summary"]
    assert registration["deformation_um"][2] == 0 and 0.5 < max(registration["deformation_um"]) < 6
    with pytest.raises(RecipeError, match="resampled"):
        nd.lensless(Frames(frames[None], "TNYX"), select="T=all", **settings)
