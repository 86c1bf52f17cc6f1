"""Time for a series of lensless recordings, with and without starting from the previous one.

A specimen turns slowly into another one and is recorded at six heights, again and again. The series is reconstructed
as one run (``select: T=all``), and once more with a run for each time by itself. Of both, the mean PSNR of the phase
against the true one is given: the time saved only counts at an equal one.

    python benchmarks/series.py [--times 20] [--size 128] [--change 0.02]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

import napari_diner as nd
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.tasks.task import Frames

DISTANCES_UM = (300.0, 380.0, 460.0, 540.0, 620.0, 700.0)
SETTINGS: dict[str, dict[str, object]] = {
    "gauss-newton": {},
    # with which later recordings of a series are done unless the recipe has another
    "gauss-newton, tolerance 1e-3": {"gauss_newton": {"tolerance": 1e-3}},
    "alternating": {},
    "siren": {"gradient": {"iterations": 300}},
}


def recordings(times: int, size: int, change: float) -> tuple[np.ndarray, np.ndarray]:
    """Return intensities, (T, N, Y, X), and the true phase, (T, Y, X)."""
    first, second = (
        {array.name: array.data for array in nd.sample("lensless", height_px=size, width_px=size, seed=seed).truth}
        for seed in (0, 1)
    )
    model = MultiHeight((size, size), Heights(Optics(wavelength_um=0.532, pixel_size_um=1.12), list(DISTANCES_UM)))
    random = np.random.default_rng(0)
    frames, phases = [], []
    for number in range(times):
        part = change * number
        amplitude, phase = ((1 - part) * first[name] + part * second[name] for name in ("amplitude", "phase"))
        field = torch.from_numpy((amplitude * np.exp(1j * phase)).astype(np.complex64))
        intensity = model.fields(field).abs().square().numpy()
        frames.append(random.poisson(5000 * intensity).astype(np.float32))
        phases.append(phase - phase.mean())
    return np.stack(frames), np.stack(phases)


def psnr_db(phases: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean PSNR of phases less their mean, for a peak of the range of the true one."""
    errors = phases - phases.mean((1, 2), keepdims=True) - truth
    return float(np.mean(20 * np.log10(np.ptp(truth, (1, 2)) / np.sqrt(np.mean(errors**2, (1, 2))))))


def main() -> None:
    """Print a table with a row for each solver."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--change", type=float, default=0.02)
    options = parser.parse_args()
    frames, truth = recordings(options.times, options.size, options.change)
    print("| solver | separate runs | series | time saved | PSNR, separate runs | PSNR, series |\n" + "|---" * 6 + "|")
    for solver, settings in SETTINGS.items():
        recipe = {
            "solver": solver.split(",")[0], "wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": DISTANCES_UM,
            "padding": {"mode": "none"}, **settings,
        }  # fmt: skip
        began = time.process_time()
        alone = np.stack([nd.lensless(Frames(stack, "NYX"), **recipe).phase for stack in frames])
        middle = time.process_time()
        together = nd.lensless(Frames(frames, "TNYX"), select="T=all", **recipe).phase
        seconds = middle - began, time.process_time() - middle
        print(
            f"| {solver} | {seconds[0]:.1f} s | {seconds[1]:.1f} s | {100 * (1 - seconds[1] / seconds[0]):.0f} % "
            f"| {psnr_db(alone, truth):.2f} dB | {psnr_db(together, truth):.2f} dB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
