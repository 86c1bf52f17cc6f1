"""Reconstructions from intensities of known objects: ours, and published methods written from their papers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skimage.restoration import denoise_tv_chambolle

from napari_diner.physics.idt.contrast import permittivity_contrast, refractive_index
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.tasks.lensless.truth import Truth, score
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from truth.sets import SEED, Array, Stack, propagated

MEDIUM, WAVELENGTH_UM, NA, RING_NA, COUNT, NOISE = 1.33, 0.515, 0.65, 0.637, 24, 0.005
Frame = npt.NDArray[np.float32]


def _run(name: str, values: Mapping[str, Any], frames: Frame) -> Any:
    with task(name).start(task(name).recipe_type.parse({"task": name, **values}), Frames(frames)) as run:
        for _ in run:
            pass
        return run.result()


# --- phase from heights


def _ours(**changes: Any) -> Callable[[Stack], Array]:
    def phase(stack: Stack) -> Array:
        optics = {
            "wavelength_um": stack.wavelength_um, "pixel_size_um": stack.pixel_size_um,
            "distances_um": stack.distances_um,
        }  # fmt: skip
        return np.asarray(_run("lensless", {**optics, **changes}, stack.frames)["phase"].data, np.float64)

    return phase


def contrast_transfer(stack: Stack) -> Array:
    """Return the phase by the contrast transfer of weak objects, all heights in least squares (Cloetens 1999)."""
    shape = stack.frames.shape[1:]
    fy, fx = (np.fft.fftfreq(size, stack.pixel_size_um) for size in shape)
    chi = math.pi * stack.wavelength_um * (fy[:, None] ** 2 + fx**2)
    a, b, c, g, h = (np.zeros(shape, complex) for _ in range(5))
    for frame, distance in zip(stack.frames, stack.distances_um, strict=True):
        data = np.fft.fft2(frame.astype(np.float64) - 1)
        # I − 1 = 2 cos χ · log-amplitude + 2 sin χ · phase
        cosine, sine = 2 * np.cos(chi * distance), 2 * np.sin(chi * distance)
        a, b, c = a + cosine**2, b + cosine * sine, c + sine**2
        g, h = g + cosine * data, h + sine * data
    tiny = 1e-3 * len(stack.frames)
    phase = (h * (a + tiny) - b * g) / ((a + tiny) * (c + tiny) - b**2)
    return np.asarray(np.fft.ifft2(phase).real)


def single_shot(stack: Stack, iterations: int = 150, weight: float = 0.02) -> Array:
    """Return the phase from the first height alone: projected gradient steps with total variation.

    As in compressive in-line holography (Brady et al., Opt. Express 17, 13040 (2009)), for amplitude and phase.
    """
    frame, distance = np.sqrt(stack.frames[0].astype(np.float64)), stack.distances_um[0]
    optics = stack.wavelength_um, stack.pixel_size_um
    field = np.ones(frame.shape, complex)
    for _ in range(iterations):
        there = propagated(field, distance, *optics)
        residual = there - frame * np.exp(1j * np.angle(there))
        field = field - (propagated(1 + residual, -distance, *optics) - 1)
        phase = denoise_tv_chambolle(np.angle(field), weight, max_num_iter=10)
        amplitude = np.minimum(denoise_tv_chambolle(np.abs(field), weight, max_num_iter=10), 1.05)
        field = amplitude * np.exp(1j * phase)
    return np.asarray(np.angle(field))


PHASES: dict[str, Callable[[Stack], Array]] = {
    "Gauss-Newton (ours)": _ours(),
    "Gauss-Newton, total variation (ours)": _ours(prior={"total_variation": "noise"}),
    "alternating projections (ours)": _ours(solver="alternating", start="flat"),
    "contrast transfer": contrast_transfer,
    "single shot, total variation": single_shot,
}


def phase_error(phase: Array, stack: Stack) -> float:
    """Return the root mean square error of a phase in rad, without its mean."""
    truth = Truth(np.abs(stack.field), np.angle(stack.field))
    return score(truth.amplitude, phase, truth)["phase_rmse_rad"]


# --- index from directions


def intensities(density: Array, voxel_um: tuple[float, float], peak_phase_rad: float) -> tuple[Frame, Array]:
    """Return frames of a phantom, (N, Y, X), relative to the background, and its n − n0 on slices twice as thick."""
    phase = density.sum(0).max() * voxel_um[0] * 2 * math.pi / WAVELENGTH_UM
    contrast = density * peak_phase_rad / phase
    geometry = VolumeGeometry(density.shape, voxel_um[0], WAVELENGTH_UM, MEDIUM, voxel_um[1], NA)
    model = SSNPModel(geometry, ring(RING_NA, COUNT), steps_per_slice=2, dtype=torch.complex128)
    with torch.no_grad():
        frames = model.intensities(permittivity_contrast(torch.from_numpy(contrast) + MEDIUM, None, MEDIUM)).numpy()
    frames = frames + NOISE * np.random.default_rng(SEED).standard_normal(frames.shape)
    planes, rows, columns = contrast.shape
    return frames.astype(np.float32), contrast.reshape(planes // 2, 2, rows, columns).mean(1)


def _index(frames: Frame, voxel_um: tuple[float, float], planes: int, **changes: Any) -> Array:
    values = {
        "wavelength_um": WAVELENGTH_UM, "pixel_size_um": voxel_um[1], "na": NA, "medium_index": MEDIUM,
        "slice_spacing_um": 2 * voxel_um[0], "slice_count": planes, "background": "ratio",
        "ring": {"na": RING_NA}, **changes,
    }  # fmt: skip
    return np.asarray(_run("idt", values, frames)["n_re"].data, np.float64) - MEDIUM


def slice_by_slice(frames: Frame, voxel_um: tuple[float, float], planes: int, weight: float) -> Array:
    """Return n − n0 by the formula for each slice alone, as if there were no others (Ling et al. 2018)."""
    rows, columns = frames.shape[1:]
    geometry = VolumeGeometry((planes, rows, columns), 2 * voxel_um[0], WAVELENGTH_UM, MEDIUM, voxel_um[1], NA)
    model = BornModel(geometry, ring(RING_NA, len(frames)))
    data = model.spectrum(torch.from_numpy(frames) - 1)
    sums = [torch.zeros(planes, *model.half, dtype=model.dtype) for _ in range(5)]
    for frame in range(len(frames)):
        H_re, H_im = model.transfer(frame)
        terms = (
            H_re.abs() ** 2,
            H_im.abs() ** 2,
            H_re.conj() * H_im,
            H_re.conj() * data[frame],
            H_im.conj() * data[frame],
        )
        sums = [total + term for total, term in zip(sums, terms, strict=True)]
    rr, ii, ri, gr, gi = sums
    rr, ii = rr + weight, ii + weight
    determinant = rr * ii - ri.abs() ** 2
    parts = (ii * gr - ri * gi) / determinant, (rr * gi - ri.conj() * gr) / determinant
    contrast = model.from_spectrum(torch.stack(parts))
    return refractive_index(contrast, MEDIUM)[0].numpy().astype(np.float64) - MEDIUM


WEIGHTS = (30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Of `slice_by_slice`, whose publication gives no rule: the one closest to the truth is taken."""

INDICES: dict[str, Callable[[Frame, tuple[float, float], int], Array]] = {
    "voxels (ours)": lambda frames, voxel, planes: _index(frames, voxel, planes, solver="voxels"),
    "least squares (ours)": lambda frames, voxel, planes: _index(
        frames, voxel, planes, solver="tikhonov", model="born"
    ),
    "empty": lambda frames, voxel, planes: np.zeros((planes, *frames.shape[1:])),
}


def index_error(index: Array, truth: Array) -> tuple[float, float]:
    """Return the root mean square error relative to that of an empty volume inside the object, and the correlation."""
    inside = truth > 0.01 * truth.max()
    relative = np.linalg.norm((index - truth)[inside]) / np.linalg.norm(truth[inside])
    correlation = float(np.corrcoef(index.ravel(), truth.ravel())[0, 1]) if index.std() > 0 else 0.0
    return float(relative), correlation
