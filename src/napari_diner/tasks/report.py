"""What every report says, and figures that many of them have."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import napari_diner
from napari_diner import device as devices

if TYPE_CHECKING:
    import torch


def psnr_db(error: npt.NDArray[Any], peak: float) -> float:
    """Return the peak signal-to-noise ratio, ``10 log10(peak² / mean(error²))``, in dB."""
    return psnr_of(float(np.mean(np.square(error, dtype=np.float64))), peak)


def psnr_of(mean_square: float, peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB of a mean squared error; infinite for none, NaN without a peak."""
    if mean_square == 0:
        return float("inf")
    return 10 * float(np.log10(peak**2 / mean_square)) if peak > 0 else float("nan")


def provenance(device: torch.device, seed: int) -> dict[str, Any]:
    """Return what a report says of the machine and the programs that a result was made with."""
    import torch

    return {
        "peak_memory_mb": devices.peak_memory_mb(device),
        "device": devices.describe(device),
        "seed": seed,
        "versions": {
            "napari-diner": napari_diner.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
