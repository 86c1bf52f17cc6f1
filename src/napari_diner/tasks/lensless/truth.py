"""Scores against a true object: errors of amplitude and phase, not of measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.texts import read_json
from napari_diner.physics.bands import octaves
from napari_diner.tasks.report import psnr_db

Image = npt.NDArray[Any]

# names in our simulations, and in the published synthetic data
_NAMES = {"amplitude": ("amplitude.tif", "GT_amp.png"), "phase": ("phase.tif", "GT_phs.png")}


@dataclass(frozen=True)
class Truth:
    """The true object: amplitude, and phase in radians, (Y, X) each."""

    amplitude: Image
    phase: Image


def load_truth(folder: str | Path) -> Truth:
    """Read the truth from a folder.

    The folder holds ``amplitude.tif`` and ``phase.tif`` (radians), as written by ``napari-diner simulate``, or the
    8-bit ``GT_amp.png`` and ``GT_phs.png`` of the published synthetic data, whose full scale means an amplitude of 1
    and a phase of ``phase_scale_rad`` in ``params.json`` (π/2 if that is missing).

    Raises
    ------
    InputError
        If the folder does not hold both images.
    """
    folder = Path(folder)
    found: dict[str, Image] = {}
    for quantity, names in _NAMES.items():
        paths = [folder / name for name in names if (folder / name).is_file()]
        if not paths:
            raise InputError(f"The truth folder {folder} holds no {names[0]}; give one that holds amplitude and phase")
        image = np.squeeze(read_image(paths[0]))
        if image.dtype.kind in "ui":
            image = image / np.iinfo(image.dtype.str).max * (_phase_scale(folder) if quantity == "phase" else 1.0)
        found[quantity] = image.astype(np.float64)
    return Truth(found["amplitude"], found["phase"])


def _phase_scale(folder: Path) -> float:
    try:
        values = read_json(folder / "params.json")
        return float(values["phase_scale_rad"]) if isinstance(values, dict) else math.pi / 2
    except (InputError, KeyError, TypeError, ValueError):
        return math.pi / 2


def phase_error(phase: Image, truth: Image) -> Image:
    """Return the phase error in radians, (Y, X): the difference wrapped to ±π, less its mean.

    A constant phase cannot be measured from intensities and does not count as an error.
    """
    difference = np.exp(1j * (phase.astype(np.float64) - truth))
    wrapped: Image = np.angle(difference * np.exp(-1j * np.angle(difference.mean())))
    centred: Image = np.angle(np.exp(1j * (wrapped - wrapped.mean())))
    return centred


def check_truth(truth: Truth, shape: tuple[int, ...]) -> None:
    """Check that a truth belongs to frames of the shape (Y, X).

    Raises
    ------
    InputError
        If the shapes differ, or it is no truth of this task.
    """
    if not isinstance(truth, Truth):
        raise InputError("The truth should be the folder of a sample, or what it was read as; name the folder")
    if not truth.amplitude.shape == truth.phase.shape == shape:
        raise InputError(
            f"The truth has {truth.amplitude.shape[0]}×{truth.amplitude.shape[1]} pixels but the frames have "
            f"{shape[0]}×{shape[1]}; give the truth of this stack"
        )


def score(amplitude: Image, phase: Image, truth: Truth) -> dict[str, float]:
    """Compare a reconstruction with the truth; `check_truth` checks the shapes.

    The peak of the amplitude is its true maximum, that of the phase its true range.
    """
    error = phase_error(phase, truth.phase)
    span = float(np.ptp(truth.phase))
    return {
        "amplitude_psnr_db": psnr_db(amplitude - truth.amplitude, float(truth.amplitude.max())),
        "phase_psnr_db": psnr_db(error, span if span > 0 else 2 * np.pi),
        "phase_rmse_rad": float(np.sqrt(np.mean(error**2))),
    }


def band_errors(phase: Image, truth: Truth, pixel_size_um: float) -> list[dict[str, float]]:
    """Return the phase error in each octave of spatial frequency, from fine to coarse.

    Parameters
    ----------
    phase
        Radians, (Y, X).
    truth
        The true object.
    pixel_size_um
        Distance between neighbouring pixels.

    Returns
    -------
    list[dict[str, float]]
        Limits of each octave in cycles/µm, and the root mean square over the field of the part of the error within it,
        ``phase_rmse_rad``, beside that of the true phase, ``phase_rms_rad``. The squares add up to those of the whole.
    """
    shape = (phase.shape[0], phase.shape[1])
    frequencies = (np.fft.fftfreq(size, pixel_size_um) for size in shape)
    radius = np.hypot(*np.meshgrid(*frequencies, indexing="ij"))
    error, signal = (
        np.abs(np.fft.fft2(image)) ** 2 / image.size**2 for image in (phase_error(phase, truth.phase), truth.phase)
    )
    rows = []
    for band in octaves(shape, pixel_size_um):
        inside = (radius > band.low) & (radius <= band.high)
        rows.append(
            {
                "low_per_um": band.low,
                "high_per_um": band.high,
                "phase_rmse_rad": float(error[inside].sum() ** 0.5),
                "phase_rms_rad": float(signal[inside].sum() ** 0.5),
            }
        )
    return rows
