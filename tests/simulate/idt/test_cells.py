from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.simulate.idt.cells import _coverage, cells
from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation

SMALL = IdtSimulation(slices=8, height_px=40, width_px=48, frames=4)


def draw(**changes: object):
    options = {"peak_phase_rad": 0.4, **changes}
    return cells(VolumeGeometry((14, 60, 64), 0.5, 0.5, 1.33, 0.2, 0.65), **options)  # type: ignore[arg-type]


def test_phase_along_the_axis_and_absorption_are_as_wanted() -> None:
    phantom = draw(absorption=0.2)
    phase = (phantom.n_re.astype(float) - 1.33).sum(0).max() * 0.5 * 2 * math.pi / 0.5
    assert phase == pytest.approx(0.4, rel=1e-3)
    assert phantom.n_im.max() / (phantom.n_re.max() - 1.33) == pytest.approx(0.2, rel=1e-3)


def test_cells_are_denser_than_the_medium_and_absorb() -> None:
    phantom = draw()
    assert phantom.n_re.min() == np.float32(1.33)
    assert phantom.n_im.min() == 0
    assert np.all(phantom.n_re[phantom.inside] > 1.33)
    assert 0.05 < phantom.inside.mean() < 0.6


def test_large_pixels_have_no_room_for_thousands_of_cells() -> None:
    """Six thousand cells of less than a pixel each took minutes."""
    began = time.process_time()
    phantom = cells(VolumeGeometry((3, 16, 16), 0.5, 0.5, 1.33, 123.0, 0.3), peak_phase_rad=0.4)
    assert np.isfinite(phantom.n_re).all() and phantom.n_re.max() > 1.33
    assert time.process_time() - began < 2


def test_faces_of_the_volume_are_free() -> None:
    n_re = draw().n_re
    for axis in range(3):
        assert np.all(np.take(n_re, [0, -1], axis) == np.float32(1.33))


def test_cells_keep_their_size_when_the_voxels_change() -> None:
    coarse = draw()
    fine = cells(VolumeGeometry((28, 120, 128), 0.25, 0.5, 1.33, 0.1, 0.65), peak_phase_rad=0.4)
    volumes = coarse.inside.sum() * 0.2**2 * 0.5, fine.inside.sum() * 0.1**2 * 0.25
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)
    binned = fine.n_re.reshape(14, 2, 60, 2, 64, 2).mean((1, 3, 5))
    difference = (binned - coarse.n_re)[coarse.inside]
    assert np.sqrt(np.mean(difference**2)) < 0.1 * (coarse.n_re.max() - 1.33)


def test_a_ball_has_its_volume_in_voxels_that_are_not_cubes() -> None:
    voxel = np.array([0.5, 0.2, 0.2])
    axes = [(np.arange(n) - (n - 1) / 2 + 0.2) * size for n, size in zip((20, 40, 40), voxel, strict=True)]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    part = _coverage(offsets, np.full(3, 3.0), np.eye(3), voxel)
    assert part.sum() * voxel.prod() == pytest.approx(4 / 3 * np.pi * 27, rel=0.01)
    assert np.any((part > 0) & (part < 1))


def test_a_large_field_has_several_cells_apart_from_each_other() -> None:
    from scipy import ndimage

    phantom = cells(VolumeGeometry((16, 250, 250), 0.75, 0.5, 1.33, 0.25, 0.65), peak_phase_rad=0.4)
    assert ndimage.label(phantom.inside)[1] >= 5


def test_the_same_seed_gives_the_same_cells() -> None:
    assert np.array_equal(draw(seed=3).n_re, draw(seed=3).n_re)
    assert not np.array_equal(draw(seed=3).n_re, draw(seed=4).n_re)


def test_noise_is_as_strong_as_wanted() -> None:
    clean = simulate(SMALL.model_copy(update={"noise_sigma": 0.0})).frames
    noisy = simulate(SMALL.model_copy(update={"noise_sigma": 0.02})).frames
    assert np.std(noisy - clean) == pytest.approx(0.02, rel=0.05)
    counted = simulate(SMALL.model_copy(update={"noise_sigma": 0.0, "photons": 2500.0})).frames
    assert np.std(counted - clean) == pytest.approx(0.02, rel=0.05)


def test_weak_cells_look_the_same_to_both_models() -> None:
    weak = SMALL.model_copy(update={"noise_sigma": 0.0, "peak_phase_rad": 0.01})
    one, other = simulate(weak).frames - 1, simulate(weak.model_copy(update={"model": "born"})).frames - 1
    assert np.linalg.norm(one - other) < 0.02 * np.linalg.norm(one)


def test_ring_outside_the_objective_is_refused() -> None:
    with pytest.raises(RecipeError, match="outside the objective"):
        simulate(SMALL.model_copy(update={"ring_na": 0.66}))


def test_settings_load_no_torch() -> None:
    code = "import sys, napari_diner.simulate.idt.recording; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
