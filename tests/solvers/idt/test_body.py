"""A homogeneous body to start from."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.physics.padding import Padding
from napari_diner.solvers.idt import body
from napari_diner.solvers.idt.body import STEPS, BodySearch
from napari_diner.solvers.idt.body_shapes import SILHOUETTES, body_of, silhouettes
from napari_diner.solvers.idt.problem import LinearisedVolume, VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from tests.solvers.idt.small_volumes import PIXEL_UM, SPACING_UM, TV, noise

VOXEL_UM = (SPACING_UM, PIXEL_UM, PIXEL_UM)
RESOLUTION_UM = 0.4
SHAPE, FRAMES = (12, 40, 40), 6
SIGMA = 3e-3


def ellipsoid(shape: tuple[int, int, int], centre_um: tuple[float, float, float], half_um: tuple[float, ...]) -> Tensor:
    """1 in an ellipsoid, whose centre is relative to that of the volume, and 0 elsewhere; (Z, Y, X)."""
    axes = [(torch.arange(n) - (n - 1) / 2) * size for n, size in zip(shape, VOXEL_UM, strict=True)]
    z, y, x = ((axis - middle) / half for axis, middle, half in zip(axes, centre_um, half_um, strict=True))
    return (z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 1).float()


def recorded(strength: float) -> tuple[VolumeProblem, Tensor]:
    """Record a cell with a denser nucleus."""
    geometry = VolumeGeometry(SHAPE, SPACING_UM, 0.515, 1.33, PIXEL_UM, 0.65)
    cell = ellipsoid(SHAPE, (0.3, 0.0, 0.2), (1.8, 2.6, 2.3)) + 0.5 * ellipsoid(SHAPE, (0.0, 0.5, 0.0), (0.8, 1.0, 1.2))
    truth = strength * torch.stack([cell, torch.zeros_like(cell)])
    illumination = ring(0.637, FRAMES, offset_deg=10)
    model = SSNPModel(geometry, illumination)
    data = model.forward(truth) + SIGMA * noise(FRAMES, *SHAPE[1:], dtype=torch.float32)
    priors = VolumePriors(tv=0.1, sign_re=1, sign_im=1)
    slope = BornModel(geometry, illumination, dtype=torch.complex64)
    return VolumeProblem(model, data, priors, TV, slope=slope), truth


def correlation(found: Tensor, truth: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([found[0].flatten(), truth[0].flatten()]))[0, 1])


@pytest.mark.parametrize("sign", [1, -1])
def test_bodies_have_the_silhouettes_and_places_of_the_parts_of_a_volume(sign: int) -> None:
    shape = (24, 60, 120)
    wide = ellipsoid(shape, (1.0, 0.0, -5.0), (4.0, 2.5, 2.5))
    narrow = ellipsoid(shape, (-1.0, 0.0, 5.0), (4.0, 1.5, 1.5))
    silhouette = (wide + narrow).sum(0) > 0
    found = body_of(silhouette.numpy(), 0.02 * sign * torch.stack([wide + narrow, wide]), VOXEL_UM, 0.3, 0.7)
    assert found.shape == (2, *shape)
    assert not found[1].any()
    inside = found[0] > 0.5
    assert ((inside.any(0)) ^ silhouette).sum() < 0.25 * silhouette.sum()
    z_um = (torch.arange(shape[0]) - 11.5) * SPACING_UM
    for part, centre_um, radius_um in ((inside[..., :60], 1.0, 2.5), (inside[..., 60:], -1.0, 1.5)):
        filled = part.any(2).any(1)
        assert abs(float(z_um[filled].mean()) - centre_um) < 0.3
        height_um = float(filled.sum()) * SPACING_UM / 2
        assert 0.5 * radius_um < height_um < 0.95 * radius_um


def test_an_empty_silhouette_has_no_body() -> None:
    assert not body_of(np.zeros((16, 16), bool), torch.zeros(2, 4, 16, 16), VOXEL_UM, RESOLUTION_UM, 0.7).any()


def test_bodies_can_be_lifted() -> None:
    disc = ellipsoid((9, 32, 32), (0.0, 0.0, 0.0), (1.0, 2.0, 2.0))
    where = [
        body_of(disc.any(0).numpy(), torch.stack([disc, disc]), VOXEL_UM, 0.2, 0.7, lift)[0].sum((1, 2)).argmax()
        for lift in (0, 2)
    ]
    assert where == [4, 6]


def test_one_of_the_silhouettes_is_that_of_the_sample() -> None:
    problem, truth = recorded(0.42)
    masks = silhouettes(problem, torch.zeros_like(truth), VOXEL_UM, RESOLUTION_UM)
    assert len(masks) == SILHOUETTES
    true = truth[0].any(0).numpy()
    assert max((mask & true).sum() / (mask | true).sum() for mask in masks) > 0.7
    assert not masks[-1].any()  # of an empty volume
    # nothing is left out or added beside the field of view
    padding = Padding((32, 32), "unknown", 4)
    before = padding.before
    rows, columns = (slice(first, first + 32) for first in before)
    part = replace(problem, data=problem.data[:, rows, columns].contiguous(), padding=padding)
    assert padding.padded_shape == (40, 40)
    for mask in silhouettes(part, torch.zeros_like(truth), VOXEL_UM, 0.0):
        assert mask.shape == (40, 40)
        outside = mask.copy()
        outside[rows, columns] = False
        assert not outside.any()


def test_a_cell_of_eight_radians_comes_out_where_steps_from_nothing_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_TRIED", 2)
    problem, truth = recorded(0.42)
    assert problem.linear.peak_phase(truth) == pytest.approx(8, abs=0.1)
    search = BodySearch(problem, VOXEL_UM, RESOLUTION_UM, phases_rad=[5.0])
    done, without = [], torch.zeros_like(truth)
    for step in search.steps():
        done.append(step.done)
        if step.resumable and len(done) == 20:
            without = search.result()
    assert done[-1] == 1 and sorted(done) == done
    assert problem.loss(search.result()) < 0.6 * problem.loss(without)
    assert correlation(search.result(), truth) > 0.75 > correlation(without, truth) + 0.2


def test_a_sample_thinner_than_the_medium_is_found_where_a_denser_one_was_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_FIRST", "_TRIAL", "_TRIED", "_CONTINUED"):
        monkeypatch.setattr(body, name, 3)
    problem, truth = recorded(-0.2)
    search = BodySearch(problem, VOXEL_UM, RESOLUTION_UM, phases_rad=[4.0], either_sign=True)
    for _ in search.steps():
        pass
    assert float(search.result()[0].max()) <= 0
    assert correlation(search.result(), truth) > 0.7


def test_a_start_that_explains_the_data_needs_no_body() -> None:
    problem, _ = recorded(0.1)
    search = BodySearch(problem, VOXEL_UM, RESOLUTION_UM, lambda volume: True)
    steps = list(search.steps())
    assert steps[-1].iteration < STEPS / 4
    assert problem.loss(search.result()) < 0.1 * problem.loss(torch.zeros_like(search.result()))


def test_no_two_linearisations_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields that one stores take as much memory as all else."""
    for name in ("_FIRST", "_TRIAL", "_CONTINUED"):
        monkeypatch.setattr(body, name, 2)
    held: weakref.WeakSet[object] = weakref.WeakSet()
    most = 0

    def linearise(problem: VolumeProblem, volume: Tensor) -> LinearisedVolume:
        nonlocal most
        held.add(linearised := LinearisedVolume(problem, volume))
        most = max(most, len(held))
        return linearised

    monkeypatch.setattr(VolumeProblem, "linearise", linearise)
    problem, _ = recorded(0.3)
    for _ in BodySearch(problem, VOXEL_UM, RESOLUTION_UM, phases_rad=[5.0]).steps():
        pass
    assert most == 1 and not held


def test_continues_from_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_FIRST", 2)
    monkeypatch.setattr(body, "_TRIAL", 1)
    monkeypatch.setattr(body, "_CONTINUED", 1)
    problem, _ = recorded(0.3)
    whole, second = (BodySearch(problem, VOXEL_UM, RESOLUTION_UM, phases_rad=[3.0, 6.0]) for _ in range(2))
    states = [whole.state() for step in whole.steps() if step.resumable]
    # smooth volume, no body, comparison, up to six bodies, the best two
    assert 6 < len(states) <= 11
    second.restore(states[4])
    assert sum(step.resumable for step in second.steps()) == len(states) - 5
    assert torch.equal(second.result(), whole.result())
