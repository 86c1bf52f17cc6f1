"""A sample that moves between the heights: the phase with and without following its deformation.

The parts of a simulated sample are displaced differently at each height, by a smooth field of up to the given number
of pixels relative to the middle height, and recorded with shot noise. Beside the sample at rest, the table has the PSNR
of the phase against the sample at the middle height, of all of it, and without errors that vary slowly (a Gaussian of
6 pixels): a displacement in proportion to the distance looks like a slope of the phase, so that these cannot be known.
The last column is for frames in which the true displacements are undone, as `deformation` undoes the estimated ones.

    python benchmarks/moving.py [--size 128] [--motion 2] [--seeds 2]
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from scipy import ndimage

import napari_diner as nd
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.tasks.task import Frames

DISTANCES_UM = (300.0, 380.0, 460.0, 540.0, 620.0)
_SLOW_PX = 6.0
OPTICS = Optics(wavelength_um=0.532, pixel_size_um=1.12)


def smooth_motion(size: int, motion_px: float, random: np.random.Generator) -> np.ndarray:
    """Return a displacement, (2, Y, X), that varies over a third of the field, by up to `motion_px`."""
    field = ndimage.gaussian_filter(random.normal(size=(2, size, size)), (0, size / 6, size / 6), mode="wrap")
    return field * motion_px / np.sqrt((field**2).sum(0)).max()


def straightened(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return a frame, (Y, X), whose content is displaced by -flow, (2, Y, X), with its content in place."""
    places = indices = np.indices(frame.shape).astype(float)
    for _ in range(20):  # the place x with x + flow(x) = y, for each pixel y
        places = indices - [ndimage.map_coordinates(along, places, order=3, mode="grid-wrap") for along in flow]
    return ndimage.map_coordinates(frame, places, order=3, mode="grid-wrap")


def recorded(size: int, motion_px: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frames, (N, Y, X), the same without displacements, and the true phase at the middle height, (Y, X)."""
    truth = {array.name: array.data for array in nd.sample("lensless", height_px=size, width_px=size, seed=seed).truth}
    model = MultiHeight((size, size), Heights(OPTICS, list(DISTANCES_UM)))
    random, frames, straight = np.random.default_rng(seed), [], []
    for number in range(len(DISTANCES_UM)):
        flow = smooth_motion(size, motion_px, random) * (number != len(DISTANCES_UM) // 2)
        places = np.indices((size, size)) + flow
        amplitude, phase = (
            ndimage.map_coordinates(truth[name], places, order=3, mode="grid-wrap") for name in ("amplitude", "phase")
        )
        field = torch.from_numpy((amplitude * np.exp(1j * phase)).astype(np.complex64))
        frames.append(random.poisson(5000 * model.fields(field).abs().square().numpy()[number]).astype(np.float32))
        straight.append(straightened(frames[-1], flow))
    return np.stack(frames), np.stack(straight), truth["phase"]


def psnr_db(phase: np.ndarray, truth: np.ndarray, *, fine: bool) -> float:
    """Return the PSNR of a phase without its mean, or without slow errors, for a peak of the range of the true one."""
    errors = phase - truth
    errors -= ndimage.gaussian_filter(errors, _SLOW_PX, mode="wrap") if fine else errors.mean()
    return float(20 * np.log10(np.ptp(truth) / np.sqrt(np.mean(errors**2))))


def main() -> None:
    """Print a table with a row for each sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--motion", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    print("| sample | at rest | moves: off | shift | deformation | known |\n" + "|---" * 6 + "|")
    for seed in range(options.seeds):
        recipe = {"wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": DISTANCES_UM}
        still, _, truth = recorded(options.size, 0.0, seed)
        moving, straight, _ = recorded(options.size, options.motion, seed)
        runs = [nd.lensless(Frames(still, "NYX"), **recipe)]
        for registration in ("off", "shift", "deformation"):
            runs.append(nd.lensless(Frames(moving, "NYX"), registration=registration, **recipe))
        runs.append(nd.lensless(Frames(straight, "NYX"), **recipe))
        for fine, title in ((False, "all"), (True, "fine")):
            values = " | ".join(f"{psnr_db(run.phase, truth, fine=fine):.2f} dB" for run in runs)
            print(f"| {seed}, {title} | {values} |", flush=True)


if __name__ == "__main__":
    main()
