"""Provenance and figures that reports have in common, and their presentation."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

import napari_diner
from napari_diner import device as devices
from napari_diner.wording import percent

if TYPE_CHECKING:
    import torch


Report = Mapping[str, Any]
"""A report, as it is stored in ``report.json``."""


class Row(NamedTuple):
    """A line of a summary: a label and a value with its unit."""

    label: str
    value: str


def psnr_db(error: npt.NDArray[np.floating], peak: float) -> float:
    """Return the peak signal-to-noise ratio, ``10 log10(peak² / mean(error²))``, in dB."""
    return psnr_of(mean_square(error), peak)


def mean_square(values: npt.NDArray[np.floating]) -> float:
    """Return the mean square of values (N, …), one part at a time in double precision."""
    parts = values if values.ndim > 1 else [values]
    return sum(float(np.square(part, dtype=np.float64).sum()) for part in parts) / max(values.size, 1)


def psnr_of(mean_square: float, peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB of a mean squared error; infinite for none, NaN without a peak."""
    if mean_square == 0:
        return float("inf")
    return 10 * float(np.log10(peak**2 / mean_square)) if peak > 0 else float("nan")


def provenance(device: torch.device, seed: int) -> dict[str, object]:
    """Return the hardware and software used for a result, for its report."""
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


UNITS = {"_db": "dB", "_rad": "rad", "_mb": "MB", "_um": "µm"}
"""Units of figures by the ends of their names."""


def figure_rows(report: Mapping[str, object], names: Iterable[str] | None = None, remark: str = "") -> list[Row]:
    """Return figures of a report as lines of a summary, with units, skipping missing ones.

    Parameters
    ----------
    report
        Figures by name.
    names
        Which; all if None.
    remark
        Added to each label.
    """
    rows = []
    for name in report if names is None else names:
        value, label, unit = report.get(name), name, ""
        if value is None:
            continue
        for suffix, symbol in UNITS.items():
            if name.endswith(suffix):
                label, unit = name.removesuffix(suffix), f" {symbol}"
        # errors of an index are far below one
        digits = ".3g" if "rmse" in name else ",.2f"
        number = f"{value:{digits}}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
        if isinstance(value, float) and "unexplained" in name:
            number = percent(value)
        label = label.replace("_", " ").replace("psnr", "PSNR").replace("rmse", "RMSE")
        rows.append(Row(label + remark, f"{number}{unit}"))
    return rows
